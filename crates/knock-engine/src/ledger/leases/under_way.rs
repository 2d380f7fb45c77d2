//! Orders of leases, from being handed out until they come back.
//!
//! They are made here from the records, and are no part of the agenda: a record that is on disk before
//! anything opens is its own closing order. For one opening one order is with a worker at a time, so no
//! opening overtakes a closing, nor the other way round; what is wanted is looked at anew each time one
//! comes back. Only a question about connections may be under way beside another.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use knock_rules::{Command, Opening};

use super::Leases;
use super::next::{ASK_AHEAD, Step, ahead, ask_at, held_for};
use crate::lease::{Lease, LeaseId, LeaseState};
use crate::ledger::Change;
use crate::order::{Order, OrderId, Outcome};
use crate::retry::{Fate, TRIES_OF_A_RULE, pause_after};

/// How long one order of a lease may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Closings that a comparison remembers which was asked for before they came back.
const MOST_CLOSED: usize = 16_384;

/// An order that is with a worker.
#[derive(Debug)]
pub(super) struct Flying {
    step: Step,
    /// Whose it is; of what was surplus, nobody's.
    leases: BTreeSet<LeaseId>,
    opening: Opening,
    order: Order,
}

impl Leases {
    /// What is to be done now, earliest first, `at_most` so many orders with ids behind `last_id`.
    pub(crate) fn hand_out(
        &mut self,
        wall: SystemTime,
        at_most: usize,
        last_id: &mut OrderId,
    ) -> Vec<Order> {
        let mut orders = Vec::new();
        while orders.len() < at_most {
            let Some((_, opening)) = self.next.first().copied().filter(|(at, _)| *at <= wall)
            else {
                break;
            };
            // Where there is nothing yet, `next` names a later time now.
            if let Some(step) = self.step_now(&opening, wall) {
                last_id.0 += 1;
                orders.push(self.begin(*last_id, opening, step, wall));
            }
        }
        orders
    }

    /// When `hand_out` will have something, if nothing else happens before. `None` also while all
    /// workers are busy.
    pub(crate) fn next_due(&self) -> Option<SystemTime> {
        if self.no_worker_free && !self.flying.is_empty() {
            return None;
        }
        self.next.first().map(|(at, _)| *at)
    }

    /// An order that found no free worker; what it was for is still to be done.
    pub(crate) fn put_back(&mut self, id: OrderId) {
        if let Some(flying) = self.land(id) {
            self.no_worker_free = true;
            self.change(flying.opening, |slot| {
                if flying.step == Step::Ask {
                    slot.asked = SystemTime::UNIX_EPOCH;
                }
            });
        }
    }

    /// Takes in what came of an order of a lease. `None`: it is none. The changes are not applied.
    pub(crate) fn finished(
        &mut self,
        wall: SystemTime,
        id: OrderId,
        outcome: &Outcome,
    ) -> Option<(Order, Fate, Vec<Change>)> {
        let is_current = self.flying.get(&id).is_some_and(|flying| self.is_current(id, flying));
        let flying = self.land(id)?;
        self.no_worker_free = false;
        if flying.step != Step::Ask {
            self.came_back(&flying);
        }
        let was_begun = !matches!(outcome, Outcome::NotBegun { .. });
        let may_be_open = self.change(flying.opening, |slot| {
            slot.may_be_open |= was_begun && flying.step == Step::Open;
            slot.may_be_open
        });
        let may_help = !matches!(outcome, Outcome::Failed { again: false, .. });
        let (fate, changes) = match (flying.step, outcome.why_not()) {
            (Step::Open, None) => (Fate::Done, self.opened(&flying, is_current)),
            (Step::Close, None) => (Fate::Done, self.closed(&flying, is_current)),
            (Step::Ask, None) => (Fate::Done, self.answered(&flying, is_current, wall, outcome)),
            (_, Some(_)) if !is_current => (Fate::Replaced, Vec::new()),
            // Nothing has ever been begun: there is nothing to close.
            (Step::Close, Some(_)) if !was_begun && !may_be_open => {
                (Fate::Done, self.closed(&flying, is_current))
            }
            (Step::Open, Some(why)) => self.not_opened(&flying, wall, why, may_help),
            (Step::Close, Some(_)) => (self.again(&flying.opening, wall), Vec::new()),
            (Step::Ask, Some(_)) => (self.ask_again(&flying, wall), Vec::new()),
        };
        // Whatever came of it: the slot is free again, and may be gone; and nobody is asked twice.
        self.change(flying.opening, |slot| {
            if flying.step == Step::Ask && is_current {
                slot.late.clear();
            }
        });
        Some((flying.order, fate, changes))
    }

