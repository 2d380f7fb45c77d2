//! The time that a log line carries. Read by hand where it is digits, since a format string read
//! anew for each line costs more than all the rest of it; chrono judges the date.
//! Nothing here knows what time it is.

use std::time::{Duration, SystemTime};

use chrono::NaiveDate;
use knock_wire::LineTime;

/// A bare number from here on counts from 1970, below it from the kernel's start: that would be an
/// uptime of more than 31 years.
const UNIX_FROM: u64 = 1_000_000_000;

/// The time that a text is, or begins with before a blank; what syslog's protocol puts in front of
/// it, `<4>` or `<4>1 `, is passed over. So an expression for it need not tell the many ways of
/// writing a time apart: the line up to anywhere behind it will do.
pub(super) fn parse(text: &[u8]) -> Option<LineTime> {
    let (time, rest) = leading(behind_priority(text).trim_ascii_start())?;
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some(time)
}

/// What follows `<4>` or `<4>1 `; all of the text where there is none.
pub(super) fn behind_priority(text: &[u8]) -> &[u8] {
    let Some(inside) = text.strip_prefix(b"<") else { return text };
    let digits = inside.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match inside.get(digits..).and_then(|rest| rest.strip_prefix(b">")) {
        Some(rest) if (1..=3).contains(&digits) => rest.strip_prefix(b"1 ").unwrap_or(rest),
        _ => text,
    }
}

/// The time that a text begins with, and what follows it.
pub(super) fn leading(text: &[u8]) -> Option<(LineTime, &[u8])> {
    let mut reader = Reader { rest: text };
    let time = reader.time()?;
    Some((time, reader.rest))
}

struct Reader<'t> {
    rest: &'t [u8],
}

/// Date and time of day, before it is known where on earth.
#[derive(Clone, Copy)]
struct Clock {
    year: Option<i32>,
    month: u8,
    day: u8,
    since_midnight: Duration,
}

