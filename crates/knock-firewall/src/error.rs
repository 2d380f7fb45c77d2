//! What can go wrong at the firewall, and what to do about it.

use std::fmt;
use std::time::Duration;

use knock_rules::Opening;

use crate::netlink::Fault;
use crate::{Holder, Kind, ipset};

/// What helps where iptables-legacy says that it cannot open its lock.
pub const LOCK_ADVICE: &str = "this user may not open /run/xtables.lock, which iptables-legacy needs; \
    under systemd the drop-in knockdaemon-legacy.conf gives it, otherwise let the daemon's group read \
    the file, run it as root, or let iptables be iptables-nft";

/// Why the firewall does not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FirewallError {
    /// This process may not change the firewall.
    NotPermitted,
    /// This process may not take the lock that iptables-legacy takes.
    NoLock {
        /// The program that says so.
        program: String,
    },
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
        /// Which, if that is known.
        holder: Option<Holder>,
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
    /// What others are doing at the firewall took too long.
    Busy {
        /// How long was waited.
        after: Duration,
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
            Self::NotPermitted | Self::NoLock { .. } => true,
            Self::NoWay(reasons) => {
                let forbidden = Self::NotPermitted.to_string();
                !reasons.is_empty() && reasons.iter().all(|(_, why)| *why == forbidden)
            }
            _ => false,
        }
    }

    /// The table of our name is not as we make it; it may do nothing but mark all the same.
    pub(crate) fn foreign_table(does_nothing_else: bool) -> Self {
        let remedy = if does_nothing_else {
            "another version may have made it, or somebody changed it by hand; take it away, and with it \
             what is open: knockdaemon firewall --remove (or: nft delete table inet knockdaemon)"
        } else {
            "give it another name where it is made, take it away (nft delete table inet \
             knockdaemon), or take out of it what is not knockdaemon's"
        };
        Self::NotAsOurs {
            what: "the table inet knockdaemon of nftables".to_owned(),
            remedy: remedy.to_owned(),
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
                 and the shipped unit gives; for iptables-legacy also CAP_NET_RAW",
            ),
            Self::NoLock { program } => write!(f, "{program} cannot take its lock: {LOCK_ADVICE}"),
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
                write!(f, "the kernel refuses to {doing}: ")?;
                match ipset::meaning(*number) {
                    Some(meaning) => write!(f, "{meaning} (error {number} of ipset)"),
                    None => write!(f, "{}", std::io::Error::from_raw_os_error(*number)),
                }
            }
            Self::Full(opening) => {
                write!(f, "no room for {opening}: the set is full; revoke leases that are not used")
            }
            Self::KeptByAnother { holder } => {
                let holder = holder.map_or(String::new(), |holder| format!(" ({holder})"));
                write!(
                    f,
                    "another knockdaemon{holder} keeps the leases of this network, and two would close \
                     each other's; let one daemon have all 'open' templates, or run the other one in a \
                     network namespace of its own"
                )
            }
            Self::Over(opening) => write!(f, "the time of {opening} is over, it is not opened"),
            Self::NotAsOurs { what, remedy } => {
                write!(f, "{what} is there and is not as knockdaemon makes it; {remedy}")
            }
            Self::NoTool { program, package } => {
                write!(f, "there is no program {program} here; install the package '{package}'")
            }
            Self::Tool { command, says } => write!(f, "'{command}' failed: {says}"),
            Self::Busy { after } => write!(
                f,
                "what is done at the firewall before this has not ended within {} s: its programs \
                 are slow or hang, or another program has it locked",
                after.as_secs()
            ),
            Self::TimedOut { command, after } => write!(
                f,
                "'{command}' did not end within {} s; is the firewall locked by another program?",
                after.as_secs()
            ),
        }
    }
}

impl std::error::Error for FirewallError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_kernel_are_words() {
        let told = |number| {
            FirewallError::Kernel { doing: "close tcp port 22".to_owned(), number }.to_string()
        };
        assert_eq!(
            told(4107),
            "the kernel refuses to close tcp port 22: the set was made without 'timeout' (error \
             4107 of ipset)"
        );
        for number in (4097..=4114).chain(4352..=4357) {
            assert!(!told(number).contains("Unknown error"), "{number}");
        }
        let plain = told(rustix::io::Errno::NOMEM.raw_os_error());
        assert!(plain.contains("Cannot allocate memory"), "{plain}");
    }
}
