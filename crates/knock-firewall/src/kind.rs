//! The ways in which the firewall of a host can be told to let somebody in.

use std::fmt;

/// How openings get into the firewall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The first of the others that works here.
    #[default]
    Auto,
    /// Sets with timeouts in a table of our own.
    Nftables,
    /// Sets of ipset, and one rule of iptables.
    Ipset,
    /// A rule for each opening in a chain of our own, with an end where the kernel knows one.
    Iptables,
}

impl Kind {
    /// Those that are tried one after the other. nftables comes before ipset also where the rules are
    /// iptables': a saved rule that names a set of ipset keeps the whole rule set from being loaded
    /// at the next start, when the set is not there.
    pub(crate) const WAYS: [Self; 3] = [Self::Nftables, Self::Ipset, Self::Iptables];

    /// As the configuration spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Nftables => "nftables",
            Self::Ipset => "ipset",
            Self::Iptables => "iptables",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
