//! What other people's chains do with what comes to this host, as far as it decides where a rule of
//! ours must stand: read over netlink, nothing is changed.

use std::collections::BTreeSet;

use super::marking::{self, Marking};
use super::{COMMENT, MARK, PRIORITY, SUBSYSTEM, order};
use crate::netlink::message::{Question, attribute, attributes, be32, be64, flags, text};
use crate::netlink::{Fault, Socket};

const GET_CHAIN: u8 = 4;
const GET_RULE: u8 = 7;

const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;

const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;

pub(super) const IMMEDIATE_DATA: u16 = 2;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const LOOKUP_SET: u16 = 1;
const LOOKUP_DESTINATION: u16 = 3;
pub(super) const LOOKUP_FLAGS: u16 = 5;
pub(super) const META_KEY: u16 = 2;
pub(super) const META_SOURCE: u16 = 3;
pub(super) const META_MARK: u32 = 3;
pub(super) const COMPARE_DATA: u16 = 3;
pub(super) const COMPARE_OPERATOR: u16 = 2;
const EQUAL: u32 = 0;
pub(super) const CT_KEY: u16 = 2;
pub(super) const BITWISE_MASK: u16 = 4;
pub(super) const BITWISE_XOR: u16 = 5;

/// The hook of what comes to this host itself.
const LOCAL_IN: u32 = 1;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const JUMP: u32 = 0u32.wrapping_sub(3);
const GOTO: u32 = 0u32.wrapping_sub(4);
/// `ct state`, and the bit of established connections in it.
pub(super) const CT_STATE: u32 = 0;
const ESTABLISHED: u32 = 2;

/// `NFPROTO_INET`: both families in one table.
pub(super) const INET: u8 = 1;
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// A chain, by its full name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChainName {
    pub(crate) family: &'static str,
    pub(crate) table: String,
    pub(crate) chain: String,
}

impl std::fmt::Display for ChainName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.chain)
    }
}

impl ChainName {
    pub(super) fn family_number(&self) -> u8 {
        match self.family {
            "ip" => IPV4,
            "ip6" => IPV6,
            _ => INET,
        }
    }
}

/// A chain and its rules.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) name: ChainName,
    /// Packets to this host begin here.
    pub(crate) is_input: bool,
    pub(crate) priority: Option<i32>,
    pub(crate) drops_the_rest: bool,
    pub(crate) rules: Vec<Rule>,
}

/// A rule, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) handle: u64,
    /// It is the rule that we put into the chains of others, not one that only says so.
    pub(crate) is_ours: bool,
    /// What it does to our bit of the mark, if it is in our own chain.
    pub(crate) marking: Option<Marking>,
    /// It could be of some version of ours: by the members of our sets at most, it sets a mark.
    pub(crate) only_marks: bool,
    /// It is about whoever comes, not about somebody; see `order`.
    pub(super) is_for_all: bool,
    verdict: Verdict,
    /// It is about members of a set with a name, as the bans of other programs are.
    is_about_a_set: bool,
    is_about_established: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Verdict {
    /// Drop or reject.
    Refuses,
    Accepts,
    Goes(String),
    #[default]
    GoesOn,
}

/// All chains of the families that carry IP.
pub(crate) fn chains(socket: &mut Socket) -> Result<Vec<Chain>, Fault> {
    let question = Question::new(SUBSYSTEM, GET_CHAIN, flags::DUMP, 0);
    let mut chains =
        socket.dump(&question, |_, family, body, chains| chains.extend(chain(family, body)))?;
    let question = Question::new(SUBSYSTEM, GET_RULE, flags::DUMP, 0);
    let rules =
        socket.dump(&question, |_, family, body, rules| rules.extend(rule(family, body)))?;
    for (name, rule) in rules {
        if let Some(chain) = chains.iter_mut().find(|chain: &&mut Chain| chain.name == name) {
            chain.rules.push(rule);
        }
    }
    Ok(chains)
}

impl Chain {
    /// Whether iptables made it, which does not like foreign rules in it.
    pub(crate) fn is_of_iptables(&self) -> bool {
        let ChainName { family, table, chain } = &self.name;
        *family != "inet" && table == "filter" && chain == "INPUT"
    }

    /// Whether it keeps packets to this host out, so that it would do so with those of a lease.
    /// Chains that only look their victims up in a named set are bans, and bans stay.
    pub(crate) fn closes(&self, all: &[Self]) -> bool {
        self.is_input && (self.drops_the_rest || self.reaches(all, Rule::keeps_out))
    }

    /// Whether packets come here before our chain has marked those of leases.
    pub(crate) fn is_before_ours(&self) -> bool {
        self.priority.is_some_and(|priority| priority < PRIORITY)
    }

