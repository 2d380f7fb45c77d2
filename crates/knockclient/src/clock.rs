//! The client's only clock: how long something may still take, and the time that log lines carry.

use std::time::{Duration, Instant, SystemTime};

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
