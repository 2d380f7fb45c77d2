//! The time, as a value that the caller brings along.
//! Reads no clock: a test waits fifteen minutes by adding them.

use std::time::{Duration, SystemTime};

use knock_rules::LocalTime;

/// One moment, told by the three clocks that the engine goes by.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Deadlines are wall time, since they have to mean the same after a restart.
    pub wall: SystemTime,
    /// Never jumps, so the age of a queue is measured by it. Where it starts does not matter.
    pub uptime: Duration,
    /// The wall time as the calendar here shows it, for the time words of conditions.
    pub local: LocalTime,
}
