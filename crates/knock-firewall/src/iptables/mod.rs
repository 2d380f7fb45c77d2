//! iptables and ip6tables by their programs: the one rule that stands in INPUT for us, and the way
//! without sets, where each opening is a rule in a chain of our own.

pub(crate) mod order;
pub(crate) mod rules;

use std::fmt;

use self::order::Place;
use crate::error::FirewallError;
use crate::limit::Limit;
use crate::nftables::{COMMENT, MARK};
use crate::tools::{Ran, ToolError, Tools};
use crate::{ipset, words};

/// Our chain in the table `filter`.
pub(crate) const CHAIN: &str = "knockdaemon";

/// One of the programs: a family, in one of the kernel's two rule engines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) v4: bool,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Program {
    /// Of a family and an engine (`legacy`, `nft`), if it has a program of its own name.
    pub(crate) fn of_engine(tools: &dyn Tools, v4: bool, engine: &str) -> Self {
        let plain = Self::usual(v4);
        let own = format!("{plain}-{engine}");
        if tools.has(&own) { Self { name: own, v4 } } else { plain }
    }

    /// What this host means by iptables.
    pub(crate) fn usual(v4: bool) -> Self {
        Self { name: if v4 { "iptables" } else { "ip6tables" }.to_owned(), v4 }
    }

    /// Runs it. iptables gives up on the lock a second before we give up on iptables, so that it is
    /// iptables who says what was wrong.
    pub(crate) fn run(
        &self,
        tools: &dyn Tools,
        args: &[&str],
        limit: Limit,
    ) -> Result<Ran, FirewallError> {
        let wait = wait(limit);
        let args = [&["-w", &wait], args].concat();
        run(tools, &self.name, &args, "", limit)
    }

    /// The same, and to fail is an error.
    pub(crate) fn must(
        &self,
        tools: &dyn Tools,
        args: &[&str],
        limit: Limit,
    ) -> Result<String, FirewallError> {
        let ran = self.run(tools, args, limit)?;
        succeeded(&self.name, args, ran)
    }

    /// Takes all copies of a rule of ours out of INPUT and puts one in, in one step: there is no moment
    /// without it. Goes by its words, so that no rule of others goes whatever has changed since.
    pub(crate) fn put(
        &self,
        tools: &dyn Tools,
        rule: &[String],
        place: Place,
        limit: Limit,
    ) -> Result<(), FirewallError> {
        let rule = rule.join(" ");
        let gone = format!("-D INPUT {rule}\n").repeat(place.copies);
        let lines = format!("*filter\n{gone}-I INPUT {} {rule}\nCOMMIT\n", place.number);
        let wait = wait(limit);
        let (name, args) = (format!("{}-restore", self.name), ["--noflush", "-w", &wait]);
        let ran = run(tools, &name, &args, &lines, limit)?;
        succeeded(&name, &args, ran).map(drop)
    }

    /// What it says of itself: `iptables v1.8.9 (nf_tables)`.
    pub(crate) fn version(&self, tools: &dyn Tools, limit: Limit) -> Result<String, FirewallError> {
        let args = ["--version"];
        let ran = run(tools, &self.name, &args, "", limit)?;
        succeeded(&self.name, &args, ran)
    }

    /// All rules of the table `filter`. Of one chain it would be cheaper, and an error where there is
    /// no such chain.
    pub(crate) fn list(&self, tools: &dyn Tools, limit: Limit) -> Result<Listing, FirewallError> {
        Ok(Listing { text: self.must(tools, &["-S"], limit)? })
    }
}

fn wait(limit: Limit) -> String {
    limit.left().as_secs().saturating_sub(1).clamp(1, 3600).to_string()
}

/// What `-S` printed of the table `filter`.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    text: String,
}

impl Listing {
    /// The rules of a chain, word by word, without `-A` and the chain's name.
    pub(crate) fn rules_of<'a>(&'a self, chain: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
        self.text.lines().filter_map(move |line| {
            let words: Vec<&str> = line.split(' ').collect();
            words.strip_prefix(&["-A", chain]).map(<[&str]>::to_vec)
        })
    }

    /// Those of INPUT that are word by word what we write. To name us in a comment is not enough: others
    /// do that, too.
    pub(crate) fn ours(&self) -> impl Iterator<Item = Vec<&str>> {
        self.rules_of("INPUT").filter(|rule| is_ours(rule))
    }

    /// Whether this rule of ours is in INPUT.
    pub(crate) fn has(&self, rule: &[String]) -> bool {
        self.ours().any(|found| found == *rule)
    }

    /// Whether there is a chain of our name.
    pub(crate) fn has_chain(&self) -> bool {
        self.text.lines().any(|line| line.strip_prefix("-N ") == Some(CHAIN))
    }

    /// Whether the chain of our name is ours: our jump leads there, or nothing that others wrote is in it
    /// or leads there.
    pub(crate) fn owns_chain(&self) -> bool {
        self.has(&jumping()) || (rules::are_all_ours(self) && !self.others_lead_to_chain())
    }

    /// Whether a rule that is not ours leads to the chain of our name.
    pub(crate) fn others_lead_to_chain(&self) -> bool {
        let own = format!("-A INPUT {}", jumping().join(" "));
        self.text.lines().filter(|line| *line != own).any(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            words.windows(2).any(|pair| matches!(pair, ["-j" | "-g", CHAIN]))
        })
    }

    /// Whether a rule that is not ours names this set of ipset.
    pub(crate) fn others_use(&self, set: &str) -> bool {
        let rules = self.text.lines().filter_map(|line| line.strip_prefix("-A "));
        rules.map(|rule| rule.split(' ').collect::<Vec<_>>()).any(|rule| {
            rule.windows(2).any(|pair| pair == ["--match-set", set])
                && !(rule.first() == Some(&"INPUT") && is_ours(rule.get(1..).unwrap_or_default()))
        })
    }

    /// Whether INPUT does anything but let pass, apart from rules of ours.
    pub(crate) fn filters(&self) -> bool {
        self.text.lines().any(|line| line.starts_with("-P INPUT") && !line.ends_with(" ACCEPT"))
            || self.rules_of("INPUT").any(|rule| !is_ours(&rule))
    }

    /// Whether some rule is about connections that are established.
    pub(crate) fn keeps_established(&self) -> bool {
        self.text.contains("ESTABLISHED")
    }
}

