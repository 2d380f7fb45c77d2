//! What must hold between the leases on disk and what the kernel lets in.
//!
//! Only what is sure is called wrong: a slow machine may be late with anything.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_engine::{Lease, LeaseState};

use super::ground::{LONG, LONG_LEASE, SHUT};
use super::knocker::Knocks;
use super::members::Member;
use super::snapshot::Snapshot;

/// Sets and rules count whole seconds, and what a program lists is a moment old.
pub(super) const ROUGHLY: Duration = Duration::from_secs(2);
/// The kernel counts a lease's time from the moment at which it is told, which is later by as much as
/// a busy machine makes the daemon wait.
pub(super) const SLOW: Duration = Duration::from_secs(60);

/// With the daemon dead.
pub(super) fn wrong(snapshot: &Snapshot, has_sets: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for held in &snapshot.held {
        let client = held.client;
        if !snapshot.leases().any(|lease| lease.client == client) {
            wrong.push(format!("{client} is let in without a lease on disk"));
        }
        // A rule can be without an end where the kernel cannot tell the time.
        if held.until.is_none() && has_sets {
            wrong.push(format!("the kernel never ends the lease of {client}"));
        }
    }
    for lease in snapshot.leases().filter(|lease| is_settled(lease)) {
        let client = lease.client;
        let held: Vec<_> = snapshot.held.iter().filter(|held| held.client == client).collect();
        if held.len() > 1 {
            wrong.push(format!("{client} is let in {} times", held.len()));
        }
        if held.is_empty() && is_sure_to_last(lease, snapshot.taken) {
            wrong.push(format!("the lease of {client} was closed before its time"));
        }
        if held.iter().any(|held| is_too_long(held, lease)) {
            wrong.push(format!("the kernel lets {client} in beyond the lease's end"));
        }
    }
    wrong
}

/// With all knocks read: who asked last for a long lease has it.
pub(super) fn lost(snapshot: &Snapshot, written: &BTreeMap<IpAddr, Knocks>) -> Vec<String> {
    let mut lost = Vec::new();
    for (client, knocks) in written {
        let Some((time, answered_after)) = knocks.last else { continue };
        let mut leases = snapshot.leases().filter(|lease| lease.client == *client);
        if time == SHUT {
            // What is over already is being closed, whatever its row says.
            if leases.any(|lease| lease.is_wanted() && is_sure_to_last(lease, snapshot.taken)) {
                lost.push(format!("{client} closed, and its lease goes on"));
            }
            continue;
        }
        // A short one may have failed behind a held lock, and nobody have lived to tell it.
        let end = answered_after.checked_add(Duration::from_secs(LONG_LEASE));
        let is_long = time == LONG;
        let Some(end) = end.filter(|end| is_long && *end > snapshot.taken) else { continue };
        let has_one = |lease: &Lease| {
            matches!(lease.state, LeaseState::Failed { .. })
                || lease.is_wanted() && lease.until.is_some_and(|until| until >= end)
        };
        if !leases.any(has_one) {
            lost.push(format!("the lease of {client} is not on disk"));
        }
    }
    lost
}

/// Whether the kernel has what was on disk when the daemon was started again, apart from what is over
/// by now. `None`: it has; else what it has not.
pub(super) fn disagreement(
    snapshot: &Snapshot,
    held: &[Member],
    now: SystemTime,
) -> Option<String> {
    for lease in snapshot.leases() {
        let client = lease.client;
        let of_it: Vec<_> = held.iter().filter(|held| held.client == client).collect();
        if of_it.len() > 1 {
            return Some(format!("{client} is let in {} times", of_it.len()));
        }
        if of_it.iter().any(|held| is_too_long(held, lease)) {
            return Some(format!("{client} is let in for too long"));
        }
        let ends = of_it.first().map(|held| held.until);
        if lease.is_wanted() && is_sure_to_last(lease, now) {
            match (ends, lease.until) {
                (None, _) => return Some(format!("{client} is not let in")),
                (Some(Some(ends)), Some(until)) if earlier(until) > ends => {
                    return Some(format!("{client} is not let in to the end"));
                }
                (Some(_), _) => {}
            }
        } else if !lease.is_wanted() && ends.is_some() {
            return Some(format!("{client} is let in still"));
        }
    }
    None
}

/// The kernel was told, and nothing has been said since.
fn is_settled(lease: &Lease) -> bool {
    lease.state == LeaseState::Open && lease.renewed == lease.opened
}

fn is_sure_to_last(lease: &Lease, now: SystemTime) -> bool {
    lease.until.is_some_and(|until| earlier(until) > now)
}

fn is_too_long(held: &Member, lease: &Lease) -> bool {
    let latest = lease.until.and_then(|until| until.checked_add(SLOW));
    held.until.zip(latest).is_some_and(|(ends, latest)| ends > latest)
}

pub(super) fn earlier(moment: SystemTime) -> SystemTime {
    moment.checked_sub(ROUGHLY).unwrap_or(moment)
}
