//! The daemon's settings, put together from their parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use knock_engine::{Plan, QueuePolicy, Replay, Scheduler};
use knock_formats::packet::EthFilters;
use knock_formats::{FormatSpec, Formats};
use knock_rules::Names;
use knock_wire::{CipherName, Codec, Field};

use crate::keys::{self, Within};
use crate::model::section::{Reader, Section, path_of};
use crate::model::{
    CaptureSettings, ControlSettings, FirewallChoice, IvChoice, NflogSettings, ReadOptions,
    RunMode, Setting, WireSettings, actions, control, ethfilters, firewall, formats, leases,
    sources, wire,
};
use crate::place::SourceText;
use crate::problem::{Problem, Reading};
use crate::syntax::{Extent, Syntax, parse_as_far_as};

/// How the names of the store's files begin.
const STORE: &[u8] = b"knockdaemon.db";

/// What a file tells the daemon, checked and ready to run.
#[derive(Debug)]
pub struct DaemonSettings {
    /// Where hits come from: at least one, each once.
    pub runmodes: Vec<RunMode>,
    /// The logs to follow; at least one with [`RunMode::File`].
    pub logfiles: Vec<PathBuf>,
    /// The longest time between two looks at a log.
    pub fileinterval: Duration,
    /// After so long without a hit the firewall's counters are looked at; never if there is none.
    pub silence: Option<Duration>,
    /// With `resume`: how old a line may be by its own time and still be used for a knock.
    pub resume: Option<Duration>,
    /// What to capture; always there with [`RunMode::Network`], and only then.
    pub capture: Option<CaptureSettings>,
    /// Which packets count, in a capture or in a file of packets.
    pub ethfilters: Arc<EthFilters>,
    /// Which rules of the firewall send us packets; always there with [`RunMode::Nflog`], and only
    /// then.
    pub nflog: Option<NflogSettings>,
    /// Which packets count of those that a rule sends.
    pub rulefilters: Arc<EthFilters>,
    /// The formats in use, in the order of `uselogformat`.
    pub formats: Arc<Formats>,
    /// The logformats that the file itself defines, in use or not.
    pub own_formats: Vec<FormatSpec>,
    /// What the engine goes by.
    pub plan: Plan,
    /// The folder of the durable store.
    pub statedir: PathBuf,
    /// The readable copy of the state variable, if there is to be one.
    pub statefile: Option<PathBuf>,
    /// How leases get into the firewall.
    pub firewall: FirewallChoice,
    /// How the running daemon is spoken to.
    pub control: ControlSettings,
    /// What `check` tells beside the problems: how long a knock is, how safe, and whether it can be
    /// sent again.
    pub notes: Vec<String>,
}

