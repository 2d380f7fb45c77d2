//! What a hit means and what should happen: queues, decoding, deciding, the agenda as plain data.
//!
//! Reads no clock, does no I/O, starts no thread: time comes in as [`Now`], and what is to be done
//! goes out as orders and changes. [`Engine`] is the entrance; its file tells the story.

#![forbid(unsafe_code)]

mod allowance;
mod clients;
mod cooldown;
mod engine;
mod grant;
mod judge;
mod lease;
mod leasing;
mod ledger;
mod now;
mod order;
mod plan;
mod queue;
mod retry;
mod verdict;

pub use engine::{Counters, Engine, Finished};
pub use grant::{MAX_LEASES, MAX_LEASES_OF_A_CLIENT};
pub use lease::{EndedBy, ExtendError, Hold, Lease, LeaseId, LeaseNews, LeaseState, Reconciled};
pub use ledger::{Anchor, Change, ClockNews, Ledger, Machine, Step, Times};
pub use now::Now;
pub use order::{Fallback, Order, OrderId, Outcome};
pub use plan::{
    Action, Close, KeptBy, LeasePolicy, LeaseRule, OneLease, Open, Plan, QueuePolicy, Replay,
    Scheduler,
};
pub use retry::Fate;
pub use verdict::{Accepted, Judged, Says, Verdict};
