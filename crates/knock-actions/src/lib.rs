//! What is done to the world: orders are run, and the ledger is kept on disk.
//!
//! Decides nothing: which order runs when is the engine's business. Two halves that know nothing of
//! each other: a [`Runner`] (on this machine the [`Host`]) carries out one order in one of the
//! [`Pool`]'s threads; the [`Store`] makes changes durable before anything of them happens.

#![forbid(unsafe_code)]

mod account;
mod at;
mod connections;
mod deadline;
mod gate;
mod group;
mod host;
mod iptables;
mod left_behind;
mod output;
mod pool;
mod process;
mod runner;
mod seal;
mod shell;
mod statefile;
mod store;
#[cfg(test)]
mod testing;
mod tools;

pub use account::{AccountError, can_run_as};
pub use at::{AtError, can_hand_over};
pub use gate::Gate;
pub use group::{GroupError, group_id};
pub use host::Host;
pub use left_behind::{LeftBehind, Session};
pub use pool::Pool;
pub use runner::Runner;
pub use statefile::{FoundState, MovedAside, StateFile, StateFileError};
pub use store::{Store, StoreError, StoreNotice};
pub use tools::HostTools;