/// Reads the daemon's settings; keys of the client are accepted in silence, since both may share a
/// file.
#[must_use]
pub fn read_daemon(source: &SourceText, options: &ReadOptions) -> Reading<DaemonSettings> {
    let (tree, problems, extent) = parse_as_far_as(source);
    if extent == Extent::Nothing {
        return Reading { value: None, problems };
    }
    let mut reader = Reader::new(source, options, problems).relying_on(extent);
    if reader.is_whole() && tree.root().iter().next().is_none() {
        let message = "this file gives nothing: no log, no key, no action";
        let help = "`knockdaemon -man` names all keys; examples come with the program";
        reader.add(Problem::error(tree.root().place(), message).with_help(help));
        return reader.finish(None);
    }
    let top = reader.section(Within::Top, tree.root());
    let lines = sources::read(&mut reader, &top);
    let ethfilters = ethfilters::read(&mut reader, &top, &lines.runmodes);
    let formats = formats::read(&mut reader, &top);
    let wire = wire::read(&mut reader, &top);
    // A knock that reads badly has its own error; rules are then checked against every field, so
    // that it does not make errors of all that use one.
    let shape = wire.shape(&mut Vec::new());
    // So are they where the line that names the fields may be what is missing.
    let told = reader.is_whole() || top.table.get("knock").is_some();
    let shape = shape.as_ref().filter(|_| told);
    let names = Names::from_fields(shape.map_or(&Field::ALL, |shape| shape.fields()));
    let scheduler = scheduler(&mut reader, &top);
    let leases = leases::policy(&mut reader, &top, shape);
    let (actions, lease_notes) = actions::read(&mut reader, &top, &names, scheduler, &leases);
    let queue = queue(&mut reader, &top);
    let statedir = statedir(&mut reader, &top);
    let statefile = statefile(&mut reader, &top, &lines.logfiles, &statedir);
    let firewall = firewall::read(&mut reader, &top);
    let control = control::read(&mut reader, &top, &statedir);
    let mut codec = wire.codec();
    codec.problems.retain(|problem| reader.is_whole() || problem.at.is_some());
    for problem in &mut codec.problems {
        // What is wrong by its absence is wrong with the file.
        problem.at.get_or_insert_with(|| tree.root().place());
    }
    let codec = reader.take(codec);
    let replay = replay(&mut reader, &top, codec.as_ref());
    let settings = codec.map(|codec| {
        let plan = Plan { codec, actions, queue, scheduler, leases: leases.policy, replay };
        let captured = lines.capture.as_ref();
        let captured =
            captured.map(|capture| ethfilters::notes(capture, &ethfilters.captured, &plan));
        let ruled = lines.nflog.as_ref();
        let ruled = ruled.map(|nflog| ethfilters::rule_notes(nflog, &ethfilters.by_rule));
        let packets = captured.into_iter().chain(ruled).flatten();
        DaemonSettings {
            runmodes: lines.runmodes,
            logfiles: lines.logfiles,
            fileinterval: lines.fileinterval,
            silence: lines.silence,
            resume: lines.resume,
            formats: Arc::new(Formats::new(formats.in_use)),
            own_formats: formats.own,
            statedir,
            statefile,
            firewall,
            control,
            notes: notes(&plan, &wire).into_iter().chain(lease_notes).chain(packets).collect(),
            capture: lines.capture,
            ethfilters: Arc::new(ethfilters.captured),
            nflog: lines.nflog,
            rulefilters: Arc::new(ethfilters.by_rule),
            plan,
        }
    });
    reader.finish(settings)
}

fn scheduler(reader: &mut Reader<'_>, top: &Section<'_>) -> Scheduler {
    let read = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
        "agenda" => Some(Scheduler::Agenda),
        "at" => Some(Scheduler::At),
        _ => None,
    };
    let Some(given) = reader.parsed(top, "scheduler", read) else { return Scheduler::default() };
    if given.value == Scheduler::At
        && let Some(objection) = (reader.options.machine.at)()
        && let Some(at) = given.at()
    {
        reader.add(objection.at(at));
    }
    given.value
}

/// Whether a knock may come again: where each is another, one that comes again was sent again.
fn replay(reader: &mut Reader<'_>, top: &Section<'_>, codec: Option<&Codec>) -> Replay {
    let read = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
        "allow" => Some(Replay::Allow),
        "reject" => Some(Replay::Reject),
        _ => None,
    };
    let given = reader.parsed(top, "replay", read);
    let varies = codec.is_some_and(Codec::varies);
    let Some(given) = given else { return if varies { Replay::Reject } else { Replay::Allow } };
    let odd = match given.value {
        _ if codec.is_none() => None,
        Replay::Reject if !varies => Some((
            "a knock of this format is the same every time, so each could be used once, ever",
            "leave 'replay' out, or let each knock be another: iv = bare and mac = 8, on both sides",
        )),
        Replay::Allow if varies => Some((
            "each knock is another, and still whoever sees one can send it again",
            "leave 'replay' out, and each is accepted once",
        )),
        Replay::Reject | Replay::Allow => None,
    };
    if let (Some((message, help)), Some(at)) = (odd, given.at()) {
        reader.add(Problem::warning(at, message).with_help(help));
    }
    given.value
}

/// The folder of the durable store.
pub(super) fn statedir(reader: &mut Reader<'_>, top: &Section<'_>) -> PathBuf {
    let given = reader.text(top, "statedir").map(path_of);
    given.unwrap_or_else(|| {
        PathBuf::from(keys::find(Within::Top, "statedir").map_or("", |key| key.default))
    })
}

