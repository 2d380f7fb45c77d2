//! The headers of one packet: IPv4 or IPv6, then TCP, UDP or another protocol with ports.
//!
//! Nothing behind the first transport header is looked at, so what an ICMP error or a tunnel
//! carries never counts. Payload may be missing, as a snapshot cuts it off; headers may not. Which
//! packets are wanted, `filter.rs` tells.

use std::net::IpAddr;
use std::time::SystemTime;

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, UdpHeaderSlice,
};
use knock_wire::{Hit, LineTime, Protocol};

use super::link::{IpBytes, behind, cut, ip_of};
use super::{Captured, NoPacketHit};

/// How many extension headers of IPv6 are gone through. Honest packets have one or two.
const MAX_EXTENSIONS: usize = 16;

/// The headers of a packet. It has a hit only if it has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub(super) ip: Ip,
    pub(super) transport: Result<Transport, NoPacketHit>,
    time: Option<SystemTime>,
}

/// What both versions of IP tell, named as NetPacket names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ip {
    pub(super) ver: u8,
    /// In words of 32 bits, without the extension headers of IPv6.
    pub(super) hlen: u8,
    /// Reserved, don't fragment, more fragments; of IPv6 only the last.
    pub(super) flags: u8,
    /// In bytes.
    pub(super) foffset: u16,
    pub(super) tos: u8,
    /// As it was sent: the whole packet, or of IPv6 what is behind its header.
    pub(super) len: u16,
    /// IPv6 has one only in a fragment.
    pub(super) id: Option<u32>,
    pub(super) ttl: u8,
    /// Of IPv6 the protocol behind the extension headers.
    pub(super) proto: u8,
    /// IPv6 has none.
    pub(super) cksum: Option<u16>,
    pub(super) src: IpAddr,
    pub(super) dest: IpAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transport {
    pub(super) src_port: u16,
    pub(super) dest_port: u16,
    pub(super) rest: Rest,
}

/// What a transport header has beside its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Tcp(Tcp),
    Udp { len: u16, cksum: u16 },
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tcp {
    pub(super) seqnum: u32,
    pub(super) acknum: u32,
    pub(super) hlen: u8,
    pub(super) reserved: u8,
    pub(super) flags: u8,
    pub(super) winsize: u16,
    pub(super) cksum: u16,
    pub(super) urg: u16,
}

impl Tcp {
    pub(super) const SYN: u8 = 0x02;
    pub(super) const ACK: u8 = 0x10;

    /// Whether it is the first packet of a connection.
    pub(super) fn opens(&self) -> bool {
        self.flags & (Self::SYN | Self::ACK) == Self::SYN
    }
}

impl Packet {
    /// Reads the headers.
    ///
    /// # Errors
    /// When there is no whole IP header. A packet that is IP and has no ports is none: it is
    /// [`Packet::hit`] that tells.
    pub fn parse(captured: &Captured<'_>) -> Result<Self, NoPacketHit> {
        let (ip, transport) = match ip_of(captured)? {
            IpBytes::V4(bytes) => v4(bytes)?,
            IpBytes::V6(bytes) => v6(bytes)?,
        };
        Ok(Self { ip, transport, time: captured.time })
    }

    /// The hit that it is, whatever filters say.
    ///
    /// # Errors
    /// When it has no port that it was sent to.
    pub fn hit(&self) -> Result<Hit, NoPacketHit> {
        let transport = self.transport?;
        if transport.dest_port == 0 {
            return Err(NoPacketHit::NoPort);
        }
        Ok(Hit {
            server: Some(self.ip.dest),
            protocol: Some(Protocol(self.ip.proto)),
            source_port: Some(transport.src_port).filter(|port| *port > 0),
            sequence: match transport.rest {
                Rest::Tcp(tcp) => Some(tcp.seqnum),
                Rest::Udp { .. } | Rest::Other => None,
            },
            time: self.time.map(LineTime::Wall),
            ..Hit::new(self.ip.src, transport.dest_port)
        })
    }
}

type Headers = (Ip, Result<Transport, NoPacketHit>);

fn v4(bytes: &[u8]) -> Result<Headers, NoPacketHit> {
    const NAME: &str = "IPv4";
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|error| match error {
        etherparse::err::ipv4::HeaderSliceError::Len(_) => cut(NAME),
        etherparse::err::ipv4::HeaderSliceError::Content(_) => malformed(NAME),
    })?;
    let len = header.total_len();
    // Ethernet fills short frames up; what is behind the packet is not of it.
    let payload = usize::from(len).checked_sub(header.slice().len()).ok_or(malformed(NAME))?;
    let payload = first(behind(bytes, header.slice()), payload);
    let fragment = header.slice().get(6..8).map_or(0, be16);
    let foffset = (fragment & 0x1fff) << 3;
    let proto = header.protocol();
    let ip = Ip {
        ver: 4,
        hlen: header.ihl(),
        flags: top(fragment, 13),
        foffset,
        tos: header.slice().get(1).copied().unwrap_or_default(),
        len,
        id: Some(u32::from(header.identification())),
        ttl: header.ttl(),
        proto: proto.0,
        cksum: Some(header.header_checksum()),
        src: IpAddr::V4(header.source_addr()),
        dest: IpAddr::V4(header.destination_addr()),
    };
    let transport =
        if foffset > 0 { Err(NoPacketHit::Fragment) } else { transport(proto, payload) };
    Ok((ip, transport))
}

