//! Where hits come from: `runmode` with `logfile` and `fileinterval`, or with `interface` and
//! `snapshotsize`. Opens nothing.

use std::path::PathBuf;
use std::time::Duration;

use knock_wire::Interface;

use crate::keys;
use crate::model::section::{Reader, Section, path_of};
use crate::problem::Problem;
use crate::suggest::nearest;

/// Shorter than this between two looks would be a busy loop.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Where hits come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunMode {
    /// Log files that are followed.
    #[default]
    File,
    /// The packets of a network interface.
    Network,
    /// The kernel's ring buffer, `/dev/kmsg`.
    Kmsg,
    /// Standard input.
    Stdin,
}

/// Modes that were announced or that the original had, and that this version does not have.
const ABSENT: &[&str] = &["journal", "nflog"];

/// What is captured, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureSettings {
    /// The interface, `any` for all.
    pub interface: String,
    /// How many bytes of each packet.
    pub snapshotsize: usize,
}

/// The longest headers of IPv4 without options that any link type has: cooked 20, IP 20, TCP 20.
const SMALLEST_SNAPSHOT: usize = 60;

/// Beyond this all but odd headers are whole: Ethernet with two tags 22, IPv6 40 with an extension
/// of 24, TCP 20, and some room.
const SAFE_SNAPSHOT: usize = 128;

/// What libpcap takes at most.
const LARGEST_SNAPSHOT: usize = 262_144;

pub(super) struct Lines {
    pub(super) runmode: RunMode,
    pub(super) logfiles: Vec<PathBuf>,
    pub(super) fileinterval: Duration,
    pub(super) capture: Option<CaptureSettings>,
}

pub(super) fn read(reader: &mut Reader<'_>, top: &Section<'_>) -> Lines {
    let runmode = runmode(reader, top);
    let logfiles: Vec<PathBuf> = reader.texts(top, "logfile").into_iter().map(path_of).collect();
    if runmode == RunMode::File && top.table.get("logfile").is_none() {
        reader.add_if_whole(
            Problem::error(top.table.place(), "no log to follow: 'logfile' is not given")
                .with_help("name the firewall's log, or read the kernel's own with runmode kmsg"),
        );
    }
    let capture = (runmode == RunMode::Network).then(|| capture(reader, top));
    Lines { runmode, logfiles, fileinterval: interval(reader, top), capture: capture.flatten() }
}

fn runmode(reader: &mut Reader<'_>, top: &Section<'_>) -> RunMode {
    let Some(text) = reader.text(top, "runmode") else { return RunMode::default() };
    let kind = top.key("runmode").kind;
    match text.text().trim().to_ascii_lowercase().as_str() {
        "file" => return RunMode::File,
        "network" => return RunMode::Network,
        "kmsg" => return RunMode::Kmsg,
        "stdin" => return RunMode::Stdin,
        absent if ABSENT.contains(&absent) => reader.add(
            Problem::error(
                text.place(),
                format!("runmode '{absent}' is not available in this version"),
            )
            .with_help(format!("there are {kind}")),
        ),
        other => {
            let problem = Problem::error(text.place(), format!("unknown runmode '{other}'"));
            let help = match nearest(other, keys::RUNMODES.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("there are {kind}"),
            };
            reader.add(problem.with_help(help));
        }
    }
    // Not the default, which would ask for a logfile on top.
    RunMode::Stdin
}

fn capture(reader: &mut Reader<'_>, top: &Section<'_>) -> Option<CaptureSettings> {
    const HELP: &str = "`ip -brief link` lists the interfaces of this machine; any captures from \
                        all of them";
    let snapshotsize = snapshotsize(reader, top);
    if top.table.get("interface").is_none() {
        let at = top.table.get("runmode").map_or(top.table.place(), |mode| mode.node.place());
        let message = "no interface to capture from: 'interface' is not given";
        reader.add_if_whole(Problem::error(at, message).with_help(HELP));
    }
    let text = reader.text(top, "interface")?;
    match Interface::new(text.text().trim().as_bytes()) {
        Some(name) => Some(CaptureSettings { interface: name.as_str().to_owned(), snapshotsize }),
        None => {
            let message = format!("no interface has the name '{}'", text.text().trim());
            reader.add(Problem::error(text.place(), message).with_help(HELP));
            None
        }
    }
}

fn snapshotsize(reader: &mut Reader<'_>, top: &Section<'_>) -> usize {
    let read = |text: &str| text.trim().parse().ok().filter(|count| *count > 0);
    let Some(given) = reader.parsed(top, "snapshotsize", read) else {
        return top.key("snapshotsize").default.parse().unwrap_or(LARGEST_SNAPSHOT);
    };
    let Some(at) = given.at() else { return given.value };
    if given.value < SMALLEST_SNAPSHOT {
        let message = format!("{} bytes do not hold the headers of a packet", given.value);
        let help = format!("leave it out, or give at least {SAFE_SNAPSHOT}");
        reader.add(Problem::error(at, message).with_help(help));
    } else if given.value < SAFE_SNAPSHOT {
        let message = "cuts off headers of IPv6 packets, and of IPv4 packets with options";
        let help = format!("leave it out, or give at least {SAFE_SNAPSHOT}");
        reader.add(Problem::warning(at, message).with_help(help));
    } else if given.value > LARGEST_SNAPSHOT {
        let message = format!("more than libpcap takes; {LARGEST_SNAPSHOT} is used");
        reader.add(Problem::warning(at, message));
    }
    given.value.min(LARGEST_SNAPSHOT)
}

fn interval(reader: &mut Reader<'_>, top: &Section<'_>) -> Duration {
    let Some(given) = reader.duration(top, "fileinterval") else {
        return Duration::from_millis(500);
    };
    if given.value < SHORTEST_INTERVAL {
        if let Some(at) = given.at() {
            reader.add(Problem::warning(at, "too short to rest between two looks; 10ms is used"));
        }
        return SHORTEST_INTERVAL;
    }
    given.value
}