impl Reader<'_> {
    fn time(&mut self) -> Option<LineTime> {
        match self.rest.first()? {
            b'[' => self.bracketed(),
            b'0'..=b'9' => self.digits(),
            _ => self.words(),
        }
    }

    /// `[ 1679.232768]`, or dmesg -T's `[Sat Nov 21 03:22:42 2026]`.
    fn bracketed(&mut self) -> Option<LineTime> {
        self.literal(b"[")?;
        while self.literal(b" ").is_some() {}
        let time = if self.rest.first()?.is_ascii_digit() {
            LineTime::Uptime(self.seconds()?)
        } else {
            self.words()?
        };
        self.literal(b"]")?;
        Some(time)
    }

    /// `2026-11-21T03:22:42.97+00:00`, `2001 Apr 18 06:26:18`, `20/Jun/2022:13:12:46 +0200`,
    /// `1795231365.065442`.
    fn digits(&mut self) -> Option<LineTime> {
        if self.rest.get(2) == Some(&b'/') {
            return self.day_first();
        }
        if self.rest.get(4) == Some(&b'-') {
            return self.iso();
        }
        if self.rest.get(4) == Some(&b' ') {
            let year = self.year()?;
            self.literal(b" ")?;
            let clock = self.month_day_clock()?;
            return local(Clock { year: Some(year), ..clock });
        }
        let seconds = self.seconds()?;
        if seconds.as_secs() < UNIX_FROM {
            return Some(LineTime::Uptime(seconds));
        }
        SystemTime::UNIX_EPOCH.checked_add(seconds).map(LineTime::Wall)
    }

    /// As web servers and Proxmox write it.
    fn day_first(&mut self) -> Option<LineTime> {
        let day = self.two()?;
        self.literal(b"/")?;
        let month = self.month()?;
        self.literal(b"/")?;
        let year = Some(self.year()?);
        self.literal(b":")?;
        let since_midnight = self.time_of_day()?;
        self.literal(b" ")?;
        let east = self.zone()?;
        wall(Clock { year, month, day, since_midnight }, east)
    }

    /// `Nov 21 03:22:42`, `Mon Mar 23 13:16:49 2026`, `Fri 2026-11-21 03:22:45 UTC`.
    fn words(&mut self) -> Option<LineTime> {
        let (name, rest) = self.rest.split_first_chunk()?;
        if !is_weekday(*name) {
            return local(self.month_day_clock()?);
        }
        self.rest = rest;
        self.literal(b" ")?;
        if self.rest.first()?.is_ascii_digit() {
            return self.iso();
        }
        let clock = self.month_day_clock()?;
        self.literal(b" ")?;
        let year = Some(self.year()?);
        local(Clock { year, ..clock })
    }

    fn iso(&mut self) -> Option<LineTime> {
        let year = self.year()?;
        self.literal(b"-")?;
        let month = self.two()?;
        self.literal(b"-")?;
        let day = self.two()?;
        if self.literal(b"T").is_none() {
            self.literal(b" ")?;
        }
        let since_midnight = self.time_of_day()?;
        let clock = Clock { year: Some(year), month, day, since_midnight };
        match self.zone() {
            Some(east) => wall(clock, east),
            None => local(clock),
        }
    }

    /// Seconds east of Greenwich. Other names than UTC tell too little: a summer's EST, say.
    fn zone(&mut self) -> Option<i64> {
        if [&b"Z"[..], b" UTC"].into_iter().any(|name| self.literal(name).is_some()) {
            return Some(0);
        }
        let sign = match self.rest.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.rest = self.rest.get(1..)?;
        let hours = i64::from(self.two()?);
        // ISO 8601 takes both +0000 and +00:00.
        let _ = self.literal(b":");
        let minutes = i64::from(self.two()?);
        Some(sign * (hours * 3600 + minutes * 60))
    }

    /// `Nov 21 03:22:42`, `Jun  8 14:34:33`; FreeBSD's `Feb 3 08:00:02`; Cisco's with a year,
    /// `Nov 21 2026 03:22:42`.
    fn month_day_clock(&mut self) -> Option<Clock> {
        let month = self.month()?;
        self.literal(b" ")?;
        let _ = self.literal(b" ");
        let day = self.day()?;
        self.literal(b" ")?;
        let has_year = self.rest.get(4) == Some(&b' ');
        let year = if has_year { Some(self.year()?) } else { None };
        if has_year {
            self.literal(b" ")?;
        }
        let since_midnight = self.time_of_day()?;
        Some(Clock { year, month, day, since_midnight })
    }

    fn month(&mut self) -> Option<u8> {
        let (name, rest) = self.rest.split_first_chunk()?;
        let month = month(*name)?;
        self.rest = rest;
        Some(month)
    }

    /// One digit or two.
    fn day(&mut self) -> Option<u8> {
        match self.rest.get(1)?.is_ascii_digit() {
            true => self.two(),
            false => self.one(),
        }
    }

    /// `03:22:42`, with a fraction behind `.` or, in the ISO way, `,`.
    fn time_of_day(&mut self) -> Option<Duration> {
        let (clock, rest) = self.rest.split_first_chunk()?;
        let [h, hh, b':', m, mm, b':', s, ss] = clock else { return None };
        let two = |tens: &u8, ones: &u8| {
            let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
            is_number.then(|| u64::from(tens - b'0') * 10 + u64::from(ones - b'0'))
        };
        let hours = two(h, hh).filter(|hours| *hours < 24)?;
        let minutes = two(m, mm).filter(|minutes| *minutes < 60)?;
        // 60 is a leap second.
        let seconds = two(s, ss).filter(|seconds| *seconds <= 60)?;
        self.rest = rest;
        Some(Duration::from_secs(hours * 3600 + minutes * 60 + seconds) + self.fraction())
    }

    fn seconds(&mut self) -> Option<Duration> {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Ten digits reach into the year 2286.
        let digits = self.rest.get(..len).filter(|_| (1..=10).contains(&len))?;
        let whole = digits.iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        self.rest = self.rest.get(len..)?;
        Some(Duration::from_secs(whole) + self.fraction())
    }

    /// What stands behind a decimal point, to the nanosecond; nothing where there is no point.
    fn fraction(&mut self) -> Duration {
        let Some((b'.' | b',', digits)) = self.rest.split_first() else { return Duration::ZERO };
        let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return Duration::ZERO;
        }
        let mut nanoseconds = 0;
        let mut place = 100_000_000;
        for byte in digits.iter().take(len.min(9)) {
            nanoseconds += u64::from(byte - b'0') * place;
            place /= 10;
        }
        self.rest = digits.get(len..).unwrap_or_default();
        Duration::from_nanos(nanoseconds)
    }

    fn year(&mut self) -> Option<i32> {
        let century = i32::from(self.two()?);
        Some(century * 100 + i32::from(self.two()?))
    }

    fn two(&mut self) -> Option<u8> {
        Some(self.one()? * 10 + self.one()?)
    }

    fn one(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        let digit = first.is_ascii_digit().then(|| first - b'0')?;
        self.rest = rest;
        Some(digit)
    }

    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }
}

