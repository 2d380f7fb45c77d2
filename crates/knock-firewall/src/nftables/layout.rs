//! Our table of nftables, as text for `nft -f`: the sets of all sizes, and the chain that marks what
//! comes from their members.
//!
//! It accepts nothing: to accept in one base chain keeps no other chain from dropping. So it sets a
//! bit of the mark, and one rule in each chain that closes this host accepts by that bit.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::elements::{Set, Size, sizes};
use super::{COMMENT, MARK, PRIORITY, TABLE};
use crate::nftables::chains::{Chain, ChainName, Rule};
use crate::nftables::marking::Marking;

/// The chain in our table.
const CHAIN: &str = "input";

/// How the table is made or mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Making {
    /// For `nft -f`. What the sets hold stays, and so does what others have put in.
    pub(crate) script: String,
    /// Rules that others have put in stay behind ours, so what marks beside ours is to go one by one.
    pub(crate) has_others: bool,
}

/// Makes the table or mends it. There is nothing to run if it is whole and has rules of others: a second
/// time would not be the same as once.
pub(crate) fn making(wanted: &BTreeSet<Size>, is_whole: bool, chains: &[Chain]) -> Making {
    let own = own(chains);
    let has_others = own.is_some_and(|own| own.rules.iter().any(|rule| rule.marking.is_none()));
    if has_others && is_whole {
        return Making { script: String::new(), has_others };
    }
    let mut script = format!(
        "add table inet {TABLE}\n\
         add chain inet {TABLE} {CHAIN} {{ type filter hook input priority {PRIORITY}; policy accept; }}\n"
    );
    for size in wanted {
        let address = if size.is_v4() { "ipv4_addr" } else { "ipv6_addr" };
        let _ = writeln!(
            script,
            "add set inet {TABLE} {} {{ type {address} . inet_proto . inet_service; flags timeout; }}",
            size.set()
        );
    }
    if has_others {
        for rule in rules(wanted).iter().rev() {
            let _ = writeln!(script, "insert rule inet {TABLE} {CHAIN} {rule}");
        }
    } else {
        let _ = writeln!(script, "flush chain inet {TABLE} {CHAIN}");
        for rule in rules(wanted) {
            let _ = writeln!(script, "add rule inet {TABLE} {CHAIN} {rule}");
        }
    }
    Making { script, has_others }
}

/// The rules of our chain, in their order.
fn rules(wanted: &BTreeSet<Size>) -> Vec<String> {
    // Nobody else says who has knocked.
    let mut rules = vec![format!("meta mark set meta mark and 0x{:08x}", !MARK)];
    rules.extend(wanted.iter().map(|size| {
        let address = if size.is_v4() { "ip saddr" } else { "ip6 saddr" };
        let mask = size.mask().map(|mask| format!(" and {mask}")).unwrap_or_default();
        format!(
            "{address}{mask} . meta l4proto . th dport @{} meta mark set meta mark or 0x{MARK:08x}",
            size.set()
        )
    }));
    rules
}

/// Whether all of it is there: our rules before those of others, and nothing else that marks.
pub(crate) fn is_whole(wanted: &BTreeSet<Size>, there: &[Size], chains: &[Chain]) -> bool {
    let Some(own) = own(chains) else { return false };
    let has = |number: usize| own.rules.get(number).and_then(|rule| rule.marking);
    let members: BTreeSet<Size> = (1..=there.len())
        .filter_map(|number| match has(number) {
            Some(Marking::Members(size)) => Some(size),
            _ => None,
        })
        .collect();
    wanted.iter().all(|size| there.contains(size))
        && !own.drops_the_rest
        && has(0) == Some(Marking::Clears)
        && there.iter().all(|size| members.contains(size))
        && own.rules.iter().skip(there.len() + 1).all(|rule| rule.marking.is_none())
}

/// Whether the table of our name is ours, or can be: nothing of others is where ours goes, and a set that
/// looks like ours stands with our rules.
pub(crate) fn is_ours(sets: &[Set], chains: &[Chain]) -> bool {
    let own = own(chains);
    let in_place = own.is_none_or(|own| own.is_input && own.priority == Some(PRIORITY));
    let rules = || own.into_iter().flat_map(|own| &own.rules);
    let has_ours = || {
        let mut marks = rules().map(|rule| rule.marking);
        marks.any(|it| matches!(it, Some(Marking::Clears | Marking::Members(_))))
    };
    let has_theirs = || !of_others(sets, chains).is_empty() || !rules().all(is_of_some_version);
    in_place
        && sets.iter().all(|set| set.is_as_ours || set.size.is_none())
        && (!has_theirs() || sizes(sets).next().is_none() || has_ours())
}

