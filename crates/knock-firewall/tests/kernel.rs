//! The real thing: each way in a network namespace of its own, without root. That packets pass and
//! are dropped accordingly is shown in the end-to-end tests.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::{Duration, SystemTime};

use common::{LONG, Shell, inside, nft, run};
use knock_firewall::{Did, Firewall, FirewallError, Kind};
use knock_rules::Opening;

const WAYS: [Kind; 3] = [Kind::Nftables, Kind::Ipset, Kind::Iptables];
const HOUR: Duration = Duration::from_secs(3600);

fn firewall(kind: Kind) -> Firewall {
    #[allow(clippy::disallowed_methods, reason = "the kernel's clock is the real one")]
    fn now() -> SystemTime {
        SystemTime::now()
    }
    Firewall::new(kind, Box::new(Shell), now).unwrap()
}

fn opening(text: &str) -> Opening {
    text.parse().unwrap()
}

/// Some rules of everybody: iptables with both families, a table of nft, bans.
fn foreign_rules() {
    for program in ["iptables", "ip6tables"] {
        run(&format!("{program} -P INPUT DROP"));
        run(&format!("{program} -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"));
        run(&format!("{program} -A INPUT -p tcp --dport 80 -m comment --comment mine -j ACCEPT"));
        run(&format!("{program} -N knockdaemon-of-mine"));
    }
    nft("table inet filter {
           chain input {
             type filter hook input priority 0; policy drop;
             ct state established,related accept
             tcp dport 80 accept comment \"mine\"
           }
           chain forward { type filter hook forward priority 0; policy drop; }
         }
         table inet bans {
           set bad { type ipv4_addr; elements = { 192.0.2.66 }; }
           chain input {
             type filter hook input priority -1
             tcp dport { 22, 80 } ip saddr @bad reject
           }
         }");
    run("ipset create mine hash:ip timeout 0");
    run("ipset add mine 192.0.2.5");
}

