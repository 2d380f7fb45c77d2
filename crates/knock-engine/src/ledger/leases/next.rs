//! What is to be done next about an opening, and when: open it, tell the firewall another time, ask for
//! its connections, close it. Works from the records alone; makes no orders.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use knock_rules::Opening;

use super::{Leases, Slot};
use crate::lease::{Hold, Lease, LeaseId, LeaseState};

/// A session is asked for so long before its lease ends, so that the kernel has the new time before
/// the old one is over; where a step is short, for a third of it.
pub(super) const ASK_AHEAD: Duration = Duration::from_secs(5);

/// Where nobody could ask in time, since the daemon was dead or the machine asleep, it is asked when the
/// lease is over, and the answer is waited for so long at most. It comes within milliseconds.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Open,
    Ask,
    Close,
}

impl Leases {
    /// What is to be done about an opening whose time has come. `None`: nothing yet.
    pub(super) fn step_now(&mut self, opening: &Opening, wall: SystemTime) -> Option<Step> {
        let slot = self.slots.get(opening)?;
        let is_over = |lease: &&Lease| lease.until.is_some_and(|until| until <= wall);
        // While an order is under way its end is awaited first, and a session may still be found.
        if !slot.is_busy && self.wanted(slot).any(|lease| is_over(&lease)) {
            let (late, over): (Vec<&Lease>, Vec<&Lease>) = self
                .wanted(slot)
                .filter(is_over)
                .partition(|lease| is_to_be_asked_late(slot, lease, wall));
            let late: BTreeSet<LeaseId> = late.iter().map(|lease| lease.id).collect();
            let over: Vec<LeaseId> = over.iter().map(|lease| lease.id).collect();
            // Not durable, since the time on disk says the same.
            for id in &over {
                if let Some(lease) = self.leases.get_mut(id) {
                    lease.state = LeaseState::Closing;
                }
            }
            let limit = wall.checked_add(ANSWERED_WITHIN).unwrap_or(wall);
            self.change(*opening, |slot| {
                slot.late.retain(|id, _| late.contains(id));
                for id in late {
                    slot.late.entry(id).or_insert(limit);
                }
                if !over.is_empty() {
                    slot.tries = 0;
                    slot.not_before = SystemTime::UNIX_EPOCH;
                }
            });
        }
        let (_, step) = self.step(self.slots.get(opening)?).filter(|(at, _)| *at <= wall)?;
        Some(step)
    }

    /// What is to be done next about an opening, and when.
    pub(super) fn step(&self, slot: &Slot) -> Option<(SystemTime, Step)> {
        if self.wanted(slot).next().is_none() {
            let is_to_close = !slot.is_busy && (slot.is_surplus || !slot.leases.is_empty());
            return is_to_close.then_some((slot.not_before, Step::Close));
        }
        let is_stale =
            slot.is_stale || self.in_slot(slot).any(|lease| lease.state != LeaseState::Open);
        // Nothing is opened for leases that are over and wait for an answer alone.
        let has_time = self.wanted(slot).any(|lease| !slot.late.contains_key(&lease.id));
        let open = (is_stale && has_time).then_some((slot.not_before, Step::Open));
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
        let end = |lease: &Lease| slot.late.get(&lease.id).copied().or(lease.until);
        let end = self.wanted(slot).filter_map(end).min().map(|until| (until, Step::Open));
        open.into_iter().chain(ask).chain(end).min_by_key(|(at, _)| *at)
    }
}

/// Whether a lease that is over may have a session that nobody has asked for.
fn is_to_be_asked_late(slot: &Slot, lease: &Lease, wall: SystemTime) -> bool {
    let (Some(until), Some(step)) = (lease.until, held_for(lease)) else { return false };
    let has_more = lease.at_most.is_none_or(|at_most| wall < at_most);
    let was_open = lease.state == LeaseState::Open;
    let nobody_asked = match slot.late.get(&lease.id) {
        Some(limit) => wall < *limit,
        None => slot.asked < ask_at(until, step),
    };
    has_more && was_open && nobody_asked
}

/// How much longer a session keeps a lease each time, where one may.
pub(super) fn held_for(lease: &Lease) -> Option<Duration> {
    match lease.hold {
        Hold::Connected { step } if lease.can_be_held() => Some(step),
        Hold::Connected { .. } | Hold::No => None,
    }
}

pub(super) fn ask_at(until: SystemTime, step: Duration) -> SystemTime {
    until.checked_sub(ahead(step)).unwrap_or(until)
}

pub(super) fn ahead(step: Duration) -> Duration {
    ASK_AHEAD.min(step / 3)
}
