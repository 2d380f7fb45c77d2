//! Programs of iptables that do not answer: what needs them not goes on without them, and what they
//! were not asked about is not asked again by everybody. The real thing but for those programs.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{
    HOUR, LONG, Meddled, WAYS, firewall, firewall_by, in_time, inside, nft, opening, run,
};
use knock_firewall::{Did, Firewall, FirewallError, Kind, Ran};
use knock_rules::Family;

const ONE: &str = "tcp port 22 to 192.0.2.7";
const SIX: &str = "tcp port 22 to 2001:db8::7";

/// Programs that say nothing but that somebody has the lock, as long as it is so; and how many have
/// been run.
#[derive(Clone)]
struct Sulking {
    which: &'static str,
    sulks: Arc<AtomicBool>,
    ran: Arc<AtomicUsize>,
}

impl Sulking {
    fn new(which: &'static str) -> Self {
        Self { which, sulks: Arc::default(), ran: Arc::default() }
    }

    fn firewall(&self, kind: Kind) -> Firewall {
        let Self { which, sulks, ran } = self.clone();
        let tools = Meddled::by(move |program, _, run| {
            ran.fetch_add(1, Ordering::SeqCst);
            if program.starts_with(which) && sulks.load(Ordering::SeqCst) {
                let stderr = "Another app is currently holding the xtables lock.".to_owned();
                return Ok(Ran { status: Some(4), stderr, ..Ran::default() });
            }
            run()
        });
        firewall_by(kind, tools)
    }

    fn runs_of(&self, work: impl FnOnce()) -> usize {
        let before = self.ran.load(Ordering::SeqCst);
        work();
        self.ran.load(Ordering::SeqCst) - before
    }
}

#[test]
fn one_family_that_cannot_be_read_keeps_the_other_from_nothing() {
    inside("one_family_that_cannot_be_read_keeps_the_other_from_nothing", || {
        run("iptables -P INPUT DROP");
        let tools = Sulking::new("ip6tables");
        let firewall = tools.firewall(Kind::Iptables);
        firewall.open(&opening(SIX), in_time(HOUR), LONG).unwrap();
        tools.sulks.store(true, Ordering::SeqCst);

        firewall.open(&opening(ONE), in_time(HOUR), LONG).unwrap();
        assert!(firewall.held(LONG).is_err(), "it is not known who is let in of both");
        let let_in = firewall.let_in(LONG).unwrap();
        let held: Vec<_> = let_in.held.iter().map(|held| held.opening).collect();
        assert_eq!(held, [opening(ONE)]);
        let unread: Vec<_> = let_in.unread.iter().map(|(family, _)| *family).collect();
        assert_eq!(unread, [Family::V6]);

        run("iptables -F");
        assert_eq!(firewall.let_in(LONG).unwrap().held, []);
        firewall.open(&opening(ONE), in_time(HOUR), LONG).unwrap();
        assert_eq!(firewall.close(&opening(ONE), LONG), Ok(Did::Done));
        let failed = firewall.close(&opening(SIX), LONG);
        assert!(matches!(failed, Err(FirewallError::Tool { .. })), "{failed:?}");
    });
}

#[test]
fn after_a_look_at_a_held_lock_sets_are_filled_all_the_same() {
    inside("after_a_look_at_a_held_lock_sets_are_filled_all_the_same", || {
        run("iptables -P INPUT DROP");
        for kind in [Kind::Ipset, Kind::Nftables] {
            let tools = Sulking::new("ip");
            let firewall = tools.firewall(kind);
            firewall.open(&opening(ONE), in_time(HOUR), LONG).unwrap();
            tools.sulks.store(true, Ordering::SeqCst);
            // Whatever comes of the look itself.
            let _work = firewall.apply(LONG);

            let runs = tools.runs_of(|| {
                let other = opening("tcp port 22 to 192.0.2.8");
                assert_eq!(firewall.open(&other, in_time(HOUR), LONG), Ok(Did::Done), "{kind}");
            });
            assert_eq!(runs, 0, "{kind}: whoever knocks waits for no program");
        }
    });
}

#[test]
fn many_that_come_at_once_look_once() {
    inside("many_that_come_at_once_look_once", || {
        run("iptables -P INPUT DROP");
        for kind in WAYS.into_iter().filter(|kind| *kind != Kind::Iptables) {
            let alone = {
                let tools = Sulking::new("none");
                let firewall = tools.firewall(kind);
                tools.runs_of(|| {
                    firewall.open(&opening(ONE), in_time(HOUR), LONG).unwrap();
                })
            };
            let tools = Sulking::new("none");
            let firewall = tools.firewall(kind);
            let runs = tools.runs_of(|| {
                std::thread::scope(|scope| {
                    for last in 1..=40 {
                        let opening = opening(&format!("tcp port 22 to 192.0.2.{last}"));
                        let firewall = &firewall;
                        scope.spawn(move || {
                            firewall.open(&opening, in_time(HOUR), LONG).unwrap();
                        });
                    }
                });
            });
            assert!(runs <= alone, "{kind}: {runs} programs for forty, {alone} for the first");
        }
    });
}

/// A rule that iptables-nft did not make and cannot print, where both engines have rules.
fn odd_beside_legacy() {
    run("iptables-legacy -A INPUT -p tcp --dport 80 -j ACCEPT");
    run("iptables-nft -P INPUT DROP");
    nft("add chain ip filter odd
         add rule ip filter odd ct state vmap { established : accept, invalid : drop }");
}

#[test]
fn one_engine_that_cannot_be_read_keeps_no_rule_in_the_other() {
    inside("one_engine_that_cannot_be_read_keeps_no_rule_in_the_other", || {
        run("iptables-legacy -P INPUT DROP");
        run("iptables-nft -P INPUT DROP");
        let firewall = firewall(Kind::Iptables);
        firewall.open(&opening(ONE), None, LONG).unwrap();
        let is_open = |engine: &str| run(&format!("iptables-{engine} -S")).contains("192.0.2.7");
        assert!(is_open("legacy") && is_open("nft"), "it has to be let in by both");
        odd_beside_legacy();
        for _ in 0..2 {
            let closed = firewall.close(&opening(ONE), LONG);
            let Err(FirewallError::Tool { says, .. }) = closed else { panic!("{closed:?}") };
            assert!(says.contains("is incompatible"), "the reason, no warning: {says}");
            assert!(!is_open("legacy"));
        }
        nft("delete chain ip filter odd");
        assert_eq!(firewall.close(&opening(ONE), LONG), Ok(Did::Done));
        assert!(!is_open("nft"));
    });
}

#[test]
fn a_chain_that_iptables_cannot_read_gets_our_rule_beside_legacy_too() {
    inside("a_chain_that_iptables_cannot_read_gets_our_rule_beside_legacy_too", || {
        odd_beside_legacy();
        let work = firewall(Kind::Nftables).apply(LONG).unwrap();
        assert_eq!(work.failed, []);
        let warned =
            work.remarks.iter().find(|remark| remark.contains("leases do not get through"));
        assert_eq!(warned, None);
        let chain = run("nft list chain ip filter INPUT");
        assert!(chain.contains("0x40000000 accept"), "{chain}");
    });
}
