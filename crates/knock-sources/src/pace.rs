//! How often a file is looked at that nobody announces changes of: a span that may change while the
//! source reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest time between two looks. Clones share it; a source that rests takes a new one up at its
/// next rest.
#[derive(Clone, Debug)]
pub struct Pace(Arc<AtomicU64>);

impl Pace {
    /// The shortest, whatever the config says: a pause of zero would be a spin.
    pub(crate) const SHORTEST: Duration = Duration::from_millis(1);

    /// Changes it for all clones.
    pub fn set(&self, interval: Duration) {
        self.0.store(nanoseconds(interval), Ordering::Relaxed);
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed)).max(Self::SHORTEST)
    }
}

impl From<Duration> for Pace {
    fn from(interval: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(nanoseconds(interval))))
    }
}

fn nanoseconds(interval: Duration) -> u64 {
    u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)
}
