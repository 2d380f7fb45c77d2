//! From the last knock packet to the first connection that succeeds, and what the action alone takes;
//! ours and others' in turns. `bench-latency [ROUNDS [SHOTS]] [WAY...]` prints a table.

#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use knock_e2e::bench::Timings;
use knock_e2e::bench::action;
use knock_e2e::bench::shot::{Gun, Marksman};
use knock_e2e::bench::way::{Rig, Way};
use knock_e2e::lab::Host;
use knock_e2e::loggen::Random;
use knock_e2e::process::interrupted;
use knock_e2e::{LabError, Result};

const WAYS: [Way; 10] = [
    Way::Lines,
    Way::PipelineLines,
    Way::File,
    Way::Pipeline,
    Way::Kmsg,
    Way::Nflog,
    Way::KmsgSet,
    Way::NflogSet,
    Way::NflogIpset,
    Way::Knockd,
];

/// At most so many microseconds are between two hits of a knock.
const PAUSE: u64 = 12_000;

fn main() -> ExitCode {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let _refused = signal_hook::flag::register(signal, Arc::clone(interrupted()));
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench-latency: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let (numbers, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.parse::<usize>().is_ok());
    let number = |nth: usize, default| {
        numbers.get(nth).and_then(|word| word.parse().ok()).unwrap_or(default)
    };
    let (rounds, shots): (usize, usize) = (number(0, 6), number(1, 5));
    let is_wanted = |way: &Way| {
        let name = way.name().to_lowercase();
        names.is_empty() || names.iter().any(|word| name.contains(&word.to_lowercase()))
    };
    // On a disk, as a daemon's state is; a folder in memory shows what the disk costs.
    let state = std::env::var_os("BENCH_STATE").map_or_else(std::env::temp_dir, Into::into);
    let state = tempfile::Builder::new().prefix("knockdaemon-bench-").tempdir_in(state)?;
    let mut random = Random(20_041);

    let mut rigs = Vec::new();
    for way in WAYS.into_iter().filter(is_wanted) {
        rigs.push((Rig::new(way)?, Timings::default(), 0));
    }
    let bare = Rig::new(Way::Lines)?;
    let (mut command, mut through, mut floor) =
        (Timings::default(), Timings::default(), Timings::default());
    for _ in 0..rounds {
        for (rig, timings, missed) in &mut rigs {
            rig.begin(state.path())?;
            // The first is a warm-up.
            for nth in 0..=shots {
                match shoot(rig, &mut random)? {
                    Some(time) if nth > 0 => timings.push(time),
                    Some(_) => {}
                    None => {
                        *missed += 1;
                        // It may open yet, when nobody closes it any more: another host, where nothing
                        // is under way.
                        *rig = Rig::new(rig.way)?;
                        rig.begin(state.path())?;
                    }
                }
            }
            rig.end()?;
        }
        for _ in 0..shots {
            command.push(bare_command(&bare, &mut random)?);
            if let Some((time, open)) = bare_shot(&bare, &mut random)? {
                through.push(time);
                floor.push(open);
            }
        }
    }
    let rounds = format!("{} in {rounds} rounds", rounds * shots);
    say(&format!("{rounds}, in turns; milliseconds\n"));
    say("| | median | middle half | least to most | of `iptables -I` |");
    say("| --- | --- | --- | --- | --- |");
    let row = |name: &str, timings: &Timings, missed: usize| {
        let ratio = timings.median() / command.median();
        let missed = if missed > 0 { format!(" ({missed} never opened)") } else { String::new() };
        say(&format!("| {name}{missed} | {timings} | {ratio:.2} |"));
    };
    row("`iptables -I`, from its start to its end", &command, 0);
    row("the same, to the first connection", &through, 0);
    row("a connection to a port that is open (the harness's floor)", &floor, 0);
    for (rig, timings, missed) in &rigs {
        row(rig.way.name(), timings, *missed);
    }
    drop(rigs);
    say("\n| the action alone | median | middle half | least to most |");
    say("| --- | --- | --- | --- |");
    for (name, timings) in action::alone(&bare.lab, 50)? {
        say(&format!("| {name} | {timings} |"));
    }
    Ok(())
}

/// One knock and its time, on a host that is shut before and afterwards.
fn shoot(rig: &Rig, random: &mut Random) -> Result<Option<Duration>> {
    let marksman = Marksman { from: rig.lab.client(), to: rig.lab.server() };
    let (open, close) = (rig.opening(marksman.from)?, rig.closing(marksman.from)?);
    let mut log = OpenOptions::new();
    let mut log =
        if rig.way.is_fed_lines() { Some(log.append(true).open(rig.log())?) } else { None };
    let time = rig.lab.within(Host::Client, || -> Result<_> {
        let mut gun = log.as_mut().map_or(Gun::Packets, |log| Gun::Lines(log));
        std::thread::sleep(Duration::from_micros(20_000 + random.below(40_000)));
        if marksman.gets_in() {
            return Err(LabError(format!("{}: open before the knock", rig.way.name())));
        }
        let Some((last, first)) = open.split_last() else { return Ok(None) };
        marksman.shoot(&mut gun, first, PAUSE, random)?;
        let time = marksman.time(|| marksman.hit(&mut gun, *last, random))?;
        if let Some(close) = &close {
            std::thread::sleep(Duration::from_micros(5_000 + random.below(5_000)));
            marksman.shoot(&mut gun, close, PAUSE, random)?;
        }
        Ok(time)
    })??;
    if close.is_none() && time.is_some() {
        rig.close(marksman.from)?;
    }
    if time.is_some() && !rig.lab.within(Host::Client, || marksman.is_shut_out())? {
        let said = rig.said().join("\n");
        return Err(LabError(format!("{}: it does not close again\n{said}", rig.way.name())));
    }
    Ok(time)
}

fn insert(rig: &Rig) -> Vec<String> {
    let rule = knock_e2e::bench::way::bare_rule("-I", &rig.lab.client().to_string());
    let words = rule.split_whitespace().map(str::to_owned);
    std::iter::once("iptables".to_owned()).chain(words).collect()
}

fn bare_command(rig: &Rig, random: &mut Random) -> Result<Duration> {
    std::thread::sleep(Duration::from_micros(20_000 + random.below(40_000)));
    let took = rig.lab.within(Host::Server, || action::run(&insert(rig)))??;
    rig.close(rig.lab.client())?;
    Ok(took)
}

/// As if the knock had been known at once: a thread that waits starts the command. And how long a
/// connection takes that is let in.
fn bare_shot(rig: &Rig, random: &mut Random) -> Result<Option<(Duration, Duration)>> {
    std::thread::sleep(Duration::from_micros(20_000 + random.below(40_000)));
    let marksman = Marksman { from: rig.lab.client(), to: rig.lab.server() };
    let (now, told) = std::sync::mpsc::channel();
    let times = std::thread::scope(|scope| {
        let opener = scope.spawn(move || {
            rig.lab.within(Host::Server, move || {
                told.recv().map_err(|error| LabError(error.to_string()))?;
                action::run(&insert(rig))
            })
        });
        let times = rig.lab.within(Host::Client, || -> Result<_> {
            let time = marksman.time(|| {
                let _received = now.send(());
                Ok(())
            })?;
            Ok(time.zip(marksman.time(|| Ok(()))?))
        });
        let opened = opener.join().map_err(|_| LabError("the opener panicked".into()))?;
        opened??;
        times?
    })?;
    rig.close(marksman.from)?;
    Ok(times)
}

fn say(line: &str) {
    let _closed = writeln!(io::stdout(), "{line}");
}
