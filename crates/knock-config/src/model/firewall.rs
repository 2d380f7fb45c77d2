//! How leases get into the firewall: `firewall`. Looks at no firewall; what works on a host is found
//! out there.

use crate::model::section::{Reader, Section};

/// How leases get into the firewall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirewallChoice {
    /// The first of the others that works.
    #[default]
    Auto,
    /// Sets of nftables.
    Nftables,
    /// Sets of ipset.
    Ipset,
    /// Rules of iptables.
    Iptables,
}

/// Reads the key.
pub(super) fn read(reader: &mut Reader<'_>, top: &Section<'_>) -> FirewallChoice {
    let read = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
        "auto" => Some(FirewallChoice::Auto),
        "nftables" => Some(FirewallChoice::Nftables),
        "ipset" => Some(FirewallChoice::Ipset),
        "iptables" => Some(FirewallChoice::Iptables),
        _ => None,
    };
    reader.parsed(top, "firewall", read).map(|given| given.value).unwrap_or_default()
}
