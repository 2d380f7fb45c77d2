//! What others have in the firewall of the ground, made to look like ours: by its words, by its comment or
//! by its name. None of it may change, whatever happens to the daemon. No rule or lease of a knock is here.

use knock_firewall::Kind;

use super::ground::Ground;
use crate::{LabError, Result};

/// Makes it, with the way that leases go as `$1`. What is named as we name ours is of another family where
/// that way uses the name itself, and all of it has 203.0.113 in it.
pub(super) const SET_UP: &str = r#"
iptables -P INPUT DROP
iptables -A INPUT -p udp --dport 30000 -m comment --comment foreign -j DROP
iptables -A INPUT -s 203.0.113.1 -m comment --comment knockdaemon -j DROP
iptables -A INPUT -s 203.0.113.1 -m comment --comment knockdaemon -j LOG
iptables -N foreign
iptables -A foreign -s 203.0.113.1/32 -p tcp --dport 22 -j ACCEPT
iptables -t mangle -N knockdaemon
iptables -t mangle -A knockdaemon -s 203.0.113.1 -p tcp --dport 22 -j ACCEPT
nft add table inet foreign
nft 'add set inet foreign open4 { type ipv4_addr . inet_proto . inet_service; flags timeout; }'
nft 'add element inet foreign open4 { 203.0.113.1 . tcp . 22 }'
nft 'add chain inet foreign input { type filter hook input priority 5; policy drop; }'
nft 'add rule inet foreign input udp dport 30001 log prefix "portknock " comment "knockdaemon"'
nft 'add rule inet foreign input meta mark and 0x40000000 == 0x40000000 drop comment "knockdaemon"'
if [ "$1" = nftables ]; then family=ip; else family=inet; fi
nft "add table $family knockdaemon"
nft "add set $family knockdaemon open4 { type ipv4_addr; }"
nft "add element $family knockdaemon open4 { 203.0.113.1 }"
nft "add chain $family knockdaemon input { type filter hook input priority 0; }"
nft "add rule $family knockdaemon input ip saddr @open4 accept"
if [ "$1" != iptables ]; then
    iptables -N knockdaemon
    iptables -A knockdaemon -s 203.0.113.1 -p tcp --dport 22 -j ACCEPT
    iptables -A INPUT -j knockdaemon
fi
if [ "$1" = ipset ]; then
    ipset create foreign hash:net,port timeout 0
    ipset add foreign 203.0.113.1,tcp:22
elif [ "$1" = iptables ]; then
    ipset create knockdaemon4 hash:net,port timeout 0 comment
    ipset add knockdaemon4 203.0.113.1,tcp:22
fi
"#;

/// The one rule of ours in the table `foreign`, as nft lists it.
const OUR_RULE: &str = "meta mark & 0x40000000 == 0x40000000 accept comment \"knockdaemon\"";

/// All of it, as it is listed now, in its order.
pub(super) fn listed(ground: &Ground, kind: Kind) -> Result<String> {
    let is_theirs = |line: &str| {
        line.contains("foreign") || line.contains("203.0.113") || line.starts_with("-P")
    };
    // The chain of our name, and who leads there.
    let is_of_chain = |rule: &str| {
        kind != Kind::Iptables
            && (rule.ends_with(" knockdaemon") || rule.starts_with("-A knockdaemon "))
    };
    let family = if kind == Kind::Nftables { "ip" } else { "inet" };
    let mut listings = vec![
        ground.list("nft list table inet foreign")?.replace(OUR_RULE, ""),
        ground.list(&format!("nft list table {family} knockdaemon"))?,
        ground.list("iptables -w 30 -t mangle -S")?,
        only(&ground.list("iptables -w 30 -S")?, |rule| is_theirs(rule) || is_of_chain(rule)),
    ];
    match kind {
        // Without root there may be no ipset.
        Kind::Nftables | Kind::Auto => {}
        Kind::Ipset => listings.push(only(&ground.list("ipset save")?, is_theirs)),
        Kind::Iptables => listings.push(ground.list("ipset save")?),
    }
    let lines = listings.iter().flat_map(|it| it.lines()).filter(|line| !line.trim().is_empty());
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

fn only(listed: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    let lines = listed.lines().filter(|line| is_wanted(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// An error if it is not what it was.
pub(super) fn compare(before: &str, now: &str) -> Result<()> {
    if before == now {
        return Ok(());
    }
    Err(LabError(format!("of others there was:\n{before}\nand is:\n{now}")))
}
