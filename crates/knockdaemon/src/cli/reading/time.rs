//! The engine's time while old lines and packets are read: the one that they carry.

use std::time::{Duration, SystemTime};

use knock_engine::Now;
use knock_wire::LineTime;

use crate::linetime::calendar;
use crate::run::local_time;

/// What the lines say, never running backwards.
pub(crate) struct ReplayTime {
    today: SystemTime,
    /// The first moment seen; uptimes count from it.
    first: Option<SystemTime>,
    latest: SystemTime,
    /// What the line before said: in a busy log, the next one says the same.
    last: Option<LineTime>,
    now: Now,
}

impl ReplayTime {
    /// `today` is when the lines are read.
    pub(crate) fn new(today: SystemTime) -> Self {
        let now = Now { wall: today, uptime: Duration::ZERO, local: local_time(today) };
        Self { today, first: None, latest: SystemTime::UNIX_EPOCH, last: None, now }
    }

    /// The time of a line, or that of the latest one before it that had one.
    pub(crate) fn at(&mut self, time: Option<LineTime>) -> Now {
        if time == self.last {
            return self.now;
        }
        self.last = time;
        let Some(wall) = time.and_then(|time| wall_time(time, self.today)) else {
            return self.now;
        };
        if wall > self.latest {
            let first = *self.first.get_or_insert(wall);
            self.latest = wall;
            self.now = Now {
                wall,
                uptime: wall.duration_since(first).unwrap_or_default(),
                local: local_time(wall),
            };
        }
        self.now
    }
}

/// The moment that a line's time means. An uptime counts from the epoch, since only differences
/// matter for it.
fn wall_time(time: LineTime, today: SystemTime) -> Option<SystemTime> {
    let day_ahead = today + Duration::from_secs(86_400);
    match time {
        // One packet from the far future, and all behind it would be at the same moment.
        LineTime::Wall(wall) => Some(wall).filter(|wall| *wall <= day_ahead),
        LineTime::Uptime(uptime) => Some(SystemTime::UNIX_EPOCH + uptime),
        LineTime::Local { .. } => calendar(time, today).map(|meant| meant.earliest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> SystemTime {
        // 2026-01-05 12:00 UTC
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_614_400)
    }

    #[test]
    fn a_time_that_has_not_come_yet_is_none() {
        let tomorrow = today() + Duration::from_secs(80_000);
        assert_eq!(wall_time(LineTime::Wall(tomorrow), today()), Some(tomorrow));
        let far = today() + Duration::from_secs(200_000_000_000);
        assert_eq!(wall_time(LineTime::Wall(far), today()), None);
    }

    #[test]
    fn time_never_runs_backwards() {
        let mut time = ReplayTime::new(today());
        let later = time.at(Some(LineTime::Uptime(Duration::from_secs(50)))).uptime;
        let earlier = time.at(Some(LineTime::Uptime(Duration::from_secs(20)))).uptime;
        assert!(earlier >= later);
        assert_eq!(time.at(None).uptime, earlier);
    }
}