/// The same, with nothing of others in it.
pub(crate) fn is_ours_alone(sets: &[Set], chains: &[Chain]) -> bool {
    is_ours(sets, chains) && of_others(sets, chains).is_empty()
}

/// Whether the table of our name has no other names in it than those that we give, and does nothing but
/// mark by its sets: another version of ours has made it, or somebody has changed it by hand. Who takes
/// it away takes nothing else from anybody.
pub(crate) fn does_nothing_else(sets: &[Set], chains: &[Chain]) -> bool {
    let is_calm = |own: &Chain| !own.drops_the_rest && own.rules.iter().all(is_of_some_version);
    names_of_others(sets, chains).is_empty() && own(chains).is_none_or(is_calm)
}

/// Whether this rule of our chain can be ours, or of another version of ours.
fn is_of_some_version(rule: &Rule) -> bool {
    rule.only_marks
}

/// The rules of our chain that others have put there and that let in somebody without a lease, or may.
pub(crate) fn letting_in_by_others(chains: &[Chain]) -> impl Iterator<Item = u64> + '_ {
    let rules = own(chains).into_iter().flat_map(|own| &own.rules);
    rules.filter(|rule| rule.marking == Some(Marking::Otherwise)).map(|rule| rule.handle)
}

/// Ours, or of another version of ours.
pub(crate) fn is_of_any_version(sets: &[Set], chains: &[Chain]) -> bool {
    is_ours_alone(sets, chains) || does_nothing_else(sets, chains)
}

/// What others have in the table of our name and keep there, for people.
pub(crate) fn of_others(sets: &[Set], chains: &[Chain]) -> Vec<String> {
    let has_theirs = |own: &Chain| own.rules.iter().any(|rule| rule.marking.is_none());
    let rules = own(chains).filter(|own| has_theirs(own));
    let rules = rules.map(|_| format!("rules in its chain {CHAIN}"));
    rules.into_iter().chain(names_of_others(sets, chains)).collect()
}

/// The chains and sets in the table of our name that are not named as ours.
fn names_of_others(sets: &[Set], chains: &[Chain]) -> Vec<String> {
    let chains = chains.iter().filter(|chain| is_own(chain) && chain.name != own_chain());
    let sets = sets.iter().filter(|set| set.size.is_none());
    chains
        .map(|chain| format!("the chain {}", chain.name.chain))
        .chain(sets.map(|set| format!("the set {}", set.name)))
        .collect()
}

/// The rule that lets marked packets pass, at the head of somebody's chain or before a rule of it.
pub(crate) fn accepting(chain: &ChainName, before: Option<u64>) -> String {
    let place = before.map(|before| format!(" position {before}")).unwrap_or_default();
    format!(
        "insert rule {chain}{place} meta mark and 0x{MARK:08x} == 0x{MARK:08x} accept comment \"{COMMENT}\"\n"
    )
}

/// The same as `nft list` prints it, for `grep -E`.
pub(crate) fn accepting_as_listed() -> String {
    format!(
        "^[[:space:]]*meta mark (&|and) 0x{MARK:08x} == 0x{MARK:08x} accept comment \"{COMMENT}\"$"
    )
}

/// Whether a chain is in our table.
pub(crate) fn is_own(chain: &Chain) -> bool {
    chain.name.family == "inet" && chain.name.table == TABLE
}

pub(super) fn own(chains: &[Chain]) -> Option<&Chain> {
    chains.iter().find(|chain| chain.name == own_chain())
}

pub(crate) fn own_chain() -> ChainName {
    ChainName { family: "inet", table: TABLE.to_owned(), chain: CHAIN.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_of_network_has_a_set_and_a_rule() {
        let networks = ["192.0.2.7", "192.0.2.0/24", "2001:db8::1", "2001:db8::/64"];
        let sizes = networks.map(|network| Size::of(&network.parse().unwrap()));
        let script = making(&sizes.into(), false, &[]).script;
        for line in [
            "add set inet knockdaemon open4_24 { type ipv4_addr . inet_proto . inet_service; flags timeout; }",
            "ip saddr . meta l4proto . th dport @open4 meta mark set meta mark or 0x40000000",
            "ip saddr and 255.255.255.0 . meta l4proto . th dport @open4_24 ",
            "ip6 saddr and ffff:ffff:ffff:ffff:: . meta l4proto . th dport @open6_64 ",
            "meta mark set meta mark and 0xbfffffff\n",
        ] {
            assert!(script.contains(line), "{line} in:\n{script}");
        }
    }
}
