//! What goes over the control socket: one request, one answer, each a line of JSON.
//! These names are what programs rely on with `--json`; nothing here reads or writes a socket.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The longest request. They are all short.
pub(crate) const MAX_REQUEST: usize = 4 * 1024;

/// The most leases that an answer lists; how many there are in all is told beside them.
pub(crate) const MAX_LISTED: usize = 10_000;

/// The longest answer that is believed.
pub(crate) const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// What is asked of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Request {
    /// How it is.
    Status {},
    /// What is open, and to whom.
    Leases {},
    /// End leases before their time.
    Revoke {
        /// Which.
        which: Which,
    },
    /// Let a lease last longer.
    Extend {
        /// Which.
        id: u64,
        /// How much longer.
        by_s: u64,
    },
    /// Read the configuration again, and say what came of it.
    Reload {},
}

/// Which leases are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Which {
    /// Those of these numbers.
    Ids(Vec<u64>),
    /// Those of this client.
    Client(IpAddr),
    /// All there are.
    All,
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub(crate) enum Answer {
    /// To `status`.
    Status(Box<Status>),
    /// To `leases`.
    Leases(Leases),
    /// To `revoke`.
    Revoked(Revoked),
    /// To `extend`: the lease as it is now.
    Extended(Box<Lease>),
    /// To `reload`: it is in force.
    Reloaded(Reloaded),
    /// It is not done.
    Refused(Refused),
}

/// What is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Leases {
    /// How many leases there are.
    pub(crate) total: usize,
    /// The first [`MAX_LISTED`] of them, by their numbers.
    pub(crate) leases: Vec<Lease>,
    /// Whether the firewall has been seen to hold them.
    pub(crate) firewall: Firewall,
}

/// What ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Revoked {
    /// How many leases that is.
    pub(crate) total: usize,
    /// The first [`MAX_LISTED`] of them. They are being closed.
    pub(crate) leases: Vec<Lease>,
    /// Numbers that no lease has.
    pub(crate) unknown: Vec<u64>,
    /// Whether the firewall had been seen to hold them.
    pub(crate) firewall: Firewall,
}

/// One opening with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// Its number.
    pub(crate) id: u64,
    /// How far it is.
    pub(crate) state: LeaseState,
    /// The port.
    pub(crate) port: u16,
    /// `tcp` or `udp`.
    pub(crate) protocol: String,
    /// To which address or network it is open.
    pub(crate) to: String,
    /// Whose knock asked for it last.
    pub(crate) client: IpAddr,
    /// Who that is, where `onelease` tells.
    pub(crate) user: Option<String>,
    /// When it was granted first.
    pub(crate) opened: String,
    /// When it ends; none where a knock has to end it.
    pub(crate) until: Option<String>,
    /// How long until then.
    pub(crate) left_s: Option<f64>,
    /// When it ends at the latest.
    pub(crate) at_most: Option<String>,
    /// Whether it lasts while the client is connected.
    pub(crate) hold: bool,
    /// The action that granted it.
    pub(crate) action: String,
    /// The knock that asked for it last.
    pub(crate) knock: String,
    /// Why it is not open, where that failed.
    pub(crate) trouble: Option<String>,
}

/// How far a lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LeaseState {
    /// The firewall is being told.
    Opening,
    /// It is open.
    Open,
    /// It is being closed.
    Closing,
    /// It could not be opened.
    Failed,
}

/// What was read anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reloaded {
    /// The file.
    pub(crate) config: String,
    /// Its warnings, with their places; empty if there are none.
    pub(crate) report: String,
    /// What came of comparing the firewall with the leases afterwards.
    pub(crate) firewall: Firewall,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// For programs.
    pub(crate) code: Code,
    /// For people: what is wrong, and what to do.
    pub(crate) message: String,
    /// The configuration's mistakes, with their places, where those are the reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) report: String,
}

impl Refused {
    /// Without a report.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), report: String::new() }
    }
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Code {
    /// Who asks may not.
    Permission,
    /// The request is none, or of another version.
    Request,
    /// There is no such lease.
    NotFound,
    /// That lease cannot be so.
    Lease,
    /// The configuration has mistakes.
    Config,
    /// The configuration cannot be read.
    Unreadable,
    /// The daemon is too busy, or about to end.
    Busy,
    /// It could not be made durable.
    Store,
}