    /// Whether what is established passes.
    pub(crate) fn keeps_established(&self, all: &[Self]) -> bool {
        self.reaches(all, |rule| rule.is_about_established && rule.verdict != Verdict::Refuses)
    }

    /// Whether a packet that begins here can come to such a rule.
    fn reaches(&self, all: &[Self], wanted: impl Fn(&Rule) -> bool) -> bool {
        let (mut seen, mut ahead) = (BTreeSet::new(), vec![self]);
        while let Some(chain) = ahead.pop() {
            if !seen.insert(&chain.name) {
                continue;
            }
            for rule in &chain.rules {
                if wanted(rule) {
                    return true;
                }
                if let Verdict::Goes(next) = &rule.verdict {
                    ahead.extend(all.iter().filter(|it| {
                        let (it, own) = (&it.name, &self.name);
                        it.family == own.family && it.table == own.table && it.chain == *next
                    }));
                }
            }
        }
        false
    }
}

impl Rule {
    /// Drop or reject.
    pub(super) fn refuses(&self) -> bool {
        self.verdict == Verdict::Refuses
    }

    /// The chain where it goes on.
    pub(super) fn leads_to(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Goes(next) => Some(next),
            _ => None,
        }
    }

    /// Bans refuse whom they find in a set; allow-lists refuse all others, and a set may be of ports.
    fn keeps_out(&self) -> bool {
        self.verdict == Verdict::Refuses && (!self.is_about_a_set || self.is_for_all)
    }
}

fn chain(family: u8, body: &[u8]) -> Option<Chain> {
    let name = name(family, attribute(body, CHAIN_TABLE)?, attribute(body, CHAIN_NAME)?)?;
    let hook = attribute(body, CHAIN_HOOK).and_then(|hook| be32(attribute(hook, HOOK_NUMBER)?));
    let is_filter = attribute(body, CHAIN_TYPE).map(text) == Some("filter");
    Some(Chain {
        name,
        is_input: is_filter && hook == Some(LOCAL_IN),
        priority: attribute(body, CHAIN_HOOK)
            .and_then(|hook| be32(attribute(hook, HOOK_PRIORITY)?))
            .map(u32::cast_signed),
        drops_the_rest: attribute(body, CHAIN_POLICY).and_then(be32) == Some(DROP),
        rules: Vec::new(),
    })
}

fn rule(family: u8, body: &[u8]) -> Option<(ChainName, Rule)> {
    let name = name(family, attribute(body, RULE_TABLE)?, attribute(body, RULE_CHAIN)?)?;
    let mut rule = Rule { handle: attribute(body, RULE_HANDLE).and_then(be64)?, ..Rule::default() };
    let expressions = attribute(body, RULE_EXPRESSIONS).unwrap_or_default();
    let parts: Vec<Part<'_>> = attributes(expressions).map(|(_, it)| Part::of(it)).collect();
    rule.is_ours = accepts_marked(&parts)
        && attribute(body, RULE_USERDATA).is_some_and(|data| comment(data) == COMMENT);
    rule.marking = marking::of(&parts);
    rule.only_marks = marking::only_marks(&parts);
    rule.is_for_all = order::is_for_all(&parts);
    let mut is_about_state = false;
    for (_, expression) in attributes(expressions) {
        let data = attribute(expression, EXPRESSION_DATA).unwrap_or_default();
        match attribute(expression, EXPRESSION_NAME).map(text).unwrap_or_default() {
            "immediate" => rule.verdict = verdict(data).unwrap_or(rule.verdict),
            "reject" => rule.verdict = Verdict::Refuses,
            "ct" => is_about_state |= attribute(data, CT_KEY).and_then(be32) == Some(CT_STATE),
            "bitwise" if is_about_state => {
                let mask = attribute(data, BITWISE_MASK).and_then(|it| attribute(it, DATA_VALUE));
                let mask = mask.and_then(|it| it.first_chunk().copied()).map(u32::from_ne_bytes);
                rule.is_about_established |= mask.is_some_and(|mask| mask & ESTABLISHED != 0);
            }
            "lookup" => {
                let set = attribute(data, LOOKUP_SET).map(text).unwrap_or_default();
                let is_named = !set.starts_with("__");
                rule.is_about_a_set |= is_named;
                // `ct state { established, related }`, or a map from states to verdicts.
                rule.is_about_established |= is_about_state && !is_named;
                if attribute(data, LOOKUP_DESTINATION).and_then(be32) == Some(0) && !is_about_state
                {
                    // A map to verdicts: which ones is not looked at, and refusing is among them.
                    rule.verdict = Verdict::Refuses;
                }
            }
            _ => {}
        }
    }
    Some((name, rule))
}

