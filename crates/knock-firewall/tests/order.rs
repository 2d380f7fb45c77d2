//! Where our rule stands among those of others: once, before the first one that keeps everybody out, and
//! behind bans. The real thing, each test in a network namespace of its own.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{LONG, WAYS, apply, firewall, inside, nft, opening, run, sh};
use knock_firewall::{Firewall, Kind};

const ENGINES: [&str; 2] = ["iptables-nft", "iptables-legacy"];
const ONE: &str = "tcp port 22 to 192.0.2.7";

/// All ways with all engines of iptables; INPUT lets in what is established and drops the rest.
fn beside_iptables(work: impl Fn(&str, &Firewall)) {
    for engine in ENGINES {
        for kind in WAYS {
            run(&format!("{engine} -F INPUT"));
            run(&format!("{engine} -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"));
            run(&format!("{engine} -A INPUT -j DROP"));
            let firewall = firewall(kind);
            firewall.open(&opening(ONE), None, LONG).unwrap();
            work(engine, &firewall);
            firewall.remove(LONG).unwrap();
        }
        run(&format!("{engine} -F"));
    }
}

/// The rules of INPUT, ours as that.
fn input(engine: &str) -> Vec<String> {
    let rules = run(&format!("{engine} -S INPUT"));
    let rules = rules.lines().filter_map(|line| line.strip_prefix("-A INPUT "));
    let name =
        |rule: &str| if rule.contains("--comment knockdaemon") { "ours" } else { rule }.to_owned();
    rules.map(name).collect()
}

#[test]
fn of_two_equal_rules_the_one_that_works_stays() {
    inside("of_two_equal_rules_the_one_that_works_stays", || {
        beside_iptables(|engine, firewall| {
            let once = input(engine);
            sh(&format!("{engine}-save | {engine}-restore --noflush"));
            let twice = input(engine);
            assert_eq!(twice, [&once[..], &once].concat());
            assert!(!apply(firewall).is_empty());
            assert_eq!(input(engine), [&once[..], &once[1..]].concat(), "{}", firewall.kind());
            assert_eq!(apply(firewall), [""; 0]);
        });
    });
}

#[test]
fn ours_is_before_what_keeps_everybody_out_and_behind_bans() {
    inside("ours_is_before_what_keeps_everybody_out_and_behind_bans", || {
        let ban = "-s 192.0.2.66/32 -j DROP";
        let bans = "-p tcp -m tcp --dport 22 -j bans";
        beside_iptables(|engine, firewall| {
            sh(&format!("{engine} -N bans; {engine} -A bans {ban}; {engine} -A bans -j RETURN"));
            sh(&format!("{engine} -N shut; {engine} -A shut {ban}; {engine} -A shut -j REJECT"));
            for shut in ["-p tcp -m tcp --dport 22 -j DROP", "-p tcp -j shut"] {
                let before = input(engine);
                assert_eq!(before[0], "ours");
                for rule in [shut, ban, bans] {
                    run(&format!("{engine} -I INPUT {rule}"));
                }
                let script = firewall.script(LONG).unwrap();
                let done = apply(firewall).concat();
                assert!(done.contains("before what keeps all out"), "{done}");
                let wanted = [&[bans, ban, "ours", shut].map(str::to_owned)[..], &before[1..]];
                assert_eq!(input(engine), wanted.concat(), "{}", firewall.kind());
                assert_eq!(apply(firewall), [""; 0]);
                // What is printed comes to the same, also twice.
                sh(&script);
                sh(&script);
                assert_eq!(input(engine), wanted.concat(), "{script}");
                for rule in [shut, ban, bans] {
                    run(&format!("{engine} -D INPUT {rule}"));
                }
            }
            for chain in ["bans", "shut"] {
                sh(&format!("{engine} -F {chain}; {engine} -X {chain}"));
            }
        });
    });
}

