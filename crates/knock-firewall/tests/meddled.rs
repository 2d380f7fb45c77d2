//! What others have done to what is ours: closing works whatever it was, leases go on as far as they
//! can, and what is not ours stays. The real thing, each test in a network namespace of its own.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::Duration;

use common::{HOUR, LONG, Meddled, firewall, firewall_by, in_time, inside, nft, opening, run};
use knock_firewall::{Did, Firewall, FirewallError, Kind, Work};

const ONE: &str = "tcp port 22 to 192.0.2.7";

fn closed_host() {
    nft("table inet filter {
           chain input {
             type filter hook input priority 0; policy drop;
             ct state established,related accept
           }
         }");
}

/// All must be as it should be after it, so that a second one finds nothing to do.
fn apply(firewall: &Firewall) -> Work {
    let work = firewall.apply(LONG).unwrap();
    assert_eq!(work.failed, []);
    let again = firewall.apply(LONG).unwrap();
    assert_eq!((again.done, again.failed), (vec![], vec![]), "after {:?}", work.done);
    work
}

#[test]
fn closing_works_also_in_what_has_another_shape_now() {
    inside("closing_works_also_in_what_has_another_shape_now", || {
        run("iptables -P INPUT DROP");
        run("ip6tables -P INPUT DROP");
        let one = opening(ONE);
        let deeds: [(Kind, &dyn Fn(), &str); 3] = [
            (
                Kind::Nftables,
                &|| nft("add set inet knockdaemon open4_24 { type ipv4_addr; }"),
                "nft list set inet knockdaemon open4",
            ),
            (
                Kind::Ipset,
                &|| {
                    run("ipset create other hash:net,port timeout 0 comment");
                    run("ipset add other 192.0.2.7,tcp:22");
                    run("ipset swap other knockdaemon4");
                },
                "ipset list knockdaemon4",
            ),
            (
                Kind::Iptables,
                &|| {
                    run("iptables -D INPUT -m comment --comment knockdaemon -j knockdaemon");
                    run("iptables -A INPUT -j knockdaemon");
                    run("iptables -A knockdaemon -p tcp --dport 23 -j LOG");
                },
                "iptables -S knockdaemon",
            ),
        ];
        for (kind, deed, list) in deeds {
            firewall(kind).open(&one, None, LONG).unwrap();
            assert!(run(list).contains("192.0.2.7"), "{kind}");
            deed();
            let firewall = firewall(kind);
            let failed = firewall.apply(LONG).unwrap().failed;
            assert!(!failed.is_empty(), "{kind}: it has another shape");
            assert_eq!(firewall.close(&one, LONG), Ok(Did::Done), "{kind}");
            assert!(!run(list).contains("192.0.2.7"), "{kind}: {}", run(list));
            assert_eq!(firewall.close(&one, LONG), Ok(Did::AlreadySo), "{kind}");
        }
    });
}

#[test]
fn what_cannot_be_looked_at_is_not_closed_already() {
    inside("what_cannot_be_looked_at_is_not_closed_already", || {
        // What iptables does not print.
        nft("table ip filter {
               chain INPUT {
                 type filter hook input priority 0; policy drop;
                 ct state vmap { established : accept, invalid : drop }
               }
             }");
        let firewall = firewall(Kind::Iptables);
        let one = opening(ONE);
        for result in [firewall.close(&one, LONG), firewall.open(&one, None, LONG)] {
            assert!(matches!(result, Err(FirewallError::Tool { .. })), "{result:?}");
        }
    });
}

#[test]
fn a_set_for_other_things_holds_nothing_of_ours() {
    inside("a_set_for_other_things_holds_nothing_of_ours", || {
        run("ipset create knockdaemon4 hash:ip");
        run("ipset add knockdaemon4 192.0.2.7");
        nft("table inet knockdaemon {
               set open4 { type ipv4_addr; elements = { 192.0.2.7 }; }
             }");
        for kind in [Kind::Nftables, Kind::Ipset] {
            let closed = firewall(kind).close(&opening(ONE), LONG);
            assert_eq!(closed, Ok(Did::AlreadySo), "{kind}");
        }
        assert!(run("ipset list knockdaemon4").contains("192.0.2.7"));
        assert!(run("nft list set inet knockdaemon open4").contains("192.0.2.7"));
    });
}

#[test]
fn a_policy_of_our_chain_is_set_right() {
    inside("a_policy_of_our_chain_is_set_right", || {
        closed_host();
        let firewall = firewall(Kind::Nftables);
        firewall.open(&opening(ONE), None, LONG).unwrap();
        let whole = run("nft list ruleset");
        nft("chain inet knockdaemon input { policy drop; }");
        apply(&firewall);
        assert_eq!(run("nft list ruleset"), whole);
        assert_eq!(firewall.held(LONG).unwrap().len(), 1);
    });
}