    fn came_back(&mut self, flying: &Flying) {
        self.generation += 1;
        let generation = self.generation;
        self.change(flying.opening, |slot| slot.generation = generation);
        if flying.step == Step::Close {
            self.closed.insert(generation, flying.opening);
            if self.closed.len() > MOST_CLOSED {
                self.closed.pop_first();
            }
        }
    }

    fn opened(&mut self, flying: &Flying, is_current: bool) -> Vec<Change> {
        let Some(slot) = self.slots.get(&flying.opening).filter(|_| is_current) else {
            return Vec::new();
        };
        // Renewed while it was being opened: the firewall has the old time.
        let is_stale = self.end(slot) != Some(flying.order.expires);
        let mut changes = Vec::new();
        for lease in self.in_slot(slot) {
            if lease.is_wanted() {
                let is_news = lease.state != LeaseState::Open && flying.leases.contains(&lease.id);
                let opened = || Lease { state: LeaseState::Open, ..lease.clone() };
                changes.extend(is_news.then(|| Change::Leased(opened())));
            } else if !is_stale {
                // The firewall goes by the others now.
                changes.push(Change::LeaseClosed(lease.id));
            }
        }
        self.change(flying.opening, |slot| {
            slot.tries = 0;
            slot.not_before = SystemTime::UNIX_EPOCH;
            slot.is_stale = is_stale;
        });
        changes
    }

    fn closed(&mut self, flying: &Flying, is_current: bool) -> Vec<Change> {
        self.change(flying.opening, |slot| {
            slot.is_surplus = false;
            slot.tries = 0;
            slot.not_before = SystemTime::UNIX_EPOCH;
        });
        let Some(slot) = self.slots.get(&flying.opening).filter(|_| is_current) else {
            return Vec::new();
        };
        slot.leases.intersection(&flying.leases).map(|id| Change::LeaseClosed(*id)).collect()
    }

    fn answered(
        &mut self,
        flying: &Flying,
        is_current: bool,
        wall: SystemTime,
        outcome: &Outcome,
    ) -> Vec<Change> {
        let Some(slot) = self.slots.get(&flying.opening).filter(|_| is_current) else {
            return Vec::new();
        };
        let asked: Vec<(Lease, Duration, SystemTime)> = self
            .wanted(slot)
            .filter_map(|lease| Some((lease.clone(), held_for(lease)?, lease.until?)))
            .filter(|(_, step, until)| ask_at(*until, *step) <= wall)
            .collect();
        if !matches!(outcome, Outcome::Counted { connections: 1.. }) {
            let shortest = asked.iter().map(|(_, step, _)| ahead(*step) / 5).min();
            self.change(flying.opening, |slot| {
                let pause = shortest.unwrap_or(ASK_AHEAD);
                slot.ask_from = wall.checked_add(pause).unwrap_or(wall);
            });
            return Vec::new();
        }
        let held = asked.into_iter().map(|(lease, step, until)| {
            let longer = wall.checked_add(step).map_or(until, |longer| longer.max(until));
            let longer = lease.at_most.map_or(longer, |at_most| longer.min(at_most));
            Change::Leased(Lease { renewed: wall, until: Some(longer), ..lease })
        });
        held.collect()
    }