fn is_ours(rule: &[&str]) -> bool {
    [accepting_marked(), accepting_members(true), accepting_members(false), jumping()]
        .iter()
        .any(|own| rule == own)
}

/// The rule that lets in what our table of nftables has marked.
pub(crate) fn accepting_marked() -> Vec<String> {
    words(&format!("-m mark --mark 0x{MARK:x}/0x{MARK:x} -m comment --comment {COMMENT} -j ACCEPT"))
}

/// The rule that lets in the members of a family's set.
pub(crate) fn accepting_members(v4: bool) -> Vec<String> {
    let set = ipset::set(v4);
    words(&format!("-m set --match-set {set} src,dst -m comment --comment {COMMENT} -j ACCEPT"))
}

/// The rule that sends all to our chain.
pub(crate) fn jumping() -> Vec<String> {
    words(&format!("-m comment --comment {COMMENT} -j {CHAIN}"))
}

/// Runs a program; that it is missing or hangs is an error.
pub(crate) fn run(
    tools: &dyn Tools,
    program: &str,
    args: &[&str],
    input: &str,
    limit: Limit,
) -> Result<Ran, FirewallError> {
    let command = || [&[program], args].concat().join(" ");
    let late = || FirewallError::TimedOut { command: command(), after: limit.whole() };
    let left = limit.left();
    if left.is_zero() {
        return Err(late());
    }
    tools.run(program, args, input, left).map_err(|error| match error {
        ToolError::Missing => {
            let package = match program {
                "nft" => "nftables",
                "ipset" => "ipset",
                _ => "iptables",
            };
            FirewallError::NoTool { program: program.to_owned(), package }
        }
        ToolError::TimedOut => late(),
        ToolError::NotRun(says) => FirewallError::Tool { command: command(), says },
    })
}

/// What it printed, if it succeeded.
pub(crate) fn succeeded(program: &str, args: &[&str], ran: Ran) -> Result<String, FirewallError> {
    if ran.is_success() {
        return Ok(ran.stdout);
    }
    if ran.stderr.contains("open lock file") {
        return Err(FirewallError::NoLock { program: program.to_owned() });
    }
    const FORBIDDEN: [&str; 2] = ["Permission denied", "Operation not permitted"];
    if FORBIDDEN.iter().any(|text| ran.stderr.contains(text)) {
        return Err(FirewallError::NotPermitted);
    }
    // "# Warning: iptables-legacy tables present" comes first wherever both engines have rules.
    let is_said = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let line = ran.stderr.lines().map(str::trim).find(is_said);
    let says = match (line, ran.status) {
        (Some(line), _) => line.chars().filter(|c| !c.is_control()).take(300).collect(),
        (None, Some(status)) => format!("exit {status}"),
        (None, None) => "killed by a signal".to_owned(),
    };
    Err(FirewallError::Tool { command: [&[program], args].concat().join(" "), says })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_so_is_ours() {
        let listed = |text: &str| Listing { text: text.to_owned() };
        let own = accepting_marked();
        let all = listed(
            "-P INPUT ACCEPT\n-N knockdaemon\n\
             -A INPUT -m comment --comment \"not knockdaemon\" -j DROP\n\
             -A INPUT -m mark --mark 0x40000000/0x40000000 -m comment --comment knockdaemon -j ACCEPT\n\
             -A INPUT -m comment --comment knockdaemon2 -j ACCEPT\n\
             -A INPUT -p tcp -m tcp --dport 30000:30255 -m comment --comment knockdaemon -j LOG\n\
             -A FORWARD -m comment --comment knockdaemon -j ACCEPT",
        );
        assert_eq!(all.ours().map(|rule| rule.join(" ")).collect::<Vec<_>>(), [own.join(" ")]);
        assert!(all.has(&own) && all.has_chain() && all.filters());
        assert!(!all.has(&jumping()) && !all.keeps_established());
        let only_ours = listed(&format!("-P INPUT ACCEPT\n-A INPUT {}", own.join(" ")));
        assert!(!only_ours.filters() && !only_ours.has_chain());
        assert!(listed("-P INPUT DROP").filters());
    }
}
