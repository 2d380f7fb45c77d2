//! Refused windows are counted and told in one line a minute at most, however many a stranger
//! sends.

use std::time::Duration;

use knock_engine::Counters;

/// Between two such lines.
const PAUSE: Duration = Duration::from_secs(60);

/// Remembers what was told.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    told: Counters,
    last: Option<Duration>,
}

impl Summary {
    /// Tells what has been refused since the last time, if enough time has passed.
    pub(crate) fn tell(&mut self, uptime: Duration, counters: Counters) {
        if self.last.is_some_and(|last| uptime < last + PAUSE) {
            return;
        }
        let refused = total(&counters) - total(&self.told);
        if refused == 0 {
            return;
        }
        tracing::info!(
            refused,
            hits = counters.hits - self.told.hits,
            outside_span = counters.outside_span - self.told.outside_span,
            "windows that spelled no knock, since the last such line"
        );
        self.told = counters;
        self.last = Some(uptime);
    }
}

fn total(counters: &Counters) -> u64 {
    counters.refused.values().sum()
}
