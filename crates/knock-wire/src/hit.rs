//! A hit: one packet at one port, as a log line or a capture tells of it.
//! Not yet part of a knock: most hits are noise.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// One packet at one port. Small and `Copy`: millions of them pass through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Who sent the packet.
    pub client: IpAddr,
    /// The port it was sent to, 1-65535.
    pub port: u16,
    /// The address it was sent to.
    pub server: Option<IpAddr>,
    /// The interface it came in by.
    pub interface: Option<Interface>,
    /// The transport protocol.
    pub protocol: Option<Protocol>,
    /// The port it was sent from; a repeated SYN has the same one.
    pub source_port: Option<u16>,
    /// TCP's sequence number.
    pub sequence: Option<u32>,
    /// When the line says that it happened.
    pub time: Option<LineTime>,
}

impl Hit {
    /// A hit of which only client and port are known.
    #[must_use]
    pub fn new(client: IpAddr, port: u16) -> Self {
        Self {
            client,
            port,
            server: None,
            interface: None,
            protocol: None,
            source_port: None,
            sequence: None,
            time: None,
        }
    }
}

/// A network interface's name, at most 15 bytes as in Linux (`IFNAMSIZ` less its NUL).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interface {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Interface {
    /// The longest name the kernel takes.
    pub const MAX: usize = 15;

    /// `None` when the name is empty, too long, or has a byte that no interface name may have
    /// (blank, `/`, control characters, or anything beyond ASCII).
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        if name.is_empty() || name.len() > Self::MAX {
            return None;
        }
        if !name.iter().all(|b| b.is_ascii_graphic() && *b != b'/') {
            return None;
        }
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self { bytes, len: u8::try_from(name.len()).ok()? })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let name = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A transport protocol, by its IANA number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4: has types, no ports.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// DCCP.
    pub const DCCP: Self = Self(33);
    /// ICMP for IPv6: has types, no ports.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);
    /// UDP-Lite.
    pub const UDPLITE: Self = Self(136);

    /// From a name (`TCP`, `tcp`, `ICMPv6`) or a number (`6`) as firewalls write it.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        // As the kernel writes them, and so in nearly all lines.
        match text {
            b"TCP" => return Some(Self::TCP),
            b"UDP" => return Some(Self::UDP),
            _ => (),
        }
        let text = std::str::from_utf8(text).ok()?;
        if let Ok(number) = text.parse() {
            return Some(Self(number));
        }
        let known = [
            ("icmp", Self::ICMP),
            ("tcp", Self::TCP),
            ("udp", Self::UDP),
            ("dccp", Self::DCCP),
            ("icmpv6", Self::ICMPV6),
            ("ipv6-icmp", Self::ICMPV6),
            ("icmp6", Self::ICMPV6),
            ("sctp", Self::SCTP),
            ("udplite", Self::UDPLITE),
            ("igmp", Self(2)),
            ("gre", Self(47)),
            ("esp", Self(50)),
            ("ah", Self(51)),
        ];
        known.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, p)| *p)
    }

    /// Whether its packets are sent to a port at all.
    #[must_use]
    pub fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::DCCP | Self::SCTP | Self::UDPLITE)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("ICMP"),
            Self::TCP => f.write_str("TCP"),
            Self::UDP => f.write_str("UDP"),
            Self::DCCP => f.write_str("DCCP"),
            Self::ICMPV6 => f.write_str("ICMPv6"),
            Self::SCTP => f.write_str("SCTP"),
            Self::UDPLITE => f.write_str("UDPLITE"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

/// The time that a log line carries. Advisory: sequence timing uses the time of arrival; only
/// `replay` goes by this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineTime {
    /// A full date with its zone: a moment.
    Wall(SystemTime),
    /// Date and time without a zone, and perhaps without a year (classic syslog).
    Local {
        /// The year, where the line has it.
        year: Option<i32>,
        /// 1-12.
        month: u8,
        /// 1-31.
        day: u8,
        /// Since local midnight.
        since_midnight: Duration,
    },
    /// Since the kernel started, `[ 1679.232768]`.
    Uptime(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_are_what_the_kernel_takes() {
        for good in ["eth0", "lo", "wlan0.150", "enp1s0f0np0", "br-0123456789ab"] {
            assert_eq!(Interface::new(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in ["", "sixteen-bytes-xx", "a b", "a/b", "a\u{1b}[31m", "\u{fc}"] {
            assert_eq!(Interface::new(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn protocols_by_name_and_number() {
        for (text, number) in [("TCP", 6), ("tcp", 6), ("6", 6), ("ICMPv6", 58), ("UDP", 17)] {
            assert_eq!(Protocol::from_text(text.as_bytes()), Some(Protocol(number)));
        }
        assert_eq!(Protocol::from_text(b"0800"), None);
        assert_eq!(Protocol::from_text(b"\xff"), None);
        assert!(!Protocol::ICMP.has_ports());
    }
}
