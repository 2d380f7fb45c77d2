//! Our table of nftables, as text for `nft -f`: the sets of all sizes, and the chain that marks what
//! comes from their members.
//!
//! It accepts nothing: to accept in one base chain keeps no other chain from dropping. So it sets a
//! bit of the mark, and one rule in each chain that closes this host accepts by that bit.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::elements::{Set, Size};
use super::{COMMENT, MARK, TABLE};
use crate::nftables::chains::{Chain, ChainName};

/// The chain in our table.
const CHAIN: &str = "input";

/// Behind iptables' mangle table (-150), whose rules may set the whole mark, and before all filters
/// (fail2ban's is at -1, firewalld's at 10).
const PRIORITY: i32 = -140;

/// Makes the table or mends it; what the sets hold stays.
pub(crate) fn script(sizes: &BTreeSet<Size>) -> String {
    let mut script = format!(
        "add table inet {TABLE}\n\
         add chain inet {TABLE} {CHAIN} {{ type filter hook input priority {PRIORITY}; policy accept; }}\n"
    );
    for size in sizes {
        let address = if size.is_v4() { "ipv4_addr" } else { "ipv6_addr" };
        let _ = writeln!(
            script,
            "add set inet {TABLE} {} {{ type {address} . inet_proto . inet_service; flags timeout; }}",
            size.set()
        );
    }
    let _ = writeln!(script, "flush chain inet {TABLE} {CHAIN}");
    // Nobody else says who has knocked.
    let _ = writeln!(
        script,
        "add rule inet {TABLE} {CHAIN} meta mark set meta mark and 0x{:08x}",
        !MARK
    );
    for size in sizes {
        let address = if size.is_v4() { "ip saddr" } else { "ip6 saddr" };
        let mask = size.mask().map(|mask| format!(" and {mask}")).unwrap_or_default();
        let _ = writeln!(
            script,
            "add rule inet {TABLE} {CHAIN} {address}{mask} . meta l4proto . th dport @{} \
             meta mark set meta mark or 0x{MARK:08x}",
            size.set()
        );
    }
    script
}

/// Whether all of it is there.
pub(crate) fn is_whole(sizes: &BTreeSet<Size>, there: &[Size], chains: &[Chain]) -> bool {
    let own = chains.iter().find(|chain| chain.name == own_chain());
    // One rule that clears the mark, and one for each set.
    sizes.iter().all(|size| there.contains(size))
        && own.is_some_and(|chain| chain.rules.len() == there.len() + 1)
}

/// Whether all that is in the table of our name is what we write, or a part of it.
pub(crate) fn is_as_ours(sets: &[Set], chains: &[Chain]) -> bool {
    sets.iter().all(|set| set.is_as_ours)
        && does_nothing_else(sets, chains)
        && chains
            .iter()
            .filter(|chain| is_own(chain))
            .all(|chain| chain.is_input && chain.priority == Some(PRIORITY))
}

/// Whether the table of our name has no other names in it than those that we give, and does nothing but
/// mark by its sets: another version of ours has made it, or somebody has changed it by hand. Who takes
/// it away takes nothing else from anybody.
pub(crate) fn does_nothing_else(sets: &[Set], chains: &[Chain]) -> bool {
    sets.iter().all(|set| set.size.is_some())
        && chains.iter().filter(|chain| is_own(chain)).all(|chain| {
            chain.name == own_chain()
                && !chain.drops_the_rest
                && chain.rules.iter().all(|rule| rule.only_marks)
        })
}

/// The rule that lets marked packets pass, at the head of somebody's chain.
pub(crate) fn accepting(chain: &ChainName) -> String {
    format!(
        "insert rule {chain} meta mark and 0x{MARK:08x} == 0x{MARK:08x} accept comment \"{COMMENT}\"\n"
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

fn own_chain() -> ChainName {
    ChainName { family: "inet", table: TABLE.to_owned(), chain: CHAIN.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_of_network_has_a_set_and_a_rule() {
        let networks = ["192.0.2.7", "192.0.2.0/24", "2001:db8::1", "2001:db8::/64"];
        let sizes = networks.map(|network| Size::of(&network.parse().unwrap()));
        let script = script(&sizes.into());
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
