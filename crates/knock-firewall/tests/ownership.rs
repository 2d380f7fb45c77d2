//! What is ours in the firewall and what only looks like it: nothing of others is changed, whatever it is
//! called, and ours can be taken away. Each test in a network namespace of its own, without root.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{
    LONG, Meddled, WAYS, all_rules, apply, firewall, firewall_by, foreign_rules, inside, nft,
    opening, remove, run,
};
use knock_firewall::{Did, FirewallError, Kind};

#[test]
fn foreign_rules_stay_as_they_are_to_the_byte() {
    inside("foreign_rules_stay_as_they_are_to_the_byte", || {
        foreign_rules();
        let before = all_rules();
        for kind in WAYS {
            let firewall = firewall(kind);
            assert!(!apply(&firewall).is_empty(), "{kind}");
            let applied = all_rules();
            assert!(apply(&firewall).is_empty(), "{kind}: it is there already");
            assert_eq!(all_rules(), applied, "{kind}");
            // Every foreign line is still there, in the same order.
            let mut lines = applied.lines();
            for line in before.lines() {
                assert!(lines.any(|applied| applied == line), "{kind}: '{line}' in\n{applied}");
            }
            firewall.open(&opening("tcp port 22 to 192.0.2.0/24"), None, LONG).unwrap();
            assert!(!remove(&firewall).is_empty(), "{kind}");
            assert_eq!(all_rules(), before, "{kind}");
            assert!(remove(&firewall).is_empty(), "{kind}");
        }
    });
}

#[test]
fn a_set_that_is_not_ours_is_left_alone() {
    inside("a_set_that_is_not_ours_is_left_alone", || {
        for theirs in ["hash:ip", "hash:net,port", "hash:net,port timeout 0 comment"] {
            run(&format!("ipset create knockdaemon4 {theirs}"));
            let before = all_rules();
            let failed = firewall(Kind::Ipset).apply(LONG).unwrap().failed;
            let remedy = "ipset rename knockdaemon4 NAME";
            assert!(failed.iter().any(|error| error.to_string().contains(remedy)), "{failed:?}");
            remove(&firewall(Kind::Ipset));
            assert_eq!(all_rules(), before);
            run("ipset destroy knockdaemon4");
        }
    });
}

/// What an admin may have written, with our name all over it.
fn rules_that_name_us() {
    foreign_rules();
    for program in ["iptables", "ip6tables"] {
        let named = "-m comment --comment knockdaemon";
        run(&format!("{program} -A INPUT -p tcp --dport 30000:30255 {named} -j LOG"));
        run(&format!("{program} -A INPUT -m mark --mark 0x40000000 {named} -j ACCEPT"));
        run(&format!("{program} -A FORWARD {named} -j DROP"));
    }
    nft("add rule inet filter input tcp dport 30000-30255 log prefix \"portknock \" comment \"knockdaemon\"
         add rule inet filter input meta mark and 0x40000000 == 0x40000000 drop comment \"knockdaemon\"
         add rule inet filter input meta mark and 0x40000000 == 0x40000000 accept comment \"mine\"");
}

#[test]
fn a_rule_that_only_names_us_is_not_ours() {
    inside("a_rule_that_only_names_us_is_not_ours", || {
        rules_that_name_us();
        let before = all_rules();
        for kind in WAYS {
            let firewall = firewall(kind);
            let script = firewall.script(LONG).unwrap();
            assert!(!apply(&firewall).is_empty(), "{kind}");
            let applied = all_rules();
            assert!(apply(&firewall).is_empty(), "{kind}");
            assert_eq!(all_rules(), applied, "{kind}");
            // Ours is there, before theirs.
            if kind == Kind::Nftables {
                let rule = "meta mark & 0x40000000 == 0x40000000 accept comment \"knockdaemon\"";
                assert!(applied.contains(rule), "{applied}");
            }
            let mut lines = applied.lines();
            for line in before.lines() {
                assert!(lines.any(|applied| applied == line), "{kind}: '{line}' in\n{applied}");
            }
            remove(&firewall);
            assert_eq!(all_rules(), before, "{kind}");
            common::sh(&script);
            assert_eq!(all_rules(), applied, "{kind}:\n{script}");
            remove(&firewall);
            assert_eq!(all_rules(), before, "{kind}");
        }
    });
}

#[test]
fn chains_sets_and_tables_of_our_name_that_are_not_ours_are_left_alone() {
    inside("chains_sets_and_tables_of_our_name_that_are_not_ours_are_left_alone", || {
        foreign_rules();
        // As templates of an old set-up fill it: word by word what we would write, but for the jump.
        run("iptables -N knockdaemon");
        run("iptables -A knockdaemon -s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j ACCEPT");
        run("iptables -A INPUT -j knockdaemon");
        run("ip6tables -N knockdaemon");
        run("ip6tables -A knockdaemon -s 2001:db8::7 -j DROP");
        nft("table inet knockdaemon {
               set open4 { type ipv4_addr; elements = { 192.0.2.7 }; }
               chain input {
                 type filter hook input priority 0
                 ip saddr @open4 accept
               }
             }");
        run("ipset create knockdaemon4 hash:ip");
        run("ipset create knockdaemon6 hash:net,port family inet timeout 0");
        let before = all_rules();
        for (kind, remedies) in [
            (Kind::Nftables, &["another name"][..]),
            (Kind::Ipset, &["ipset rename knockdaemon4 NAME", "ipset rename knockdaemon6 NAME"]),
            (
                Kind::Iptables,
                &["iptables-nft -E knockdaemon NAME", "ip6tables-nft -E knockdaemon NAME"],
            ),
        ] {
            let firewall = firewall(kind);
            assert_eq!(firewall.held(LONG), Ok(vec![]), "{kind}: theirs are no leases");
            let error = firewall.script(LONG).unwrap_err();
            assert!(matches!(error, FirewallError::NotAsOurs { .. }), "{kind}: {error}");
            for _ in 0..2 {
                let failed = firewall.apply(LONG).unwrap().failed;
                let failed: String = failed.iter().map(|error| format!("{error}\n")).collect();
                for remedy in remedies {
                    assert!(failed.contains(remedy), "{kind}: {remedy} in {failed}");
                }
                let open = firewall.open(&opening("tcp port 22 to 192.0.2.8"), None, LONG);
                let error = open.unwrap_err();
                assert!(matches!(error, FirewallError::NotAsOurs { .. }), "{kind}: {error}");
            }
            remove(&firewall);
            assert_eq!(all_rules(), before, "{kind}");
        }
    });
}

