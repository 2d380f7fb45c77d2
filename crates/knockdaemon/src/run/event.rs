//! Everything that can happen to the running daemon, in one closed list.

use knock_config::DaemonSettings;
use knock_engine::{OrderId, Outcome};
use knock_sources::{Notice, SourceError};
use knock_wire::Hit;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A source read lines that yielded hits, in their order.
    Hits(Vec<Hit>),
    /// A source has something to say about itself.
    Notice(String, Notice),
    /// A source came to its end, or cannot go on.
    SourceEnded(usize, String, Result<(), SourceError>),
    /// A worker is done with an order.
    Finished(OrderId, Outcome),
    /// Stop cleanly.
    Stop,
    /// Read the configuration again.
    Reload,
    /// It has been read; `None` when it has errors.
    Reread(Option<Box<DaemonSettings>>),
}
