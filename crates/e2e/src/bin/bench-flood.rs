//! Twenty real knocks through a flood of forged SYNs: how many open, and for whom else it opens; ours
//! beside knockd. `bench-flood [WAY...]` prints a table.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use knock_e2e::bench::shot::{Gun, Marksman};
use knock_e2e::bench::way::{Rig, Way};
use knock_e2e::lab::Host;
use knock_e2e::loggen::Random;
use knock_e2e::process::{await_until, interrupted};
use knock_e2e::storm::{Storm, Weather};
use knock_e2e::{LabError, Result};

const WAYS: [Way; 5] = [Way::File, Way::Kmsg, Way::Nflog, Way::NflogSet, Way::Knockd];

/// Packets a second, if there is a limit, and forged sources.
const STORMS: [(Option<u64>, u64); 5] = [
    (Some(10_000), 200),
    (Some(10_000), 1_000_000),
    (Some(40_000), 200),
    (Some(40_000), 1_000_000),
    (None, 1_000_000),
];

/// Real knocks, each from an address of its own.
const KNOCKS: u8 = 20;

/// What a knock takes, in microseconds, be it of three hits or of eight.
const KNOCK: u64 = 300_000;

/// After the flood what was read late may still open.
const AFTERWARDS: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let _refused = signal_hook::flag::register(signal, Arc::clone(interrupted()));
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench-flood: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |way: &Way| {
        let name = way.name().to_lowercase();
        names.is_empty() || names.iter().any(|word| name.contains(&word.to_lowercase()))
    };
    let state = tempfile::Builder::new().prefix("knockdaemon-bench-").tempdir()?;
    say(
        "| forged SYNs a second | from | | opened of 20 | doors for others | real SYNs at the rule | knocks with all lines in the file | the daemon warned |",
    );
    say("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (rate, sources) in STORMS {
        for way in WAYS.into_iter().filter(is_wanted) {
            let seen = weather(way, state.path(), rate, sources)?;
            say(&format!(
                "| {:.0} | {sources} | {} | {} | {} | {} of {} | {} | {} |",
                seen.rate,
                way.name(),
                seen.opened,
                seen.strangers,
                seen.arrived,
                seen.sent,
                seen.delivered.map_or_else(String::new, |lines| lines.to_string()),
                seen.lost
            ));
        }
    }
    Ok(())
}

/// What came of one flood.
struct Seen {
    /// Forged packets a second that were sent.
    rate: f64,
    opened: usize,
    /// Openings for anybody else.
    strangers: usize,
    /// Packets of the real knocks, and how many of them the firewall has counted.
    sent: usize,
    arrived: u64,
    /// Knocks all of whose lines are in the file that rsyslog writes.
    delivered: Option<usize>,
    /// The daemon's warnings: lines or packets that were lost on the way.
    lost: String,
}

