//! Whether the firewall logs and nothing of it arrives: the most frequent fault of a set-up, and one
//! that says nothing. The firewall is asked only after a long time without a hit.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What shows rules with their counters. The first knows iptables-nft's rules too, so the counts of
/// two are not added.
const TOOLS: [&[&str]; 3] =
    [&["nft", "-t", "list", "ruleset"], &["iptables-save", "-c"], &["ip6tables-save", "-c"]];

/// Seconds that one of them may take.
const LIMIT: &str = "10";

/// As much of what it prints is read.
const OUTPUT: u64 = 8 * 1024 * 1024;

/// Packets that rules with LOG or NFLOG have counted, by each tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted([u64; TOOLS.len()]);

impl Counted {
    /// Asks the firewall. Takes its time, so not in the loop.
    pub(crate) fn now() -> Self {
        Self(TOOLS.map(|tool| show(tool).map_or(0, |rules| count(&rules))))
    }

    /// By how much more than `before` the best informed tool has it.
    fn since(self, before: Self) -> u64 {
        let more = self.0.iter().zip(before.0).map(|(now, before)| now.saturating_sub(before));
        more.max().unwrap_or(0)
    }
}

/// What a tool prints; nothing if it is not there or we may not.
fn show(tool: &[&str]) -> Option<String> {
    let mut child = Command::new("timeout")
        .arg(LIMIT)
        .args(tool)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut rules = Vec::new();
    let read = child.stdout.take()?.take(OUTPUT).read_to_end(&mut rules);
    let _ended = child.wait();
    read.ok()?;
    Some(String::from_utf8_lossy(&rules).into_owned())
}

/// The packets of the rules that log, in what iptables-save or nft prints.
fn count(rules: &str) -> u64 {
    rules.lines().filter_map(counted).fold(0, u64::saturating_add)
}

fn counted(rule: &str) -> Option<u64> {
    let rule = rule.trim();
    if let Some(rest) = rule.strip_prefix('[') {
        let logs = rest.contains(" -j LOG") || rest.contains(" -j NFLOG");
        return logs.then(|| rest.split(':').next()?.parse().ok()).flatten();
    }
    // What stands in quotes is a prefix or a comment.
    let bare: String = rule.split('"').step_by(2).collect();
    let (_, behind) = bare.split_once("counter packets ")?;
    let (number, behind) = behind.split_once(' ')?;
    behind.split(' ').any(|word| word == "log").then(|| number.parse().ok()).flatten()
}

/// Watches for silence.
#[derive(Debug)]
pub(crate) struct Silence {
    every: Option<Duration>,
    next: Duration,
    /// Lines and hits of all sources when there was the last hit.
    lines: u64,
    hits: u64,
    since: Duration,
    before: Option<Counted>,
    is_told: bool,
    /// The firewall has been asked and has not answered.
    is_asking: bool,
}

impl Silence {
    /// Looks every so often; never if there is no time.
    pub(crate) fn new(every: Option<Duration>, uptime: Duration) -> Self {
        Self {
            every,
            next: uptime + every.unwrap_or_default(),
            lines: 0,
            hits: 0,
            since: uptime,
            before: None,
            is_told: false,
            is_asking: false,
        }
    }