/// Its path, if it is no other file's: that would be taken for a damaged one and moved away.
fn statefile(
    reader: &mut Reader<'_>,
    top: &Section<'_>,
    logfiles: &[PathBuf],
    statedir: &Path,
) -> Option<PathBuf> {
    let text = reader.text(top, "statefile")?;
    let path = reader.folder().join(path_of(text));
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let taken_by = if path == reader.path {
        "the configuration itself"
    } else if logfiles.contains(&path) {
        "the log that is followed"
    } else if path.parent() == Some(statedir) && name.starts_with(STORE) {
        "the daemon's own database"
    } else {
        return Some(path);
    };
    reader.error(text.place(), format!("this is {taken_by}; name a file of its own"));
    Some(path)
}

fn queue(reader: &mut Reader<'_>, top: &Section<'_>) -> QueuePolicy {
    let timeout = match reader.duration(top, "queuetimeout") {
        Some(given) => given.value,
        // The original never forgot, and slow hands rely on it.
        None if reader.syntax == Syntax::Legacy => Duration::ZERO,
        None => Duration::from_secs(60),
    };
    QueuePolicy {
        timeout: (!timeout.is_zero()).then_some(timeout),
        max_clients: reader.count(top, "maxclients").unwrap_or(1_000_000),
    }
}

fn notes(plan: &Plan, wire: &WireSettings) -> Vec<String> {
    let codec = &plan.codec;
    let (shape, span) = (codec.shape(), codec.span());
    let mut notes = vec![format!(
        "a knock ({shape}) is {} bytes, in {} packets over {} ports ({span})",
        codec.wire_bytes(),
        codec.slots(),
        span.size()
    )];
    const ONCE_EACH: &str = "a knock of this format is the same every time, and is accepted once: a client \
                             can ask once for each thing";
    let once = plan.replay == Replay::Reject;
    let is = |setting: &Option<Setting<bool>>| setting.as_ref().is_some_and(|given| given.value);
    if wire.encrypt.as_ref().is_some_and(|encrypt| !encrypt.value) {
        notes.push("knocks are not enciphered: whoever knows the format can make one".to_owned());
        notes.extend(once.then(|| ONCE_EACH.to_owned()));
        return notes;
    }
    notes.push(format!("the cipher is {}", codec.cipher()));
    if codec.cipher().name() == Some(CipherName::Des) {
        let des = "keys of DES have 56 bits, which have long been searched through: any other cipher is \
                   better";
        notes.push(des.to_owned());
    }
    let guess = codec.guess_bits();
    notes.push(format!("{guess:.0} bits stand between a guess and an accepted knock"));
    let bound = !is(&wire.anyip)
        && shape.fields().iter().any(|field| matches!(field, Field::Ip | Field::Ip6));
    let mac = wire.mac.as_ref().is_some_and(|mac| mac.value > 0);
    let iv = wire.iv.as_ref().map(|iv| iv.value).unwrap_or_default();
    // The vector stands in the open, and what is changed in it changes in the first block: the
    // address, and the checksum with it.
    let open = matches!(iv, IvChoice::Yes | IvChoice::Bare) && !mac;
    let whence = match (open, bound) {
        (true, _) => ", even changed to another address (a mac would prevent the change)",
        (false, true) => " from the same address",
        (false, false) => " from anywhere",
    };
    notes.push(match (codec.varies(), once) {
        (false, false) => format!(
            "a knock of this format is the same every time: whoever sees it can send it again{whence}"
        ),
        (false, true) => ONCE_EACH.to_owned(),
        (true, false) => format!(
            "a knock looks different every time, but whoever sees one can send it again{whence}"
        ),
        (true, true) => format!(
            "each knock is accepted once; whoever sees one that is lost on its way can send it{whence}"
        ),
    });
    if iv == IvChoice::Salt {
        notes.push(
            "each window that begins with the letters Salted__ costs a key derivation, whoever sent \
             it; of slow ones so few are judged that strangers can keep real knocks out ('iv = bare' \
             has one key for all knocks, and no such limit)"
                .to_owned(),
        );
    }
    notes
}
