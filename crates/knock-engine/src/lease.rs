//! A lease: the record of one opening, how long it holds and what becomes of it. Plain data; when it
//! is opened, extended and closed is decided in `ledger/leases.rs` and its parts.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_rules::{Opening, Protocol};

use crate::ledger::Step;

/// Names one lease. Never used twice by one ledger, nor by an order of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One opening with its time. The record *is* the closing order: as long as it is there, and its time
/// is over or its state says so, closing is tried. Clients that share a network have one each, and what
/// is open to them ends with the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// Whose it is: who knocked for it.
    pub client: IpAddr,
    /// Who that is, where `onelease` names a field that tells; else `None`.
    pub user: Option<String>,
    /// What is open.
    pub opening: Opening,
    /// When it was granted first; a renewal leaves it.
    pub opened: SystemTime,
    /// When its end was set last: by a knock, a session that goes on, or an admin.
    pub renewed: SystemTime,
    /// When it ends; `None`: when it is closed.
    pub until: Option<SystemTime>,
    /// When it ends at the latest, however long the session lasts; `None`: there is no `maxlease`.
    pub at_most: Option<SystemTime>,
    /// Whether a session keeps it.
    pub hold: Hold,
    /// The action that it comes from.
    pub action: String,
    /// That action's template.
    pub template: String,
    /// The fields of the knock that asked for it last, as the log shows them.
    pub knock: String,
    /// How far it is.
    pub state: LeaseState,
}

/// Whether a lease outlives its time while the client has a connection through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// It does not.
    #[default]
    No,
    /// It does, for one step after the other.
    Connected {
        /// How much longer each time.
        step: Duration,
    },
}

/// How far a lease is. What the firewall has in the middle of a change nobody knows, so each says what
/// is wanted next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// To be opened.
    Opening,
    /// Open.
    Open,
    /// To be closed, whatever its time says.
    Closing,
    /// Opening it failed for good. It is to be closed all the same, since half of it may be there.
    Failed {
        /// In plain words.
        why: String,
    },
}

impl Lease {
    /// The same lease where somebody has set the clock, or may have while the machine was off: then none
    /// lasts longer from now on than it was meant to in all.
    pub(crate) fn moved(&self, step: Option<Step>, wall: SystemTime) -> Self {
        let of = |moment| step.map_or(moment, |step| step.of(moment));
        let bounded = |end: SystemTime| {
            let length = end.duration_since(self.renewed).unwrap_or_default();
            of(end).min(wall.checked_add(length).unwrap_or(wall))
        };
        Self {
            opened: of(self.opened),
            renewed: of(self.renewed).min(wall),
            until: self.until.map(bounded),
            at_most: self.at_most.map(bounded),
            ..self.clone()
        }
    }

    /// Whether it is open or about to be.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        matches!(self.state, LeaseState::Opening | LeaseState::Open)
    }

    /// By what leases are in the order of their ends: one without comes last.
    pub(crate) fn ends(&self) -> (bool, Option<SystemTime>) {
        (self.until.is_none(), self.until)
    }

    /// Whether a session may keep it longer than to its end as it is now.
    pub(crate) fn can_be_held(&self) -> bool {
        match (self.hold, self.until) {
            (Hold::Connected { .. }, Some(until)) => {
                self.at_most.is_none_or(|at_most| until < at_most)
            }
            (Hold::Connected { .. } | Hold::No, _) => false,
        }
    }
}

/// What a knock made of leases, for the log. It holds once the knock's changes are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseNews {
    /// A new one.
    Granted(Lease),
    /// One that was there has another time now.
    Renewed(Lease),
    /// One that was there ends.
    Ended {
        /// Which.
        lease: Lease,
        /// Why.
        why: EndedBy,
    },
    /// A knock was to close what is not open.
    NothingOpen {
        /// To whom.
        client: IpAddr,
        /// Of which protocol.
        protocol: Protocol,
        /// Which port.
        port: u16,
    },
    /// Not granted: there are as many as there may be.
    Full {
        /// What was asked for.
        opening: Opening,
        /// How many there are.
        most: usize,
        /// Whose they are; `None`: everybody's.
        client: Option<IpAddr>,
    },
}

/// Why a lease ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// A knock that closes.
    CloseKnock,
    /// The same user knocked from another address.
    NewAddress,
}

/// Why a lease cannot be extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendError {
    /// There is none of this name.
    Unknown(LeaseId),
    /// It is being closed.
    Ending(LeaseId),
    /// The time is over already.
    Past,
    /// It would be longer than `maxlease`.
    BeyondMax {
        /// How long it may be from now on.
        most: Duration,
    },
}

impl fmt::Display for ExtendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "there is no lease {id}"),
            Self::Ending(id) => write!(f, "lease {id} is being closed"),
            Self::Past => f.write_str("that time is over; to close a lease, revoke it"),
            Self::BeyondMax { most } => {
                write!(f, "maxlease allows {} s from now", most.as_secs())
            }
        }
    }
}

impl std::error::Error for ExtendError {}

/// What a comparison with the firewall came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Leases that the firewall had lost, or held for another time; they are opened anew.
    pub put_back: Vec<Opening>,
    /// What was open without a lease; it is closed.
    pub removed: Vec<Opening>,
}