fn v6(bytes: &[u8]) -> Result<Headers, NoPacketHit> {
    const NAME: &str = "IPv6";
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|error| match error {
        etherparse::err::ipv6::HeaderSliceError::Len(_) => cut(NAME),
        etherparse::err::ipv6::HeaderSliceError::Content(_) => malformed(NAME),
    })?;
    let payload = header.payload_length();
    let mut ip = Ip {
        ver: 6,
        hlen: 10,
        flags: 0,
        foffset: 0,
        tos: header.traffic_class(),
        len: payload,
        id: None,
        ttl: header.hop_limit(),
        proto: header.next_header().0,
        cksum: None,
        // As in a log line: one client has one address, however it is written.
        src: IpAddr::V6(header.source_addr()).to_canonical(),
        dest: IpAddr::V6(header.destination_addr()).to_canonical(),
    };
    let payload = first(behind(bytes, header.slice()), usize::from(payload));
    let transport =
        extensions(&mut ip, payload).and_then(|payload| transport(IpNumber(ip.proto), payload));
    Ok((ip, transport))
}

/// Goes through the extension headers and returns what is behind them. Whatever keeps it from the
/// transport header, `ip.proto` is then the header where it stopped.
fn extensions<'a>(ip: &mut Ip, mut rest: &'a [u8]) -> Result<&'a [u8], NoPacketHit> {
    const NAME: &str = "IPv6 extension";
    for _ in 0..MAX_EXTENSIONS {
        let next;
        (next, rest) = match IpNumber(ip.proto) {
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let header = Ipv6FragmentHeaderSlice::from_slice(rest).map_err(|_| cut(NAME))?;
                ip.id = Some(header.identification());
                ip.flags = u8::from(header.more_fragments());
                ip.foffset = header.fragment_offset().value() << 3;
                if ip.foffset > 0 {
                    return Err(NoPacketHit::Fragment);
                }
                (header.next_header(), behind(rest, header.slice()))
            }
            IpNumber::AUTHENTICATION_HEADER => {
                let header = IpAuthHeaderSlice::from_slice(rest).map_err(|error| match error {
                    etherparse::err::ip_auth::HeaderSliceError::Len(_) => cut(NAME),
                    etherparse::err::ip_auth::HeaderSliceError::Content(_) => malformed(NAME),
                })?;
                (header.next_header(), behind(rest, header.slice()))
            }
            other if Ipv6RawExtHeaderSlice::header_type_supported(other) => {
                let header = Ipv6RawExtHeaderSlice::from_slice(rest).map_err(|_| cut(NAME))?;
                (header.next_header(), behind(rest, header.slice()))
            }
            _ => return Ok(rest),
        };
        ip.proto = next.0;
    }
    Err(malformed(NAME))
}

fn transport(proto: IpNumber, bytes: &[u8]) -> Result<Transport, NoPacketHit> {
    match proto {
        IpNumber::TCP => tcp(bytes),
        IpNumber::UDP => {
            let header = UdpHeaderSlice::from_slice(bytes).map_err(|_| cut("UDP"))?;
            Ok(Transport {
                src_port: header.source_port(),
                dest_port: header.destination_port(),
                rest: Rest::Udp { len: header.length(), cksum: header.checksum() },
            })
        }
        // SCTP, DCCP and UDP-Lite begin with their ports as well, and none is shorter than this.
        IpNumber(other) if Protocol(other).has_ports() => {
            let [s0, s1, d0, d1, ..] = *bytes.first_chunk::<8>().ok_or(cut("transport"))?;
            Ok(Transport {
                src_port: u16::from_be_bytes([s0, s1]),
                dest_port: u16::from_be_bytes([d0, d1]),
                rest: Rest::Other,
            })
        }
        IpNumber(other) => Err(NoPacketHit::NoPorts(Protocol(other))),
    }
}

/// By hand, since a snapshot may have cut the options off, which nobody asks for.
fn tcp(bytes: &[u8]) -> Result<Transport, NoPacketHit> {
    let [s0, s1, d0, d1, n0, n1, n2, n3, a0, a1, a2, a3, offset, flags, w0, w1, c0, c1, u0, u1] =
        *bytes.first_chunk::<20>().ok_or(cut("TCP"))?;
    let hlen = offset >> 4;
    if hlen < 5 {
        return Err(malformed("TCP"));
    }
    Ok(Transport {
        src_port: u16::from_be_bytes([s0, s1]),
        dest_port: u16::from_be_bytes([d0, d1]),
        rest: Rest::Tcp(Tcp {
            seqnum: u32::from_be_bytes([n0, n1, n2, n3]),
            acknum: u32::from_be_bytes([a0, a1, a2, a3]),
            hlen,
            reserved: offset & 0x0f,
            flags,
            winsize: u16::from_be_bytes([w0, w1]),
            cksum: u16::from_be_bytes([c0, c1]),
            urg: u16::from_be_bytes([u0, u1]),
        }),
    })
}

fn malformed(header: &'static str) -> NoPacketHit {
    NoPacketHit::Malformed { header }
}

/// At most so many bytes: fewer when the snapshot ends before the packet.
fn first(bytes: &[u8], most: usize) -> &[u8] {
    bytes.get(..most).unwrap_or(bytes)
}

fn be16(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |two| u16::from_be_bytes(*two))
}

/// The bits above so many.
fn top(number: u16, shift: u32) -> u8 {
    u8::try_from(number >> shift).unwrap_or_default()
}
