//! The engine's time while old lines and packets are read: the one that they carry.

use std::time::{Duration, SystemTime};

use knock_engine::Now;
use knock_wire::LineTime;

use crate::run::local_time;

/// What the lines say, never running backwards.
pub(crate) struct ReplayTime {
    today: SystemTime,
    /// The first moment seen; uptimes count from it.
    first: Option<SystemTime>,
    latest: SystemTime,
    now: Now,
}

impl ReplayTime {
    /// `today` is when the lines are read.
    pub(crate) fn new(today: SystemTime) -> Self {
        let now = Now { wall: today, uptime: Duration::ZERO, local: local_time(today) };
        Self { today, first: None, latest: SystemTime::UNIX_EPOCH, now }
    }

    /// The time of a line, or that of the latest one before it that had one.
    pub(crate) fn at(&mut self, time: Option<LineTime>) -> Now {
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

/// The moment that a line's time means. A date without a year is the latest one that is not in the
/// future; an uptime counts from the epoch, since only differences matter for it.
fn wall_time(time: LineTime, today: SystemTime) -> Option<SystemTime> {
    use chrono::{DateTime, Datelike, Local, NaiveDate, NaiveTime, TimeZone};
    let day_ahead = today + Duration::from_secs(86_400);
    match time {
        // One packet from the far future, and all behind it would be at the same moment.
        LineTime::Wall(wall) => Some(wall).filter(|wall| *wall <= day_ahead),
        LineTime::Uptime(uptime) => Some(SystemTime::UNIX_EPOCH + uptime),
        LineTime::Local { year, month, day, since_midnight } => {
            let this_year = DateTime::<Local>::from(today).year();
            let clock = NaiveTime::from_num_seconds_from_midnight_opt(
                u32::try_from(since_midnight.as_secs()).ok()?,
                since_midnight.subsec_nanos(),
            )?;
            let in_year = |year| {
                let date = NaiveDate::from_ymd_opt(year, month.into(), day.into())?;
                let local = Local.from_local_datetime(&date.and_time(clock)).earliest()?;
                Some(SystemTime::from(local))
            };
            match year {
                Some(year) => in_year(year),
                None => (0..8)
                    .filter_map(|back| in_year(this_year - back))
                    .find(|moment| *moment <= day_ahead),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> SystemTime {
        // 2026-01-05 12:00 UTC
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_614_400)
    }

    fn local(month: u8, day: u8) -> LineTime {
        let since_midnight = Duration::from_secs(3_600);
        LineTime::Local { year: None, month, day, since_midnight }
    }

    #[test]
    fn dates_without_a_year_lie_in_the_past() {
        let december = wall_time(local(12, 31), today()).unwrap();
        let january = wall_time(local(1, 4), today()).unwrap();
        assert!(december < january, "a log over New Year runs forward");
        assert!(january <= today());
        // 29 February exists in some year, and it is found.
        assert!(wall_time(local(2, 29), today()).is_some());
        assert_eq!(wall_time(local(2, 30), today()), None);
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
