//! An order: one command that has to be run, when and for whom; and what came of it.
//! Plain data: `knock-actions` runs it and keeps it on disk.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_rules::Command;

/// Names one order, and its place in the sequence. Never used twice by one ledger, but that what
/// stands in for an order that failed takes over its id with its place.
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
    /// Whose knock asked for it. Orders of one client run one after the other; see the
    /// agenda for the one exception.
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
    /// As which user it runs; `None`: as the daemon's.
    pub user: Option<String>,
    /// What is run when it has failed for good: the first, and when that fails the next.
    pub on_failure: Vec<Fallback<Command>>,
    /// To be handed to at(1), which runs it at this full minute, instead of being run.
    pub hand_over: Option<SystemTime>,
    /// Not to be run any more from this time on, since the same knock's delayed orders then take
    /// back what it would do: it is not begun after it, and ended when it comes. Of an
    /// [`Open`](Command::Open): when the firewall has to close by itself, where it can; `None`: never.
    pub expires: Option<SystemTime>,
}

/// What is run in place of a command that failed; `C` is a template in the plan, and a command in
/// an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback<C> {
    /// The template's name.
    pub template: String,
    /// What it runs.
    pub command: C,
    /// As which user; `None`: as the daemon's.
    pub user: Option<String>,
    /// How long it may take.
    pub timeout: Duration,
}

impl Order {
    /// Whether it takes back, as far as one can tell, what was done at once, and waits here for its
    /// time.
    pub(crate) fn is_delayed(&self) -> bool {
        !self.delay.is_zero() && self.hand_over.is_none()
    }

    /// The order that takes the place of this one after it has failed for good.
    ///
    /// It keeps its delay, so that what takes back is tried as often as that wants; and its time,
    /// which is before that of any closing that was to follow. With the same id it also comes before
    /// whatever later knocks asked for: the sequence stays what it was.
    pub(crate) fn fallback(&self, id: OrderId) -> Option<Self> {
        let (first, rest) = self.on_failure.split_first()?;
        Some(Self {
            id,
            template: first.template.clone(),
            command: first.command.clone(),
            user: first.user.clone(),
            timeout: first.timeout,
            on_failure: rest.to_vec(),
            attempts: 0,
            ..self.clone()
        })
    }

    /// The same order, kept in the agenda until its time since at(1) did not take it.
    pub(crate) fn kept_here(&self, id: OrderId) -> Self {
        let due = self.due.checked_add(self.delay).unwrap_or(self.due);
        Self { id, due, hand_over: None, attempts: 0, ..self.clone() }
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
    /// at(1) has it now, and runs it at its time.
    HandedOver {
        /// The number that at(1) gave it.
        job: u64,
    },
    /// So many connections are established.
    Counted {
        /// How many.
        connections: u64,
    },
    /// It failed.
    Failed {
        /// In plain words, for the log.
        why: String,
        /// Whether another try may help and does no harm: a mistake in the command stays one, and a
        /// program that was started may have done half of its work.
        again: bool,
    },
    /// It was refused before anything was begun: the world is as it was. Another try may help.
    NotBegun {
        /// In plain words, for the log.
        why: String,
    },
    /// It took too long and was ended.
    TimedOut {
        /// How long it was given: its timeout, or less where something else set a limit.
        after: Duration,
    },
}

impl Outcome {
    /// Why it did not come to what was asked for; `None`: it did.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Done | Self::AlreadySo | Self::HandedOver { .. } | Self::Counted { .. } => None,
            Self::Failed { why, .. } | Self::NotBegun { why } => Some(why.clone()),
            Self::TimedOut { after } if after.as_secs() == 0 => {
                Some(format!("no end within {} ms", after.as_millis()))
            }
            Self::TimedOut { after } => Some(format!("no end within {} s", after.as_secs())),
        }
    }
}
