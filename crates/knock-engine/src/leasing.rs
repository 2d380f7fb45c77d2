//! The engine's leases, as whoever controls the daemon sees them: listed, revoked, extended, compared
//! with the firewall. What a knock does to them is in `grant.rs`.

use std::time::SystemTime;

use knock_rules::{Family, Held};

use crate::engine::Engine;
use crate::lease::{EndedBy, ExtendError, Lease, LeaseId, LeaseNews, LeaseState, Reconciled};
use crate::ledger::Change;
use crate::now::Now;
use crate::verdict::Accepted;

impl Engine {
    /// All leases that are not closed yet, by id.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> + '_ {
        self.ledger().leases()
    }

    /// Whether something is open, or waits in the agenda, that has an end to wait for.
    #[must_use]
    pub fn has_ends_to_come(&self) -> bool {
        self.ledger().orders().next().is_some()
            || self.leases().any(|lease| lease.until.is_some() || !lease.is_wanted())
    }

    /// Ends a lease. Applied already, since what is to be closed has to close also with a full disk;
    /// to be made durable. `None`: there is none of this name.
    pub fn revoke(&mut self, id: LeaseId) -> Option<Vec<Change>> {
        let lease = self.ledger.leases.get(id)?;
        let changes = if lease.is_wanted() {
            vec![Change::Leased(Lease { state: LeaseState::Closing, ..lease.clone() })]
        } else {
            Vec::new()
        };
        self.apply(&changes);
        Some(changes)
    }

    /// What is left of an accepted knock that cannot be kept on disk: what it closes is closed all the
    /// same, as [`revoke`](Self::revoke) does it, and the knock is not good for another time. Nothing is
    /// opened, nor closed for the sake of what would have been opened. Applied already; to be made durable
    /// as soon as may be. Empty: nothing has happened.
    pub fn refuse(&mut self, accepted: &Accepted) -> Vec<Change> {
        let closed = accepted.leases.iter().filter_map(|news| match news {
            LeaseNews::Ended { lease, why: EndedBy::CloseKnock } => Some(lease.id),
            _ => None,
        });
        self.answering.clear();
        // Those that the knock itself would have opened nobody knows.
        let closed: Vec<LeaseId> = closed.collect();
        let mut changes: Vec<Change> =
            closed.into_iter().filter_map(|id| self.revoke(id)).flatten().collect();
        if !changes.is_empty() {
            let spent = |change: &&Change| matches!(change, Change::Spent { .. });
            let spent: Vec<Change> = accepted.changes.iter().filter(spent).cloned().collect();
            self.apply(&spent);
            changes.extend(spent);
        }
        changes
    }

    /// Gives a lease another end, sooner or later than the one it has; `None`: none of its own. Not
    /// applied: the caller makes the changes durable and then calls [`commit`](Self::commit).
    ///
    /// # Errors
    /// When it cannot be: it is not there, or is being closed, or `maxlease` is in the way.
    pub fn extend(
        &mut self,
        now: &Now,
        id: LeaseId,
        until: Option<SystemTime>,
    ) -> Result<Vec<Change>, ExtendError> {
        // A knock that could not be kept before has answered nobody.
        self.answering.clear();
        let lease = self.ledger.leases.get(id).ok_or(ExtendError::Unknown(id))?;
        if !lease.is_wanted() {
            return Err(ExtendError::Ending(id));
        }
        if until.is_some_and(|until| until <= now.wall) {
            return Err(ExtendError::Past);
        }
        let max = self.plan().leases.max;
        let at_most = max.and_then(|max| now.wall.checked_add(max));
        let until = match (until, at_most, max) {
            (Some(until), Some(at_most), Some(most)) if until > at_most => {
                return Err(ExtendError::BeyondMax { most });
            }
            (until, at_most, _) => until.or(at_most),
        };
        Ok(vec![Change::Leased(Lease { renewed: now.wall, until, at_most, ..lease.clone() })])
    }

    /// Compares the leases with what the firewall held when
    /// [`lease_generation`](Self::lease_generation) was `asked`, and puts right what differs: the next
    /// [`due`](Self::due) has the orders. What is under way, or has changed since, is left alone, and so is
    /// what is of a family that could not be read.
    pub fn reconcile(
        &mut self,
        now: &Now,
        held: &[Held],
        unread: &[Family],
        asked: u64,
    ) -> Reconciled {
        self.ledger.leases.reconcile(now.wall, held, unread, asked)
    }

    /// Another number whenever an order that opens or closes for a lease has come back.
    #[must_use]
    pub fn lease_generation(&self) -> u64 {
        self.ledger.leases.generation()
    }
}
