//! Leases as the kernel holds them, read from what its own programs list: the judge does not ask the
//! accused.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use chrono::NaiveDateTime;

/// Somebody who is let in by a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) client: IpAddr,
    /// When the kernel ends it; `None`: never.
    pub(super) until: Option<SystemTime>,
}

/// Elements like `198.51.100.7 . tcp . 22 timeout 4s expires 1s32ms`.
pub(super) fn of_nftables(listed: &str, now: SystemTime) -> Vec<Member> {
    let elements = listed.split([',', '{', '}', '\n']).filter(|it| it.contains(" . "));
    elements
        .filter_map(|element| {
            let client = knocker(element.split_whitespace().next()?)?;
            Some(Member { client, until: after(element, "expires ", now, span) })
        })
        .collect()
}

/// Lines like `add knockdaemon4 198.51.100.7,tcp:22 timeout 3`, where 0 is never.
pub(super) fn of_ipset(listed: &str, now: SystemTime) -> Vec<Member> {
    let added = listed.lines().filter(|line| line.starts_with("add "));
    added
        .filter_map(|line| {
            let client = knocker(line.split([' ', ',']).nth(2)?)?;
            let seconds = |word: &str| {
                let seconds = word.parse().ok().filter(|seconds| *seconds > 0)?;
                Some(Duration::from_secs(seconds))
            };
            Some(Member { client, until: after(line, "timeout ", now, seconds) })
        })
        .collect()
}

/// Rules in any chain but INPUT, where those of the templates are.
pub(super) fn of_iptables(listed: &str) -> Vec<Member> {
    let rules = listed.lines().filter(|line| line.starts_with("-A") && !line.contains("-A INPUT "));
    rules
        .filter_map(|line| {
            let client = knocker(line.split("-s ").nth(1)?.split('/').next()?)?;
            let until = line.split("--datestop ").nth(1).and_then(|rest| {
                let text = rest.split(' ').next()?;
                let last = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?;
                // With that second it ends.
                Some(SystemTime::from(last.and_utc()) + Duration::from_secs(1))
            });
            Some(Member { client, until })
        })
        .collect()
}

/// Of those that knock here.
fn knocker(text: &str) -> Option<IpAddr> {
    text.starts_with("198.51.100.").then(|| text.parse().ok()).flatten()
}

fn after(
    text: &str,
    word: &str,
    now: SystemTime,
    read: impl Fn(&str) -> Option<Duration>,
) -> Option<SystemTime> {
    let left = read(text.split(word).nth(1)?.split_whitespace().next()?)?;
    now.checked_add(left)
}

/// As nft writes it: `1m29s996ms`.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut millis = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at(digits);
        let unit = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let worth = match unit {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        millis += number.parse::<u64>().ok()? * worth;
        rest = behind;
    }
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_read() {
        let now = SystemTime::UNIX_EPOCH;
        let at = |millis| Some(now + Duration::from_millis(millis));
        let read = of_nftables(
            "elements = { 198.51.100.7 . 6 . 22 timeout 5m expires 1m2s3ms,\n 198.51.100.8 . 6 . 22 }",
            now,
        );
        assert_eq!(read.iter().map(|it| it.until).collect::<Vec<_>>(), [at(62_003), None]);
        let read = of_ipset(
            "create knockdaemon4 hash:net,port\nadd knockdaemon4 198.51.100.7,tcp:22 timeout 3\n",
            now,
        );
        assert_eq!(read.iter().map(|it| it.until).collect::<Vec<_>>(), [at(3_000)]);
        let read = of_iptables(
            "-A INPUT -s 198.51.100.7/32 -j ACCEPT\n-A knockdaemon -s 198.51.100.7/32 -p tcp -m time \
             --datestop 1970-01-01T00:00:09 -j ACCEPT",
        );
        assert_eq!(read.iter().map(|it| it.until).collect::<Vec<_>>(), [at(10_000)]);
    }
}
