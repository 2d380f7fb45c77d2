//! Which moment a line's own time means: classic syslog leaves out the year and the zone.
//! Reads no clock.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Datelike, Local, MappedLocalTime, NaiveDate, NaiveTime, TimeZone};
use knock_wire::LineTime;

/// A moment. In the hour that a change of the clocks repeats there are two that a time may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    pub(crate) earliest: SystemTime,
    pub(crate) latest: SystemTime,
}

/// The moment on the calendar that is meant; `None` for an uptime, and where there is no such time.
/// A date without a year is the latest one that is not in the future.
pub(crate) fn calendar(time: LineTime, today: SystemTime) -> Option<Meant> {
    match time {
        LineTime::Wall(wall) => Some(Meant { earliest: wall, latest: wall }),
        LineTime::Uptime(_) => None,
        LineTime::Local { year, month, day, since_midnight } => {
            let this_year = DateTime::<Local>::from(today).year();
            let clock = NaiveTime::from_num_seconds_from_midnight_opt(
                u32::try_from(since_midnight.as_secs()).ok()?,
                since_midnight.subsec_nanos(),
            )?;
            let in_year = |year| {
                let date = NaiveDate::from_ymd_opt(year, month.into(), day.into())?;
                let (earliest, latest) = match Local.from_local_datetime(&date.and_time(clock)) {
                    MappedLocalTime::Single(one) => (one, one),
                    MappedLocalTime::Ambiguous(earliest, latest) => (earliest, latest),
                    MappedLocalTime::None => return None,
                };
                Some(Meant { earliest: earliest.into(), latest: latest.into() })
            };
            let day_ahead = today + Duration::from_secs(86_400);
            match year {
                Some(year) => in_year(year),
                None => (0..8)
                    .filter_map(|back| in_year(this_year - back))
                    .find(|meant| meant.earliest <= day_ahead),
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
        let earliest = |month, day| calendar(local(month, day), today()).unwrap().earliest;
        assert!(earliest(12, 31) < earliest(1, 4), "a log over New Year runs forward");
        assert!(earliest(1, 4) <= today());
        // 29 February exists in some year, and it is found.
        assert!(calendar(local(2, 29), today()).is_some());
        assert_eq!(calendar(local(2, 30), today()), None);
    }
}
