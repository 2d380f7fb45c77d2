//! All leases, and what is to be done about each now: open, ask, close.
//! Decides when, never whether: that was decided when the knock came, and is in the record.
//!
//! Several clients of one network may have a lease of the same opening. It ends with the last of theirs,
//! and when one of them is over the firewall is told the time that is left: so each is struck out after
//! an order, the last after a closing.
//!
//! Orders of leases are made here from the records, and are no part of the agenda: a record that is on
//! disk before anything opens is its own closing order. For one opening one order is with a worker at a
//! time, so no opening overtakes a closing, nor the other way round; what is wanted is looked at anew
//! each time one comes back. Only a question about connections may be under way beside another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use knock_rules::{Command, Held, Opening};

use super::{Change, Step as ClockStep};
use crate::lease::{Hold, Lease, LeaseId, LeaseState, Reconciled};
use crate::order::{Order, OrderId, Outcome};
use crate::retry::{Fate, TRIES_OF_A_RULE, pause_after};

/// How long one order of a lease may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A session is asked for so long before its lease ends, so that the kernel has the new time before
/// the old one is over; where a step is short, for a third of it.
const ASK_AHEAD: Duration = Duration::from_secs(5);

/// So much earlier than wanted the firewall may close by itself.
const TOO_EARLY: Duration = Duration::from_secs(1);
/// And so much later: it rounds up, and was asked a moment ago. We close in time anyway.
const TOO_LATE: Duration = Duration::from_secs(5);

/// Closings that a comparison remembers which was asked for before they came back.
const MOST_CLOSED: usize = 16_384;

/// Leases by id and by opening, and what is under way.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    slots: HashMap<Opening, Slot>,
    /// For each opening of which there is something to do, when.
    next: BTreeSet<(SystemTime, Opening)>,
    flying: HashMap<OrderId, Flying>,
    no_worker_free: bool,
    /// Another number whenever an order that opens or closes has come back.
    generation: u64,
    /// What was closed, by the number that it had then.
    closed: BTreeMap<u64, Opening>,
}

/// One opening, with leases or with what is left of them.
#[derive(Debug)]
struct Slot {
    leases: BTreeSet<LeaseId>,
    /// When the last order for it came back.
    generation: u64,
    /// An order that opens or closes is with a worker.
    is_busy: bool,
    /// The question that is with a worker. An answer to an older one means nothing any more.
    asking: Option<OrderId>,
    /// Open without a lease.
    is_surplus: bool,
    /// The firewall has yet to hear of it, or of its time.
    is_stale: bool,
    /// Failures in a row.
    tries: u32,
    /// The pause after a failure, or none.
    not_before: SystemTime,
    /// The same for the question.
    ask_from: SystemTime,
    /// Where it stands in `next`.
    planned: Option<SystemTime>,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            leases: BTreeSet::new(),
            generation: 0,
            is_busy: false,
            asking: None,
            is_surplus: false,
            is_stale: false,
            tries: 0,
            not_before: SystemTime::UNIX_EPOCH,
            ask_from: SystemTime::UNIX_EPOCH,
            planned: None,
        }
    }
}

/// An order that is with a worker.
#[derive(Debug)]
struct Flying {
    step: Step,
    /// Whose it is; of what was surplus, nobody's.
    leases: BTreeSet<LeaseId>,
    opening: Opening,
    order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Open,
    Ask,
    Close,
}

impl Leases {
    /// A lease is so now, whether or not it was there.
    pub(crate) fn put(&mut self, lease: Lease) {
        let opening = lease.opening;
        let end_before = self.slots.get(&opening).and_then(|slot| self.end(slot));
        let before = self.leases.insert(lease.id, lease.clone());
        let is_same = before.is_some_and(|before| {
            (before.until, before.is_wanted()) == (lease.until, lease.is_wanted())
        });
        self.change(opening, |slot| {
            slot.is_surplus = false;
            slot.leases.insert(lease.id);
            if !is_same {
                // What went wrong before and what was asked was about something else.
                slot.asking = None;
                slot.tries = 0;
                slot.not_before = SystemTime::UNIX_EPOCH;
                slot.ask_from = SystemTime::UNIX_EPOCH;
            }
        });
        let end = self.slots.get(&opening).and_then(|slot| self.end(slot));
        if end.is_some() && end != end_before {
            self.change(opening, |slot| slot.is_stale = true);
        }
    }

    /// A lease is over, and nothing is open for it any more.
    pub(crate) fn remove(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(&id) else { return };
        self.change(lease.opening, |slot| {
            slot.leases.remove(&id);
        });
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Lease> + '_ {
        self.leases.values()
    }

