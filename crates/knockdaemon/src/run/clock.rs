//! The one place that reads a clock. Everybody else is told the time.

#![allow(clippy::disallowed_methods, reason = "this is where the clocks are read")]

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Datelike, Local, Timelike};
use knock_engine::Now;
use knock_rules::LocalTime;
use rustix::time::{ClockId, clock_gettime};

/// Where uptime begins: what happened before the start has one too.
const AHEAD: Duration = Duration::from_secs(86_400);

/// Two clocks are read one after the other, and the machine may do something else in between. They are
/// read again if that took longer than this, so often at most.
const TOGETHER: Duration = Duration::from_millis(5);
const READINGS: u32 = 10;

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
        AHEAD + self.start.elapsed()
    }

    /// The machine's own monotonic clock, which others on it can read too.
    #[must_use]
    pub(crate) fn monotonic(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::try_from(now).unwrap_or_default()
    }

    /// This moment: wall clock, monotonic clock and local calendar.
    #[must_use]
    pub(crate) fn now(&self) -> Now {
        self.at(SystemTime::now())
    }

    /// This moment, and how long the machine has been running then, suspended or not. `None` for the
    /// latter if the two cannot be told together.
    #[must_use]
    pub(crate) fn moment(&self) -> (Now, Option<Duration>) {
        for _ in 0..READINGS {
            let before = since_boot();
            let wall = SystemTime::now();
            if since_boot().saturating_sub(before) <= TOGETHER {
                return (self.at(wall), Some(before));
            }
        }
        (self.now(), None)
    }

    fn at(&self, wall: SystemTime) -> Now {
        Now { wall, uptime: self.uptime(), local: local_time(wall) }
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// The name of this run of the machine; where the kernel does not tell, one that nobody else has.
#[must_use]
pub(crate) fn boot_id() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) => id.trim().to_owned(),
        Err(_) => format!("process {} at {:?}", std::process::id(), since_boot()),
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