    /// When it looks again.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.every.map(|_| self.next)
    }

    /// Looks, if it is time. Returns whether the firewall is to be asked.
    pub(crate) fn look(&mut self, uptime: Duration, lines: u64, hits: u64) -> bool {
        let Some(every) = self.every.filter(|_| uptime >= self.next) else { return false };
        self.next = uptime + every;
        if hits != self.hits {
            let next = self.next;
            *self = Self { lines, hits, next, ..Self::new(self.every, uptime) };
            return false;
        }
        let is_asking = std::mem::replace(&mut self.is_asking, !self.is_told);
        !self.is_told && !is_asking
    }

    /// Nobody could be sent to the firewall: the next look asks again.
    pub(crate) fn not_asked(&mut self) {
        self.is_asking = false;
    }

    /// What the firewall counted; the warning, if there is to be one.
    pub(crate) fn answer(&mut self, uptime: Duration, lines: u64, now: Counted) -> Option<String> {
        self.is_asking = false;
        let packets = now.since(self.before.replace(now)?);
        if packets == 0 || self.is_told {
            return None;
        }
        self.is_told = true;
        let minutes = uptime.saturating_sub(self.since).as_secs() / 60;
        let lines = lines.saturating_sub(self.lines);
        Some(if lines == 0 {
            format!(
                "nothing has been read for {minutes} minutes, and meanwhile rules with LOG or NFLOG \
                 counted {packets} packets: is it the right source (runmode, logfile, nfloggroup), \
                 does syslog write the kernel's lines there, has the rule a rate limit?"
            )
        } else {
            format!(
                "{lines} lines or packets were read in {minutes} minutes and none was a hit, and \
                 meanwhile rules with LOG or NFLOG counted {packets} packets: does the logformat \
                 match (knockdaemon formats NAME --test LOG), is its 'required' or nflogprefix the \
                 rule's prefix? If nobody knocked, all is well"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_log_are_counted_and_no_others() {
        let saved = "*filter\n:INPUT DROP [9:9]\n\
                     [3:180] -A INPUT -p tcp -m tcp --tcp-flags SYN SYN -j LOG --log-prefix pk\n\
                     [4:240] -A INPUT -p tcp -j NFLOG --nflog-group 5\n\
                     [5:300] -A INPUT -p tcp -j DROP\nCOMMIT\n";
        assert_eq!(count(saved), 7);
        let ruleset = "table inet f {\n\tchain c {\n\
                       \t\ttcp dport 1 counter packets 10 bytes 0 log group 3 drop\n\
                       \t\tmeta l4proto tcp counter packets 5 bytes 0 log prefix \"log \"\n\
                       \t\ttcp dport 2 counter packets 100 bytes 0 drop comment \"no log here\"\n\
                       \t\ttcp dport 2 log prefix \"counter packets 7 log x\"\n\t}\n}\n";
        assert_eq!(count(ruleset), 15);
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_warning_takes_two_looks_without_a_hit_and_a_counter_that_rises() {
        let mut silence = Silence::new(Some(HOUR), Duration::ZERO);
        assert!(!silence.look(HOUR / 2, 0, 0));
        assert!(silence.look(HOUR, 0, 0));
        assert_eq!(silence.answer(HOUR, 0, Counted([0, 7, 0])), None);
        assert!(silence.look(HOUR * 2, 0, 0));
        assert_eq!(silence.answer(HOUR * 2, 0, Counted([0, 7, 0])), None, "nobody was there");
        assert!(silence.look(HOUR * 3, 0, 0));
        let warning = silence.answer(HOUR * 3, 0, Counted([5, 10, 0])).unwrap();
        assert!(warning.contains("for 180 minutes") && warning.contains("5 packets"), "{warning}");
        // Said once, until there was a hit.
        assert!(!silence.look(HOUR * 4, 0, 0));
        assert!(!silence.look(HOUR * 5, 2, 1));
        assert!(silence.look(HOUR * 6, 9, 1));
        assert_eq!(silence.answer(HOUR * 6, 9, Counted([6, 10, 0])), None);
        let warning = silence.answer(HOUR * 7, 9, Counted([8, 10, 0])).unwrap();
        assert!(warning.contains("7 lines or packets") && warning.contains("none was a hit"));
    }

    #[test]
    fn with_hits_or_without_a_time_nobody_is_asked() {
        let mut silence = Silence::new(Some(HOUR), Duration::ZERO);
        for hour in 1..10 {
            assert!(!silence.look(HOUR * hour, 5 * u64::from(hour), u64::from(hour)));
        }
        let mut asked = Silence::new(Some(HOUR), Duration::ZERO);
        assert!(asked.look(HOUR, 0, 0));
        assert!(!asked.look(HOUR * 2, 0, 0), "it has not answered yet");
        asked.not_asked();
        assert!(asked.look(HOUR * 3, 0, 0));
        let mut never = Silence::new(None, Duration::ZERO);
        assert!(!never.look(HOUR * 100, 0, 0));
        assert_eq!(never.next_due(), None);
    }
}
