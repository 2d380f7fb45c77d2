//! Everything that can happen to the running daemon, in one closed list.

use std::time::Duration;

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
    /// A source came to the end of its input.
    SourceEnded(usize, String),
    /// A source failed. It is tried again after this pause, without having to be told.
    SourceFailed(usize, String, SourceError, Duration),
    /// A worker is done with an order.
    Finished(OrderId, Outcome),
    /// Stop cleanly.
    Stop,
    /// Read the configuration again.
    Reload,
}
