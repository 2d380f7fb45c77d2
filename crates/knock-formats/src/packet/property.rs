//! The properties of a packet that a filter may name: NetPacket's names, what values they can have,
//! and how to take one from a packet. What a filter demands of them, `filter.rs` knows.

use std::fmt;
use std::net::IpAddr;

use super::parse::{Packet, Rest, Tcp, Transport};
use super::symbols::Group;

/// A property of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Property(Field);

/// What a packet has under a property's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyValue {
    /// A number.
    Number(u32),
    /// An address, which a filter sees as text.
    Address(IpAddr),
}

impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Which transport protocol a property belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Every packet has it.
    Ip,
    /// Every protocol with ports has it.
    Ports,
    Tcp,
    Udp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Field {
    Ver,
    Hlen,
    IpFlags,
    Foffset,
    Tos,
    Len,
    Id,
    Ttl,
    Proto,
    Cksum,
    SrcIp,
    DestIp,
    SrcPort,
    DestPort,
    TcpSrcPort,
    TcpDestPort,
    Seqnum,
    Acknum,
    TcpHlen,
    Reserved,
    TcpFlags,
    Winsize,
    TcpCksum,
    Urg,
    UdpSrcPort,
    UdpDestPort,
    UdpLen,
    UdpCksum,
}

/// A property's names, the first of which is how it is shown, its greatest value (none: text), and
/// the symbols that it may be compared with.
type Row = (Field, Owner, &'static [&'static str], Option<u32>, Option<Group>);

const BYTE: Option<u32> = Some(0xff);
const WORD: Option<u32> = Some(0xffff);
const LONG: Option<u32> = Some(u32::MAX);

/// A name that IP and TCP share means TCP's where NetPacket's users would expect that: `flags`. The
/// others (`hlen`, `cksum`) and `len`, which is also UDP's, are IP's, as every packet has them.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    (Field::Ver,         Owner::Ip,    &["ver", "ip.ver"],           Some(15),         Some(Group::Version)),
    (Field::Hlen,        Owner::Ip,    &["hlen", "ip.hlen"],         Some(15),         None),
    (Field::IpFlags,     Owner::Ip,    &["ip.flags"],                Some(7),          Some(Group::IpFlag)),
    (Field::Foffset,     Owner::Ip,    &["foffset", "ip.foffset"],   WORD,             None),
    (Field::Tos,         Owner::Ip,    &["tos", "ip.tos"],           BYTE,             Some(Group::Tos)),
    (Field::Len,         Owner::Ip,    &["len", "ip.len"],           WORD,             Some(Group::Len)),
    (Field::Id,          Owner::Ip,    &["id", "ip.id"],             LONG,             None),
    (Field::Ttl,         Owner::Ip,    &["ttl", "ip.ttl"],           BYTE,             Some(Group::Ttl)),
    (Field::Proto,       Owner::Ip,    &["proto", "ip.proto"],       BYTE,             Some(Group::Proto)),
    (Field::Cksum,       Owner::Ip,    &["cksum", "ip.cksum"],       WORD,             None),
    (Field::SrcIp,       Owner::Ip,    &["src_ip", "ip.src_ip"],     None,             None),
    (Field::DestIp,      Owner::Ip,    &["dest_ip", "ip.dest_ip"],   None,             None),
    (Field::SrcPort,     Owner::Ports, &["src_port"],                WORD,             None),
    (Field::DestPort,    Owner::Ports, &["dest_port"],               WORD,             None),
    (Field::TcpSrcPort,  Owner::Tcp,   &["tcp.src_port"],            WORD,             None),
    (Field::TcpDestPort, Owner::Tcp,   &["tcp.dest_port"],           WORD,             None),
    (Field::Seqnum,      Owner::Tcp,   &["seqnum", "tcp.seqnum"],    LONG,             None),
    (Field::Acknum,      Owner::Tcp,   &["acknum", "tcp.acknum"],    LONG,             None),
    (Field::TcpHlen,     Owner::Tcp,   &["tcp.hlen"],                Some(15),         None),
    (Field::Reserved,    Owner::Tcp,   &["reserved", "tcp.reserved"], Some(15),        None),
    (Field::TcpFlags,    Owner::Tcp,   &["flags", "tcp.flags"],      BYTE,             Some(Group::TcpFlag)),
    (Field::Winsize,     Owner::Tcp,   &["winsize", "tcp.winsize"],  WORD,             None),
    (Field::TcpCksum,    Owner::Tcp,   &["tcp.cksum"],               WORD,             None),
    (Field::Urg,         Owner::Tcp,   &["urg", "tcp.urg"],          WORD,             None),
    (Field::UdpSrcPort,  Owner::Udp,   &["udp.src_port"],            WORD,             None),
    (Field::UdpDestPort, Owner::Udp,   &["udp.dest_port"],           WORD,             None),
    (Field::UdpLen,      Owner::Udp,   &["udp.len"],                 WORD,             None),
    (Field::UdpCksum,    Owner::Udp,   &["udp.cksum"],               WORD,             None),
];

