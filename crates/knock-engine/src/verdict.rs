//! What became of one hit.
//! A verdict only tells; what it asks for (orders, changes) is up to the caller.

use std::net::IpAddr;

use knock_rules::EvalError;
use knock_wire::{Knock, Refusal};

use crate::lease::LeaseNews;
use crate::ledger::Change;
use crate::order::Order;

/// What became of one hit. All but `Accepted` are everyday noise, not worth a log line each.
#[derive(Debug)]
pub enum Verdict {
    /// The port carries no knock; nothing was touched.
    OutsideSpan,
    /// The same packet again (same source port and port, shortly after), and so not counted twice.
    Repeated,
    /// The client's window is not full yet.
    Queued {
        /// Hits in the window.
        filled: usize,
        /// Hits that a knock has.
        of: usize,
    },
    /// The window is full and spells no knock, so its oldest hit was dropped; or it spells one that was
    /// accepted before, and is empty now, as after any knock.
    Refused(Refusal),
    /// The window spelled a knock.
    Accepted(Accepted),
}

/// An accepted knock and what it asks for. Nothing of it has happened yet: the caller makes
/// `changes` durable, then calls [`Engine::commit`](crate::Engine::commit) with them. A caller that
/// cannot make them durable drops them, and the knock is refused: of
/// [`Engine::refuse`](crate::Engine::refuse) only what it closes is left.
#[derive(Debug)]
pub struct Accepted {
    /// The fields and their values.
    pub knock: Knock,
    /// Who knocked, in canonical form.
    pub client: IpAddr,
    /// What is to be run, in the order of the actions. The same orders stand in `changes`; from
    /// there they reach the agenda, and [`Engine::due`](crate::Engine::due) hands them out.
    pub orders: Vec<Order>,
    /// What it means for leases, which make their orders themselves.
    pub leases: Vec<LeaseNews>,
    /// What has to be durable before anything of it happens.
    pub changes: Vec<Change>,
    /// Actions that could not be judged or carried out, by name, with the reason.
    pub faults: Vec<(String, EvalError)>,
    /// What each condition came to, in the order of the actions, for who wants to know why.
    pub judged: Vec<Judged>,
}

/// What an action's condition came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The action's name.
    pub action: String,
    /// What its condition says.
    pub condition: Says,
}

/// What a condition says of a knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// It holds, but the action has answered this client so lately that it does not do so again.
    TooSoon,
}

impl Accepted {
    /// What a run that responds to nothing commits: the state variable goes on as if it had, and the
    /// knock is not accepted again, while orders are told and not kept.
    #[must_use]
    pub fn remembered(&self) -> Vec<Change> {
        let remembered =
            |change: &&Change| matches!(change, Change::Remembered(_) | Change::Spent { .. });
        self.changes.iter().filter(remembered).cloned().collect()
    }
}