/// How the daemon is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Its version.
    pub(crate) version: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Whether it answers knocks.
    pub(crate) mode: Mode,
    /// The configuration that is in force.
    pub(crate) config: String,
    /// When it began.
    pub(crate) started: String,
    /// How long ago.
    pub(crate) uptime_s: u64,
    /// When the configuration was read again, if it was.
    pub(crate) reloaded: Option<String>,
    /// Where hits come from.
    pub(crate) sources: Vec<Source>,
    /// Unfinished knocks.
    pub(crate) queues: Queues,
    /// What became of all hits.
    pub(crate) hits: Hits,
    /// Leases: what is open.
    pub(crate) leases: usize,
    /// How that compares with what the firewall has.
    pub(crate) firewall: Firewall,
    /// Orders that wait or run.
    pub(crate) agenda: Agenda,
    /// The last orders that failed, the latest first.
    pub(crate) failed: Vec<Failed>,
    /// What survives a restart.
    pub(crate) store: Store,
}

/// Whether knocks are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// They are.
    Respond,
    /// `-test`: it is said what would run.
    Test,
}

/// A source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// What messages call it.
    pub(crate) name: String,
    /// Whether it reads.
    pub(crate) state: SourceState,
    /// Lines or packets so far.
    pub(crate) lines: u64,
    /// Hits so far.
    pub(crate) hits: u64,
    /// How long ago the last line or packet came.
    pub(crate) last_line_ago_s: Option<f64>,
    /// Lines or packets a second, over the last minute.
    pub(crate) lines_per_s: f64,
    /// What it waits for, if it does: a file that is not there, an interface.
    pub(crate) waiting: Option<String>,
    /// What is in its way.
    pub(crate) trouble: Option<Trouble>,
}

/// Whether a source reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SourceState {
    /// Not yet, and nothing is wrong.
    Starting,
    /// It does.
    Reading,
    /// There is nothing to read at the moment; it goes on looking.
    Waiting,
    /// It cannot, and is tried again.
    Failed,
}

/// Why a source cannot read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// What it said last.
    pub(crate) error: String,
    /// How often in a row.
    pub(crate) failures: u32,
    /// When it is tried again.
    pub(crate) next_try_s: f64,
}

/// Unfinished knocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queues {
    /// Clients with a queue.
    pub(crate) clients: usize,
    /// The most there may be.
    pub(crate) most: usize,
    /// Clients forgotten to make room for others.
    pub(crate) evicted: u64,
    /// Hits that a knock has.
    pub(crate) slots: usize,
}

/// What became of all hits since the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hits {
    /// All.
    pub(crate) seen: u64,
    /// On ports that carry no knock.
    pub(crate) outside_span: u64,
    /// The same packet again.
    pub(crate) repeated: u64,
    /// Knocks.
    pub(crate) accepted: u64,
    /// Windows that spelled none, by the reason.
    pub(crate) refused: BTreeMap<String, u64>,
}

/// How the leases compare with what the firewall has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Firewall {
    /// How leases get in: `nftables`, `ipset` or `iptables`; unknown until the first comparison.
    pub(crate) way: Option<String>,
    /// How long ago they were compared; never where there was no lease.
    pub(crate) compared_ago_s: Option<f64>,
    /// Whether they are being compared at this moment.
    pub(crate) comparing: bool,
    /// Openings that were put back, or closed because they had no lease, since the start.
    pub(crate) put_right: u64,
    /// Why they could not be compared, the last time.
    pub(crate) not_compared: Option<String>,
    /// What else the firewall lacks for leases to work; they were compared all the same.
    pub(crate) trouble: Option<String>,
    /// What is to be known of this host's firewall, as the log has told it.
    #[serde(default)]
    pub(crate) remarks: Vec<String>,
}

/// Orders that wait or run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agenda {
    /// All of them.
    pub(crate) orders: usize,
    /// Those that are with a worker.
    pub(crate) running: usize,
    /// The first of them, by their time.
    pub(crate) next: Vec<Order>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Its number.
    pub(crate) id: u64,
    /// When it is due.
    pub(crate) due: String,
    /// How long until then; less than nothing when it is late.
    pub(crate) due_in_s: f64,
    /// Whose knock asked for it.
    pub(crate) client: IpAddr,
    /// Its template.
    pub(crate) template: String,
    /// What it runs.
    pub(crate) command: String,
    /// How often it has failed.
    pub(crate) failures: u32,
}

/// An order that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// When.
    pub(crate) time: String,
    /// How long ago.
    pub(crate) ago_s: u64,
    /// Whose knock asked for it.
    pub(crate) client: IpAddr,
    /// Its template.
    pub(crate) template: String,
    /// What it ran.
    pub(crate) command: String,
    /// What went wrong.
    pub(crate) why: String,
    /// What became of it.
    pub(crate) fate: String,
}

/// What survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Store {
    /// The folder; `None` with `-test`.
    pub(crate) statedir: Option<String>,
    /// What could not be written, and why; `None` when all is well.
    pub(crate) trouble: Option<String>,
}
