//! Names for numbers in headers, as NetPacket exports them. Data only; what comparing with one
//! means, `numbers.rs` knows.

/// Symbols that are compared with the same properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Version,
    IpFlag,
    Tos,
    Len,
    Ttl,
    Proto,
    TcpFlag,
}

impl Group {
    /// Whether the property is made of bits, of which a symbol names some: it then asks for these
    /// bits, whatever the others are.
    pub(super) fn is_bits(self) -> bool {
        match self {
            Self::IpFlag | Self::Tos | Self::TcpFlag => true,
            Self::Version | Self::Len | Self::Ttl | Self::Proto => false,
        }
    }

    /// What its symbols are, in words.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Version => "a version of IP",
            Self::IpFlag => "a flag of IP",
            Self::Tos => "a type of service",
            Self::Len => "a length",
            Self::Ttl => "a time to live",
            Self::Proto => "a protocol",
            Self::TcpFlag => "a flag of TCP",
        }
    }

    /// What NetPacket's names begin with and people leave out.
    fn prefix(self) -> &'static str {
        match self {
            Self::Version => "IP_VERSION_",
            Self::IpFlag => "IP_FLAG_",
            Self::Tos => "IPTOS_",
            Self::Proto => "IP_PROTO_",
            Self::Len => "IP_",
            Self::Ttl | Self::TcpFlag => "",
        }
    }

    /// The symbols without what they begin with, each with its value.
    pub(super) fn symbols(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::Version => &[("IPv4", 4), ("IPv6", 6)],
            Self::IpFlag => &[("MOREFRAGS", 1), ("DONTFRAG", 2), ("CONGESTION", 4)],
            Self::Tos => TOS,
            Self::Len => &[("MSS", 576), ("MAXPACKET", 65535)],
            Self::Ttl => &[("MAXTTL", 255), ("IPDEFTTL", 64), ("IPFRAGTTL", 60), ("IPTTLDEC", 1)],
            Self::Proto => PROTOCOLS,
            Self::TcpFlag => &[
                ("FIN", 0x01),
                ("SYN", 0x02),
                ("RST", 0x04),
                ("PSH", 0x08),
                ("ACK", 0x10),
                ("URG", 0x20),
                ("ECE", 0x40),
                ("CWR", 0x80),
            ],
        }
    }

    /// The value of a symbol, written whole or short, in any case.
    pub(super) fn value(self, name: &str) -> Option<u32> {
        let prefix = self.prefix();
        let short = match name.get(..prefix.len()) {
            Some(start) if start.eq_ignore_ascii_case(prefix) => {
                name.get(prefix.len()..).unwrap_or_default()
            }
            _ => name,
        };
        let same = |known: &str| known.eq_ignore_ascii_case(short);
        self.symbols().iter().find(|(known, _)| same(known)).map(|(_, value)| *value)
    }

    /// The group that has this symbol.
    pub(super) fn of(name: &str) -> Option<Self> {
        let all = [
            Self::TcpFlag,
            Self::Proto,
            Self::IpFlag,
            Self::Version,
            Self::Tos,
            Self::Ttl,
            Self::Len,
        ];
        all.into_iter().find(|group| group.value(name).is_some())
    }
}

const PROTOCOLS: &[(&str, u32)] = &[
    ("IP", 0),
    ("ICMP", 1),
    ("IGMP", 2),
    ("IPIP", 4),
    ("TCP", 6),
    ("EGP", 8),
    ("PUP", 12),
    ("UDP", 17),
    ("IDP", 22),
    ("TP", 29),
    ("DCCP", 33),
    ("IPV6", 41),
    ("ROUTING", 43),
    ("FRAGMENT", 44),
    ("RSVP", 46),
    ("GRE", 47),
    ("ESP", 50),
    ("AH", 51),
    ("ICMPV6", 58),
    ("NONE", 59),
    ("DSTOPTS", 60),
    ("MTP", 92),
    ("ENCAP", 98),
    ("PIM", 103),
    ("COMP", 108),
    ("SCTP", 132),
    ("UDPLITE", 136),
];

const TOS: &[(&str, u32)] = &[
    ("ECN_MASK", 0x03),
    ("ECN_NOT_ECT", 0x00),
    ("ECN_ECT1", 0x01),
    ("ECN_ECT0", 0x02),
    ("ECN_CE", 0x03),
    ("DSCP_MASK", 0xfc),
    ("DSCP_AF11", 0x28),
    ("DSCP_AF12", 0x30),
    ("DSCP_AF13", 0x38),
    ("DSCP_AF21", 0x48),
    ("DSCP_AF22", 0x50),
    ("DSCP_AF23", 0x58),
    ("DSCP_AF31", 0x68),
    ("DSCP_AF32", 0x70),
    ("DSCP_AF33", 0x78),
    ("DSCP_AF41", 0x88),
    ("DSCP_AF42", 0x90),
    ("DSCP_AF43", 0x98),
    ("DSCP_EF", 0xb8),
    ("CLASS_MASK", 0xe0),
    ("CLASS_DEFAULT", 0x00),
    ("CLASS_CS0", 0x00),
    ("CLASS_CS1", 0x20),
    ("CLASS_CS2", 0x40),
    ("CLASS_CS3", 0x60),
    ("CLASS_CS4", 0x80),
    ("CLASS_CS5", 0xa0),
    ("CLASS_CS6", 0xc0),
    ("CLASS_CS7", 0xe0),
    ("PREC_MASK", 0xe0),
    ("PREC_NETCONTROL", 0xe0),
    ("PREC_INTERNETCONTROL", 0xc0),
    // The number that NetPacket has; by the RFC it would be 0xa0.
    ("PREC_CRITIC_ECP", 0x0a),
    ("PREC_FLASHOVERRIDE", 0x80),
    ("PREC_FLASH", 0x60),
    ("PREC_IMMEDIATE", 0x40),
    ("PREC_PRIORITY", 0x20),
    ("PREC_ROUTINE", 0x00),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_whole_or_short_in_any_case() {
        for name in ["IP_PROTO_TCP", "TCP", "tcp", "ip_proto_tcp"] {
            assert_eq!(Group::Proto.value(name), Some(6), "{name}");
        }
        assert_eq!(Group::TcpFlag.value("syn"), Some(2));
        assert_eq!(Group::Version.value("IP_VERSION_IPv4"), Some(4));
        assert_eq!(Group::Tos.value("iptos_dscp_ef"), Some(0xb8));
        assert_eq!(Group::Proto.value("SYN"), None);
        assert_eq!(Group::Proto.value("\u{fc}IP_PROTO_TCP"), None);
        assert_eq!(Group::of("SYN"), Some(Group::TcpFlag));
        assert_eq!(Group::of("dontfrag"), Some(Group::IpFlag));
    }
}
