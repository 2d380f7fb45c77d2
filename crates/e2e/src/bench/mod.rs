//! What the benchmarks of latency and flood share: the ways from a packet to an open port, a client
//! that knocks and tries, and what is said of many timings. Asserts nothing.

pub mod action;
pub mod shot;
pub mod way;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{LabError, Result};

/// Many timings of the same thing.
#[derive(Clone, Debug, Default)]
pub struct Timings(Vec<Duration>);

impl Timings {
    /// One more.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one in the middle, in milliseconds.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.at(50)
    }

    /// The one below which so many of a hundred lie, in milliseconds; not a number of none.
    #[must_use]
    pub fn at(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last * percent + 50) / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Timings {
    /// As cells of a table: median, the middle half, the extremes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [least, low, median, high, most] = [0, 25, 50, 75, 100].map(|percent| self.at(percent));
        write!(f, "{median:.2} | {low:.2} to {high:.2} | {least:.2} to {most:.2}")
    }
}

/// The folder of the program that runs, where the programs of the same profile are.
///
/// # Errors
/// When the system does not tell.
pub fn own_folder() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.parent().map(PathBuf::from).ok_or_else(|| LabError("a program without a folder".into()))
}
