//! What can go wrong at the firewall, and what to do about it.

use std::fmt;
use std::time::Duration;

use knock_rules::Opening;

use crate::Kind;
use crate::netlink::Fault;

/// Why the firewall does not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FirewallError {
    /// This process may not change the firewall.
    NotPermitted,
    /// None of the ways works on this host; the reasons, one by one.
    NoWay(Vec<(Kind, String)>),
    /// The kernel has not what this way needs.
    NotInTheKernel(Kind),
    /// The kernel refused.
    Kernel {
        /// What was tried.
        doing: String,
        /// Its number of the error.
        number: i32,
    },
    /// The set is full.
    Full(Opening),
    /// Another daemon keeps the leases of this network.
    KeptByAnother {
        /// Its process.
        process: i32,
    },
    /// What was to be opened is over already.
    Over(Opening),
    /// A set or table of our name is another's, or was made otherwise.
    NotAsOurs {
        /// Which.
        what: String,
        /// How to be rid of it.
        remedy: String,
    },
    /// A program is not installed.
    NoTool {
        /// Its name.
        program: String,
        /// The package that has it.
        package: &'static str,
    },
    /// A program said no.
    Tool {
        /// The words that were run.
        command: String,
        /// The first line of its complaint.
        says: String,
    },
    /// A program did not end in time.
    TimedOut {
        /// The words that were run.
        command: String,
        /// How long was waited.
        after: Duration,
    },
}

impl FirewallError {
    /// Whether a missing permission is the reason.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::NotPermitted => true,
            Self::NoWay(reasons) => {
                let forbidden = Self::NotPermitted.to_string();
                !reasons.is_empty() && reasons.iter().all(|(_, why)| *why == forbidden)
            }
            _ => false,
        }
    }

    /// What the kernel said to a question that is not about one opening.
    pub(crate) fn of_kernel(kind: Kind, doing: impl Into<String>, fault: Fault) -> Self {
        if fault.is_forbidden() {
            Self::NotPermitted
        } else if fault.is_unknown_here() {
            Self::NotInTheKernel(kind)
        } else {
            Self::Kernel { doing: doing.into(), number: fault.0 }
        }
    }
}

impl fmt::Display for FirewallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted => f.write_str(
                "this process may not change the firewall; it needs CAP_NET_ADMIN, which root has \
                 and the shipped unit gives; for iptables-legacy also CAP_NET_RAW and a writable \
                 /run/xtables.lock",
            ),
            Self::NoWay(reasons) => {
                f.write_str("this host has no firewall that can be used:")?;
                for (kind, why) in reasons {
                    write!(f, " {kind}: {why};")?;
                }
                f.write_str(" use 'system' or 'exec' templates with what this host has")
            }
            Self::NotInTheKernel(kind) => {
                let module = match kind {
                    Kind::Nftables | Kind::Auto => "nf_tables",
                    Kind::Ipset => "ip_set_hash_netport",
                    Kind::Iptables => "x_tables",
                };
                write!(f, "this kernel has no {kind} (module {module}); choose another 'firewall'")
            }
            Self::Kernel { doing, number } => {
                let error = std::io::Error::from_raw_os_error(*number);
                write!(f, "the kernel refuses to {doing}: {error}")
            }
            Self::Full(opening) => {
                write!(f, "no room for {opening}: the set is full; revoke leases that are not used")
            }
            Self::KeptByAnother { process } => write!(
                f,
                "another knockdaemon (process {process}) keeps the leases of this network, and two \
                 would close each other's; let one daemon have all 'open' templates, or run the \
                 other one in a network namespace of its own"
            ),
            Self::Over(opening) => write!(f, "the time of {opening} is over, it is not opened"),
            Self::NotAsOurs { what, remedy } => {
                write!(f, "{what} is there and is not as knockdaemon makes it; {remedy}")
            }
            Self::NoTool { program, package } => {
                write!(f, "there is no program {program} here; install the package '{package}'")
            }
            Self::Tool { command, says } => write!(f, "'{command}' failed: {says}"),
            Self::TimedOut { command, after } => write!(
                f,
                "'{command}' did not end within {} s; is the firewall locked by another program?",
                after.as_secs()
            ),
        }
    }
}

impl std::error::Error for FirewallError {}
