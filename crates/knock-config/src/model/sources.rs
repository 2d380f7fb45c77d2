//! Where hits come from: `runmode` with `logfile`, `fileinterval`, `resume` and `maxlag`, with
//! `interface` and `snapshotsize`, or with `nfloggroup` and `nflogprefix`. Opens nothing.

use std::path::PathBuf;
use std::time::Duration;

use knock_rules::KEEPERS_GROUP;
use knock_wire::Interface;

use crate::keys;
use crate::model::Setting;
use crate::model::section::{Reader, Section, path_of};
use crate::model::values;
use crate::place::Place;
use crate::problem::Problem;
use crate::suggest::nearest;

/// Shorter than this between two looks would be a busy loop.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Syslog stamps whole seconds, and lines take a moment to arrive.
const SHORTEST_LAG: Duration = Duration::from_secs(5);

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
    /// The kernel's lines in systemd's journal.
    Journal,
    /// The packets that a rule of the firewall sends to a group of NFLOG.
    Nflog,
    /// Standard input.
    Stdin,
}

impl RunMode {
    /// Every mode with its word, in the order of the reference.
    const WORDS: [(&str, Self); 6] = [
        ("file", Self::File),
        ("network", Self::Network),
        ("kmsg", Self::Kmsg),
        ("journal", Self::Journal),
        ("nflog", Self::Nflog),
        ("stdin", Self::Stdin),
    ];

    /// Whether packets come, and not lines.
    #[must_use]
    pub fn is_packets(self) -> bool {
        match self {
            Self::Network | Self::Nflog => true,
            Self::File | Self::Kmsg | Self::Journal | Self::Stdin => false,
        }
    }
}

/// Which packets a rule of the firewall sends us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NflogSettings {
    /// The group.
    pub group: u16,
    /// The rule's prefix, without blanks around it; any rule of the group counts where there is
    /// none.
    pub prefix: Option<String>,
}

impl NflogSettings {
    /// Whether a rule with this prefix is meant.
    #[must_use]
    pub fn is_meant(&self, prefix: &[u8]) -> bool {
        // Prefixes are written with a blank behind them, for the sake of log lines.
        self.prefix.as_ref().is_none_or(|wanted| prefix.trim_ascii() == wanted.as_bytes())
    }
}

/// As the table has it.
const SILENCE: Duration = Duration::from_secs(3600);

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
    pub(super) runmodes: Vec<RunMode>,
    pub(super) logfiles: Vec<PathBuf>,
    pub(super) fileinterval: Duration,
    pub(super) silence: Option<Duration>,
    pub(super) resume: Option<Duration>,
    pub(super) capture: Option<CaptureSettings>,
    pub(super) nflog: Option<NflogSettings>,
}

pub(super) fn read(reader: &mut Reader<'_>, top: &Section<'_>) -> Lines {
    let runmodes = runmodes(reader, top);
    let logfiles: Vec<PathBuf> = reader.texts(top, "logfile").into_iter().map(path_of).collect();
    if runmodes.contains(&RunMode::File) && top.table.get("logfile").is_none() {
        reader.add_if_whole(
            Problem::error(top.table.place(), "no log to follow: 'logfile' is not given")
                .with_help("name the firewall's log, or read the kernel's own with runmode kmsg"),
        );
    }
    let capture = runmodes.contains(&RunMode::Network).then(|| capture(reader, top)).flatten();
    // Looked at in any mode, so that mistakes are found before the mode is switched to.
    let nflog = Some(nflog(reader, top)).filter(|_| runmodes.contains(&RunMode::Nflog));
    let resume = resume(reader, top, &runmodes);
    let fileinterval = interval(reader, top);
    let silence = silence(reader, top);
    Lines { runmodes, logfiles, fileinterval, silence, resume, capture, nflog }
}

/// Every mode once, in the order of the file; none where a mistake was found.
fn runmodes(reader: &mut Reader<'_>, top: &Section<'_>) -> Vec<RunMode> {
    let texts = reader.texts(top, "runmode");
    if texts.is_empty() {
        return vec![RunMode::default()];
    }
    let mut modes = Vec::new();
    for text in texts {
        for (part, word) in values::names(text.text()) {
            let word = word.to_ascii_lowercase();
            match RunMode::WORDS.iter().find(|(known, _)| *known == word) {
                Some((_, mode)) if modes.contains(mode) => {
                    let message = format!("runmode '{word}' is named twice");
                    reader.add(Problem::warning(text.place_of(part), message));
                }
                Some((_, mode)) => modes.push(*mode),
                None => reader.add(unknown(&word, text.place_of(part), top)),
            }
        }
        if text.text().trim().is_empty() {
            reader.add(unknown("", text.place(), top));
        }
    }
    modes
}

fn unknown(word: &str, at: Place, top: &Section<'_>) -> Problem {
    let kind = top.key("runmode").kind;
    let help = match nearest(word, keys::RUNMODES.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("expected {kind}"),
    };
    Problem::error(at, format!("unknown runmode '{word}'")).with_help(help)
}

fn nflog(reader: &mut Reader<'_>, top: &Section<'_>) -> NflogSettings {
    let group = reader.parsed(top, "nfloggroup", |text| text.trim().parse().ok());
    if let Some(at) =
        group.as_ref().filter(|group| group.value == KEEPERS_GROUP).and_then(|it| it.at())
    {
        let message = format!("with group {KEEPERS_GROUP} a daemon takes the right to keep leases");
        reader.add(Problem::error(at, message).with_help("any other number will do"));
    }
    let prefix = reader.text(top, "nflogprefix").map(|text| text.text().trim().to_owned());
    NflogSettings {
        group: group.map_or(0, |group| group.value),
        prefix: prefix.filter(|prefix| !prefix.is_empty()),
    }
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

fn silence(reader: &mut Reader<'_>, top: &Section<'_>) -> Option<Duration> {
    let silence = reader.duration(top, "silence").map_or(SILENCE, |given| given.value);
    // Each look runs three programs.
    Some(silence).filter(|silence| !silence.is_zero()).map(|s| s.max(Duration::from_secs(1)))
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

/// How old a line may be that is used for a knock, if reading goes on after a restart.
fn resume(reader: &mut Reader<'_>, top: &Section<'_>, runmodes: &[RunMode]) -> Option<Duration> {
    let resume = reader.yes_no(top, "resume");
    let wanted = resume.as_ref().is_some_and(|given| given.value);
    let keeps = runmodes.iter().any(|mode| matches!(mode, RunMode::File | RunMode::Journal));
    if wanted
        && !runmodes.is_empty()
        && !keeps
        && let Some(at) = resume.as_ref().and_then(Setting::at)
    {
        let message =
            "has no effect: only a log file and the journal are still there after a restart";
        let help = "leave it out, or use runmode = file or journal";
        reader.add(Problem::warning(at, message).with_help(help));
    }
    let maxlag = reader.duration(top, "maxlag");
    let at = maxlag.as_ref().and_then(Setting::at);
    let maxlag = maxlag.map_or(Duration::from_secs(60), |given| given.value);
    if let Some(at) = at {
        if !wanted {
            reader.add(Problem::warning(at, "has no effect without resume = yes"));
        } else if maxlag < SHORTEST_LAG {
            let message = "too short: logs tell whole seconds, and lines take a moment; 5s is used";
            reader.add(Problem::warning(at, message));
        }
    }
    (wanted && keeps).then_some(maxlag.max(SHORTEST_LAG))
}
