//! How much comes a second, over the last minute. Costs nothing while nothing comes.

use std::time::Duration;

/// A part of the minute.
const PART: Duration = Duration::from_secs(5);
/// The parts that are looked back on, and the one that is not over.
const PARTS: usize = 13;
/// What those that are over make up.
const MINUTE: Duration = Duration::from_secs(60);

/// Counts of the last minute, part by part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    counts: [u64; PARTS],
    /// The number of the part that is not over.
    part: u64,
    /// When the first came.
    since: Option<Duration>,
}

impl Rate {
    /// So many came now.
    pub(crate) fn count(&mut self, uptime: Duration, count: u64) {
        self.since.get_or_insert(uptime);
        self.go_on(uptime);
        let at = index(self.part);
        if let Some(sum) = self.counts.get_mut(at) {
            *sum = sum.saturating_add(count);
        }
    }

    /// The mean of the last minute, or of the time since the first if that is shorter.
    #[allow(clippy::cast_precision_loss, reason = "a rate for people to read")]
    pub(crate) fn per_second(&self, uptime: Duration) -> f64 {
        let Some(since) = self.since else { return 0.0 };
        let mut counts = self.clone();
        counts.go_on(uptime);
        let begun = Duration::from_secs(part_of(uptime) * PART.as_secs());
        let window = MINUTE + uptime.saturating_sub(begun);
        let window = window.min(uptime.saturating_sub(since)).max(Duration::from_secs(1));
        counts.counts.iter().sum::<u64>() as f64 / window.as_secs_f64()
    }

    fn go_on(&mut self, uptime: Duration) {
        let part = part_of(uptime).max(self.part);
        let over = (part - self.part).min(PARTS as u64);
        for back in 0..over {
            if let Some(sum) = self.counts.get_mut(index(part - back)) {
                *sum = 0;
            }
        }
        self.part = part;
    }
}

fn part_of(uptime: Duration) -> u64 {
    uptime.as_secs() / PART.as_secs()
}

fn index(part: u64) -> usize {
    usize::try_from(part % PARTS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_is_the_mean_of_the_last_minute() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(at(500)), 0.0);
        for second in 0..600 {
            rate.count(at(second * 1000 + 70_000), 40);
        }
        let now = rate.per_second(at(669_000));
        assert!((39.0..=41.5).contains(&now), "{now}");
        // Half a minute later half of it is left, and then nothing.
        let half = rate.per_second(at(699_000));
        assert!((18.0..=24.0).contains(&half), "{half}");
        assert_eq!(rate.per_second(at(800_000)), 0.0);
        rate.count(at(5_000_000), 60);
        let again = rate.per_second(at(5_001_000));
        assert!((0.9..=1.1).contains(&again), "{again}");
    }

    #[test]
    fn what_has_just_begun_is_not_spread_over_a_minute() {
        let mut rate = Rate::default();
        rate.count(at(7_000), 100);
        assert_eq!(rate.per_second(at(7_100)), 100.0);
        rate.count(at(9_000), 100);
        assert_eq!(rate.per_second(at(9_000)), 100.0);
        // A clock that goes back is none, but nothing breaks.
        rate.count(at(1_000), 1);
    }
}
