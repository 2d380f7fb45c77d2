//! How old a hit is by its line's own time, and whether it may still be used for a knock.
//! With `resume` lines are read that were written while nobody looked; a knock of yesterday must not
//! open anything today.

use std::time::{Duration, SystemTime};

use knock_sources::Age;
use knock_wire::LineTime;

use crate::linetime::calendar;

/// So far ahead of ours the clock may be that dated a line which stood in the log at the start.
const AHEAD: Duration = Duration::from_secs(60);

/// What `maxlag` says of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lag {
    /// It may be used; it happened so long ago.
    Used(Duration),
    /// It is older than `maxlag`, by so much in all.
    TooOld(Duration),
    /// It stood in the log at the start, and nothing tells when it happened.
    Undated,
}

/// When a line that is so new was written, by what it says of itself. An uptime may be of another run
/// of the machine.
pub(crate) fn written(time: Option<LineTime>, age: Age, now: SystemTime) -> Option<SystemTime> {
    let meant = calendar(time?, now)?;
    // In the hour that the change to winter time repeats, what comes now is new, and what stood there
    // is old.
    let is_latest = age == Age::Live && meant.latest <= now;
    Some(if is_latest { meant.latest } else { meant.earliest })
}

/// Judges a hit of a line that is so new and was written then.
pub(crate) fn lag(written: Option<SystemTime>, age: Age, now: SystemTime, maxlag: Duration) -> Lag {
    let is_live = age == Age::Live;
    let Some(written) = written else {
        return if is_live { Lag::Used(Duration::ZERO) } else { Lag::Undated };
    };
    let ahead = written.duration_since(now).unwrap_or_default();
    if !is_live && ahead > AHEAD {
        // The clock was wrong then, or the date is that of a year ago.
        return Lag::Undated;
    }
    match now.duration_since(written).unwrap_or_default() {
        ago if ago > maxlag => Lag::TooOld(ago),
        // Lines that come now come in their order; their clock need not be ours.
        _ if is_live => Lag::Used(Duration::ZERO),
        ago => Lag::Used(ago),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_231_365;

    fn check(time: Option<LineTime>, age: Age, want: Lag) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        let written = written(time, age, now);
        assert_eq!(lag(written, age, now, Duration::from_secs(60)), want, "{time:?} {age:?}");
    }

    #[test]
    fn what_is_too_old_or_may_be_is_not_used() {
        let ago = |seconds| {
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - seconds);
            Some(LineTime::Wall(wall))
        };
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        for age in [Age::Known, Age::Backlog] {
            check(ago(60), age, Lag::Used(minute));
            check(ago(61), age, Lag::TooOld(minute + second));
            check(None, age, Lag::Undated);
            check(Some(LineTime::Uptime(minute)), age, Lag::Undated);
        }
        check(ago(60), Age::Live, Lag::Used(Duration::ZERO));
        check(ago(61), Age::Live, Lag::TooOld(minute + second));
        check(None, Age::Live, Lag::Used(Duration::ZERO));
        // The writer's clock is ahead of ours.
        let ahead = |seconds| {
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + seconds);
            Some(LineTime::Wall(wall))
        };
        for age in [Age::Known, Age::Backlog] {
            check(ahead(60), age, Lag::Used(Duration::ZERO));
            check(ahead(61), age, Lag::Undated);
        }
        check(ahead(1000), Age::Live, Lag::Used(Duration::ZERO));
    }
}
