//! Everything that can happen to the running daemon, in one closed list.

use std::time::{Duration, SystemTime};

use knock_engine::{OrderId, Outcome};
use knock_sources::{Age, Notice, SourceError};
use knock_wire::Hit;

use crate::control::server::Asked;

use super::NewSettings;
use super::reconcile::Answer;
use super::silence::Counted;
use super::trail::Reached;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A source, by its number, read lines or packets that yielded hits, in their order.
    Hits(usize, Vec<Arrived>),
    /// Lines of a source that were too old to be used came just now; how many hits, and the oldest.
    TooOld(String, u64, Duration),
    /// A source has something to say about itself.
    Notice(String, Notice),
    /// The firewall told what its rules have counted.
    RulesCounted(Counted),
    /// A source came to the end of its input.
    SourceEnded(usize, String),
    /// A source failed. It is tried again after this pause, without having to be told.
    SourceFailed(usize, String, SourceError, Duration),
    /// The firewall told who is let in.
    Held(Answer),
    /// A worker is done with an order.
    Finished(OrderId, Outcome),
    /// Somebody has set the machine's clock, or it was suspended.
    ClockSet,
    /// Stop cleanly.
    Stop,
    /// Read the configuration again.
    Reload,
    /// It has been read.
    Reread(Box<NewSettings>),
    /// Somebody asks at the control socket.
    Asked(Box<Asked>),
}

/// A hit, and what its source knows of its line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) hit: Hit,
    /// How long before it was read it happened. Of what comes as it happens, zero.
    pub(crate) ago: Duration,
    /// How new its line is. What an earlier run dealt with fills a queue again, and what it
    /// completes has been done.
    pub(crate) age: Age,
    /// When its line was written by its own time, where that is asked for.
    pub(crate) written: Option<SystemTime>,
    /// Where its line ends, if the source can go on there after a restart.
    pub(crate) reached: Option<Reached>,
}

impl Arrived {
    /// Of a source that begins with what comes.
    pub(crate) fn now(hit: Hit) -> Self {
        Self { hit, ago: Duration::ZERO, age: Age::Live, written: None, reached: None }
    }
}