#[test]
fn no_ban_is_passed_and_that_is_said() {
    inside("no_ban_is_passed_and_that_is_said", || {
        let held_back = |firewall: &Firewall| {
            let work = firewall.apply(LONG).unwrap();
            assert_eq!((work.done, work.failed), (vec![], vec![]));
            work.remarks.iter().filter(|it| it.contains("bans stand between")).count()
        };
        let (ban, shut) = ("-s 192.0.2.66/32 -j DROP", "-p udp -m udp --dport 1900 -j DROP");
        beside_iptables(|engine, firewall| {
            for rule in [ban, shut] {
                run(&format!("{engine} -I INPUT {rule}"));
            }
            let before = input(engine);
            assert_eq!(before[..3], [shut, ban, "ours"]);
            assert_eq!(held_back(firewall), 1, "{}", firewall.kind());
            assert_eq!(input(engine), before, "{}", firewall.kind());
            for rule in [ban, shut] {
                run(&format!("{engine} -D INPUT {rule}"));
            }
            assert_eq!(held_back(firewall), 0);
        });
        nft("table inet filter {
               chain input {
                 type filter hook input priority 0; policy drop;
                 ct state established,related accept
               }
             }");
        let firewall = firewall(Kind::Nftables);
        firewall.open(&opening(ONE), None, LONG).unwrap();
        for rule in ["ip saddr 192.0.2.66 drop", "udp dport 1900 drop"] {
            nft(&format!("insert rule inet filter input {rule}"));
        }
        let before = run("nft list chain inet filter input");
        assert_eq!(held_back(&firewall), 1);
        assert_eq!(run("nft list chain inet filter input"), before);
    });
}

#[test]
fn in_a_chain_of_nftables_too() {
    inside("in_a_chain_of_nftables_too", || {
        let firewall = firewall(Kind::Nftables);
        let ours = "meta mark & 0x40000000 == 0x40000000 accept comment \"knockdaemon\"";
        let bans = [
            "ip saddr 192.0.2.66 drop",
            "ip saddr { 192.0.2.66, 192.0.2.67 } tcp dport 22 drop",
            "ip saddr @bad drop",
            "ct state invalid drop",
            "tcp flags fin,psh,urg / fin,psh,urg drop",
            "tcp dport 22 limit rate over 5/minute burst 5 packets drop",
            "meta l4proto icmp accept",
            "tcp dport 22 jump bans",
            "ip6 saddr 2001:db8::/32 jump shut",
        ];
        for shut in [
            "drop",
            "tcp dport 22 drop",
            "tcp dport { 22, 80 } reject",
            "tcp dport 20-30 counter packets 0 bytes 0 drop",
            "iifname \"eth0\" drop",
            "ip daddr 192.0.2.1 drop",
            "ip saddr != 10.0.0.0/8 drop",
            "ip saddr != @bad tcp dport 22 drop",
            "ct state new drop",
            "ct state != established,related drop",
            "tcp dport 22 jump shut",
            "meta l4proto tcp goto shut",
        ] {
            nft("table inet filter {
                   set bad { type ipv4_addr; }
                   chain bans { ip saddr 192.0.2.66 reject; return; }
                   chain shut { counter drop; }
                   chain input {
                     type filter hook input priority 0; policy drop;
                     ct state established,related accept
                   }
                 }");
            firewall.open(&opening(ONE), None, LONG).unwrap();
            apply(&firewall);
            for rule in [shut].iter().chain(bans.iter().rev()) {
                nft(&format!("insert rule inet filter input {rule}"));
            }
            let script = firewall.script(LONG).unwrap();
            let done = apply(&firewall).concat();
            assert!(done.contains("before what keeps all out"), "{shut}: {done}");
            let list = || {
                let listed = run("nft list chain inet filter input");
                let rules = listed.lines().skip(3).map(|line| line.trim().to_owned());
                rules.filter(|line| line != "}").collect::<Vec<_>>()
            };
            let rules = list();
            assert_eq!(rules.len(), bans.len() + 3, "{rules:#?}");
            assert_eq!(rules[bans.len()], ours, "{shut}: {rules:#?}");
            assert_eq!(apply(&firewall), [""; 0], "{shut}");
            sh(&script);
            assert_eq!(list(), rules, "{script}");
            nft("delete table inet filter");
        }
    });
}
