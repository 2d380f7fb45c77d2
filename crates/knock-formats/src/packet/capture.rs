//! A filter for libpcap that spares the copying of packets which cannot be hits. It lets through
//! at least all that can: what is beyond its language (VLAN tags in the packet, the extension
//! headers of IPv6) passes, and is judged afterwards.

use knock_wire::{PortSpan, Protocol};

use super::lint::WITH_PORTS;
use super::{EthFilters, Property};

/// As many ranges of ports are written out; more become one from the first port to the last. The
/// kernel takes a program of 4,096 instructions.
const MAX_RANGES: usize = 16;

/// Frames with a tag that the kernel or the card left in the packet.
const TAGGED: &str = "ether proto 0x8100 or ether proto 0x88a8 or ether proto 0x9100";

/// IPv6 with anything between its header and the ports.
const EXTENDED: &str = "ip6 and (ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 51 \
                        or ip6[6] = 60 or ip6[6] = 135 or ip6[6] = 139 or ip6[6] = 140)";

impl EthFilters {
    /// A libpcap expression that lets through at least all packets that [`EthFilters::hit`] takes,
    /// and that are sent to a port of the span if one is given. `None` when nothing can be spared.
    ///
    /// It is for live captures, and advice: where libpcap cannot compile it for a link type,
    /// everything may be captured. A file from another system may number IPv6 differently on its
    /// loopback interface, which only [`EthFilters::hit`] knows.
    #[must_use]
    pub fn capture_filter(&self, span: Option<&PortSpan>) -> Option<String> {
        let may = |protocol| self.filters().iter().any(|filter| filter.may_have(protocol));
        let version = |number| self.filters().iter().any(|f| f.may_be(Property::VER, number));
        let (v4, v6) = (version(4), version(6));
        let ports = span.map(ranges);
        let mut wanted = Vec::new();
        for protocol in WITH_PORTS.into_iter().filter(|protocol| may(*protocol)) {
            let name = match protocol {
                Protocol::TCP => "tcp",
                Protocol::UDP => "udp",
                Protocol::SCTP => "sctp",
                // Without a word for their ports.
                Protocol(number) => {
                    wanted.push(format!("(ip proto {number} or ip6 proto {number})"));
                    continue;
                }
            };
            let mut one = match &ports {
                Some(ports) => either(ports.iter().map(|(first, last)| {
                    if first == last {
                        format!("{name} dst port {first}")
                    } else {
                        format!("{name} dst portrange {first}-{last}")
                    }
                })),
                None => name.to_owned(),
            };
            if protocol == Protocol::TCP && self.all_need_syn() {
                // `tcp[…]` looks at IPv4 alone; 53 is the byte of the flags behind the 40 of IPv6.
                one = format!("({one}) and (tcp[13] & 2 != 0 or (ip6 and ip6[53] & 2 != 0))");
            }
            wanted.push(format!("({one})"));
        }
        if wanted.is_empty() || !(v4 || v6) {
            return None;
        }
        let mut wanted = format!("({})", either(wanted));
        match (v4, v6) {
            (true, false) => wanted = format!("(ip and {wanted})"),
            (false, true) => wanted = format!("(ip6 and {wanted})"),
            (true, true) | (false, false) => {}
        }
        if v6 {
            wanted = format!("{wanted} or ({EXTENDED})");
        }
        Some(format!("{wanted} or {TAGGED}"))
    }

    fn all_need_syn(&self) -> bool {
        let tcp = self.filters().iter().filter(|filter| filter.may_have(Protocol::TCP));
        tcp.into_iter().all(super::EthFilter::needs_syn)
    }
}

fn either(all: impl IntoIterator<Item = String>) -> String {
    all.into_iter().collect::<Vec<_>>().join(" or ")
}

fn ranges(span: &PortSpan) -> Vec<(u16, u16)> {
    let ranges: Vec<_> = span.ranges().collect();
    if ranges.len() <= MAX_RANGES {
        return ranges;
    }
    let first = ranges.first().map_or(1, |range| range.0);
    let last = ranges.last().map_or(u16::MAX, |range| range.1);
    vec![(first, last)]
}