#[test]
fn our_rules_are_put_in_their_order() {
    inside("our_rules_are_put_in_their_order", || {
        closed_host();
        let firewall = firewall(Kind::Nftables);
        firewall.open(&opening(ONE), None, LONG).unwrap();
        let whole = run("nft list ruleset");
        let members =
            "ip saddr . meta l4proto . th dport @open4 meta mark set meta mark or 0x40000000";
        let members6 = members.replace("ip saddr", "ip6 saddr").replace("open4", "open6");
        for rules in [
            // The mark is cleared behind.
            &[members, &members6, "meta mark set meta mark and 0xbfffffff"][..],
            // All but the members.
            &["meta mark set meta mark and 0xbfffffff", &members.replace('@', "!= @"), &members6],
            // Everybody.
            &["meta mark set meta mark or 0x40000000", members, &members6],
            &[],
        ] {
            nft("flush chain inet knockdaemon input");
            rules.iter().for_each(|rule| nft(&format!("add rule inet knockdaemon input {rule}")));
            apply(&firewall);
            assert_eq!(run("nft list ruleset"), whole, "{rules:?}");
        }
    });
}

#[test]
fn a_rule_of_others_that_may_let_everybody_in_goes_and_is_named() {
    inside("a_rule_of_others_that_may_let_everybody_in_goes_and_is_named", || {
        closed_host();
        let firewall = firewall(Kind::Nftables);
        firewall.open(&opening(ONE), None, LONG).unwrap();
        let add = |rule: &str| nft(&format!("add rule inet knockdaemon input {rule}"));
        let harmless = [
            "tcp dport 81 meta mark set meta mark | 0x00000007",
            "counter packets 0 bytes 0 meta mark set 0x00000007",
            "meta mark set meta mark & 0x0fffffff",
        ];
        // Beside ours alone, and then beside what stays.
        for rules in [&[][..], &harmless] {
            rules.iter().for_each(|rule| add(rule));
            let work = apply(&firewall);
            assert_eq!(work.done, [""; 0], "nothing of it lets anybody in");
            let is_told = work.remarks.iter().any(|it| it.contains("rules in its chain input"));
            assert_eq!(is_told, !rules.is_empty(), "{:?}", work.remarks);
            let whole = run("nft list chain inet knockdaemon input");
            rules.iter().for_each(|rule| assert!(whole.contains(rule), "{rule} in {whole}"));
            let bad = [
                "meta mark set 0x40000000",
                "meta mark set meta mark | 0x40000000",
                "meta mark set meta mark ^ 0xc0000000",
                "counter packets 0 bytes 0 meta mark set meta mark | 0x40000000",
                "log prefix \"in: \" meta mark set 0xffffffff accept",
                "meta mark set 0x00000007 meta mark set 0x40000000",
                "meta mark set ct mark",
                "meta mark set tcp dport map { 81 : 0x40000000 }",
            ];
            bad.iter().for_each(|rule| add(rule));
            let done = apply(&firewall).done;
            for rule in bad {
                let named = format!(
                    "somebody put there and that can let in people without a lease ({rule})"
                );
                assert!(done.iter().any(|done| done.contains(&named)), "{rule} in {done:?}");
            }
            assert_eq!(done.len(), bad.len() + 1, "{done:?}");
            assert_eq!(run("nft list chain inet knockdaemon input"), whole);
        }
    });
}

#[test]
fn an_end_that_is_too_far_off_to_tell_is_no_right_one_for_a_short_lease() {
    inside("an_end_that_is_too_far_off_to_tell_is_no_right_one_for_a_short_lease", || {
        const DAY: Duration = Duration::from_secs(86_400);
        let firewall = firewall(Kind::Ipset);
        firewall.open(&opening(ONE), in_time(HOUR), LONG).unwrap();
        run("ipset add knockdaemon4 192.0.2.7,tcp:22 timeout 2000000 -exist");
        let held = firewall.held(LONG).unwrap();
        assert_eq!((held.len(), held[0].left), (1, None), "it may have been cut");
        assert!(held[0].no_end_from > in_time(DAY * 12), "of a lease of twelve days it is wrong");
        // As long as it goes, and longer.
        for days in [13, 24, 25, 400] {
            firewall.open(&opening(ONE), in_time(DAY * days), LONG).unwrap();
            let held = firewall.held(LONG).unwrap();
            assert_eq!(held[0].left, None, "{days}");
            assert!(held[0].no_end_from < in_time(DAY * 13), "{days}: it is right");
        }
        firewall.open(&opening(ONE), in_time(HOUR), LONG).unwrap();
        assert_eq!(firewall.held(LONG).unwrap()[0].no_end_from, None);
    });
}

