//! Where lines come from: `runmode`, `logfile`, `fileinterval`. Opens nothing.

use std::path::PathBuf;
use std::time::Duration;

use crate::keys;
use crate::model::section::{Reader, Section, path_of};
use crate::problem::Problem;
use crate::suggest::nearest;

/// Shorter than this between two looks would be a busy loop.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Where the firewall's lines come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunMode {
    /// Log files that are followed.
    #[default]
    File,
    /// The kernel's ring buffer, `/dev/kmsg`.
    Kmsg,
    /// Standard input.
    Stdin,
}

/// Modes that were announced or that the original had, and that this version does not have.
const ABSENT: &[&str] = &["network", "journal", "nflog"];

pub(super) struct Lines {
    pub(super) runmode: RunMode,
    pub(super) logfiles: Vec<PathBuf>,
    pub(super) fileinterval: Duration,
}

pub(super) fn read(reader: &mut Reader<'_>, top: &Section<'_>) -> Lines {
    let runmode = runmode(reader, top);
    let logfiles: Vec<PathBuf> = reader.texts(top, "logfile").into_iter().map(path_of).collect();
    if runmode == RunMode::File && top.table.get("logfile").is_none() {
        reader.add(
            Problem::error(top.table.place(), "no log to follow: 'logfile' is not given")
                .with_help("name the firewall's log, or read the kernel's own with runmode kmsg"),
        );
    }
    Lines { runmode, logfiles, fileinterval: interval(reader, top) }
}

fn runmode(reader: &mut Reader<'_>, top: &Section<'_>) -> RunMode {
    let Some(text) = reader.text(top, "runmode") else { return RunMode::default() };
    let kind = top.key("runmode").kind;
    match text.text().trim().to_ascii_lowercase().as_str() {
        "file" => return RunMode::File,
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