/// One expression of a rule.
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    data: &'a [u8],
}

impl<'a> Part<'a> {
    fn of(expression: &'a [u8]) -> Self {
        Self {
            name: attribute(expression, EXPRESSION_NAME).map(text).unwrap_or_default(),
            data: attribute(expression, EXPRESSION_DATA).unwrap_or_default(),
        }
    }

    pub(super) fn number(&self, kind: u16) -> Option<u32> {
        attribute(self.data, kind).and_then(be32)
    }

    /// The name of the set that is looked up.
    pub(super) fn set(&self) -> &'a str {
        attribute(self.data, LOOKUP_SET).map(text).unwrap_or_default()
    }

    /// A value that the kernel keeps in its own order.
    pub(super) fn value(&self, kind: u16) -> Option<u32> {
        let value = attribute(attribute(self.data, kind)?, DATA_VALUE)?;
        Some(u32::from_ne_bytes(<[u8; 4]>::try_from(value).ok()?))
    }
}

/// `meta mark and MARK == MARK accept`, and nothing else. Which registers it goes by is nft's affair.
fn accepts_marked(parts: &[Part<'_>]) -> bool {
    let [load, mask, compare, accept] = parts else { return false };
    load.name == "meta"
        && load.number(META_KEY) == Some(META_MARK)
        && load.number(META_SOURCE).is_none()
        && mask.name == "bitwise"
        && mask.value(BITWISE_MASK) == Some(MARK)
        && mask.value(BITWISE_XOR) == Some(0)
        && compare.name == "cmp"
        && compare.number(COMPARE_OPERATOR) == Some(EQUAL)
        && compare.value(COMPARE_DATA) == Some(MARK)
        && accept.name == "immediate"
        && verdict(accept.data) == Some(Verdict::Accepts)
}

fn verdict(immediate: &[u8]) -> Option<Verdict> {
    let verdict = attribute(attribute(immediate, IMMEDIATE_DATA)?, DATA_VERDICT)?;
    let chain = || Some(text(attribute(verdict, VERDICT_CHAIN)?).to_owned());
    Some(match be32(attribute(verdict, VERDICT_CODE)?)? {
        DROP => Verdict::Refuses,
        ACCEPT => Verdict::Accepts,
        JUMP | GOTO => Verdict::Goes(chain()?),
        _ => Verdict::GoesOn,
    })
}

/// The comment among the data that nft keeps with a rule: kind, length, text.
fn comment(mut data: &[u8]) -> &str {
    const KIND: u8 = 0;
    while let [kind, length, rest @ ..] = data {
        let Some((value, behind)) = rest.split_at_checked(usize::from(*length)) else { break };
        if *kind == KIND {
            return text(value);
        }
        data = behind;
    }
    ""
}

/// A name that can be written into a script as it is; others are none of ours.
fn name(family: u8, table: &[u8], chain: &[u8]) -> Option<ChainName> {
    let family = match family {
        INET => "inet",
        IPV4 => "ip",
        IPV6 => "ip6",
        _ => return None,
    };
    let plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
    };
    let (table, chain) = (text(table), text(chain));
    (plain(table) && plain(chain)).then(|| ChainName {
        family,
        table: table.to_owned(),
        chain: chain.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(chain: &str) -> ChainName {
        ChainName { family: "inet", table: "filter".to_owned(), chain: chain.to_owned() }
    }

    fn with(name: &str, is_input: bool, rules: Vec<Rule>) -> Chain {
        Chain { name: named(name), is_input, priority: None, drops_the_rest: false, rules }
    }

    fn goes(to: &str) -> Rule {
        Rule { verdict: Verdict::Goes(to.to_owned()), ..Rule::default() }
    }

    fn refuses() -> Rule {
        Rule { verdict: Verdict::Refuses, ..Rule::default() }
    }

    #[test]
    fn what_a_chain_leads_to_counts_also_in_circles() {
        let all = [
            with("input", true, vec![goes("a")]),
            with("a", false, vec![goes("b"), goes("input")]),
            with("b", false, vec![refuses()]),
            with("bans", true, vec![Rule { is_about_a_set: true, ..refuses() }]),
            with("calm", true, vec![goes("calm"), goes("nowhere")]),
        ];
        let closes: Vec<bool> = all.iter().map(|chain| chain.closes(&all)).collect();
        assert_eq!(closes, [true, false, false, false, false]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_rule_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300), family: u8) {
            let _ = (chain(family, &bytes), rule(family, &bytes), comment(&bytes), verdict(&bytes));
        }
    }
}
