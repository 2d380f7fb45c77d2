//! All leases, and what is to be done about each now: open, ask, close.
//! Decides when, never whether: that was decided when the knock came, and is in the record.
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

/// Leases by id and by opening, and what is under way.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    slots: HashMap<Opening, Slot>,
    /// For each opening of which there is something to do, when.
    next: BTreeSet<(SystemTime, Opening)>,
    flying: HashMap<OrderId, Flying>,
    no_worker_free: bool,
    generation: u64,
}

/// One opening, with a lease or with what is left of one.
#[derive(Debug)]
struct Slot {
    lease: Option<LeaseId>,
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
            lease: None,
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
    lease: Option<LeaseId>,
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
        let before = self.leases.get(&lease.id).cloned();
        self.change(opening, |slot, leases| {
            if let Some(other) = slot.lease.filter(|other| *other != lease.id) {
                leases.remove(&other);
            }
            let is_same = before.as_ref().is_some_and(|before| {
                (before.until, before.is_wanted()) == (lease.until, lease.is_wanted())
            });
            slot.is_surplus = false;
            if !is_same {
                *slot = Slot { is_busy: slot.is_busy, is_stale: true, ..Slot::default() };
            }
            slot.lease = Some(lease.id);
            leases.insert(lease.id, lease);
        });
    }

    /// A lease is over and its opening closed.
    pub(crate) fn remove(&mut self, id: LeaseId) {
        let Some(opening) = self.leases.get(&id).map(|lease| lease.opening) else { return };
        self.change(opening, |slot, leases| {
            leases.remove(&id);
            if slot.lease == Some(id) {
                slot.lease = None;
            }
        });
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Lease> + '_ {
        self.leases.values()
    }

    pub(crate) fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(&id)
    }

    pub(crate) fn of(&self, opening: &Opening) -> Option<&Lease> {
        self.slots.get(opening).and_then(|slot| self.leases.get(&slot.lease?))
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
            self.change(flying.opening, |_, _| ());
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
        self.generation += u64::from(flying.step != Step::Ask);
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
        self.change(flying.opening, |_, _| ());
        Some((flying.order, fate, changes))
    }

    /// The clock was set: what waits after a failure goes as soon as it would have.
    pub(crate) fn clock_set(&mut self, step: ClockStep) {
        let openings: Vec<Opening> = self.slots.keys().copied().collect();
        for opening in openings {
            self.change(opening, |slot, _| {
                slot.not_before = step.of(slot.not_before);
                slot.ask_from = step.of(slot.ask_from);
            });
        }
    }

    /// Another number whenever an order that opens or closes has come back.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Compares with what the firewall has. What differs is put right by the next orders.
    pub(crate) fn reconcile(&mut self, wall: SystemTime, held: &[Held]) -> Reconciled {
        let mut result = Reconciled::default();
        let held: HashMap<Opening, Option<Duration>> =
            held.iter().map(|held| (held.opening, held.left)).collect();
        let openings: Vec<Opening> = self.slots.keys().copied().collect();
        for opening in openings {
            let found = held.get(&opening).copied();
            let lease = self.of(&opening).cloned();
            self.change(opening, |slot, _| {
                let open = lease.filter(|lease| lease.state == LeaseState::Open && !slot.is_busy);
                let Some(lease) = open else { return };
                let is_there = holds_for(found, &lease, wall);
                // After a start nobody has told the firewall yet, and it may know all the same.
                if !is_there && !slot.is_stale {
                    result.put_back.push(opening);
                }
                slot.is_stale = !is_there;
            });
        }
        for opening in held.keys() {
            if !self.slots.contains_key(opening) {
                self.change(*opening, |slot, _| slot.is_surplus = true);
                result.removed.push(*opening);
            }
        }
        result.put_back.sort_unstable();
        result.removed.sort_unstable();
        result
    }

    fn opened(&mut self, flying: &Flying, is_current: bool) -> Vec<Change> {
        let Some(lease) = self.of(&flying.opening).filter(|_| is_current) else {
            return Vec::new();
        };
        let lease = Lease { state: LeaseState::Open, ..lease.clone() };
        let is_news = self.leases.get(&lease.id) != Some(&lease);
        // Renewed while it was being opened: the firewall has the old time.
        let is_stale = flying.order.expires != lease.until;
        self.change(flying.opening, |slot, _| {
            slot.tries = 0;
            slot.not_before = SystemTime::UNIX_EPOCH;
            slot.is_stale = is_stale;
        });
        if is_news { vec![Change::Leased(lease)] } else { Vec::new() }
    }

    fn closed(&mut self, flying: &Flying, is_current: bool) -> Vec<Change> {
        self.change(flying.opening, |slot, _| {
            slot.is_surplus = false;
            slot.tries = 0;
            slot.not_before = SystemTime::UNIX_EPOCH;
        });
        match flying.lease {
            Some(id) if is_current => vec![Change::LeaseClosed(id)],
            Some(_) | None => Vec::new(),
        }
    }

    fn answered(
        &mut self,
        flying: &Flying,
        is_current: bool,
        wall: SystemTime,
        outcome: &Outcome,
    ) -> Vec<Change> {
        let Some(lease) = self.of(&flying.opening).filter(|_| is_current).cloned() else {
            return Vec::new();
        };
        let (Hold::Connected { step }, Some(until)) = (lease.hold, lease.until) else {
            return Vec::new();
        };
        if !matches!(outcome, Outcome::Counted { connections: 1.. }) {
            self.change(flying.opening, |slot, _| {
                slot.ask_from = wall.checked_add(ahead(step) / 5).unwrap_or(wall);
            });
            return Vec::new();
        }
        let longer = wall.checked_add(step).map_or(until, |longer| longer.max(until));
        let longer = lease.at_most.map_or(longer, |at_most| longer.min(at_most));
        vec![Change::Leased(Lease { renewed: wall, until: Some(longer), ..lease })]
    }

    fn not_opened(
        &mut self,
        flying: &Flying,
        wall: SystemTime,
        why: String,
        again: bool,
    ) -> (Fate, Vec<Change>) {
        let Some(lease) = self.of(&flying.opening).cloned() else {
            return (Fate::Replaced, Vec::new());
        };
        let fate = self.again(&flying.opening, wall);
        let Fate::Again { after, tries } = fate else { return (fate, Vec::new()) };
        let is_over = lease
            .until
            .is_some_and(|until| wall.checked_add(after).is_none_or(|next| next >= until));
        if again && tries < TRIES_OF_A_RULE && !is_over {
            return (fate, Vec::new());
        }
        let failed = Lease { state: LeaseState::Failed { why }, ..lease };
        (Fate::GivenUp { tries }, vec![Change::Leased(failed)])
    }

    fn again(&mut self, opening: &Opening, wall: SystemTime) -> Fate {
        self.change(*opening, |slot, _| {
            slot.tries = slot.tries.saturating_add(1);
            let after = pause_after(slot.tries);
            slot.not_before = wall.checked_add(after).unwrap_or(wall);
            Fate::Again { after, tries: slot.tries }
        })
    }

    fn ask_again(&mut self, flying: &Flying, wall: SystemTime) -> Fate {
        const PAUSE: Duration = Duration::from_secs(1);
        self.change(flying.opening, |slot, _| {
            slot.ask_from = wall.checked_add(PAUSE).unwrap_or(wall);
        });
        Fate::Again { after: PAUSE, tries: flying.order.attempts.saturating_add(1) }
    }

    /// Whether what an order was for is still wanted.
    fn is_current(&self, id: OrderId, flying: &Flying) -> bool {
        let Some(slot) = self.slots.get(&flying.opening) else { return false };
        let lease = slot.lease.and_then(|lease| self.leases.get(&lease));
        let is_wanted = lease.is_some_and(Lease::is_wanted);
        slot.lease == flying.lease
            && match flying.step {
                Step::Open => is_wanted,
                Step::Ask => is_wanted && slot.asking == Some(id),
                // With a lease: begun when its time was over, or its state said so.
                Step::Close => !is_wanted,
            }
    }

    /// What is to be done about an opening whose time has come.
    fn step_now(&mut self, opening: &Opening, wall: SystemTime) -> Option<Step> {
        let (_, step) = self.step(self.slots.get(opening)?)?;
        let is_over = |lease: &&Lease| lease.until.is_some_and(|until| until <= wall);
        let over = self.of(opening).filter(|lease| lease.is_wanted()).filter(is_over);
        let Some(over) = over.cloned() else { return Some(step) };
        // Also where the daemon slept through what was to be done before. Not durable, since the time
        // on disk says the same.
        self.change(*opening, |slot, leases| {
            slot.tries = 0;
            leases.insert(over.id, Lease { state: LeaseState::Closing, ..over });
        });
        Some(Step::Close)
    }

    /// What is to be done next about an opening, and when.
    fn step(&self, slot: &Slot) -> Option<(SystemTime, Step)> {
        if slot.is_busy {
            return None;
        }
        let Some(lease) = slot.lease.and_then(|id| self.leases.get(&id)) else {
            return slot.is_surplus.then_some((slot.not_before, Step::Close));
        };
        if !lease.is_wanted() {
            return Some((slot.not_before, Step::Close));
        }
        let end = lease.until.map(|until| (until, Step::Close));
        let sooner = if lease.state == LeaseState::Opening || slot.is_stale {
            Some((slot.not_before, Step::Open))
        } else if let (Hold::Connected { step }, Some(until), None) =
            (lease.hold, lease.until, slot.asking)
            && lease.can_be_held()
        {
            let ask = until.checked_sub(ahead(step)).unwrap_or(until);
            Some((ask.max(slot.ask_from), Step::Ask))
        } else {
            None
        };
        sooner.into_iter().chain(end).min_by_key(|(at, _)| *at)
    }

    fn begin(&mut self, id: OrderId, opening: Opening, step: Step, wall: SystemTime) -> Order {
        let lease = self.of(&opening).cloned();
        let tries = self.change(opening, |slot, _| {
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
        let lease = lease.map(|lease| lease.id);
        self.flying.insert(id, Flying { step, lease, opening, order: order.clone() });
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
    fn change<T>(
        &mut self,
        opening: Opening,
        change: impl FnOnce(&mut Slot, &mut BTreeMap<LeaseId, Lease>) -> T,
    ) -> T {
        let mut slot = self.slots.remove(&opening).unwrap_or_default();
        let planned = slot.planned;
        let result = change(&mut slot, &mut self.leases);
        if let Some(at) = planned {
            self.next.remove(&(at, opening));
        }
        slot.planned = self.step(&slot).map(|(at, _)| at);
        if let Some(at) = slot.planned {
            self.next.insert((at, opening));
        }
        if slot.lease.is_some() || slot.is_busy || slot.is_surplus {
            self.slots.insert(opening, slot);
        }
        result
    }
}

fn ahead(step: Duration) -> Duration {
    ASK_AHEAD.min(step / 3)
}

/// Whether the firewall has a lease, and for as long as it is to have it.
fn holds_for(found: Option<Option<Duration>>, lease: &Lease, wall: SystemTime) -> bool {
    match (found, lease.until) {
        (None, _) | (Some(Some(_)), None) => false,
        // Rules without a clock of their own.
        (Some(None), _) => true,
        (Some(Some(left)), Some(until)) => {
            let wanted = until.duration_since(wall).unwrap_or_default();
            left.saturating_add(TOO_EARLY) >= wanted && left <= wanted.saturating_add(TOO_LATE)
        }
    }
}

#[cfg(test)]
mod tests;