    pub(crate) fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(&id)
    }

    /// All leases of one opening.
    pub(crate) fn of(&self, opening: &Opening) -> impl Iterator<Item = &Lease> + '_ {
        self.slots.get(opening).into_iter().flat_map(|slot| self.in_slot(slot))
    }

    fn in_slot<'a>(&'a self, slot: &'a Slot) -> impl Iterator<Item = &'a Lease> + 'a {
        slot.leases.iter().filter_map(|id| self.leases.get(id))
    }

    fn wanted<'a>(&'a self, slot: &'a Slot) -> impl Iterator<Item = &'a Lease> + 'a {
        self.in_slot(slot).filter(|lease| lease.is_wanted())
    }

    /// The one that ends last.
    fn last<'a>(&'a self, slot: &'a Slot) -> Option<&'a Lease> {
        self.wanted(slot).max_by_key(|lease| (lease.until.is_none(), lease.until))
    }

    /// When the opening ends, if it is wanted; `Some(None)`: when it is closed.
    fn end(&self, slot: &Slot) -> Option<Option<SystemTime>> {
        self.last(slot).map(|lease| lease.until)
    }

    pub(crate) fn len(&self) -> usize {
        self.leases.len()
    }

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
            let Some(step) = self.step_now(&opening, wall) else { break };
            last_id.0 += 1;
            orders.push(self.begin(*last_id, opening, step, wall));
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
            self.change(flying.opening, |_| ());
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
        let helps = match outcome {
            Outcome::Done
            | Outcome::AlreadySo
            | Outcome::HandedOver { .. }
            | Outcome::Counted { .. } => None,
            Outcome::Failed { why, again } => Some((why.clone(), *again)),
            Outcome::TimedOut { after } => {
                Some((format!("no end within {} s", after.as_secs()), true))
            }
        };
        let (fate, changes) = match (flying.step, helps) {
            (Step::Open, None) => (Fate::Done, self.opened(&flying, is_current)),
            (Step::Close, None) => (Fate::Done, self.closed(&flying, is_current)),
            (Step::Ask, None) => (Fate::Done, self.answered(&flying, is_current, wall, outcome)),
            (_, Some(_)) if !is_current => (Fate::Replaced, Vec::new()),
            (Step::Open, Some((why, again))) => self.not_opened(&flying, wall, why, again),
            (Step::Close, Some(_)) => (self.again(&flying.opening, wall), Vec::new()),
            (Step::Ask, Some(_)) => (self.ask_again(&flying, wall), Vec::new()),
        };
        // Whatever came of it: the slot is free again, and may be gone.
        self.change(flying.opening, |_| ());
        Some((flying.order, fate, changes))
    }

    /// The clock was set: what waits after a failure goes as soon as it would have.
    pub(crate) fn clock_set(&mut self, step: ClockStep) {
        let openings: Vec<Opening> = self.slots.keys().copied().collect();
        for opening in openings {
            self.change(opening, |slot| {
                slot.not_before = step.of(slot.not_before);
                slot.ask_from = step.of(slot.ask_from);
            });
        }
    }

    /// For [`reconcile`](Self::reconcile), before the firewall is looked at.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Compares with what the firewall had when the generation was this one. What differs is put right
    /// by the next orders. What has changed since is left for the next time.
    pub(crate) fn reconcile(&mut self, wall: SystemTime, held: &[Held], asked: u64) -> Reconciled {
        let mut result = Reconciled::default();
        let held: HashMap<Opening, &Held> = held.iter().map(|held| (held.opening, held)).collect();
        let openings: Vec<Opening> = self.slots.keys().copied().collect();
        for opening in openings {
            let found = held.get(&opening).copied();
            let Some(slot) = self.slots.get(&opening) else { continue };
            let is_open = self.wanted(slot).any(|lease| lease.state == LeaseState::Open);
            let Some(until) = self.end(slot).filter(|_| is_open) else { continue };
            if slot.is_busy || slot.generation > asked {
                continue;
            }
            let is_there = holds_for(found, until, wall);
            // After a start nobody has told the firewall yet, and it may know all the same.
            if !is_there && !slot.is_stale {
                result.put_back.push(opening);
            }
            self.change(opening, |slot| slot.is_stale = !is_there);
        }
        self.closed = self.closed.split_off(&asked.saturating_add(1));
        let closed: BTreeSet<Opening> = self.closed.values().copied().collect();
        for opening in held.keys() {
            if !self.slots.contains_key(opening) && !closed.contains(opening) {
                self.change(*opening, |slot| slot.is_surplus = true);
                result.removed.push(*opening);
            }
        }
        result.put_back.sort_unstable();
        result.removed.sort_unstable();
        result
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

    /// What is to be done about an opening whose time has come.
    fn step_now(&mut self, opening: &Opening, wall: SystemTime) -> Option<Step> {
        let slot = self.slots.get(opening)?;
        let is_over = |lease: &&Lease| lease.until.is_some_and(|until| until <= wall);
        let over: Vec<LeaseId> = self.wanted(slot).filter(is_over).map(|lease| lease.id).collect();
        // While an order is under way its end is awaited first, and a session may still be found.
        if !over.is_empty() && !slot.is_busy {
            // Also where the daemon slept through what was to be done before. Not durable, since the
            // time on disk says the same.
            for id in over {
                if let Some(lease) = self.leases.get_mut(&id) {
                    lease.state = LeaseState::Closing;
                }
            }
            self.change(*opening, |slot| {
                slot.tries = 0;
                slot.not_before = SystemTime::UNIX_EPOCH;
            });
        }
        self.step(self.slots.get(opening)?).map(|(_, step)| step)
    }

    /// What is to be done next about an opening, and when.
    fn step(&self, slot: &Slot) -> Option<(SystemTime, Step)> {
        if self.wanted(slot).next().is_none() {
            let is_to_close = !slot.is_busy && (slot.is_surplus || !slot.leases.is_empty());
            return is_to_close.then_some((slot.not_before, Step::Close));
        }
        let is_stale =
            slot.is_stale || self.in_slot(slot).any(|lease| lease.state != LeaseState::Open);
        let open = is_stale.then_some((slot.not_before, Step::Open));
        // Also while the firewall is slow, or does not take the new time: the record goes on with the
        // session.
        let held = self.wanted(slot).filter(|lease| lease.state == LeaseState::Open);
        let ask = held
            .filter_map(|lease| Some(ask_at(lease.until?, held_for(lease)?)))
            .min()
            .filter(|_| slot.asking.is_none())
            .map(|at| (at.max(slot.ask_from), Step::Ask));
        if slot.is_busy {
            return ask;
        }
        // Then `step_now` finds what is over.
        let end = self.wanted(slot).filter_map(|lease| lease.until).min();
        let end = end.map(|until| (until, Step::Open));
        open.into_iter().chain(ask).chain(end).min_by_key(|(at, _)| *at)
    }

    fn begin(&mut self, id: OrderId, opening: Opening, step: Step, wall: SystemTime) -> Order {
        let slot = self.slots.get(&opening);
        let leases = slot.map(|slot| slot.leases.clone()).unwrap_or_default();
        let last = slot.and_then(|slot| self.last(slot).or_else(|| self.in_slot(slot).last()));
        let lease = last.cloned();
        let tries = self.change(opening, |slot| {
            if step == Step::Ask {
                slot.asking = Some(id);
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

    /// The one place where a slot changes, so that `next` always tells the truth about it.
    fn change<T>(&mut self, opening: Opening, change: impl FnOnce(&mut Slot) -> T) -> T {
        let mut slot = self.slots.remove(&opening).unwrap_or_default();
        let planned = slot.planned;
        let result = change(&mut slot);
        if let Some(at) = planned {
            self.next.remove(&(at, opening));
        }
        slot.planned = self.step(&slot).map(|(at, _)| at);
        if let Some(at) = slot.planned {
            self.next.insert((at, opening));
        }
        if !slot.leases.is_empty() || slot.is_busy || slot.is_surplus {
            self.slots.insert(opening, slot);
        }
        result
    }
}

/// How much longer a session keeps a lease each time, where one may.
fn held_for(lease: &Lease) -> Option<Duration> {
    match lease.hold {
        Hold::Connected { step } if lease.can_be_held() => Some(step),
        Hold::Connected { .. } | Hold::No => None,
    }
}

fn ask_at(until: SystemTime, step: Duration) -> SystemTime {
    until.checked_sub(ahead(step)).unwrap_or(until)
}

fn ahead(step: Duration) -> Duration {
    ASK_AHEAD.min(step / 3)
}

/// Whether the firewall has an opening, and for as long as it is to have it.
fn holds_for(found: Option<&Held>, until: Option<SystemTime>, wall: SystemTime) -> bool {
    let Some(found) = found else { return false };
    match (found.left, until) {
        (Some(_), None) => false,
        // Endless where an end could be kept: nobody would close it if this daemon died.
        (None, until) => until.is_none() || !found.has_clock,
        (Some(left), Some(until)) => {
            let wanted = until.duration_since(wall).unwrap_or_default();
            left.saturating_add(TOO_EARLY) >= wanted && left <= wanted.saturating_add(TOO_LATE)
        }
    }
}

#[cfg(test)]
mod tests;
