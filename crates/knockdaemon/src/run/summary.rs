//! What strangers can make us say, said once a minute at most: windows that are refused, records
//! and packets that a flood pushed out of the kernel's buffers, lines that are too long.

use std::time::Duration;

use knock_engine::Counters;
use knock_sources::Notice;
use knock_wire::Refusal;

/// Between two lines of a kind.
const PAUSE: Duration = Duration::from_secs(60);

/// So many tries that failed are told one by one within that time: thousands of closings may wait for a
/// firewall that cannot work.
const TOLD_TRIES: u64 = 20;

/// Remembers what was told, and when.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    told: Counters,
    refused_told: Option<Duration>,
    lost: Sum,
    dropped: Sum,
    unread: Sum,
    long_told: Option<Duration>,
    late: u64,
    late_told: Option<Duration>,
    /// Tries that failed since then, told or not.
    tries: u64,
    tries_since: Option<Duration>,
}

/// What is added up while it may not be told.
#[derive(Debug, Default)]
struct Sum {
    source: String,
    count: u64,
    is_waiting: bool,
    told: Option<Duration>,
}

impl Sum {
    fn add(&mut self, source: &str, count: u64) {
        source.clone_into(&mut self.source);
        self.count = self.count.saturating_add(count);
        self.is_waiting = true;
    }

    /// The sum, if there is one and it may be told.
    fn take(&mut self, uptime: Duration) -> Option<(String, u64)> {
        let take = self.is_waiting && due(&mut self.told, uptime);
        take.then(|| {
            self.is_waiting = false;
            (std::mem::take(&mut self.source), std::mem::take(&mut self.count))
        })
    }

    fn next_due(&self) -> Option<Duration> {
        self.is_waiting.then(|| self.told.map_or(Duration::ZERO, |told| told + PAUSE))
    }
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
        let since = |refusal: Refusal| {
            let of = |counters: &Counters| counters.refused.get(refusal.code()).copied();
            of(&counters).unwrap_or_default() - of(&self.told).unwrap_or_default()
        };
        let replayed = since(Refusal::Replayed);
        if replayed > 0 {
            tracing::warn!(
                replayed,
                "knocks came again that were accepted before, and were refused: somebody sends what he \
                 has seen, a client does not make each knock anew, or a log has each packet twice"
            );
        }
        let busy = since(Refusal::Busy);
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
            "windows that were refused, since the last such line"
        );
        self.told = counters;
    }

    /// Tells that hits which came just now were too old by their own time: the clock that stamps
    /// them, or its zone, is not ours.
    pub(crate) fn too_old(&mut self, uptime: Duration, source: &str, hits: u64, oldest: Duration) {
        self.late += hits;
        if due(&mut self.late_told, uptime) {
            tracing::warn!(
                source,
                hits = std::mem::take(&mut self.late),
                oldest_s = oldest.as_secs(),
                "lines come that are older than maxlag by their own time, and are not used; compare \
                 the clock and the time zone of whoever writes them, or raise maxlag"
            );
        }
    }

    /// Gives back the notice if it may be told now. What was lost is added up, and comes from
    /// [`Self::due`].
    pub(crate) fn hold_back(
        &mut self,
        uptime: Duration,
        source: &str,
        notice: Notice,
    ) -> Option<Notice> {
        match notice {
            Notice::Lost { records } => self.lost.add(source, records),
            Notice::Dropped { packets } => self.dropped.add(source, packets),
            Notice::Unread { packets } => self.unread.add(source, packets),
            Notice::LineTooLong { .. } => {
                return due(&mut self.long_told, uptime).then_some(notice);
            }
            other => return Some(other),
        }
        None
    }

    /// The sums that may be told now, each with its source.
    pub(crate) fn due(&mut self, uptime: Duration) -> Vec<(String, Notice)> {
        let lost =
            self.lost.take(uptime).map(|(source, records)| (source, Notice::Lost { records }));
        let dropped = self.dropped.take(uptime);
        let dropped = dropped.map(|(source, packets)| (source, Notice::Dropped { packets }));
        let unread = self.unread.take(uptime);
        let unread = unread.map(|(source, packets)| (source, Notice::Unread { packets }));
        lost.into_iter().chain(dropped).chain(unread).collect()
    }

    /// Whether one more try that failed, and will be made again, may be told.
    pub(crate) fn may_tell_try(&mut self, uptime: Duration) -> bool {
        self.tries_since.get_or_insert(uptime);
        self.tries = self.tries.saturating_add(1);
        self.tries <= TOLD_TRIES
    }

    /// How many of them were not told, when the minute is over.
    pub(crate) fn tries_due(&mut self, uptime: Duration) -> Option<u64> {
        if self.tries_since.is_none() || !is_due(self.tries_since, uptime) {
            return None;
        }
        self.tries_since = None;
        let tries = std::mem::take(&mut self.tries);
        tries.checked_sub(TOLD_TRIES).filter(|untold| *untold > 0)
    }

    /// When a sum may be told that has been held back.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let sums = [&self.lost, &self.dropped, &self.unread].into_iter().filter_map(Sum::next_due);
        let tries = self.tries_since.filter(|_| self.tries > TOLD_TRIES).map(|since| since + PAUSE);
        sums.chain(tries).min()
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
        let mut tell = |summary: &mut Summary, uptime| {
            for (source, notice) in summary.due(uptime) {
                assert_eq!(source, "/dev/kmsg");
                if let Notice::Lost { records } = notice {
                    told.push(records);
                }
            }
        };
        for millis in 0..125_000 {
            let uptime = Duration::from_millis(millis);
            let lost = Notice::Lost { records: 2 };
            assert!(summary.hold_back(uptime, "/dev/kmsg", lost).is_none());
            tell(&mut summary, uptime);
        }
        // What is left is told when its time comes, also if nothing more is lost.
        let due = summary.next_due().unwrap();
        assert_eq!(due, Duration::from_secs(180));
        tell(&mut summary, due);
        assert_eq!(summary.next_due(), None);
        tell(&mut summary, due * 2);
        assert_eq!(told, [2, 120_000, 120_000, 9_998]);
    }

    #[test]
    fn thousands_of_tries_that_fail_are_some_lines_and_a_sum() {
        let mut summary = Summary::default();
        let at = Duration::from_secs;
        for minute in 0..3 {
            let told = (0..16_384).filter(|_| summary.may_tell_try(at(60 * minute + 1))).count();
            assert_eq!(told, 20);
            assert_eq!(summary.tries_due(at(60 * minute + 60)), None);
            assert_eq!(summary.next_due(), Some(at(60 * minute + 61)));
            assert_eq!(summary.tries_due(at(60 * minute + 61)), Some(16_364));
        }
        // A few are all told, and nothing wakes up for them.
        assert!((0..20).all(|_| summary.may_tell_try(at(300))));
        assert_eq!(summary.next_due(), None);
        assert_eq!(summary.tries_due(at(400)), None);
        assert!(summary.may_tell_try(at(401)));
    }

    #[test]
    fn a_loss_of_which_nobody_knows_the_size_is_told_all_the_same() {
        let mut summary = Summary::default();
        let unknown = Notice::Unread { packets: 0 };
        assert!(summary.hold_back(Duration::ZERO, "NFLOG group 5", unknown).is_none());
        assert_eq!(summary.due(Duration::ZERO).len(), 1);
    }
}
