//! What a file means to each program, to be held against what another file means.
//!
//! The models themselves are compared, not texts; places and the syntax play no part. Runs nothing.

use knock_engine::Plan;
use knock_formats::{FormatSpec, LogFormat};

use crate::keys::{self, UsedBy, Within};
use crate::model::section::Reader;
use crate::model::{
    ClientSettings, DaemonSettings, ReadOptions, WireSettings, read_client, read_daemon, wire,
};
use crate::place::SourceText;
use crate::problem::{Problem, Reading};
use crate::syntax::parse;
use crate::tree::Table;

/// The program that a file is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `knockdaemon`.
    Daemon,
    /// `knockclient`, though the daemon's keys may stand in its file too.
    Client,
}

impl Role {
    /// By the keys that only one of them reads. A log to follow is the daemon's.
    pub(crate) fn of(table: &Table) -> Self {
        let any = |of: UsedBy| {
            let known = table.iter().filter_map(|entry| keys::find(Within::Top, &entry.key));
            known.into_iter().any(|key| key.used_by == of)
        };
        let log = table.get("logfile").is_some();
        if any(UsedBy::Daemon) || !any(UsedBy::Client) && log { Role::Daemon } else { Role::Client }
    }
}

/// What a file means to both programs, as far as they can read it.
pub(crate) struct Meaning {
    role: Role,
    daemon: Option<DaemonSettings>,
    client: Option<ClientSettings>,
    wire: WireSettings,
    /// What the program that it is for found in it.
    pub(crate) problems: Vec<Problem>,
}

impl Meaning {
    /// Reads a file with the eyes of both. Who may read the file is another matter.
    pub(crate) fn of(source: &SourceText, role: Role, options: &ReadOptions) -> Self {
        let options = ReadOptions { insecure: true, ..options.clone() };
        let mut daemon = read_daemon(source, &options);
        let mut client = read_client(source, &options);
        if let Some(settings) = &mut daemon.value {
            settings.own_formats.retain(works);
        }
        if let Some(settings) = &mut client.value {
            settings.own_formats.retain(works);
        }
        let problems = match role {
            Role::Daemon => daemon.problems,
            Role::Client => client.problems,
        };
        let wire = read_wire(source, &options);
        Meaning { role, daemon: daemon.value, client: client.value, wire, problems }
    }

    /// Can the program that it is for use it?
    pub(crate) fn is_good(&self) -> bool {
        match self.role {
            Role::Daemon => self.daemon.is_some(),
            Role::Client => self.client.is_some(),
        }
    }

    /// The names of the ethfilters in use.
    pub(crate) fn ethfilters(&self) -> Vec<&str> {
        let filters = self.daemon.iter().flat_map(|daemon| daemon.ethfilters.filters());
        filters.map(|filter| filter.name()).collect()
    }

    /// The first thing that the other file says otherwise, if there is one.
    pub(crate) fn differs(&self, other: &Meaning) -> Option<&'static str> {
        if self.wire != other.wire {
            return Some("the knock and its key");
        }
        let daemon = match (&self.daemon, &other.daemon) {
            (Some(one), Some(other)) => daemon_differs(one, other, self.role),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                (self.role == Role::Daemon).then_some("whether knockdaemon can read it")
            }
        };
        daemon.or_else(|| match (&self.client, &other.client) {
            (Some(one), Some(other)) => (one != other).then_some("the client's settings"),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                (self.role == Role::Client).then_some("whether knockclient can read it")
            }
        })
    }
}

fn read_wire(source: &SourceText, options: &ReadOptions) -> WireSettings {
    let Reading { value: Some(tree), .. } = parse(source) else { return WireSettings::default() };
    let mut reader = Reader::new(source, options, Vec::new());
    let top = reader.section(Within::Top, tree.root());
    wire::read(&mut reader, &top)
}

/// All of it is named here, so that a new setting cannot be forgotten.
fn daemon_differs(
    one: &DaemonSettings,
    other: &DaemonSettings,
    role: Role,
) -> Option<&'static str> {
    let DaemonSettings {
        runmodes,
        logfiles,
        fileinterval,
        silence,
        resume,
        capture,
        ethfilters,
        nflog,
        rulefilters,
        formats,
        own_formats,
        plan,
        statedir,
        statefile,
        firewall,
        control,
        // Made from the others.
        notes: _,
    } = one;
    let Plan { codec, actions, queue, scheduler, leases, replay } = plan;
    let same = [
        (*runmodes == other.runmodes, "runmode"),
        (*logfiles == other.logfiles, "the log to follow"),
        (*silence == other.silence, "silence"),
        (*fileinterval == other.fileinterval, "fileinterval"),
        (*resume == other.resume, "resume or maxlag"),
        (*capture == other.capture, "what is captured"),
        (format!("{ethfilters:?}") == format!("{:?}", other.ethfilters), "the ethfilters in use"),
        (*nflog == other.nflog, "which rules send packets"),
        (
            format!("{rulefilters:?}") == format!("{:?}", other.rulefilters),
            "the ethfilters in use for packets of a rule",
        ),
        // Compiled expressions cannot be compared, but tell what they were made of.
        (format!("{formats:?}") == format!("{:?}", other.formats), "the logformats in use"),
        (*own_formats == other.own_formats, "the file's own logformats"),
        (format!("{:?}", codec) == format!("{:?}", other.plan.codec), "the knock"),
        (*actions == other.plan.actions, "the actions"),
        // A client has no queue, and its file says nothing of one.
        (role == Role::Client || *queue == other.plan.queue, "queuetimeout or maxclients"),
        (*scheduler == other.plan.scheduler, "scheduler"),
        (*leases == other.plan.leases, "maxlease or onelease"),
        (*replay == other.plan.replay, "replay"),
        (*statedir == other.statedir, "statedir"),
        (*statefile == other.statefile, "statefile"),
        (*firewall == other.firewall, "firewall"),
        (*control == other.control, "controlsocket or controlgroup"),
    ];
    same.into_iter().find_map(|(same, what)| (!same).then_some(what))
}

/// Whether a format could be used. An old file may hold broken ones that it does not use; they mean nothing.
fn works(spec: &FormatSpec) -> bool {
    LogFormat::compile(spec).is_ok_and(|format| format.check_samples(spec).is_empty())
}
