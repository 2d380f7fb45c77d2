//! The way without sets: one rule for each opening in a chain of our own. The kernel's clock ends it
//! where the kernel has the match `time`; without that, somebody must take it out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDateTime, Utc};
use knock_rules::{Held, Opening, Protocol};

use super::{CHAIN, Listing, Program};
use crate::error::FirewallError;
use crate::limit::Limit;
use crate::tools::Tools;
use crate::words;

/// How the match `time` spells a moment, in UTC.
const MOMENT: &str = "%Y-%m-%dT%H:%M:%S";
/// The last second that it knows is in 2038. What ends later has no end of its own until then.
const LAST: u64 = 2_147_483_647;

/// Whether this kernel and these programs have the match `time`, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct HasNoClock(AtomicBool);

/// A rule of ours, read back.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    opening: Opening,
    /// The last second in which it holds.
    last: Option<u64>,
    words: Vec<String>,
}

/// Our chain in one engine, and how it is changed.
pub(crate) struct Rules<'a> {
    pub(crate) program: &'a Program,
    pub(crate) tools: &'a dyn Tools,
    pub(crate) limit: Limit,
}

impl Rules<'_> {
    /// Puts the rule in, or one with the new time in its place; whether there was none in the list.
    pub(crate) fn add(
        &self,
        listing: &Listing,
        no_clock: &HasNoClock,
        opening: &Opening,
        until: Option<SystemTime>,
    ) -> Result<bool, FirewallError> {
        let mut old: Vec<Rule> = of(listing, opening).collect();
        let is_new = old.is_empty();
        let last = until.and_then(last_second).filter(|_| !no_clock.0.load(Ordering::Relaxed));
        // The new one comes before the old ones go: nobody is kept out for a moment.
        if let Some(same) = old.iter().position(|rule| rule.last == last) {
            old.remove(same);
        } else if let Err(error) = self.insert(opening, last) {
            let lacks_clock = |says: &str| {
                says.contains("match `time'") || says.contains("No chain/target/match by that name")
            };
            match error {
                FirewallError::Tool { says, .. } if last.is_some() && lacks_clock(&says) => {}
                other => return Err(other),
            }
            // Nobody closes this one but us.
            match old.iter().position(|rule| rule.last.is_none()) {
                Some(same) => drop(old.remove(same)),
                None => self.insert(opening, None)?,
            }
            no_clock.0.store(true, Ordering::Relaxed);
        }
        old.iter().try_for_each(|rule| self.delete(rule))?;
        Ok(is_new)
    }

    /// Takes all rules of an opening out; whether there were any.
    pub(crate) fn remove(
        &self,
        listing: &Listing,
        opening: &Opening,
    ) -> Result<bool, FirewallError> {
        let old: Vec<Rule> = of(listing, opening).collect();
        old.iter().try_for_each(|rule| self.delete(rule))?;
        Ok(!old.is_empty())
    }

    fn insert(&self, opening: &Opening, last: Option<u64>) -> Result<(), FirewallError> {
        self.run("-I", &spelled(opening, last))
    }

    fn delete(&self, rule: &Rule) -> Result<(), FirewallError> {
        self.run("-D", &rule.words)
    }

    fn run(&self, verb: &str, rule: &[String]) -> Result<(), FirewallError> {
        let words = [verb, CHAIN].into_iter().chain(rule.iter().map(String::as_str));
        let args: Vec<&str> = words.collect();
        self.program.must(self.tools, &args, self.limit).map(drop)
    }
}

/// Whether all that is in the chain of our name could be from us.
pub(crate) fn are_all_ours(listing: &Listing) -> bool {
    listing.rules_of(CHAIN).all(|words| read(&words).is_some())
}

/// The rules in our chain that are not from us and let somebody in, or may.
pub(crate) fn letting_in_by_others(listing: &Listing) -> impl Iterator<Item = String> + '_ {
    let lets_in = |words: &Vec<&str>| {
        let mut targets = words.windows(2).filter(|pair| ["-j", "-g"].contains(&pair[0]));
        targets.any(|pair| !["DROP", "REJECT", "RETURN", "LOG", "NFLOG"].contains(&pair[1]))
    };
    let others = listing.rules_of(CHAIN).filter(|words| read(words).is_none());
    others.filter(lets_in).map(|words| words.join(" "))
}

/// The words of our rules in our chain.
pub(crate) fn own_words(listing: &Listing) -> impl Iterator<Item = Vec<String>> + '_ {
    rules(listing).map(|rule| rule.words)
}

/// What the rules in our chain let in; those whose time is over let nobody in.
pub(crate) fn held(listing: &Listing, no_clock: &HasNoClock, now: SystemTime) -> Vec<Held> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let has_clock = !no_clock.0.load(Ordering::Relaxed);
    let last = Duration::from_secs(if has_clock { LAST } else { 0 });
    let left = |last: u64| Duration::from_secs(last.saturating_add(1)).checked_sub(now);
    rules(listing)
        .map(|rule| Held {
            opening: rule.opening,
            // A rule that is over is still to be taken out, so it is told.
            left: rule.last.map(|last| left(last).unwrap_or_default()),
            no_end_from: Some(SystemTime::UNIX_EPOCH + last),
        })
        .collect()
}

