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

/// Makes the static part; nothing of it may fail.
fn apply(firewall: &Firewall) -> Vec<String> {
    let work = firewall.apply(LONG).unwrap();
    assert_eq!(work.failed, []);
    work.done
}

fn remove(firewall: &Firewall) -> Vec<String> {
    let work = firewall.remove(LONG).unwrap();
    assert_eq!(work.failed, []);
    work.done
}

fn in_time(left: Duration) -> Option<SystemTime> {
    #[allow(clippy::disallowed_methods, reason = "the kernel's clock is the real one")]
    let now = SystemTime::now();
    Some(now + left)
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
                assert_eq!(firewall.open(one, in_time(HOUR), LONG), Ok(Did::Done), "{kind}: {one}");
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
                assert_eq!(
                    firewall.open(one, left.and_then(in_time), LONG),
                    Ok(Did::AlreadySo),
                    "{kind}: {left:?}"
                );
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
            firewall.open(&one, in_time(Duration::from_secs(1)), LONG).unwrap();
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
fn the_printed_script_does_what_apply_does() {
    inside("the_printed_script_does_what_apply_does", || {
        foreign_rules();
        for kind in WAYS {
            let firewall = firewall(kind);
            let script = firewall.script(LONG).unwrap();
            apply(&firewall);
            let applied = all_rules();
            remove(&firewall);
            for _ in 0..2 {
                common::sh(&script);
                assert_eq!(all_rules(), applied, "{kind}:\n{script}");
            }
            assert!(apply(&firewall).is_empty(), "{kind}");
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
            apply(&firewall(new));
            assert_eq!(firewall(old).held(LONG), Ok(vec![]), "{old}, then {new}");
            remove(&firewall(new));
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
            firewall.open(&one, in_time(HOUR), LONG).unwrap();
            let whole = all_rules();
            // One rule, or everything.
            run("iptables -F INPUT");
            assert!(!apply(&firewall).is_empty(), "{kind}");
            nft("flush ruleset");
            run("ipset destroy");
            assert_eq!(firewall.held(LONG), Ok(vec![]), "{kind}");
            foreign_rules();
            assert_eq!(firewall.open(&one, in_time(HOUR), LONG), Ok(Did::Done), "{kind}");
            let times = |text: String| {
                let numbers = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
                let words = text.split_whitespace().filter(|word| !numbers(word));
                words.map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(times(all_rules()), times(whole), "{kind}");
            remove(&firewall);
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
            apply(&firewall);
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
            apply(&firewall);
            assert_eq!(all_rules(), once, "{kind}");
            assert!(apply(&firewall).is_empty(), "{kind}");
            remove(&firewall);
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
        remove(&firewall);
        let left = run("iptables -S knockdaemon");
        assert_eq!(left, "-N knockdaemon\n-A knockdaemon -p tcp -m tcp --dport 23 -j DROP\n");
        assert!(!run("iptables -S INPUT").contains("knockdaemon"));
    });
}

#[test]
fn a_piece_that_cannot_be_made_keeps_no_other_from_being_made() {
    inside("a_piece_that_cannot_be_made_keeps_no_other_from_being_made", || {
        foreign_rules();
        // As firewalld does from 2.1 on: nobody else may put a rule into its table. Nor can one be put
        // into a chain of a name that the program takes for a word of its own.
        run("ipset create knockdaemon4 hash:ip");
        let firewall = firewall(Kind::Ipset);
        let work = firewall.apply(LONG).unwrap();
        assert!(!work.failed.is_empty(), "{work:?}");
        let rules = run("ip6tables -S INPUT");
        assert!(rules.contains("--match-set knockdaemon6 src,dst"), "{rules}");
        let six = opening("tcp port 22 to 2001:db8::7");
        assert_eq!(firewall.open(&six, None, LONG), Ok(Did::Done));
        assert_eq!(firewall.held(LONG).unwrap().len(), 1);
    });
}

#[test]
fn what_is_over_is_not_opened() {
    inside("what_is_over_is_not_opened", || {
        foreign_rules();
        for kind in WAYS {
            let firewall = firewall(kind);
            let one = opening("tcp port 22 to 192.0.2.7");
            let over = Some(SystemTime::UNIX_EPOCH + HOUR);
            assert_eq!(firewall.open(&one, over, LONG), Err(FirewallError::Over(one)), "{kind}");
            assert_eq!(firewall.held(LONG), Ok(vec![]), "{kind}");
        }
    });
}

#[test]
fn an_order_of_the_way_before_takes_nothing_from_the_new_one() {
    inside("an_order_of_the_way_before_takes_nothing_from_the_new_one", || {
        foreign_rules();
        let one = opening("tcp port 22 to 192.0.2.7");
        let (old, new) = (firewall(Kind::Nftables), firewall(Kind::Ipset));
        apply(&old);
        apply(&new);
        new.open(&one, None, LONG).unwrap();
        // It was under way when the configuration was changed.
        old.open(&one, None, LONG).unwrap();
        assert_eq!(new.held(LONG).unwrap().len(), 1);
        apply(&new);
        assert_eq!(old.held(LONG), Ok(vec![]));
    });
}
