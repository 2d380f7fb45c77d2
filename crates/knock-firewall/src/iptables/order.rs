//! Where a rule of ours has to stand among those of others in INPUT: before the first one that keeps
//! everybody out, and behind those about somebody, which are bans. It never passes one. Changes nothing.

use super::Listing;

/// How a rule of ours stands in INPUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Missing,
    InPlace,
    /// More than once, or behind what keeps everybody out.
    Elsewhere(Place),
}

/// Where it is to be instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// So many of it are there now.
    pub(crate) copies: usize,
    /// Its number, once they are gone.
    pub(crate) number: usize,
    /// The first one does nothing: what stands before it keeps everybody out.
    pub(crate) is_dead: bool,
}

impl Listing {
    /// How this rule of ours stands.
    pub(crate) fn standing(&self, rule: &[String]) -> Standing {
        let rules: Vec<Vec<&str>> = self.rules_of("INPUT").collect();
        let Some(first) = rules.iter().position(|found| found == rule) else {
            return Standing::Missing;
        };
        let copies = rules.iter().filter(|found| *found == rule).count();
        let closing = self.closing_before(&rules, first).filter(|closing| !closing.is_behind_bans);
        if copies == 1 && closing.is_none() {
            return Standing::InPlace;
        }
        let number = closing.map_or(first, |closing| closing.at) + 1;
        Standing::Elsewhere(Place { copies, number, is_dead: closing.is_some() })
    }

    /// Whether this rule of ours is behind one that keeps everybody out, and has to stay there, since bans
    /// stand between the two.
    pub(crate) fn is_held_back(&self, rule: &[String]) -> bool {
        let rules: Vec<Vec<&str>> = self.rules_of("INPUT").collect();
        let first = rules.iter().position(|found| found == rule);
        let closing = first.and_then(|first| self.closing_before(&rules, first));
        closing.is_some_and(|closing| closing.is_behind_bans)
    }

    fn closing_before(&self, rules: &[Vec<&str>], ours: usize) -> Option<Closing> {
        let shuts = |rule: &[&str]| self.shuts(rule, &mut Vec::new());
        let at = rules.iter().take(ours).position(|rule| shuts(rule))?;
        let between = rules.iter().take(ours).skip(at + 1);
        let is_behind_bans = between.into_iter().any(|rule| !shuts(rule) && may_ban(rule));
        Some(Closing { at, is_behind_bans })
    }

    /// Whether a rule refuses whoever comes, or leads to one that does.
    fn shuts<'a>(&'a self, rule: &[&'a str], seen: &mut Vec<&'a str>) -> bool {
        let Some(target) = target_for_all(rule) else { return false };
        if ["DROP", "REJECT", "TARPIT"].contains(&target) {
            return true;
        }
        if seen.contains(&target) {
            return false;
        }
        seen.push(target);
        self.rules_of(target).any(|rule| self.shuts(&rule, seen))
    }
}

/// What keeps everybody out before a rule of ours.
#[derive(Clone, Copy)]
struct Closing {
    at: usize,
    /// What comes between may keep somebody out.
    is_behind_bans: bool,
}

/// Whether a rule may keep somebody out: what is not known to let pass or only to look.
fn may_ban(rule: &[&str]) -> bool {
    const PASSING: [&str; 6] = ["ACCEPT", "RETURN", "LOG", "NFLOG", "MARK", "CONNMARK"];
    let target = rule.windows(2).rev().find(|pair| ["-j", "-g"].contains(&pair[0]));
    target.is_some_and(|pair| !PASSING.contains(&pair[1]))
}

/// What a rule does with all that is new for some protocol, port or interface. `None`: it is about
/// somebody, or about something that we do not know, and so may be meant to stand before us.
fn target_for_all<'a>(rule: &[&'a str]) -> Option<&'a str> {
    const KNOWN: [&str; 6] = ["tcp", "udp", "comment", "multiport", "conntrack", "state"];
    const SYN: [&str; 2] = ["FIN,SYN,RST,ACK", "SYN"];
    let (mut words, mut is_not) = (rule.iter().copied(), false);
    while let Some(word) = words.next() {
        if word == "!" {
            is_not = true;
            continue;
        }
        let value = words.next()?;
        let is_for_all = match word {
            "-j" | "-g" => return Some(value),
            "-m" => KNOWN.contains(&value),
            "-p" => is_not || ["tcp", "udp", "all", "6", "17"].contains(&value),
            "-i" | "-d" | "--dport" | "--dports" => true,
            // All but these.
            "-s" => is_not,
            "--ctstate" | "--state" => value.split(',').any(|state| state == "NEW") != is_not,
            "--tcp-flags" => !is_not && [value, words.next()?] == SYN,
            "--comment" => {
                let mut is_open = value.starts_with('"') && (value == "\"" || !ends_quote(value));
                while is_open {
                    is_open = !ends_quote(words.next()?);
                }
                true
            }
            _ => false,
        };
        if !is_for_all {
            return None;
        }
        is_not = false;
    }
    None
}

