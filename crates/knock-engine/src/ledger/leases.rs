//! All leases: what is wanted, for how long, and whether the firewall has it so.
//! Decides when, never whether: that was decided when the knock came, and is in the record.
//!
//! Several clients of one network may have a lease of the same opening. It ends with the last of theirs,
//! and when one of them is over the firewall is told the time that is left: so each is struck out after
//! an order, the last after a closing.
//!
//! `next.rs` says what is to be done about an opening, and when; `under_way.rs` makes orders of that and
//! takes in what came of them.

mod next;
mod under_way;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use knock_rules::{Family, Held, Opening};

use self::under_way::Flying;
use super::Step as ClockStep;
use crate::lease::{Lease, LeaseId, LeaseState, Reconciled};
use crate::order::OrderId;

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
    /// Somebody has begun to open it, perhaps an earlier run; or it was seen.
    may_be_open: bool,
    /// The firewall has yet to hear of it, or of its time.
    is_stale: bool,
    /// Failures in a row.
    tries: u32,
    /// The pause after a failure, or none.
    not_before: SystemTime,
    /// The same for the question.
    ask_from: SystemTime,
    /// When a question was handed out last, since the start.
    asked: SystemTime,
    /// Leases that are over, but their connections were not asked for in time; and how long an answer
    /// is waited for.
    late: BTreeMap<LeaseId, SystemTime>,
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
            may_be_open: false,
            is_stale: false,
            tries: 0,
            not_before: SystemTime::UNIX_EPOCH,
            ask_from: SystemTime::UNIX_EPOCH,
            asked: SystemTime::UNIX_EPOCH,
            late: BTreeMap::new(),
            planned: None,
        }
    }
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
                // What went wrong before was about something else.
                slot.late.remove(&lease.id);
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

    /// All there is comes from an earlier run: how far that one got nobody knows.
    pub(crate) fn are_of_before(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.may_be_open = true);
    }

    /// A lease is over, and nothing is open for it any more.
    pub(crate) fn remove(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(&id) else { return };
        self.change(lease.opening, |slot| {
            slot.leases.remove(&id);
            slot.late.remove(&id);
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
        self.wanted(slot).max_by_key(|lease| lease.ends())
    }

    /// When the opening ends, if it is wanted; `Some(None)`: when it is closed.
    fn end(&self, slot: &Slot) -> Option<Option<SystemTime>> {
        self.last(slot).map(|lease| lease.until)
    }

    pub(crate) fn len(&self) -> usize {
        self.leases.len()
    }

    /// The clock was set: what waits after a failure goes as soon as it would have.
    pub(crate) fn clock_set(&mut self, step: ClockStep) {
        let openings: Vec<Opening> = self.slots.keys().copied().collect();
        for opening in openings {
            self.change(opening, |slot| {
                slot.not_before = step.of(slot.not_before);
                slot.ask_from = step.of(slot.ask_from);
                slot.asked = step.of(slot.asked);
                slot.late.values_mut().for_each(|limit| *limit = step.of(*limit));
            });
        }
    }

    /// For [`reconcile`](Self::reconcile), before the firewall is looked at.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Compares with what the firewall had when the generation was this one. What differs is put right
    /// by the next orders. What has changed since is left for the next time.
    pub(crate) fn reconcile(
        &mut self,
        wall: SystemTime,
        held: &[Held],
        unread: &[Family],
        asked: u64,
    ) -> Reconciled {
        let mut result = Reconciled::default();
        let held: HashMap<Opening, &Held> = held.iter().map(|held| (held.opening, held)).collect();
        let openings: Vec<Opening> = self.slots.keys().copied().collect();
        for opening in openings {
            let found = held.get(&opening).copied();
            let Some(slot) = self.slots.get(&opening) else { continue };
            let is_open = self.wanted(slot).any(|lease| lease.state == LeaseState::Open);
            let Some(until) = self.end(slot).filter(|_| is_open) else { continue };
            let is_unread = unread.contains(&opening.network.family());
            if slot.is_busy || slot.generation > asked || is_unread {
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
                self.change(*opening, |slot| {
                    slot.is_surplus = true;
                    slot.may_be_open = true;
                });
                result.removed.push(*opening);
            }
        }
        result.put_back.sort_unstable();
        result.removed.sort_unstable();
        result
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

/// Whether the firewall has an opening, and for as long as it is to have it.
fn holds_for(found: Option<&Held>, until: Option<SystemTime>, wall: SystemTime) -> bool {
    let Some(found) = found else { return false };
    match (found.left, until) {
        (Some(_), None) => false,
        // Endless where an end could be kept: nobody would close it if this daemon died.
        (None, Some(until)) => found.no_end_from.is_some_and(|from| until >= from),
        (None, None) => true,
        (Some(left), Some(until)) => {
            let wanted = until.duration_since(wall).unwrap_or_default();
            left.saturating_add(TOO_EARLY) >= wanted && left <= wanted.saturating_add(TOO_LATE)
        }
    }
}