/// As `-S` prints it, so that it can be found again.
fn spelled(opening: &Opening, last: Option<u64>) -> Vec<String> {
    let Opening { network, protocol, port } = opening;
    let mut rule = format!(
        "-s {}/{} -p {protocol} -m {protocol} --dport {port}",
        network.address(),
        network.bits()
    );
    if let Some(moment) = last.and_then(moment) {
        rule = format!("{rule} -m time --datestop {moment}");
    }
    words(&format!("{rule} -j ACCEPT"))
}

fn moment(second: u64) -> Option<String> {
    let time = DateTime::<Utc>::from_timestamp(i64::try_from(second).ok()?, 0)?;
    Some(time.format(MOMENT).to_string())
}

/// The kernel compares whole seconds and counts the last one in, so it closes within a second after
/// the moment, and never before.
fn last_second(until: SystemTime) -> Option<u64> {
    let last = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    (last < LAST).then_some(last)
}

fn of<'a>(listing: &'a Listing, opening: &'a Opening) -> impl Iterator<Item = Rule> + 'a {
    rules(listing).filter(move |rule| rule.opening == *opening)
}

fn rules(listing: &Listing) -> impl Iterator<Item = Rule> + '_ {
    listing.rules_of(CHAIN).filter_map(|words| read(&words))
}

/// Foreign rules in our chain are not read, and so not touched.
fn read(words: &[&str]) -> Option<Rule> {
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).copied()
    };
    let protocol = match after("-p")? {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let opening = Opening {
        network: after("-s")?.parse().ok()?,
        protocol,
        port: after("--dport")?.parse().ok()?,
    };
    let last = match after("--datestop") {
        Some(moment) => {
            let time = NaiveDateTime::parse_from_str(moment, MOMENT).ok()?;
            Some(u64::try_from(time.and_utc().timestamp()).ok()?)
        }
        None => None,
    };
    let own: Vec<String> = words.iter().map(ToString::to_string).collect();
    (own == spelled(&opening, last)).then_some(Rule { opening, last, words: own })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(opening: &str, last: Option<u64>, rule: &str) {
        let opening: Opening = opening.parse().unwrap();
        let words: Vec<&str> = rule.split(' ').collect();
        assert_eq!(spelled(&opening, last), words);
        let read = read(&words).unwrap();
        assert_eq!((read.opening, read.last), (opening, last));
    }

    #[test]
    fn a_rule_reads_as_it_is_spelled() {
        check(
            "tcp port 22 to 192.0.2.7",
            None,
            "-s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j ACCEPT",
        );
        check(
            "udp port 51820 to 2001:db8::/64",
            Some(1_795_273_200),
            "-s 2001:db8::/64 -p udp -m udp --dport 51820 -m time --datestop 2026-11-21T15:00:00 -j ACCEPT",
        );
        for foreign in [
            "-s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j DROP",
            "-s 192.0.2.7/32 -p tcp -m tcp --dport 22 -m limit -j ACCEPT",
            "-j ACCEPT",
        ] {
            let words: Vec<&str> = foreign.split(' ').collect();
            assert_eq!(read(&words), None, "{foreign}");
        }
    }

    #[test]
    fn it_ends_never_early_and_within_a_second() {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(last_second(at(1_500)), Some(1));
        assert_eq!(last_second(at(2_000)), Some(2));
        assert_eq!(last_second(at(LAST * 1000)), None, "no 32-bit time");
        let rule = "-A knockdaemon -s 192.0.2.7/32 -p tcp -m tcp --dport 22 -m time \
                    --datestop 1970-01-01T00:00:10 -j ACCEPT";
        let listing = Listing { text: rule.to_owned() };
        let left = |millis| held(&listing, &HasNoClock::default(), at(millis))[0].left;
        assert_eq!(left(9_500), Some(Duration::from_millis(1_500)));
        assert_eq!(left(60_000), Some(Duration::ZERO));
    }

    /// From then on a rule has no end, and is right so.
    #[test]
    fn it_is_told_from_which_moment_on_no_end_is_kept() {
        let rule = "-A knockdaemon -s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j ACCEPT";
        let listing = Listing { text: rule.to_owned() };
        let no_end_from = |no_clock| {
            let now = SystemTime::UNIX_EPOCH;
            held(&listing, &HasNoClock(AtomicBool::new(no_clock)), now)[0].no_end_from
        };
        let from = no_end_from(false).unwrap();
        assert_eq!(last_second(from), None);
        assert_eq!(last_second(from - Duration::from_nanos(1)), Some(LAST - 1));
        assert_eq!(no_end_from(true), Some(SystemTime::UNIX_EPOCH));
    }
}
