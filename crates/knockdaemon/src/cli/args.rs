//! The command line: one definition feeds parsing, `--help` and the manual page.
//! Old-style options (`-conf FILE`) are rewritten before they come here.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};

use knock_config::Syntax;

/// Port-knocking server that follows the firewall log.
///
/// Watches the log for connection attempts to closed ports, keeps a queue of ports for each client,
/// and runs the configured actions when a queue spells a valid knock. Without a command it runs in
/// the foreground.
#[derive(Debug, Parser)]
#[command(
    name = "knockdaemon",
    version,
    infer_long_args = true,
    disable_help_subcommand = true,
    args_override_self = true,
    after_help = crate::exit::TABLE,
    after_long_help = crate::cli::manual::AFTER_HELP
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,

    /// Do everything, but do not respond to knocks: say what would run
    #[arg(long)]
    pub(crate) test: bool,

    /// Show the manual page
    #[arg(long)]
    pub(crate) man: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Options that may stand before or behind a command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// Read this configuration and no other
    #[arg(long, short = 'c', value_name = "FILE", global = true)]
    pub(crate) conf: Option<PathBuf>,

    /// Tell what happens in detail: line, hit, queue, window, decision
    #[arg(long, global = true)]
    pub(crate) debug: bool,

    /// Say nothing but errors
    #[arg(long, global = true)]
    pub(crate) quiet: bool,

    /// Accept a configuration or key file that others can read
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
}

/// What the program is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon in the foreground (what a call without a command does)
    Run(RunArgs),
    /// Read the configuration and print every mistake at once, with its place; status 1 on any
    Check,
    /// Run existing logs or capture files through the same engine at full speed; responds to nothing
    Replay(ReplayArgs),
    /// Tell, for one client, hit by hit, what happened and why a knock was not accepted
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
    /// List logformats with their samples, or show what the lines of a file yield
    Formats(FormatsArgs),
    /// Show, make or take away what leases need in this host's firewall, beside the rules that are there
    #[command(after_help = FIREWALL_HELP)]
    Firewall(FirewallArgs),
    /// Write a configuration in the other syntax, with its comments and the same meaning
    #[command(after_help = CONVERT_HELP)]
    Convert(ConvertArgs),
    /// Tell how the running daemon is: sources, queues, counters, agenda, what failed
    Status(SocketArgs),
    /// List what is open, to whom and until when
    Leases(SocketArgs),
    /// End leases before their time; the firewall closes at once
    Revoke(RevokeArgs),
    /// Let a lease last longer
    Extend(ExtendArgs),
    /// Make the running daemon read its configuration again, and say what came of it
    #[command(after_help = RELOAD_HELP)]
    Reload(SocketArgs),
}

const RELOAD_HELP: &str = "\
Waits until the new configuration is in force, or tells its mistakes with their places; then the
running one stays, and the status is 1. Queues, leases and agenda are kept either way. Where there
are leases the firewall is compared with them before the answer; what is in the way of that is told,
and the status stays 0.";

const FIREWALL_HELP: &str = "\
Only what is ours, word by word, is made or taken away: the table inet knockdaemon, the sets
knockdaemon4 and knockdaemon6, the chain knockdaemon, and the rules that lead there. The daemon makes
what is missing by itself when it starts, on a reload, and each minute while there are leases.";

const CONVERT_HELP: &str = "\
The result is read back before it is written: tree, comments and settings must be those of the
source, else nothing is written and the status is 78. A file with a key in it becomes its owner's
alone. What must be said otherwise to mean the same (queuetimeout) is written out; what YAML would
refuse in an old file (unknown keys) becomes a comment. Both are told on standard error.";

const EXPLAIN_HELP: &str = "\
For each hit: its line, what the queue held, why a window was refused; for hits that were nearly a
knock, what was wrong with them and what to do. At the end what it comes to, also when the client does
not appear at all. The status is 0 when a knock of the client was accepted, and 1 when none was.";

/// How the running daemon is found.
#[derive(Args, Clone, Debug)]
pub(crate) struct SocketArgs {
    /// The daemon's control socket, in place of the one that its configuration names
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    /// Print the answer as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `revoke`.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("which").required(true)))]
pub(crate) struct RevokeArgs {
    /// The numbers of leases, as `leases` shows them
    #[arg(value_name = "ID", group = "which")]
    pub(crate) ids: Vec<u64>,

    /// All leases of this client
    #[arg(long, value_name = "IP", value_parser = client, group = "which")]
    pub(crate) client: Option<IpAddr>,

