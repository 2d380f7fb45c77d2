//! Text to plain values: yes and no, times, numbers. Knows no keys.

use std::time::Duration;

/// `yes`, `true`, `on`, `1` and their opposites, in any case.
pub(super) fn yes_no(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    match text.as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Seconds, or a number with one of the units `ms s m h d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    time(text, "s")
}

/// Milliseconds, or a number with one of these units.
pub(super) fn milliseconds(text: &str) -> Option<Duration> {
    time(text, "ms")
}

fn time(text: &str, bare: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match if unit.is_empty() { bare } else { unit.trim() } {
        "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

/// The names in a list with commas or blanks between them, each with its place in the text.
pub(crate) fn names(text: &str) -> impl Iterator<Item = (std::ops::Range<usize>, &str)> {
    text.split([',', ' ', '\t']).filter(|name| !name.is_empty()).map(move |name| {
        // The offset of a part within the text that it was cut from.
        let start = name.as_ptr().addr() - text.as_ptr().addr();
        (start..start + name.len(), name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_as_people_write_them() {
        for (text, expected) in [
            ("yes", Some(true)),
            ("On", Some(true)),
            ("TRUE", Some(true)),
            ("1", Some(true)),
            ("no", Some(false)),
            ("off", Some(false)),
            ("false", Some(false)),
            ("0", Some(false)),
            ("y", None),
            ("", None),
            ("2", None),
        ] {
            assert_eq!(yes_no(text), expected, "{text:?}");
        }
    }

    #[test]
    fn times_with_and_without_a_unit() {
        for (text, expected) in [
            ("0.5", Some(500)),
            ("30", Some(30_000)),
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5 m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("0", Some(0)),
            ("", None),
            ("-1", None),
            ("soon", None),
            ("5w", None),
            ("nan", None),
            ("inf", None),
            ("1e300", None),
        ] {
            assert_eq!(duration(text), expected.map(Duration::from_millis), "{text:?}");
        }
        for (text, expected) in [("50", 50), ("0.5", 0), ("50ms", 50), ("1s", 1000), (" 2 ", 2)] {
            let whole = milliseconds(text).map(|time| time.as_millis());
            assert_eq!(whole, Some(expected), "{text:?}");
        }
    }

    #[test]
    fn lists_with_commas_or_blanks() {
        let found: Vec<_> = names("ufw, iptables  x").collect();
        assert_eq!(found, [(0..3, "ufw"), (5..13, "iptables"), (15..16, "x")]);
    }
}