    fn not_opened(
        &mut self,
        flying: &Flying,
        wall: SystemTime,
        why: String,
        again: bool,
    ) -> (Fate, Vec<Change>) {
        let fate = self.again(&flying.opening, wall);
        let Fate::Again { after, tries } = fate else { return (fate, Vec::new()) };
        let Some(slot) = self.slots.get(&flying.opening) else {
            return (Fate::Replaced, Vec::new());
        };
        // What was open once is told to the firewall for as long as it is wanted: a firewall that is
        // slow for a while cuts nobody off.
        if self.wanted(slot).any(|lease| lease.state == LeaseState::Open) {
            return (fate, Vec::new());
        }
        let until = self.end(slot).flatten();
        // Renewed while it was being opened: what failed, perhaps because its time was over, is not what
        // is wanted now.
        if flying.order.expires != until {
            return (fate, Vec::new());
        }
        let is_over =
            until.is_some_and(|until| wall.checked_add(after).is_none_or(|next| next >= until));
        if again && tries < TRIES_OF_A_RULE && !is_over {
            return (fate, Vec::new());
        }
        let failed = self.wanted(slot).map(|lease| {
            Change::Leased(Lease {
                state: LeaseState::Failed { why: why.clone() },
                ..lease.clone()
            })
        });
        (Fate::GivenUp { tries }, failed.collect())
    }

    fn again(&mut self, opening: &Opening, wall: SystemTime) -> Fate {
        self.change(*opening, |slot| {
            slot.tries = slot.tries.saturating_add(1);
            let after = pause_after(slot.tries);
            slot.not_before = wall.checked_add(after).unwrap_or(wall);
            Fate::Again { after, tries: slot.tries }
        })
    }

    fn ask_again(&mut self, flying: &Flying, wall: SystemTime) -> Fate {
        const PAUSE: Duration = Duration::from_secs(1);
        self.change(flying.opening, |slot| {
            slot.ask_from = wall.checked_add(PAUSE).unwrap_or(wall);
        });
        Fate::Again { after: PAUSE, tries: flying.order.attempts.saturating_add(1) }
    }

    /// Whether what an order was for is still wanted.
    fn is_current(&self, id: OrderId, flying: &Flying) -> bool {
        let Some(slot) = self.slots.get(&flying.opening) else { return false };
        match flying.step {
            Step::Open => self.wanted(slot).any(|lease| flying.leases.contains(&lease.id)),
            Step::Ask => slot.asking == Some(id) && self.wanted(slot).next().is_some(),
            Step::Close => self.wanted(slot).next().is_none(),
        }
    }

    fn begin(&mut self, id: OrderId, opening: Opening, step: Step, wall: SystemTime) -> Order {
        let slot = self.slots.get(&opening);
        let leases = slot.map(|slot| slot.leases.clone()).unwrap_or_default();
        let last = slot.and_then(|slot| self.last(slot).or_else(|| self.in_slot(slot).last()));
        let lease = last.cloned();
        let tries = self.change(opening, |slot| {
            if step == Step::Ask {
                slot.asking = Some(id);
                slot.asked = wall;
            } else {
                slot.is_busy = true;
            }
            slot.tries
        });
        let command = match step {
            Step::Open => Command::Open { opening },
            Step::Close => Command::Close { opening },
            Step::Ask => Command::CountConnections { opening },
        };
        let until = lease.as_ref().and_then(|lease| lease.until);
        let named = |name: fn(&Lease) -> &String| {
            lease.as_ref().map_or_else(|| "reconcile".to_owned(), |lease| name(lease).clone())
        };
        let order = Order {
            id,
            client: lease.as_ref().map_or(opening.network.address(), |lease| lease.client),
            action: named(|lease| &lease.action),
            template: named(|lease| &lease.template),
            due: wall,
            delay: Duration::ZERO,
            command,
            environment: Vec::new(),
            timeout: TIMEOUT,
            attempts: tries,
            user: None,
            on_failure: Vec::new(),
            hand_over: None,
            expires: until.filter(|_| step == Step::Open),
        };
        self.flying.insert(id, Flying { step, leases, opening, order: order.clone() });
        order
    }

    /// An order is with no worker any more.
    fn land(&mut self, id: OrderId) -> Option<Flying> {
        let flying = self.flying.remove(&id)?;
        if let Some(slot) = self.slots.get_mut(&flying.opening) {
            match flying.step {
                Step::Ask => slot.asking = slot.asking.filter(|asking| *asking != id),
                Step::Open | Step::Close => slot.is_busy = false,
            }
        }
        Some(flying)
    }
}
