//! What the admin wants, as the config said it: the knock's format, the actions, the bounds.
//! Checked before it gets here; holds no state of its own.

use std::time::Duration;

use knock_rules::{Condition, Delay, StateUpdate, Template};
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
    /// What it runs; `None` where it only writes state.
    pub command: Option<Template>,
    /// What it writes to the state variable, at once whatever the delay.
    pub state: Vec<StateUpdate>,
    /// How long its command may take.
    pub timeout: Duration,
    /// As which user its command runs; `None`: as the daemon's.
    pub user: Option<String>,
    /// What is run when its command has failed for good: the first, and when that fails the next.
    pub on_failure: Vec<Fallback<Template>>,
}