impl Property {
    pub(super) const VER: Self = Self(Field::Ver);
    pub(super) const PROTO: Self = Self(Field::Proto);
    pub(super) const FLAGS: Self = Self(Field::TcpFlags);

    /// From its name in an `<ethfilter>` block: `flags`, `ip.flags`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.2.contains(&name)).map(|row| Self(row.0))
    }

    /// All of them, in the order of the headers.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| Self(row.0))
    }

    /// Its name; the shorter where there are two.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.names().first().copied().unwrap_or_default()
    }

    /// All its names.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        self.row().map_or(&[], |row| row.2)
    }

    /// Whether it is text, which a regular expression is tried on.
    #[must_use]
    pub fn is_text(self) -> bool {
        self.max().is_none()
    }

    pub(super) fn owner(self) -> Owner {
        self.row().map_or(Owner::Ip, |row| row.1)
    }

    /// The greatest number that it can be.
    pub(super) fn max(self) -> Option<u32> {
        self.row().and_then(|row| row.3)
    }

    pub(super) fn symbols(self) -> Option<Group> {
        self.row().and_then(|row| row.4)
    }

    fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.0 == self.0)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Packet {
    /// What the packet has under this name; nothing where its headers have no such thing.
    #[must_use]
    pub fn value(&self, property: Property) -> Option<PropertyValue> {
        let ip = &self.ip;
        let ports = || self.transport.ok();
        let tcp = || match self.transport.ok()?.rest {
            Rest::Tcp(tcp) => Some(tcp),
            Rest::Udp { .. } | Rest::Other => None,
        };
        let udp = || match self.transport.ok()?.rest {
            Rest::Udp { len, cksum } => Some((len, cksum)),
            Rest::Tcp(_) | Rest::Other => None,
        };
        // A port, where the header is this one.
        let of_tcp = |port: fn(Transport) -> u16| tcp().and(ports()).map(|t| u32::from(port(t)));
        let of_udp = |port: fn(Transport) -> u16| udp().and(ports()).map(|t| u32::from(port(t)));
        let number = match property.0 {
            Field::SrcIp => return Some(PropertyValue::Address(ip.src)),
            Field::DestIp => return Some(PropertyValue::Address(ip.dest)),
            Field::Ver => Some(ip.ver.into()),
            Field::Hlen => Some(ip.hlen.into()),
            Field::IpFlags => Some(ip.flags.into()),
            Field::Foffset => Some(ip.foffset.into()),
            Field::Tos => Some(ip.tos.into()),
            Field::Len => Some(ip.len.into()),
            Field::Id => ip.id,
            Field::Ttl => Some(ip.ttl.into()),
            Field::Proto => Some(ip.proto.into()),
            Field::Cksum => ip.cksum.map(u32::from),
            Field::SrcPort => ports().map(|ports| ports.src_port.into()),
            Field::DestPort => ports().map(|ports| ports.dest_port.into()),
            Field::TcpSrcPort => of_tcp(|ports| ports.src_port),
            Field::TcpDestPort => of_tcp(|ports| ports.dest_port),
            Field::UdpSrcPort => of_udp(|ports| ports.src_port),
            Field::UdpDestPort => of_udp(|ports| ports.dest_port),
            Field::Seqnum => tcp().map(|tcp| tcp.seqnum),
            Field::Acknum => tcp().map(|tcp| tcp.acknum),
            Field::TcpHlen => tcp().map(|tcp| tcp.hlen.into()),
            Field::Reserved => tcp().map(|tcp| tcp.reserved.into()),
            Field::TcpFlags => tcp().map(|tcp: Tcp| tcp.flags.into()),
            Field::Winsize => tcp().map(|tcp| tcp.winsize.into()),
            Field::TcpCksum => tcp().map(|tcp| tcp.cksum.into()),
            Field::Urg => tcp().map(|tcp| tcp.urg.into()),
            Field::UdpLen => udp().map(|(len, _)| len.into()),
            Field::UdpCksum => udp().map(|(_, cksum)| cksum.into()),
        };
        number.map(PropertyValue::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_property_and_no_other() {
        let mut seen = std::collections::BTreeSet::new();
        for property in Property::all() {
            for name in property.names() {
                assert_eq!(Property::parse(name), Some(property), "{name}");
                assert!(seen.insert(*name), "{name} twice");
            }
        }
        for none in ["", "udp.flags", "tcp.len", "ip.dest_port", "FLAGS", "data"] {
            assert_eq!(Property::parse(none), None, "{none}");
        }
    }
}