fn weather(way: Way, state: &Path, rate: Option<u64>, sources: u64) -> Result<Seen> {
    let mut rig = Rig::new(way)?;
    let clients = clients(&rig)?;
    // Counted behind the rules that open, so that only what knocks is.
    let server = rig.lab.server();
    let network = format!("{}/25", clients.first().copied().unwrap_or(server));
    let count = format!("iptables -A INPUT -p tcp --syn --dport 745:1000 -s {network}");
    rig.lab.on(Host::Server, &count)?;
    rig.begin(state)?;
    let past = std::fs::metadata(rig.log()).map_or(0, |about| about.len());
    let past = usize::try_from(past).unwrap_or_default();

    let knocks: Vec<(Marksman, Vec<u16>)> = clients
        .iter()
        .map(|from| Ok((Marksman { from: *from, to: server }, rig.opening(*from)?)))
        .collect::<Result<_>>()?;
    let sent = knocks.iter().map(|(_, ports)| ports.len()).sum();
    let storm = Storm { rate, sources, ports: rig.target() };
    let weather = Weather::default();
    let rate = thread::scope(|scope| -> Result<f64> {
        let flood = scope.spawn(|| storm.blow(&rig.lab, u64::MAX, &weather));
        // It is at its strength, and what it fills is full.
        await_until(AFTERWARDS, || weather.sent.load(Ordering::Relaxed) >= 5_000);
        let knocked = rig.lab.within(Host::Client, || {
            let mut random = Random(7);
            for (marksman, ports) in &knocks {
                let pause = 2 * KNOCK / (ports.len() as u64).max(1);
                marksman.shoot(&mut Gun::Packets, ports, pause, &mut random)?;
            }
            Ok::<(), io::Error>(())
        });
        weather.over.store(true, Ordering::Relaxed);
        let rate = flood.join().map_err(|_| LabError("the flood panicked".into()))??;
        knocked??;
        Ok(rate)
    })?;

    let real: HashSet<IpAddr> = clients.iter().copied().collect();
    let count = |open: &[IpAddr]| open.iter().filter(|client| real.contains(client)).count();
    let mut open = Vec::new();
    await_until(AFTERWARDS, || {
        open = rig.open_for().unwrap_or_default();
        count(&open) == usize::from(KNOCKS)
    });
    let opened = count(&open);
    let arrived = counted(&rig, &network)?;
    // Without the time and the source in front.
    let said = rig.said();
    let warnings = said.iter().filter_map(|line| line.split_once("WARN ").map(|(_, it)| it.trim()));
    let lost: Vec<&str> = warnings.collect();
    let strangers = open.len() - opened;
    let delivered = delivered(&rig, past, &clients)?;
    rig.end()?;
    Ok(Seen { rate, opened, strangers, sent, arrived, delivered, lost: lost.join("; ") })
}

/// Addresses of the client host that nobody else has, known to the server.
fn clients(rig: &Rig) -> Result<Vec<IpAddr>> {
    let IpAddr::V4(server) = rig.lab.server() else {
        return Err(LabError("the lab's first addresses are IPv4".into()));
    };
    let [a, b, c, _] = server.octets();
    let interface = rig.lab.interface(Host::Client);
    let mac = rig.lab.on(Host::Client, &format!("cat /sys/class/net/{interface}/address"))?;
    let towards = rig.lab.interface(Host::Server);
    (128..128 + KNOCKS)
        .map(|last| {
            let client = Ipv4Addr::new(a, b, c, last);
            rig.lab.on(Host::Client, &format!("ip address add {client}/24 dev {interface}"))?;
            let neighbour = format!("{client} lladdr {} dev {towards} nud permanent", mac.trim());
            rig.lab.on(Host::Server, &format!("ip neighbour replace {neighbour}"))?;
            Ok(client.into())
        })
        .collect()
}

/// Of how many knocks all lines are in the file, if rsyslog writes one; lines from before `from` are of
/// the kernel's past. What it has not written by now it has no line of.
fn delivered(rig: &Rig, from: usize, clients: &[IpAddr]) -> Result<Option<usize>> {
    if rig.way != Way::File {
        return Ok(None);
    }
    let log = std::fs::read(rig.log())?;
    let log = String::from_utf8_lossy(log.get(from..).unwrap_or_default());
    let whole = |client: &&IpAddr| {
        let source = format!(" SRC={client} ");
        let lines = log.lines().filter(|line| line.contains("portknock") && line.contains(&source));
        rig.opening(**client).is_ok_and(|ports| lines.count() == ports.len())
    };
    Ok(Some(clients.iter().filter(whole).count()))
}

/// What the counting rule has counted.
fn counted(rig: &Rig, network: &str) -> Result<u64> {
    let rules = rig.lab.on(Host::Server, "iptables -vxnL INPUT")?;
    let rule = rules.lines().find(|line| line.contains(network)).unwrap_or_default();
    Ok(rule.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or_default())
}

fn say(line: &str) {
    let _closed = writeln!(io::stdout(), "{line}");
}