    /// All leases there are
    #[arg(long, group = "which")]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// Options of `extend`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExtendArgs {
    /// The number of the lease, as `leases` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: u64,

    /// How much is added to its end: 90s, 15m, 2h or 1d; `maxlease` holds here too
    #[arg(value_name = "TIME", value_parser = longer)]
    pub(crate) time: Duration,

    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

fn longer(text: &str) -> Result<Duration, String> {
    let wrong = || "no time with its unit, such as 90s, 15m, 2h or 1d".to_owned();
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.get(number.len()..) {
        Some("s") => 1,
        Some("m" | "min") => 60,
        Some("h") => 3600,
        Some("d") => 86_400,
        Some(_) | None => return Err(wrong()),
    };
    let seconds = number.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// Options of `run`.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct RunArgs {
    /// Do everything, but do not respond to knocks: say what would run
    #[arg(long)]
    pub(crate) test: bool,
}

/// Options of `replay`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReplayArgs {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Logs to read from their first line, in this order; `-` is standard input. A capture file (.pcap,
    /// .pcapng, known by its contents) goes through the ethfilters, as with runmode = network
    #[arg(value_name = "LOG", required = true, action = ArgAction::Append)]
    pub(crate) logs: Vec<PathBuf>,
}

/// Options of `explain`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExplainArgs {
    /// The client's address, as the server sees it
    #[arg(long, value_name = "IP", value_parser = client)]
    pub(crate) client: IpAddr,

    /// Read the live log from its end on, until ctrl-C: the LOG given, else what the configuration
    /// names. Does not disturb the running daemon
    #[arg(long)]
    pub(crate) follow: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Logs and capture files to read from their first line, in this order; `-` is standard input
    #[arg(value_name = "LOG", required_unless_present = "follow", action = ArgAction::Append)]
    pub(crate) logs: Vec<PathBuf>,
}

fn client(text: &str) -> Result<IpAddr, String> {
    let address: Result<IpAddr, _> = text.parse();
    match address {
        Ok(address) => Ok(address.to_canonical()),
        Err(_) if text.contains('/') => {
            Err("give one address; who else of its network hit ports is told as well".to_owned())
        }
        Err(_) => Err("no IP address, such as 192.0.2.7 or 2001:db8::7".to_owned()),
    }
}

/// Options of `formats`.
#[derive(Args, Clone, Debug)]
pub(crate) struct FormatsArgs {
    /// One format only
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Show what each line of this file yields; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) test: Option<PathBuf>,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `firewall`.
#[derive(Args, Clone, Copy, Debug)]
#[command(group(ArgGroup::new("what").required(true).args(["print", "apply", "remove"])))]
pub(crate) struct FirewallArgs {
    /// Print it as a shell script, with remarks on this host's rules; changes nothing
    #[arg(long)]
    pub(crate) print: bool,

    /// Make what is missing
    #[arg(long)]
    pub(crate) apply: bool,

    /// Take away all that is ours; a running daemon puts back what its leases need
    #[arg(long)]
    pub(crate) remove: bool,

    /// How; without this as the configuration says, and auto where there is none
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<FirewallKind>,
}

/// How leases get into the firewall.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FirewallKind {
    /// The first of the others that works here
    Auto,
    /// Sets of nftables
    Nftables,
    /// Sets of ipset, and a rule of iptables
    Ipset,
    /// A rule of iptables for each lease
    Iptables,
}

/// Options of `convert`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConvertArgs {
    /// The configuration to convert; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// What standard input or a pipe is written in; without this conf. A file says it by its name
    #[arg(long, value_name = "SYNTAX")]
    pub(crate) from: Option<Origin>,

    /// What to make of it; without this what the output's name says, else yaml of a .conf and conf of YAML
    #[arg(long, value_name = "SYNTAX")]
    pub(crate) to: Option<Target>,

    /// Write to this file, which must not be there yet, in place of standard output; a device or a pipe
    /// is written to and stays what it is
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Replace the output file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// What `convert` reads.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Origin {
    /// YAML
    Yaml,
    /// The syntax of the original
    Conf,
}

impl From<Origin> for Syntax {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Yaml => Syntax::Yaml,
            Origin::Conf => Syntax::Legacy,
        }
    }
}

/// What `convert` makes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Target {
    /// The bare tree, as Perl's Config::General has it; of any file that can be parsed
    Json,
    /// YAML
    Yaml,
    /// The syntax of the original
    Conf,
}
