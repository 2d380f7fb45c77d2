//! A short form of `make torture`: SIGKILL at random moments between and during openings and closings.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

use knock_e2e::firewall::Backend;
use knock_e2e::torture::{Ordeal, run};
use knock_firewall::Kind;

fn torture(kind: Kind, backend: Backend, kills: u32) {
    let seed = u64::from(std::process::id());
    match run(Ordeal { kills, seed, backend, kind }, |_| ()) {
        Ok(report) => assert!(report.comparisons > 0 && report.knocks > 0, "{report}"),
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

#[test]
fn killed_at_any_moment_nothing_stays_open_or_is_lost() {
    torture(Kind::Nftables, Backend::Nft, 9);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn killed_at_any_moment_with_leases_in_sets_of_ipset() {
    torture(Kind::Ipset, Backend::Nft, 8);
}

/// With the old engine of rules and its lock.
#[test]
#[ignore = "needs root: sudo make test"]
fn killed_at_any_moment_with_leases_as_rules() {
    torture(Kind::Iptables, Backend::Legacy, 8);
}
