//! An order: one command that has to be run, when and for whom; and what came of it.
//! Plain data: `knock-actions` runs it and keeps it on disk.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_rules::Command;

/// Names one order; never used twice by one ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One command to run, filled in with the values of its knock.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Its name.
    pub id: OrderId,
    /// Whose knock asked for it. Orders of one client never run at the same time.
    pub client: IpAddr,
    /// The action that it comes from.
    pub action: String,
    /// That action's template.
    pub template: String,
    /// When to run it; after a failure that may be tried again, when to try again.
    pub due: SystemTime,
    /// How long after the knock it was meant to run.
    pub delay: Duration,
    /// What to run.
    pub command: Command,
    /// The knock's values for the command's environment.
    pub environment: Vec<(String, String)>,
    /// How long it may take.
    pub timeout: Duration,
    /// How often it has been tried in vain.
    pub attempts: u32,
}

impl Order {
    /// Whether it takes back, as far as one can tell, what was done at once.
    pub(crate) fn is_delayed(&self) -> bool {
        !self.delay.is_zero()
    }

    /// A rule is in or out, however often it was asked for; a program does something each time.
    pub(crate) fn is_rule(&self) -> bool {
        matches!(self.command, Command::Iptables { .. })
    }

    pub(crate) fn is_delayed_rule(&self) -> bool {
        self.is_rule() && self.is_delayed()
    }
}

/// What came of running an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Carried out.
    Done,
    /// The world was already as the order wants it.
    AlreadySo,
    /// It failed.
    Failed {
        /// In plain words, for the log.
        why: String,
        /// Whether another try may help and does no harm: a mistake in the command stays one, and a
        /// program that was started may have done half of its work.
        again: bool,
    },
    /// It took longer than its timeout and was ended.
    TimedOut,
}