/// All rules of everybody, without counters and the numbers that a set is made with.
fn all_rules() -> String {
    let all = ["nft -s list ruleset", "ipset save", "iptables -S", "ip6tables -S"].map(run);
    let lines = all.iter().flat_map(|text| text.lines());
    let lines = lines.map(|line| line.split(" initval ").next().unwrap_or(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn what_is_opened_is_held_renewed_and_closed() {
    inside("what_is_opened_is_held_renewed_and_closed", || {
        foreign_rules();
        let all = [
            "tcp port 22 to 192.0.2.7",
            "udp port 22 to 192.0.2.7",
            "tcp port 22 to 192.0.2.0/24",
            "tcp port 22 to 192.0.0.0/16",
            "tcp port 22 to 2001:db8::7",
            "tcp port 443 to 2001:db8::/64",
        ]
        .map(opening);
        for kind in WAYS {
            let firewall = firewall(kind);
            for one in &all {
                assert_eq!(firewall.open(one, Some(HOUR), LONG), Ok(Did::Done), "{kind}: {one}");
            }
            let held = firewall.held(LONG).unwrap();
            assert_eq!(held.len(), all.len(), "{kind}: {held:?}");
            for one in &all {
                let left = held.iter().find(|held| held.opening == *one).unwrap().left.unwrap();
                // A loaded machine may be slow, the kernel rounds up; the order of magnitude counts.
                assert!(left <= HOUR + Duration::from_secs(1), "{kind}: {one}: {left:?}");
            }
            // Longer, shorter, for ever, and with an end again: there once, with the new time.
            let one = &all[0];
            for left in [Some(HOUR * 100), Some(HOUR), None, Some(HOUR * 10)] {
                assert_eq!(firewall.open(one, left, LONG), Ok(Did::AlreadySo), "{kind}: {left:?}");
                let held = firewall.held(LONG).unwrap();
                assert_eq!(held.len(), all.len(), "{kind}: {held:?}");
                let found = held.iter().find(|held| held.opening == *one).unwrap().left;
                match left {
                    None => assert_eq!(found, None, "{kind}"),
                    Some(left) => {
                        let found = found.unwrap();
                        assert!(found > left / 2 && found <= left + HOUR / 60, "{kind}: {found:?}");
                    }
                }
            }
            for one in &all {
                assert_eq!(firewall.close(one, LONG), Ok(Did::Done), "{kind}: {one}");
                assert_eq!(firewall.close(one, LONG), Ok(Did::AlreadySo), "{kind}: {one}");
            }
            assert_eq!(firewall.held(LONG), Ok(vec![]), "{kind}");
        }
    });
}

#[test]
fn the_kernel_closes_by_itself() {
    inside("the_kernel_closes_by_itself", || {
        foreign_rules();
        for kind in WAYS {
            let firewall = firewall(kind);
            let one = opening("tcp port 22 to 192.0.2.7");
            // All but over: it must not become one without an end.
            firewall.open(&one, Some(Duration::from_nanos(1)), LONG).unwrap();
            let over = || {
                let held = firewall.held(LONG).unwrap();
                held.iter().all(|held| held.left == Some(Duration::ZERO))
            };
            common::await_true(over, &format!("{kind}: the end of a lease"));
        }
    });
}

#[test]
fn foreign_rules_stay_as_they_are_to_the_byte() {
    inside("foreign_rules_stay_as_they_are_to_the_byte", || {
        foreign_rules();
        let before = all_rules();
        for kind in WAYS {
            let firewall = firewall(kind);
            assert!(!firewall.apply(LONG).unwrap().is_empty(), "{kind}");
            let applied = all_rules();
            assert_eq!(firewall.apply(LONG), Ok(vec![]), "{kind}: it is there already");
            assert_eq!(all_rules(), applied, "{kind}");
            // Every foreign line is still there, in the same order.
            let mut lines = applied.lines();
            for line in before.lines() {
                assert!(lines.any(|applied| applied == line), "{kind}: '{line}' in\n{applied}");
            }
            firewall.open(&opening("tcp port 22 to 192.0.2.0/24"), None, LONG).unwrap();
            assert!(!firewall.remove(LONG).unwrap().is_empty(), "{kind}");
            assert_eq!(all_rules(), before, "{kind}");
            assert_eq!(firewall.remove(LONG), Ok(vec![]), "{kind}");
        }
    });
}

#[test]
fn the_printed_script_does_what_apply_does() {
    inside("the_printed_script_does_what_apply_does", || {
        foreign_rules();
        for kind in WAYS {
            let firewall = firewall(kind);
            let script = firewall.script(LONG).unwrap();
            firewall.apply(LONG).unwrap();
            let applied = all_rules();
            firewall.remove(LONG).unwrap();
            for _ in 0..2 {
                common::sh(&script);
                assert_eq!(all_rules(), applied, "{kind}:\n{script}");
            }
            assert_eq!(firewall.apply(LONG), Ok(vec![]), "{kind}");
        }
    });
}

#[test]
fn another_way_takes_away_what_the_one_before_has_left() {
    inside("another_way_takes_away_what_the_one_before_has_left", || {
        foreign_rules();
        let before = all_rules();
        let one = opening("tcp port 22 to 192.0.2.7");
        for (old, new) in WAYS.iter().flat_map(|old| WAYS.map(|new| (*old, new))) {
            if old == new {
                continue;
            }
            firewall(old).open(&one, None, LONG).unwrap();
            firewall(new).apply(LONG).unwrap();
            assert_eq!(firewall(old).held(LONG), Ok(vec![]), "{old}, then {new}");
            firewall(new).remove(LONG).unwrap();
            assert_eq!(all_rules(), before, "{old}, then {new}");
        }
    });
}

#[test]
fn what_is_wiped_is_made_again() {
    inside("what_is_wiped_is_made_again", || {
        let one = opening("tcp port 22 to 192.0.2.7");
        for kind in WAYS {
            foreign_rules();
            let firewall = firewall(kind);
            firewall.open(&one, Some(HOUR), LONG).unwrap();
            let whole = all_rules();
            // One rule, or everything.
            run("iptables -F INPUT");
            assert!(!firewall.apply(LONG).unwrap().is_empty(), "{kind}");
            nft("flush ruleset");
            run("ipset destroy");
            assert_eq!(firewall.held(LONG), Ok(vec![]), "{kind}");
            foreign_rules();
            assert_eq!(firewall.open(&one, Some(HOUR), LONG), Ok(Did::Done), "{kind}");
            let times = |text: String| {
                let numbers = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
                let words = text.split_whitespace().filter(|word| !numbers(word));
                words.map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(times(all_rules()), times(whole), "{kind}");
            firewall.remove(LONG).unwrap();
            nft("flush ruleset");
            run("ipset destroy");
        }
    });
}

#[test]
fn chains_that_close_are_told_from_bans() {
    inside("chains_that_close_are_told_from_bans", || {
        foreign_rules();
        let nftables = firewall(Kind::Nftables);
        let script = nftables.script(LONG).unwrap();
        assert!(script.contains("insert rule inet filter input meta mark"), "{script}");
        assert!(script.contains("iptables-nft -w -I INPUT 1 -m mark"), "{script}");
        assert!(!script.contains("rule inet bans"), "{script}");
        assert!(!script.contains("NOTE"), "{script}");
        // A closed chain that forgets sessions is pointed out, and so is one out of reach.
        nft("table ip other {
               chain in {
                 type filter hook input priority 5; policy accept;
                 tcp dport 22 jump shut
               }
               chain shut { counter drop; }
             }");
        let script = nftables.script(LONG).unwrap();
        assert!(script.contains("insert rule ip other in "), "{script}");
        assert!(
            script.contains("NOTE: the chain ip other in has no rule for established"),
            "{script}"
        );
        let ipset = firewall(Kind::Ipset).script(LONG).unwrap();
        assert!(ipset.contains("the chain inet filter input closes this host too"), "{ipset}");
        nft("flush ruleset");
        let bare = firewall(Kind::Nftables).script(LONG).unwrap();
        assert!(bare.contains("NOTE: no chain was found"), "{bare}");
    });
}

#[test]
fn a_set_that_is_not_ours_is_left_alone() {
    inside("a_set_that_is_not_ours_is_left_alone", || {
        run("ipset create knockdaemon4 hash:ip");
        let before = all_rules();
        let error = firewall(Kind::Ipset).apply(LONG).unwrap_err();
        assert!(error.to_string().contains("ipset rename knockdaemon4 NAME"), "{error}");
        assert_eq!(firewall(Kind::Nftables).remove(LONG), Ok(vec![]));
        assert_eq!(all_rules(), before);
    });
}

#[test]
fn a_full_set_says_so() {
    inside("a_full_set_says_so", || {
        run("ipset create knockdaemon4 hash:net,port family inet timeout 0 maxelem 1 hashsize 64");
        let firewall = firewall(Kind::Ipset);
        let mut full = None;
        for port in 1..2000 {
            let one = opening(&format!("tcp port {port} to 192.0.2.7"));
            match firewall.open(&one, None, LONG) {
                Ok(_) => {}
                Err(error) => {
                    full = Some(error);
                    break;
                }
            }
        }
        assert!(matches!(full, Some(FirewallError::Full(_))), "{full:?}");
    });
}

#[test]
fn who_may_not_change_the_firewall_is_told() {
    // Outside of a namespace of ours, and as nobody when this is root.
    inside("who_may_not_change_the_firewall_is_told", || {
        let error = common::without_rights(|| {
            Firewall::new(Kind::Auto, Box::new(Shell), || SystemTime::UNIX_EPOCH).unwrap_err()
        });
        assert!(error.is_permission(), "{error}");
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    });
}

#[test]
fn what_is_there_twice_is_there_once_afterwards() {
    inside("what_is_there_twice_is_there_once_afterwards", || {
        foreign_rules();
        for kind in WAYS {
            let firewall = firewall(kind);
            firewall.apply(LONG).unwrap();
            let once = all_rules();
            let rules = run("iptables -S INPUT");
            let rule = rules.lines().find(|rule| rule.contains("--comment knockdaemon")).unwrap();
            run(&format!("iptables {}", rule.replace("-A INPUT", "-I INPUT")));
            if kind == Kind::Nftables {
                let mark = "meta mark and 0x40000000 == 0x40000000";
                nft(&format!(
                    "insert rule inet filter input {mark} accept comment \"knockdaemon\""
                ));
            }
            assert_ne!(all_rules(), once, "{kind}");
            firewall.apply(LONG).unwrap();
            assert_eq!(all_rules(), once, "{kind}");
            assert_eq!(firewall.apply(LONG), Ok(vec![]), "{kind}");
            firewall.remove(LONG).unwrap();
        }
    });
}
