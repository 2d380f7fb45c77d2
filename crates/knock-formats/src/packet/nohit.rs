//! Why a packet is no hit, for `-debug` and `replay`. A normal result, not an error.

use std::fmt;

use knock_wire::Protocol;

use super::LinkType;

/// Why a packet yields no hit. Small and `Copy`: nearly every packet ends as one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoPacketHit {
    /// What this kind of interface puts before a packet cannot be read.
    UnsupportedLink(LinkType),
    /// Not an IP packet.
    NotIp {
        /// What the link layer says that it is: an EtherType, or what stands in its place.
        ether_type: u16,
    },
    /// This host sent it.
    Outgoing,
    /// It ends, or was cut, inside a header.
    Cut {
        /// Which one.
        header: &'static str,
    },
    /// A header that says impossible things of itself.
    Malformed {
        /// Which one.
        header: &'static str,
    },
    /// A piece of a packet other than the first, which alone has the ports.
    Fragment,
    /// Its protocol has no ports (ICMP, say). What an ICMP error carries inside is never looked at:
    /// its sender may have made it up.
    NoPorts(Protocol),
    /// Sent to port 0.
    NoPort,
    /// No filter chooses it.
    NotChosen,
    /// TCP, and not the first packet of a connection.
    NotASyn,
    /// A rule of the firewall chose it that is not the one of the knocks.
    OtherRule,
}

impl fmt::Display for NoPacketHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedLink(link) => write!(
                f,
                "packets of link type {link} cannot be read; there are Ethernet, Linux cooked \
                 (v1 and v2), loopback and raw IP"
            ),
            Self::NotIp { ether_type } => write!(f, "not an IP packet (type 0x{ether_type:04x})"),
            Self::Outgoing => f.write_str("sent by this host"),
            Self::Cut { header } => write!(f, "ends inside the {header} header"),
            Self::Malformed { header } => write!(f, "the {header} header contradicts itself"),
            Self::Fragment => f.write_str("a fragment behind the first, without ports"),
            Self::NoPorts(protocol) => write!(f, "protocol {protocol} has no ports"),
            Self::NoPort => f.write_str("sent to port 0"),
            Self::NotChosen => f.write_str("no ethfilter in use matches"),
            Self::OtherRule => f.write_str("the rule has another prefix than nflogprefix"),
            Self::NotASyn => f.write_str("TCP, but not a SYN without ACK"),
        }
    }
}
