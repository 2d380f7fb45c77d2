//! Packets to order, each header from etherparse, the link layer by hand. Knows nothing of how
//! packets are read.

use etherparse::{
    IpNumber, Ipv4Header, Ipv4Options, Ipv6FragmentHeader, Ipv6Header, TcpHeader, UdpHeader,
};
use knock_formats::packet::{Captured, LinkType};

pub(crate) const CLIENT4: [u8; 4] = [203, 0, 113, 7];
pub(crate) const SERVER4: [u8; 4] = [192, 0, 2, 1];
pub(crate) const CLIENT6: &str = "2001:db8::7";
pub(crate) const SERVER6: &str = "2001:db8::1";

/// The link types that can be read; 12, 14 and 101 are all raw IP.
pub(crate) const LINKS: [i32; 8] = [0, 1, 12, 14, 101, 108, 113, 276];

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const ECE: u8 = 0x40;
pub(crate) const CWR: u8 = 0x80;

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// With these flags.
    Tcp(u8),
    Udp,
    /// Another protocol, whose header begins with its ports if it has any.
    Other(u8),
    /// An ICMP error of this protocol (1 or 58), with a whole packet inside.
    Error(u8, Vec<u8>),
}

/// A packet to build.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) link: i32,
    /// VLAN tags, from the outer one.
    pub(crate) tags: Vec<u16>,
    pub(crate) v6: bool,
    /// Words of IPv4 options.
    pub(crate) options: u8,
    /// Extension headers of IPv6.
    pub(crate) extensions: Vec<u8>,
    /// Offset in units of 8 bytes, and whether more follow.
    pub(crate) fragment: Option<(u16, bool)>,
    pub(crate) inside: Inside,
    pub(crate) port: u16,
    /// Words of TCP options.
    pub(crate) tcp_options: u8,
    pub(crate) payload: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            link: 1,
            tags: Vec::new(),
            v6: false,
            options: 0,
            extensions: Vec::new(),
            fragment: None,
            inside: Inside::Tcp(SYN),
            port: 800,
            tcp_options: 0,
            payload: 0,
        }
    }
}

impl Recipe {
    /// Over IPv6.
    pub(crate) fn v6() -> Self {
        Self { v6: true, ..Self::default() }
    }

    /// The packet, and how many bytes of it are headers that are looked at.
    pub(crate) fn build(&self) -> (Vec<u8>, usize) {
        let (ip, headers) = self.ip();
        let (mut bytes, link) = self.with_link(&ip);
        if self.link == 1 && bytes.len() < 60 {
            // As the wire does; it must not be taken for a part of the packet.
            bytes.resize(60, 0xaa);
        }
        (bytes, link + headers)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.build().0
    }

    /// The IP packet, and how many bytes of it are headers.
    pub(crate) fn ip(&self) -> (Vec<u8>, usize) {
        let (proto, mut inside, headers) = self.transport();
        inside.extend(std::iter::repeat_n(0x55, self.payload));
        let (mut bytes, between) = if self.v6 {
            (Vec::new(), self.with_extensions(proto, &mut inside))
        } else {
            let mut ip =
                Ipv4Header::new(inside.len() as u16, 57, IpNumber(proto), CLIENT4, SERVER4)
                    .unwrap();
            ip.identification = 0x1234;
            ip.dont_fragment = self.fragment.is_none();
            let options = vec![1_u8; usize::from(self.options) * 4];
            ip.options = Ipv4Options::try_from(options.as_slice()).unwrap();
            if let Some((offset, more)) = self.fragment {
                ip.fragment_offset = offset.try_into().unwrap();
                ip.more_fragments = more;
            }
            ip.header_checksum = ip.calc_header_checksum();
            let mut bytes = Vec::new();
            ip.write(&mut bytes).unwrap();
            (bytes, (proto, 0))
        };
        if self.v6 {
            let header = Ipv6Header {
                traffic_class: 0,
                flow_label: etherparse::Ipv6FlowLabel::ZERO,
                payload_length: inside.len() as u16,
                next_header: IpNumber(between.0),
                hop_limit: 57,
                source: CLIENT6.parse::<std::net::Ipv6Addr>().unwrap().octets(),
                destination: SERVER6.parse::<std::net::Ipv6Addr>().unwrap().octets(),
            };
            header.write(&mut bytes).unwrap();
        }
        let headers = bytes.len() + between.1 + headers;
        bytes.extend(inside);
        (bytes, headers)
    }