#[test]
fn a_rule_that_comes_while_the_table_is_mended_costs_none_of_ours() {
    inside("a_rule_that_comes_while_the_table_is_mended_costs_none_of_ours", || {
        // Somebody puts a rule at the head of our chain in the very moment in which it was mended.
        let interrupted = Meddled::by(|program, args, run| {
            let ran = run();
            if (program, args) == ("nft", &["-f", "-"]) {
                nft("insert rule inet knockdaemon input tcp dport 24 counter");
            }
            ran
        });
        let interrupted = firewall_by(Kind::Nftables, interrupted);
        firewall(Kind::Nftables).open(&opening(ONE), None, LONG).unwrap();
        let ours = || {
            let chain = run("nft -s list chain inet knockdaemon input");
            let lines: Vec<String> =
                chain.lines().filter(|line| line.contains("mark")).map(str::to_owned).collect();
            lines
        };
        let whole = ours();
        nft("insert rule inet knockdaemon input tcp dport 23 counter");
        interrupted.apply(LONG).unwrap();
        assert_eq!(ours(), whole);
    });
}

#[test]
fn what_others_put_into_our_table_stays_and_stops_no_lease() {
    inside("what_others_put_into_our_table_stays_and_stops_no_lease", || {
        closed_host();
        let firewall = firewall(Kind::Nftables);
        firewall.open(&opening(ONE), None, LONG).unwrap();
        let whole = run("nft list chain inet knockdaemon input");
        nft("insert rule inet knockdaemon input tcp dport 23 counter
             add rule inet knockdaemon input meta mark set meta mark or 0x40000000
             add chain inet knockdaemon theirs { type filter hook input priority 10; policy drop; }
             add set inet knockdaemon mine { type ipv4_addr; }
             add element inet knockdaemon open4 { 192.0.2.8 . tcp . 22 }");
        let work = apply(&firewall);
        let remark = work.remarks.iter().find(|remark| remark.contains("not knockdaemon's"));
        let remark = remark.unwrap_or_else(|| panic!("{:?}", work.remarks));
        for what in ["rules in its chain input", "the chain theirs", "the set mine"] {
            assert!(remark.contains(what), "{what} in {remark}");
        }
        let script = firewall.script(LONG).unwrap();
        assert!(script.contains(remark), "{script}");
        let table = run("nft -s list table inet knockdaemon");
        common::sh(&script);
        common::sh(&script);
        assert_eq!(run("nft -s list table inet knockdaemon"), table);
        // Ours come first, the one that lets everybody in is gone, theirs are all there.
        let chain = run("nft -s list chain inet knockdaemon input");
        let (ours, theirs) = chain.split_once("\t\ttcp dport 23 counter\n").unwrap();
        assert_eq!(format!("{ours}{theirs}"), whole);
        assert!(!table.contains("0x40000000 accept"), "{table}");
        // Leases go in and out, and what is open without one is seen.
        let held = firewall.held(LONG).unwrap();
        assert!(held.iter().any(|held| held.opening == opening("tcp port 22 to 192.0.2.8")));
        let other = opening("tcp port 22 to 192.0.2.9");
        assert_eq!(firewall.open(&other, None, LONG), Ok(Did::Done));
        assert_eq!(firewall.close(&other, LONG), Ok(Did::Done));
        // All of ours goes and nothing of theirs, and comes back beside it.
        assert_eq!(firewall.remove(LONG).unwrap().failed, []);
        let left = run("nft -s list table inet knockdaemon");
        for what in ["tcp dport 23 counter", "chain theirs", "set mine"] {
            assert!(left.contains(what), "{what} in {left}");
        }
        assert!(!left.contains("open4") && !left.contains("mark"), "{left}");
        assert!(firewall.remove(LONG).unwrap().done.is_empty());
        assert_eq!(firewall.open(&opening(ONE), None, LONG), Ok(Did::Done));
        apply(&firewall);
    });
}

#[test]
fn who_is_let_in_by_others_in_our_chain_is_said() {
    inside("who_is_let_in_by_others_in_our_chain_is_said", || {
        let firewall = firewall(Kind::Iptables);
        firewall.open(&opening(ONE), None, LONG).unwrap();
        run("iptables -A knockdaemon -p tcp --dport 23 -j LOG");
        let about = |remarks: Vec<String>| {
            remarks.into_iter().filter(|it| it.contains("without a lease")).collect::<Vec<_>>()
        };
        assert_eq!(about(apply(&firewall).remarks), [""; 0], "it lets nobody in");
        run("iptables -A knockdaemon -s 192.0.2.0/24 -j ACCEPT");
        run("iptables -A knockdaemon -j ACCEPT");
        let said = about(apply(&firewall).remarks);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("(-s 192.0.2.0/24 -j ACCEPT) and 1 more"), "{said:?}");
        assert!(firewall.script(LONG).unwrap().contains(&said[0]));
        assert!(run("iptables -S knockdaemon").ends_with("-A knockdaemon -j ACCEPT\n"));
    });
}