#[test]
fn a_foreign_rule_in_our_chain_stays_and_so_does_the_chain() {
    inside("a_foreign_rule_in_our_chain_stays_and_so_does_the_chain", || {
        foreign_rules();
        let firewall = firewall(Kind::Iptables);
        firewall.open(&opening("tcp port 22 to 192.0.2.7"), None, LONG).unwrap();
        run("iptables -A knockdaemon -p tcp --dport 23 -j DROP");
        assert!(apply(&firewall).is_empty());
        assert_eq!(firewall.held(LONG).unwrap().len(), 1);
        let remarks = firewall.remove(LONG).unwrap().remarks.concat();
        assert!(remarks.contains("iptables-nft -F knockdaemon"), "{remarks}");
        let left = run("iptables -S knockdaemon");
        assert_eq!(left, "-N knockdaemon\n-A knockdaemon -p tcp -m tcp --dport 23 -j DROP\n");
        assert!(!run("iptables -S INPUT").contains("knockdaemon"));
    });
}

const CLOSED: &str = "table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    RULES
  }
}";

#[test]
fn a_rule_set_that_is_loaded_anew_meanwhile_loses_no_rule() {
    inside("a_rule_set_that_is_loaded_anew_meanwhile_loses_no_rule", || {
        run("iptables -P INPUT DROP");
        let ours = "meta mark and 0x40000000 == 0x40000000 accept comment \"knockdaemon\"";
        // Numbers begin anew with the table: the three rules get those that these have now.
        nft(&CLOSED.replace("RULES", &[ours; 3].join("\n")));
        // While the programs are looked through, somebody loads the rule set anew, as a service does it.
        let reloading = Meddled::by(|_, args, run| {
            if args.contains(&"-S") {
                let theirs = "ct state established accept\ntcp dport 80 accept\n\
                              icmp type echo-request accept";
                nft(&format!("delete table inet filter\n{}", CLOSED.replace("RULES", theirs)));
            }
            run()
        });
        remove(&firewall_by(Kind::Nftables, reloading));
        let left = run("nft list chain inet filter input");
        for rule in ["ct state established accept", "tcp dport 80 accept", "icmp type echo-request"]
        {
            assert!(left.contains(rule), "{rule} in {left}");
        }
    });
}

/// What a version with other ideas would have left behind.
const OF_ANOTHER_VERSION: &str = "table inet knockdaemon {
  set open4 { type ipv4_addr . inet_service . inet_proto; flags timeout; }
  set open6_64 { type ipv6_addr . inet_service; flags interval, timeout; }
  chain input {
    type filter hook input priority -200; policy accept;
    ip saddr . th dport . meta l4proto @open4 meta mark set meta mark or 0x10000000
  }
}";

#[test]
fn what_another_version_has_made_is_named_and_can_be_taken_away() {
    inside("what_another_version_has_made_is_named_and_can_be_taken_away", || {
        foreign_rules();
        let before = all_rules();
        let one = opening("tcp port 22 to 192.0.2.7");
        for (kind, make) in [
            (Kind::Nftables, &(|| nft(OF_ANOTHER_VERSION)) as &dyn Fn()),
            (Kind::Ipset, &|| {
                run("ipset create knockdaemon4 hash:ip,port family inet timeout 60 counters");
                let set = "-m set --match-set knockdaemon4 src,dst";
                run(&format!("iptables -I INPUT {set} -m comment --comment knockdaemon -j ACCEPT"));
            }),
        ] {
            make();
            let firewall = firewall(kind);
            let other = all_rules();
            let failed = firewall.apply(LONG).unwrap().failed;
            let failed: String = failed.iter().map(ToString::to_string).collect();
            assert!(failed.contains("another version"), "{kind}: {failed}");
            assert!(failed.contains("knockdaemon firewall --remove"), "{kind}: {failed}");
            // A daemon takes nothing away that is not word by word its own.
            for line in other.lines() {
                assert!(all_rules().contains(line), "{kind}: {line}");
            }
            firewall.open(&one, None, LONG).unwrap_err();
            remove(&firewall);
            assert_eq!(all_rules(), before, "{kind}");
            assert_eq!(firewall.open(&one, None, LONG), Ok(Did::Done), "{kind}");
            remove(&firewall);
            assert_eq!(all_rules(), before, "{kind}");
        }
        // One rule that does more, and it is somebody else's.
        nft(OF_ANOTHER_VERSION);
        nft("add rule inet knockdaemon input tcp dport 80 drop");
        let theirs = all_rules();
        remove(&firewall(Kind::Nftables));
        assert_eq!(all_rules(), theirs);
    });
}