fn ends_quote(word: &str) -> bool {
    word.ends_with('"') && !word.ends_with("\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iptables::jumping;

    fn standing(rules: &[&str]) -> Standing {
        listing(rules).standing(&jumping())
    }

    fn listing(rules: &[&str]) -> Listing {
        let ours = format!("-A INPUT {}", jumping().join(" "));
        let lines = rules.iter().map(|rule| match *rule {
            "ours" => ours.clone(),
            chained if chained.starts_with("-A ") => chained.to_owned(),
            rule => format!("-A INPUT {rule}"),
        });
        Listing { text: lines.collect::<Vec<_>>().join("\n") }
    }

    fn place(copies: usize, number: usize, is_dead: bool) -> Standing {
        Standing::Elsewhere(Place { copies, number, is_dead })
    }

    #[test]
    fn what_keeps_everybody_out_stands_behind_us() {
        for shut in [
            "-j DROP",
            "-p tcp -j REJECT --reject-with tcp-reset",
            "-i eth0 -p tcp -m tcp --dport 22 -j DROP",
            "-p tcp -m multiport --dports 22,80 -m comment --comment \"for good \" -j DROP",
            "! -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j DROP",
            "-m conntrack --ctstate INVALID,NEW -j DROP",
            "-m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP",
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
            "-m comment --comment \"\" -j DROP",
        ] {
            assert_eq!(standing(&["-i lo -j ACCEPT", shut, "ours"]), place(1, 2, true), "{shut}");
            assert_eq!(standing(&["ours", shut]), Standing::InPlace, "{shut}");
            let chain = format!("-A mine {shut}");
            let led = ["-p tcp -m tcp --dport 22 -j mine", "ours", "-A mine -j other", &chain];
            assert_eq!(standing(&led), place(1, 1, true), "{shut}");
            assert_eq!(standing(&["-s 192.0.2.7/32 -j mine", "ours", &chain]), Standing::InPlace);
        }
    }

    #[test]
    fn what_is_about_somebody_or_unknown_may_stand_before_us() {
        for ban in [
            "-s 192.0.2.66/32 -j DROP",
            "-p tcp -m set --match-set bad src -j DROP",
            "-m conntrack --ctstate INVALID -j DROP",
            "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP",
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP",
            "-m recent --update --seconds 60 --hitcount 4 --name x --rsource -j DROP",
            "-p icmp -j DROP",
            "-p tcp -m tcp --dport 22 -j f2b-sshd",
            "-m comment --comment \"-j DROP\" -j LOG",
            "-j LOG --log-prefix \"no -j DROP \"",
            "-j loop",
        ] {
            let rules = [
                ban,
                "ours",
                "-j DROP",
                "-A f2b-sshd -s 192.0.2.66/32 -j REJECT",
                "-A f2b-sshd -j RETURN",
                "-A loop -j loop",
            ];
            assert_eq!(standing(&rules), Standing::InPlace, "{ban}");
        }
    }

    /// Whoever is banned stays so, whatever somebody shuts above the bans.
    #[test]
    fn no_ban_is_passed() {
        let shut = "-p udp -m udp --dport 1900 -j DROP";
        for ban in ["-s 192.0.2.66/32 -j DROP", "-p tcp -m tcp --dport 22 -j f2b-sshd"] {
            let rules = [shut, "-i lo -j ACCEPT", ban, "ours", "-A f2b-sshd -s 192.0.2.66 -j DROP"];
            assert_eq!(standing(&rules), Standing::InPlace, "{ban}");
            assert!(listing(&rules).is_held_back(&jumping()), "{ban}");
            let twice = [shut, ban, "ours", "ours"];
            assert_eq!(standing(&twice), place(2, 3, false), "{ban}");
        }
        for passing in ["-i lo -j ACCEPT", "-s 10.0.0.0/8 -j LOG --log-prefix \"x \"", "-p icmp"] {
            assert_eq!(standing(&[shut, passing, "ours"]), place(1, 1, true), "{passing}");
            assert!(!listing(&[shut, passing, "ours"]).is_held_back(&jumping()), "{passing}");
        }
    }

    #[test]
    fn of_several_the_first_one_stays_unless_it_is_dead() {
        assert_eq!(standing(&["-j DROP"]), Standing::Missing);
        let ban = "-s 192.0.2.66/32 -j DROP";
        assert_eq!(standing(&[ban, "ours", "-j DROP", "ours"]), place(2, 2, false));
        assert_eq!(standing(&[ban, "-j DROP", "ours", "ours"]), place(2, 2, true));
    }
}
