//! What strangers can make us say, said once a minute at most: windows that spell no knock, records
//! and packets that a flood pushed out of the kernel's buffers, lines that are too long.

use std::time::Duration;

use knock_engine::Counters;
use knock_sources::Notice;
use knock_wire::Refusal;

/// Between two lines of a kind.
const PAUSE: Duration = Duration::from_secs(60);

/// Remembers what was told, and when.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    told: Counters,
    refused_told: Option<Duration>,
    lost: u64,
    lost_told: Option<Duration>,
    dropped: u64,
    dropped_told: Option<Duration>,
    long_told: Option<Duration>,
}

impl Summary {
    /// Tells what has been refused since the last time, if enough time has passed.
    /// The counters are asked for only then: this is called for every block of hits.
    pub(crate) fn tell(&mut self, uptime: Duration, counters: impl FnOnce() -> Counters) {
        if !is_due(self.refused_told, uptime) {
            return;
        }
        let counters = counters();
        let refused = total(&counters) - total(&self.told);
        if refused == 0 {
            return;
        }
        self.refused_told = Some(uptime);
        let busy = busy(&counters) - busy(&self.told);
        if busy > 0 {
            tracing::warn!(
                busy,
                "windows behind the letters Salted__ came faster than keys may be derived, and were \
                 not judged: real knocks may be among them; 'iv = bare' has no such limit"
            );
        }
        tracing::info!(
            refused,
            hits = counters.hits - self.told.hits,
            outside_span = counters.outside_span - self.told.outside_span,
            "windows that spelled no knock, since the last such line"
        );
        self.told = counters;
    }

    /// Gives back the notice if it may be told now. Lost records and dropped packets are
    /// added up meanwhile.
    pub(crate) fn hold_back(&mut self, uptime: Duration, notice: Notice) -> Option<Notice> {
        match notice {
            Notice::Lost { records } => {
                self.lost += records;
                due(&mut self.lost_told, uptime)
                    .then(|| Notice::Lost { records: std::mem::take(&mut self.lost) })
            }
            Notice::Dropped { packets } => {
                self.dropped += packets;
                due(&mut self.dropped_told, uptime)
                    .then(|| Notice::Dropped { packets: std::mem::take(&mut self.dropped) })
            }
            Notice::LineTooLong { .. } => due(&mut self.long_told, uptime).then_some(notice),
            other => Some(other),
        }
    }
}

/// Whether the pause is over; it then begins anew.
fn due(last: &mut Option<Duration>, uptime: Duration) -> bool {
    let due = is_due(*last, uptime);
    if due {
        *last = Some(uptime);
    }
    due
}

fn is_due(last: Option<Duration>, uptime: Duration) -> bool {
    last.is_none_or(|last| uptime >= last + PAUSE)
}

fn busy(counters: &Counters) -> u64 {
    counters.refused.get(Refusal::Busy.code()).copied().unwrap_or_default()
}

fn total(counters: &Counters) -> u64 {
    counters.refused.values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lost_records_is_one_line_a_minute_with_their_sum() {
        let mut summary = Summary::default();
        let mut told = Vec::new();
        for millis in 0..125_000 {
            let uptime = Duration::from_millis(millis);
            if let Some(Notice::Lost { records }) =
                summary.hold_back(uptime, Notice::Lost { records: 2 })
            {
                told.push(records);
            }
        }
        assert_eq!(told, [2, 120_000, 120_000]);
    }
}
