//! What the admin wants, as the config said it: the knock's format, the actions, the bounds.
//! Checked before it gets here; holds no state of its own.

use std::time::Duration;

use knock_rules::{Condition, Delay, LeaseTime, PortNumber, Protocol, StateUpdate, Template};
use knock_wire::Codec;

use crate::order::Fallback;

/// Everything that the engine goes by. A reload replaces it as a whole.
#[derive(Debug)]
pub struct Plan {
    /// How a window of hits spells a knock.
    pub codec: Codec,
    /// The enabled actions, in the order in which they are judged and carried out.
    pub actions: Vec<Action>,
    /// How long and for how many clients hits are remembered.
    pub queue: QueuePolicy,
    /// Who keeps what has a delay until its time.
    pub scheduler: Scheduler,
    /// What holds for all leases.
    pub leases: LeasePolicy,
    /// Whether a knock may come again.
    pub replay: Replay,
}

/// What becomes of a knock that was accepted before, byte for byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// It is accepted again, and nothing is remembered of it.
    #[default]
    Allow,
    /// It is refused, for ever.
    Reject,
}

/// What holds for all leases, whatever a knock says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeasePolicy {
    /// The longest that one may last, counted from the last knock that asked for it; `None`: as long as
    /// it is wanted.
    pub max: Option<Duration>,
    /// Whether a knock from a new address ends what the same user has at old ones.
    pub one: OneLease,
}

/// Whether a user has leases at one address only, and who a user is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OneLease {
    /// Each address has its own leases.
    #[default]
    No,
    /// All who have the key are one user.
    Everybody,
    /// Knocks with the same value in this field, by its name in rules, are one user's.
    By(String),
}

/// Who keeps delayed orders until their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheduler {
    /// The agenda of the ledger.
    #[default]
    Agenda,
    /// at(1): each is handed over before anything else of its knock is done. What at(1) does not
    /// take stays in the agenda.
    At,
}

/// The bounds of what strangers can make us remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// A queue whose newest hit is older is forgotten; `None`: never.
    pub timeout: Option<Duration>,
    /// Clients tracked at once; the one idle longest makes room for the next. At least one is.
    pub max_clients: usize,
}

/// One `<action>` with the template it names.
#[derive(Debug, PartialEq)]
pub struct Action {
    /// Its name, for the log.
    pub name: String,
    /// The name of its template.
    pub template: String,
    /// Whether it answers a knock.
    pub condition: Condition,
    /// How long after the knock its command runs; `None`: at once.
    pub delay: Option<Delay>,
    /// What it runs; `None` where it only writes state, or is about a lease.
    pub command: Option<Template>,
    /// What it opens or closes, where it is about a lease. That is done at once, whatever the delay.
    pub lease: Option<LeaseRule>,
    /// After it has answered a client, so long it does not answer that client again.
    pub cooldown: Option<Duration>,
    /// What it writes to the state variable, at once whatever the delay.
    pub state: Vec<StateUpdate>,
    /// How long its command may take.
    pub timeout: Duration,
    /// As which user its command runs; `None`: as the daemon's.
    pub user: Option<String>,
    /// What is run when its command has failed for good: the first, and when that fails the next.
    pub on_failure: Vec<Fallback<Template>>,
}

/// What an action does about leases.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseRule {
    /// It grants one.
    Open(Open),
    /// It ends one.
    Close(Close),
}

/// A lease to grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// The port.
    pub port: PortNumber,
    /// Of which protocol.
    pub protocol: Protocol,
    /// For how long.
    pub length: LeaseTime,
    /// Whether a session keeps it.
    pub hold: KeptBy,
    /// How much of an IPv4 address counts: 32 for the client alone.
    pub prefix4: u8,
    /// The same for IPv6, where it is 128.
    pub prefix6: u8,
}

/// What keeps a lease open beyond its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeptBy {
    /// Nothing.
    #[default]
    Nothing,
    /// A connection from the client to the port.
    Connection,
}

/// Leases to end: those of this port that the client's address is in.
#[derive(Clone, Debug, PartialEq)]
pub struct Close {
    /// The port.
    pub port: PortNumber,
    /// Of which protocol.
    pub protocol: Protocol,
}
