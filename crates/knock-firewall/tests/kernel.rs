//! The real thing: each way in a network namespace of its own, without root. That packets pass and
//! are dropped accordingly is shown in the end-to-end tests.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::sync::{Mutex, mpsc};
use std::time::{Duration, SystemTime};

use common::{
    HOUR, LONG, Meddled, Shell, WAYS, all_rules, apply, firewall, firewall_by, foreign_rules,
    in_time, inside, nft, opening, remove, run,
};
use knock_firewall::{Did, Firewall, FirewallError, Kind, ToolError};

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
fn lists_of_whom_to_let_in_close_and_so_do_sets_of_ports() {
    inside("lists_of_whom_to_let_in_close_and_so_do_sets_of_ports", || {
        let firewall = firewall(Kind::Nftables);
        let closing = [
            ("set of { type ipv4_addr; elements = { 10.0.0.1 }; }", "ip saddr != @of drop"),
            ("set of { type inet_service; elements = { 22 }; }", "tcp dport @of drop"),
            (
                "map of { type inet_service : verdict; elements = { 22 : drop }; }",
                "tcp dport vmap @of",
            ),
        ];
        for (set, rule) in closing {
            nft(&format!(
                "table inet filter {{
                   {set}
                   chain input {{ type filter hook input priority 0
                     {rule}
                   }}
                 }}"
            ));
            apply(&firewall);
            let chain = run("nft list chain inet filter input");
            assert!(chain.contains("accept comment \"knockdaemon\""), "{rule}: {chain}");
            nft("flush ruleset");
        }
        nft("table inet filter {
               map of { type ipv4_addr : verdict; elements = { 192.0.2.66 : drop }; }
               chain input { type filter hook input priority 0
                 ip saddr vmap @of
               }
             }");
        apply(&firewall);
        let chain = run("nft list chain inet filter input");
        assert!(!chain.contains("knockdaemon"), "a ban stays a ban: {chain}");
    });
}

#[test]
fn what_comes_before_ours_is_said_and_gets_no_rule() {
    inside("what_comes_before_ours_is_said_and_gets_no_rule", || {
        nft(
            "table inet early { chain input { type filter hook input priority -200; policy drop; }; }",
        );
        let work = firewall(Kind::Nftables).apply(LONG).unwrap();
        assert_eq!(work.failed, []);
        let early =
            |remark: &&String| remark.contains("the chain inet early input keeps packets out");
        assert_eq!(work.remarks.iter().filter(early).count(), 1, "{:?}", work.remarks);
        assert!(!run("nft list table inet early").contains("knockdaemon"));
    });
}

#[test]
fn a_table_that_sleeps_is_woken() {
    inside("a_table_that_sleeps_is_woken", || {
        foreign_rules();
        let firewall = firewall(Kind::Nftables);
        firewall.open(&opening("tcp port 22 to 192.0.2.7"), None, LONG).unwrap();
        nft("table inet knockdaemon { flags dormant; }");
        assert!(run("nft list table inet knockdaemon").contains("dormant"));
        assert_ne!(apply(&firewall), Vec::<String>::new(), "it is told");
        assert!(!run("nft list table inet knockdaemon").contains("dormant"));
        assert_eq!(firewall.held(LONG).unwrap().len(), 1);
        assert_eq!(apply(&firewall), Vec::<String>::new());
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

#[test]
fn a_piece_that_cannot_be_made_keeps_no_other_from_being_made() {
    inside("a_piece_that_cannot_be_made_keeps_no_other_from_being_made", || {
        foreign_rules();
        // Of IPv4 there is a set of our name that is somebody else's.
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

#[test]
fn who_waits_behind_a_program_that_hangs_waits_no_longer_than_he_may() {
    inside("who_waits_behind_a_program_that_hangs_waits_no_longer_than_he_may", || {
        let (begun, has_begun) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        // Programs end when the test says so.
        let goes_on = Mutex::new(goes_on);
        let stuck = Meddled::by(move |_, _, _| {
            // Nobody listens any more once the test has seen what it wants.
            let _ = begun.send(());
            let _ = goes_on.lock().unwrap().recv();
            Err(ToolError::TimedOut)
        });
        let firewall = firewall_by(Kind::Iptables, stuck);
        std::thread::scope(|scope| {
            scope.spawn(|| firewall.apply(LONG));
            has_begun.recv().unwrap();
            let soon = Duration::from_millis(50);
            let one = opening("tcp port 22 to 192.0.2.7");
            let busy = Err(FirewallError::Busy { after: soon });
            assert_eq!(firewall.open(&one, None, soon), busy);
            assert_eq!(firewall.close(&one, soon), busy);
            drop(go_on);
        });
    });
}
