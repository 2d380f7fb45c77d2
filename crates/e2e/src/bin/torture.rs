//! `make torture`: the daemon is killed a thousand times and more, and nothing stays open, closes early
//! or is lost. Says the seed that it went by; `torture KILLS SEED` goes by another,
//! `torture KILLS SEED ipset` one way only.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use knock_e2e::firewall::Backend;
use knock_e2e::process::interrupted;
use knock_e2e::torture::{Ordeal, Report, run};
use knock_firewall::Kind;

/// With each way in which leases are held.
const KILLS: u32 = 400;

fn main() -> ExitCode {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let _left_as_it_is = signal_hook::flag::register(signal, Arc::clone(interrupted()));
    }
    let way = std::env::args().nth(3);
    let mut numbers = std::env::args().skip(1).take(2).map(|word| word.parse::<u64>());
    let (kills, seed) = match (numbers.next().transpose(), numbers.next().transpose()) {
        (Ok(kills), Ok(seed)) => (
            kills.and_then(|kills| u32::try_from(kills).ok()).unwrap_or(KILLS),
            seed.unwrap_or_else(|| u64::from(std::process::id())),
        ),
        _ => {
            say("usage: torture [KILLS [SEED [nftables|ipset|iptables]]]");
            return ExitCode::from(64);
        }
    };
    // The old engine is for root only.
    let is_root = rustix::process::geteuid().is_root();
    for (kind, backend) in [
        (Kind::Nftables, Backend::Nft),
        (Kind::Ipset, Backend::Nft),
        (Kind::Iptables, Backend::Legacy),
    ] {
        if way.as_ref().is_some_and(|way| *way != kind.to_string()) {
            continue;
        }
        let ways = format!("leases by {kind}, rules by iptables-{}", backend.suffix());
        if kind != Kind::Nftables && !is_root {
            say(&format!("left out, you are not root: {ways}"));
            continue;
        }
        say(&format!("== {ways}, {kills} kills, seed {seed}"));
        match run(Ordeal { kills, seed, backend, kind }, so_far) {
            Ok(report) => say(&format!("   {report}")),
            Err(error) => {
                say(&format!("FAILED: {error}"));
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn so_far(report: &Report) {
    let Report { kills, comparisons, rules, leases, .. } = report;
    say(&format!(
        "   {kills} kills, {comparisons} comparisons with {rules} rules and {leases} leases so far"
    ));
}

fn say(line: &str) {
    let _nobody_listens = writeln!(std::io::stdout(), "{line}");
}