    /// Puts the extension headers before what is inside; the first one's number, and their length.
    fn with_extensions(&self, proto: u8, inside: &mut Vec<u8>) -> (u8, usize) {
        let mut next = proto;
        let mut all = Vec::new();
        if let Some((offset, more)) = self.fragment {
            let header =
                Ipv6FragmentHeader::new(IpNumber(next), offset.try_into().unwrap(), more, 0x1234);
            all = header.to_bytes().to_vec();
            next = 44;
        }
        for extension in self.extensions.iter().rev() {
            let mut one = match extension {
                // An authentication header counts its length in words, less two.
                51 => [&[next, 4, 0, 0][..], &[7; 20]].concat(),
                _ => [&[next, 1][..], &[0; 14]].concat(),
            };
            one.extend(all);
            all = one;
            next = *extension;
        }
        let len = all.len();
        all.append(inside);
        *inside = all;
        (next, len)
    }

    /// Protocol, bytes, and how many of these must be there for a hit.
    fn transport(&self) -> (u8, Vec<u8>, usize) {
        let mut bytes = Vec::new();
        match &self.inside {
            Inside::Tcp(flags) => {
                let mut header = TcpHeader::new(34084, self.port, 0x0102_0304, 64240);
                header.acknowledgment_number = 0x0506_0708;
                header.set_options_raw(&vec![1; usize::from(self.tcp_options) * 4]).unwrap();
                header.checksum = 0xbeef;
                header.write(&mut bytes).unwrap();
                bytes[13] = *flags;
                (6, bytes, 20)
            }
            Inside::Udp => {
                let length = 8 + self.payload as u16;
                let header = UdpHeader {
                    source_port: 34084,
                    destination_port: self.port,
                    length,
                    checksum: 0xbeef,
                };
                header.write(&mut bytes).unwrap();
                (17, bytes, 8)
            }
            Inside::Other(proto) => {
                bytes.extend(34084_u16.to_be_bytes());
                bytes.extend(self.port.to_be_bytes());
                bytes.extend([0; 8]);
                (*proto, bytes, 8)
            }
            Inside::Error(proto, packet) => {
                bytes.extend([3, 3, 0, 0, 0, 0, 0, 0]);
                bytes.extend(packet);
                (*proto, bytes, 8)
            }
        }
    }

    fn with_link(&self, ip: &[u8]) -> (Vec<u8>, usize) {
        let ether_type: u16 = if self.v6 { 0x86dd } else { 0x0800 };
        let first = self.tags.first().copied().unwrap_or(ether_type).to_be_bytes();
        let mut bytes = match self.link {
            // The two kinds of loopback: the family in the order of a little host, and of the network.
            0 => (if self.v6 { 30_u32 } else { 2 }).to_le_bytes().to_vec(),
            108 => (if self.v6 { 24_u32 } else { 2 }).to_be_bytes().to_vec(),
            1 => [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &first].concat(),
            113 => [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0][..], &first].concat(),
            276 => {
                let rest = [0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0];
                [&first[..], &rest].concat()
            }
            _ => Vec::new(),
        };
        if matches!(self.link, 1 | 113 | 276) {
            for n in 0..self.tags.len() {
                bytes.extend([0x00, 0x65]);
                bytes.extend(self.tags.get(n + 1).unwrap_or(&ether_type).to_be_bytes());
            }
        }
        let len = bytes.len();
        bytes.extend(ip);
        (bytes, len)
    }
}

pub(crate) fn captured(link: i32, bytes: &[u8]) -> Captured<'_> {
    Captured { link: LinkType(link), bytes, time: None }
}
