//! The one place that reads a clock. Everybody else is told the time.

#![allow(clippy::disallowed_methods, reason = "this is where the clocks are read")]

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Datelike, Local, Timelike};
use knock_engine::Now;
use knock_rules::LocalTime;

/// Where uptime begins: what happened before the start has one too.
const AHEAD: Duration = Duration::from_secs(86_400);

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose uptime goes on evenly from a day on.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// The monotonic clock alone.
    #[must_use]
    pub(crate) fn uptime(&self) -> Duration {
        self.start.elapsed()
    }

    /// This moment: wall clock, monotonic clock and local calendar.
    #[must_use]
    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now();
        Now { wall, uptime: AHEAD + self.start.elapsed(), local: local_time(wall) }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The local calendar at a moment, for the time words of conditions.
#[must_use]
pub(crate) fn local_time(wall: SystemTime) -> LocalTime {
    let local = DateTime::<Local>::from(wall);
    LocalTime {
        year: local.year(),
        month: local.month(),
        day: local.day(),
        hour: local.hour(),
        minute: local.minute(),
        weekday: local.weekday().num_days_from_sunday(),
    }
}

/// A moment for the log, by the calendar here.
#[must_use]
pub(crate) fn minute_of(wall: SystemTime) -> String {
    DateTime::<Local>::from(wall).format("%Y-%m-%d %H:%M").to_string()
}
