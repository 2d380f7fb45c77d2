//! How long something may still take. The one place of this crate that reads a clock: a limit on a
//! running process cannot be an argument of the engine.

use std::time::{Duration, Instant, SystemTime};

use knock_engine::Outcome;

/// A point in monotonic time after which one stops waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// `None`: so far away that the clock cannot tell it.
    at: Option<Instant>,
    limit: Duration,
}

impl Deadline {
    /// That long from now.
    pub(crate) fn after(limit: Duration) -> Self {
        Self { at: now().checked_add(limit), limit }
    }

    /// What comes of an order that was not done by then.
    pub(crate) fn missed(self) -> Outcome {
        Outcome::TimedOut { after: self.limit }
    }

    /// What is left; zero once it has passed.
    pub(crate) fn left(self) -> Duration {
        match self.at {
            Some(at) => at.saturating_duration_since(now()),
            None => Duration::MAX,
        }
    }

    /// Whether it has passed.
    pub(crate) fn has_passed(self) -> bool {
        self.left().is_zero()
    }
}

/// The wall clock, for what the kernel is told of it.
#[allow(clippy::disallowed_methods, reason = "see the head of this file")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// How long until that moment by the wall clock; zero once it has passed.
#[allow(clippy::disallowed_methods, reason = "see the head of this file")]
pub(crate) fn left_until(moment: SystemTime) -> Duration {
    moment.duration_since(SystemTime::now()).unwrap_or_default()
}

#[allow(clippy::disallowed_methods, reason = "see the head of this file")]
fn now() -> Instant {
    Instant::now()
}