fn month(name: [u8; 3]) -> Option<u8> {
    Some(match &name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

fn is_weekday(name: [u8; 3]) -> bool {
    matches!(&name, b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun")
}

fn local(clock: Clock) -> Option<LineTime> {
    // A leap year stands in for the year that classic syslog does not write.
    NaiveDate::from_ymd_opt(
        clock.year.unwrap_or(2000),
        u32::from(clock.month),
        u32::from(clock.day),
    )?;
    let Clock { year, month, day, since_midnight } = clock;
    Some(LineTime::Local { year, month, day, since_midnight })
}

fn wall(clock: Clock, east: i64) -> Option<LineTime> {
    let date = NaiveDate::from_ymd_opt(clock.year?, u32::from(clock.month), u32::from(clock.day))?;
    let midnight = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp() - east;
    let midnight = Duration::from_secs(u64::try_from(midnight).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(midnight + clock.since_midnight).map(LineTime::Wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = match parse(text.as_bytes()) {
            None => "none".to_owned(),
            Some(LineTime::Uptime(since)) => format!("up {}", since.as_secs_f64()),
            Some(LineTime::Wall(at)) => {
                let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
                format!("wall {}.{:06}", since.as_secs(), since.subsec_micros())
            }
            Some(LineTime::Local { year, month, day, since_midnight }) => {
                let year = year.map_or("-".to_owned(), |year| year.to_string());
                format!("local {year} {month} {day} {}", since_midnight.as_secs_f64())
            }
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn the_forms_that_logs_are_written_in() {
        check("Nov 21 03:22:42", "local - 11 21 12162");
        check("Jun  8 14:34:33", "local - 6 8 52473");
        check("Feb 29 00:00:00", "local - 2 29 0");
        check("Nov 21 03:22:42.500000", "local - 11 21 12162.5");
        check("2001 Apr 18 06:26:18", "local 2001 4 18 23178");
        check("Mon Mar 23 13:16:49 2026", "local 2026 3 23 47809");
        check("[Sat Nov 21 03:22:42 2026]", "local 2026 11 21 12162");
        check("2026-11-21T03:22:42.972511+00:00", "wall 1795231362.972511");
        check("2026-11-21T03:22:45+0000", "wall 1795231365.000000");
        check("2026-11-21T05:22:45+02:00", "wall 1795231365.000000");
        check("2026-11-20T21:52:45-0530", "wall 1795231365.000000");
        check("2026-11-21T03:22:45Z", "wall 1795231365.000000");
        check("2026-11-21T03:22:42,972511+00:00", "wall 1795231362.972511");
        check("Sat 2026-11-21 03:22:45 UTC", "wall 1795231365.000000");
        check("2026-11-21 03:22:45", "local 2026 11 21 12165");
        check("2025-10-18 20:00:21.848827 rule", "local 2025 10 18 72021.848827");
        check("Feb 3 08:00:02 ns3", "local - 2 3 28802");
        check("Nov 21 2026 03:22:42", "local 2026 11 21 12162");
        check("Nov  1 2026 03:22:42 fw", "local 2026 11 1 12162");
        check("20/Jun/2022:13:12:46 +0200", "wall 1655723566.000000");
        check("1795231365.065442", "wall 1795231365.065442");
        check("[ 1679.232768]", "up 1679.232768");
        check("[50028442.088484]", "up 50028442.088484");
        check("1679.232768", "up 1679.232768");
        check("Nov 21 03:22:42 vm kernel: x", "local - 11 21 12162");
        check("<4>Nov 21 03:22:42 vm", "local - 11 21 12162");
        check("<4>1 2026-11-21T03:22:45Z vm", "wall 1795231365.000000");
        check("2026-11-21T03:22:45Z vm", "wall 1795231365.000000");
        check("Sat 2026-11-21 03:22:45 CET vm", "local 2026 11 21 12165");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "[",
            "[]",
            "[ ]",
            "[ x]",
            "Nov",
            "Nov 21",
            "Nov 31 00:00:00",
            "Nov 21 24:00:00",
            "Nov 21 03:60:00",
            "nov 21 03:22:42",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-21T03:22:42.972511+00:00x",
            "<>Nov 21 03:22:42",
            "<4Nov 21 03:22:42",
            "4,408,1679232768,-;IN=eth0",
            "99999999999.5",
            "1969-12-31T23:59:59Z",
            "Sat ",
            "Nov 21 0326 42",
            "Nov 2103:22:42",
            "Nov 21 2026",
            "20/Jun/2022:13:12:46",
            "20/Jun/2022 13:12:46 +0200",
            "31/Jun/2022:13:12:46 +0200",
            "20/06/2022:13:12:46 +0200",
        ] {
            check(text, "none");
        }
        assert_eq!(parse(b"\xff\x00"), None);
    }
}
