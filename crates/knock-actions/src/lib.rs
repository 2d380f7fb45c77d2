//! What is done to the world: orders are run, and the ledger is kept on disk.
//!
//! Decides nothing: which order runs when is the engine's business. Two halves that know nothing of
//! each other: a [`Runner`] carries out one order ([`Host`] for real, [`DryRun`] in words,
//! [`Recorder`] in tests) in one of the [`Pool`]'s threads; the [`Store`] makes changes durable
//! before anything of them happens.

#![forbid(unsafe_code)]

mod deadline;
mod dry_run;
mod host;
mod iptables;
mod output;
mod pool;
mod process;
mod recorder;
mod runner;
mod store;
#[cfg(test)]
mod testing;

pub use dry_run::DryRun;
pub use host::Host;
pub use pool::{Leftover, Pool};
pub use recorder::Recorder;
pub use runner::Runner;
pub use store::{Store, StoreError, StoreNotice};
