//! The link layer: what stands before the IP header, on each kind of interface. Only where the
//! packet begins and whether it is IP at all; its addresses say nothing about who knocks.

use std::fmt;

use etherparse::{EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::{Captured, NoPacketHit};

/// What a captured packet begins with: a number that libpcap calls DLT and capture files LINKTYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub i32);

impl LinkType {
    /// BSD loopback, the family in the byte order of the host that captured.
    pub const NULL: Self = Self(0);
    /// Ethernet, and what passes for it: wireless and virtual interfaces, Linux's loopback.
    pub const ETHERNET: Self = Self(1);
    /// OpenBSD loopback, the family in network order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked", as of the interface `any`.
    pub const LINUX_SLL: Self = Self(113);
    /// The same, second version.
    pub const LINUX_SLL2: Self = Self(276);
    /// Raw IP as live captures number it on Linux: tunnels.
    pub const RAW: Self = Self(12);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);

    /// Those that can be read, with their names.
    const KNOWN: [(Self, &'static str); 10] = [
        (Self::NULL, "NULL"),
        (Self::ETHERNET, "EN10MB"),
        (Self::RAW, "RAW"),
        // Raw IP on OpenBSD, and in capture files.
        (Self(14), "RAW"),
        (Self(101), "RAW"),
        (Self::LOOP, "LOOP"),
        (Self::LINUX_SLL, "LINUX_SLL"),
        (Self::LINUX_SLL2, "LINUX_SLL2"),
        (Self::IPV4, "IPV4"),
        (Self::IPV6, "IPV6"),
    ];

    /// Whether packets of this type can be read at all; one that cannot is worth an error when a
    /// capture begins.
    #[must_use]
    pub fn is_supported(self) -> bool {
        self.name().is_some()
    }

    fn name(self) -> Option<&'static str> {
        Self::KNOWN.iter().find(|(known, _)| *known == self).map(|(_, name)| *name)
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

/// An IP packet without what stood before it, of the version that the link layer told.
#[derive(Clone, Copy, Debug)]
pub(super) enum IpBytes<'a> {
    V4(&'a [u8]),
    V6(&'a [u8]),
}

/// VLAN tags looked behind. Provider bridging has two.
const MAX_TAGS: usize = 4;

/// 802.1Q, 802.1ad, and what was used for the outer tag before that was agreed upon.
const TAGS: [EtherType; 3] = [
    EtherType::VLAN_TAGGED_FRAME,
    EtherType::PROVIDER_BRIDGING,
    EtherType::VLAN_DOUBLE_TAGGED_FRAME,
];

/// A "cooked" packet that the capturing host sent itself.
const SLL_OUTGOING: u16 = 4;

/// Hardware types of Linux whose "protocol" is no EtherType: netlink messages, and 802.11 frames.
const NOT_ETHER: [u16; 4] = [824, 801, 802, 803];

/// Address families of IPv6, on Linux and on the BSDs and macOS.
const FAMILIES_V6: [u32; 4] = [10, 24, 28, 30];

pub(super) fn ip_of<'a>(captured: &Captured<'a>) -> Result<IpBytes<'a>, NoPacketHit> {
    let bytes = captured.bytes;
    match captured.link {
        LinkType::ETHERNET => {
            let header = Ethernet2HeaderSlice::from_slice(bytes).map_err(|_| cut("Ethernet"))?;
            behind_tags(header.ether_type(), behind(bytes, header.slice()))
        }
        LinkType::LINUX_SLL => {
            let (header, rest) = bytes.split_first_chunk::<16>().ok_or(cut("cooked"))?;
            let [p0, p1, h0, h1, .., t0, t1] = *header;
            cooked(u16::from_be_bytes([p0, p1]), [h0, h1], [t0, t1], rest)
        }
        LinkType::LINUX_SLL2 => {
            let (header, rest) = bytes.split_first_chunk::<20>().ok_or(cut("cooked"))?;
            let [t0, t1, _, _, _, _, _, _, h0, h1, packet, ..] = *header;
            cooked(u16::from(packet), [h0, h1], [t0, t1], rest)
        }
        LinkType::NULL | LinkType::LOOP => {
            let (family, rest) = bytes.split_first_chunk::<4>().ok_or(cut("loopback"))?;
            // Whose byte order it is, the capture does not say; no family is beyond 255.
            let family = u32::from_le_bytes(*family).min(u32::from_be_bytes(*family));
            match family {
                2 => Ok(IpBytes::V4(rest)),
                v6 if FAMILIES_V6.contains(&v6) => Ok(IpBytes::V6(rest)),
                other => {
                    Err(NoPacketHit::NotIp { ether_type: u16::try_from(other).unwrap_or(u16::MAX) })
                }
            }
        }
        LinkType::IPV4 => Ok(IpBytes::V4(bytes)),
        LinkType::IPV6 => Ok(IpBytes::V6(bytes)),
        raw if raw.is_supported() => match bytes.first().map(|first| first >> 4) {
            Some(4) => Ok(IpBytes::V4(bytes)),
            Some(6) => Ok(IpBytes::V6(bytes)),
            Some(version) => Err(NoPacketHit::NotIp { ether_type: u16::from(version) }),
            None => Err(cut("IP")),
        },
        other => Err(NoPacketHit::UnsupportedLink(other)),
    }
}

fn cooked<'a>(
    packet: u16,
    hardware: [u8; 2],
    ether_type: [u8; 2],
    rest: &'a [u8],
) -> Result<IpBytes<'a>, NoPacketHit> {
    if packet == SLL_OUTGOING {
        return Err(NoPacketHit::Outgoing);
    }
    let ether_type = u16::from_be_bytes(ether_type);
    if NOT_ETHER.contains(&u16::from_be_bytes(hardware)) {
        return Err(NoPacketHit::NotIp { ether_type });
    }
    behind_tags(EtherType(ether_type), rest)
}

fn behind_tags<'a>(
    mut ether_type: EtherType,
    mut rest: &'a [u8],
) -> Result<IpBytes<'a>, NoPacketHit> {
    for _ in 0..MAX_TAGS {
        if !TAGS.contains(&ether_type) {
            break;
        }
        let tag = SingleVlanHeaderSlice::from_slice(rest).map_err(|_| cut("VLAN"))?;
        ether_type = tag.ether_type();
        rest = behind(rest, tag.slice());
    }
    match ether_type {
        EtherType::IPV4 => Ok(IpBytes::V4(rest)),
        EtherType::IPV6 => Ok(IpBytes::V6(rest)),
        EtherType(ether_type) => Err(NoPacketHit::NotIp { ether_type }),
    }
}

/// What follows a header that stands at the beginning.
pub(super) fn behind<'a>(bytes: &'a [u8], header: &[u8]) -> &'a [u8] {
    bytes.get(header.len()..).unwrap_or_default()
}

pub(super) fn cut(header: &'static str) -> NoPacketHit {
    NoPacketHit::Cut { header }
}
