//! What is open to whom: a network, a protocol and a port, as plain values. Opens nothing, and knows
//! of no time: how long is the business of a lease.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::network::Network;

/// The protocols that have ports to open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As iptables, nft and ipset spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One port that is open to one network. The firewall has it or has it not, however often it was
/// asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Opening {
    /// To whom.
    pub network: Network,
    /// Of which protocol.
    pub protocol: Protocol,
    /// The port, never 0.
    pub port: u16,
}

/// `tcp port 22 to 192.0.2.7`, which can be read back.
impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, protocol, port } = self;
        write!(f, "{protocol} port {port} to {network}")
    }
}

/// A text that tells no opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnOpening;

impl fmt::Display for NotAnOpening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an opening, such as 'tcp port 22 to 192.0.2.7'")
    }
}

impl std::error::Error for NotAnOpening {}

impl FromStr for Opening {
    type Err = NotAnOpening;

    fn from_str(text: &str) -> Result<Self, NotAnOpening> {
        let read = || {
            let (protocol, rest) = text.split_once(" port ")?;
            let (port, network) = rest.split_once(" to ")?;
            let protocols = [Protocol::Tcp, Protocol::Udp];
            let protocol = protocols.into_iter().find(|known| known.as_str() == protocol)?;
            let port = port.parse().ok().filter(|port| *port != 0)?;
            Some(Self { network: network.parse().ok()?, protocol, port })
        };
        read().ok_or(NotAnOpening)
    }
}

/// An opening as the firewall has it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What is open.
    pub opening: Opening,
    /// After how long the firewall closes it by itself; `None`: never.
    pub left: Option<Duration>,
    /// From which moment on this way of opening keeps no end; `None`: it keeps any. For what is to end
    /// then, `left: None` is as it should be. Rules of iptables know no end behind 2038, and none at all
    /// where the kernel cannot tell the time.
    pub no_end_from: Option<SystemTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_reads_as_it_prints() {
        for text in [
            "tcp port 22 to 192.0.2.7",
            "udp port 51820 to 192.0.2.0/24",
            "tcp port 443 to 2001:db8::/64",
        ] {
            assert_eq!(text.parse::<Opening>().unwrap().to_string(), text);
        }
        for bad in ["", "tcp port 0 to 192.0.2.7", "icmp port 1 to ::1", "tcp port 22 to everybody"]
        {
            assert_eq!(bad.parse::<Opening>(), Err(NotAnOpening), "{bad}");
        }
    }
}
