//! The client's only clock: how long something may still take, the time that log lines carry, and
//! which stretch of time it is.

use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// A moment by which something has to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    #[allow(clippy::disallowed_methods, reason = "one of the two places that look at a clock")]
    pub(crate) fn after(time: Duration) -> Self {
        let now = Instant::now();
        // Longer than the clock can tell is as good as a day from now.
        Self(now.checked_add(time).unwrap_or(now + Duration::from_secs(86_400)))
    }

    /// What is left; `None` when the moment has passed.
    #[allow(clippy::disallowed_methods, reason = "one of the two places that look at a clock")]
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// Now, for the log lines that the client writes in place of knocking.
#[allow(clippy::disallowed_methods, reason = "the line of a log carries the time of day")]
pub(crate) fn time_of_day() -> SystemTime {
    SystemTime::now()
}

/// A stretch of time that has a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// One more than that of the turn before. All programs of this machine are in the same one.
    pub(crate) number: u64,
    pub(crate) ends: Deadline,
}

/// The turn of this length that it is now. Nobody sets the clock that this goes by.
pub(crate) fn turn(length: Duration) -> Turn {
    let uptime = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    let (uptime, length) = (uptime.as_nanos(), length.as_nanos().max(1));
    let left = u64::try_from(length - uptime % length).unwrap_or_default();
    Turn {
        number: u64::try_from(uptime / length).unwrap_or_default(),
        ends: Deadline::after(Duration::from_nanos(left)),
    }
}
