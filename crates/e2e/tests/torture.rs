//! A short form of `make torture`: SIGKILL at random moments between and during openings and closings.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

use knock_e2e::firewall::Backend;
use knock_e2e::torture::{Ordeal, run};

const KILLS: u32 = 25;

fn torture(backend: Backend) {
    let seed = u64::from(std::process::id());
    let report = run(Ordeal { kills: KILLS, seed, backend }, |_| ());
    match report {
        Ok(report) => assert!(report.comparisons > 0 && report.knocks > 0, "{report}"),
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

#[test]
fn killed_at_any_moment_nothing_stays_open_or_is_lost() {
    torture(Backend::Nft);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn killed_at_any_moment_with_the_old_engine_of_rules_and_its_lock() {
    torture(Backend::Legacy);
}
