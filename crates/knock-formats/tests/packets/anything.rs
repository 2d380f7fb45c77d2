//! Arbitrary bytes and packets with some bytes changed: nothing panics, a cut packet never says
//! something else than the whole one, and libpcap's own filter lets through all that are hits.

use knock_formats::packet::{EthFilters, NoPacketHit, Packet, Property};
use knock_wire::PortSpan;
use pcap::{Capture, Linktype};
use proptest::prelude::*;

use super::build::{Inside, Recipe, captured};
use super::filters::filter;

/// Link types that libpcap compiles filters for. 101 is raw IP in files only, which it calls 12
/// when it reads them; 14 is another system's.
const LINKS: [i32; 8] = [0, 1, 12, 108, 113, 228, 229, 276];

fn recipes() -> impl Strategy<Value = Recipe> {
    let inside = prop_oneof![
        4 => any::<u8>().prop_map(Inside::Tcp),
        2 => Just(Inside::Udp),
        1 => prop::sample::select(vec![1_u8, 4, 33, 41, 47, 50, 58, 59, 132, 136])
            .prop_map(Inside::Other),
        1 => Just(Inside::Error(1, Recipe::default().ip().0)),
    ];
    let port = prop_oneof![Just(800_u16), Just(7), any::<u16>()];
    let fragment =
        prop::option::weighted(0.3, (prop_oneof![Just(0_u16), 0..100_u16], any::<bool>()));
    let extensions =
        prop::collection::vec(prop::sample::select(vec![0_u8, 43, 51, 60, 135, 139, 140]), 0..4);
    let tags = prop::collection::vec(prop::sample::select(vec![0x8100_u16, 0x88a8, 0x9100]), 0..3);
    (
        prop::sample::select(LINKS.to_vec()),
        any::<bool>(),
        tags,
        (0..11_u8, extensions),
        fragment,
        inside,
        port,
        (0..11_u8, 0..64_usize),
    )
        .prop_map(|(link, v6, tags, (options, extensions), fragment, inside, port, more)| {
            Recipe {
                link,
                v6,
                tags,
                options,
                extensions,
                fragment,
                inside,
                port,
                tcp_options: more.0,
                payload: more.1,
            }
        })
}

/// Some bytes of it are others, and it may be cut.
fn damaged() -> impl Strategy<Value = (i32, Vec<u8>)> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (recipes(), changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(recipe, changes, end, cut)| {
            let mut bytes = recipe.bytes();
            for (at, byte) in changes {
                let at = at.index(bytes.len().min(120));
                bytes[at] = byte;
            }
            if cut {
                bytes.truncate(end.index(bytes.len() + 1));
            }
            (recipe.link, bytes)
        },
    )
}

/// Filters that ask different things of libpcap.
const FILTERS: &[&str] = &[
    "flags = SYN",
    "proto = TCP|UDP",
    "proto = UDP\nver = 4",
    "ver = 6",
    "flags = FIN | ACK",
    "dest_port = 1-65535",
    "proto = SCTP|DCCP|UDPLITE",
];

fn examine(link: i32, bytes: &[u8]) -> Result<knock_wire::Hit, NoPacketHit> {
    let parsed = Packet::parse(&captured(link, bytes));
    if let Ok(packet) = &parsed {
        for property in Property::all() {
            let _shown = packet.value(property).map(|value| value.to_string());
        }
    }
    let all = EthFilters::new(FILTERS.iter().map(|lines| filter(lines)).collect());
    let (chosen, any) = (all.hit(&captured(link, bytes)), parsed.and_then(|packet| packet.hit()));
    if chosen.is_ok() {
        assert_eq!(chosen, any);
    }
    any
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        link in prop_oneof![prop::sample::select(LINKS.to_vec()), any::<i32>()],
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _result = examine(link, &bytes);
    }

    #[test]
    fn a_damaged_packet_is_read_or_refused_and_cutting_it_adds_nothing(
        (link, bytes) in damaged(),
    ) {
        let whole = examine(link, &bytes);
        let mut was_hit = false;
        for len in 0..bytes.len() {
            match examine(link, &bytes[..len]) {
                Ok(hit) => {
                    prop_assert_eq!(Ok(hit), whole);
                    was_hit = true;
                }
                // Once the headers are whole it stays a hit.
                Err(reason) => prop_assert!(!was_hit, "{} at {}", reason, len),
            }
        }
    }

    #[test]
    fn libpcap_lets_every_hit_through((link, bytes) in damaged()) {
        let compiler = Capture::dead(Linktype(link)).unwrap();
        let span = PortSpan::parse("7,513-1023").unwrap();
        for lines in FILTERS {
            let filters = EthFilters::new(vec![filter(lines)]);
            let Ok(hit) = filters.hit(&captured(link, &bytes)) else { continue };
            // libpcap knows only its own system's number for IPv6 there.
            if matches!(link, 0 | 108) && hit.client.is_ipv6() {
                continue;
            }
            for span in [None, Some(&span)] {
                if span.is_some_and(|span| span.symbol(hit.port).is_none()) {
                    continue;
                }
                let text = filters.capture_filter(span).unwrap();
                let program = compiler.compile(&text, true).unwrap();
                prop_assert!(program.filter(&bytes), "{} stops {:02x?}", text, bytes);
            }
        }
    }
}

/// That it also keeps something out, on every link type, or cannot be compiled there.
#[test]
fn libpcap_keeps_out_what_is_no_hit() {
    let span = PortSpan::parse("745-1000").unwrap();
    let text = EthFilters::default().capture_filter(Some(&span)).unwrap();
    for link in LINKS {
        let compiler = Capture::dead(Linktype(link)).unwrap();
        let program = compiler.compile(&text, true).unwrap();
        for v6 in [false, true] {
            // The families of IPv6 on loopback differ from system to system.
            if v6 && matches!(link, 0 | 108 | 228) || !v6 && link == 229 {
                continue;
            }
            let passes = |inside: Inside, port: u16| {
                program.filter(&Recipe { link, v6, inside, port, ..Recipe::default() }.bytes())
            };
            let shown = [
                passes(Inside::Tcp(0x02), 800),
                passes(Inside::Tcp(0x02), 22),
                passes(Inside::Tcp(0x10), 800),
                passes(Inside::Udp, 800),
                passes(Inside::Other(1), 800),
            ];
            assert_eq!(shown, [true, false, false, false, false], "{link} v6: {v6}");
        }
    }
    assert!(text.len() < 1000, "{text}");
}
