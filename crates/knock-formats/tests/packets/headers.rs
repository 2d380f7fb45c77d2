//! What is read from the headers of whole, cut, tagged, extended, fragmented and forged packets.

use std::time::{Duration, SystemTime};

use knock_formats::packet::{Captured, EthFilters, LinkType, NoPacketHit, Packet};
use knock_wire::{LineTime, Protocol};

use super::build::{ACK, FIN, Inside, LINKS, RST, Recipe, SYN, captured};

/// The hit of a packet, whatever filters say: `CLIENT:PORT > SERVER:PORT PROTOCOL`, or why none.
fn read(link: i32, bytes: &[u8]) -> String {
    match Packet::parse(&captured(link, bytes)).and_then(|packet| packet.hit()) {
        Ok(hit) => format!(
            "{} {} > {} {} {}",
            hit.client,
            hit.source_port.map_or(0, u16::from),
            hit.server.unwrap(),
            hit.port,
            hit.protocol.unwrap()
        ),
        Err(reason) => reason.to_string(),
    }
}

#[track_caller]
fn check(recipe: &Recipe, expected: &str) {
    assert_eq!(read(recipe.link, &recipe.bytes()), expected, "{recipe:?}");
}

const V4: &str = "203.0.113.7 34084 > 192.0.2.1 800 TCP";
const V6: &str = "2001:db8::7 34084 > 2001:db8::1 800 TCP";

#[test]
fn every_link_type_leads_to_the_same_hit() {
    for link in LINKS {
        check(&Recipe { link, ..Recipe::default() }, V4);
        check(&Recipe { link, ..Recipe::v6() }, V6);
        assert!(LinkType(link).is_supported());
    }
    check(&Recipe { link: 228, ..Recipe::default() }, V4);
    check(&Recipe { link: 229, ..Recipe::v6() }, V6);
    check(&Recipe { link: 228, ..Recipe::v6() }, "the IPv4 header contradicts itself");
    check(&Recipe { link: 229, ..Recipe::default() }, "the IPv6 header contradicts itself");
}

#[test]
fn loopback_tells_its_family_in_either_byte_order() {
    let (ip, _) = Recipe::v6().ip();
    for family in [10_u32, 24, 28, 30] {
        for bytes in [family.to_le_bytes(), family.to_be_bytes()] {
            assert_eq!(read(0, &[&bytes[..], &ip].concat()), V6, "{family}");
        }
    }
    assert_eq!(
        read(0, &[&7_u32.to_le_bytes()[..], &ip].concat()),
        "not an IP packet (type 0x0007)"
    );
}

#[test]
fn other_link_types_are_named_and_not_read() {
    for link in [105, 127, 195, 239, -1] {
        let shown = read(link, &Recipe::default().bytes());
        assert!(
            shown.starts_with(&format!("packets of link type {link} cannot be read")),
            "{shown}"
        );
        assert!(!LinkType(link).is_supported());
    }
}

#[test]
fn tags_are_looked_behind() {
    for link in [1, 113, 276] {
        for tags in [&[0x8100][..], &[0x88a8, 0x8100], &[0x9100, 0x8100], &[0x8100; 4]] {
            let tags = tags.to_vec();
            check(&Recipe { link, tags: tags.clone(), ..Recipe::default() }, V4);
            check(&Recipe { link, tags, ..Recipe::v6() }, V6);
        }
        let tags = vec![0x8100; 5];
        check(&Recipe { link, tags, ..Recipe::v6() }, "not an IP packet (type 0x8100)");
    }
}

#[test]
fn what_is_not_ip_is_no_hit() {
    let mut arp = Recipe::default().bytes();
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(read(1, &arp), "not an IP packet (type 0x0806)");
    // The length of an old 802.3 frame where Ethernet has the type.
    arp[12..14].copy_from_slice(&[0x00, 0x2e]);
    assert_eq!(read(1, &arp), "not an IP packet (type 0x002e)");
    assert_eq!(read(12, &[0x50; 60]), "not an IP packet (type 0x0005)");
    // A message of netlink on the interface `any`: its "protocol" is no EtherType.
    let mut netlink = Recipe { link: 113, ..Recipe::default() }.bytes();
    netlink[2..4].copy_from_slice(&824_u16.to_be_bytes());
    assert_eq!(read(113, &netlink), "not an IP packet (type 0x0800)");
}

#[test]
fn what_this_host_sends_is_no_knock_at_it() {
    let mut sent = Recipe { link: 113, ..Recipe::default() }.bytes();
    sent[1] = 4;
    assert_eq!(read(113, &sent), "sent by this host");
    let mut sent = Recipe { link: 276, ..Recipe::default() }.bytes();
    sent[10] = 4;
    assert_eq!(read(276, &sent), "sent by this host");
}

#[test]
fn options_and_extension_headers_stand_in_no_way() {
    check(&Recipe { options: 10, tcp_options: 10, ..Recipe::default() }, V4);
    for extensions in [&[0][..], &[60], &[43], &[51], &[135], &[0, 43, 60, 51], &[0, 60, 43, 60]] {
        check(&Recipe { extensions: extensions.to_vec(), ..Recipe::v6() }, V6);
    }
    let chain = Recipe { extensions: vec![60; 60], ..Recipe::v6() };
    check(&chain, "the IPv6 extension header contradicts itself");
    let hidden = Recipe { extensions: vec![0, 50], ..Recipe::v6() };
    check(&hidden, "protocol 50 has no ports");
    let nothing = Recipe { inside: Inside::Other(59), ..Recipe::v6() };
    check(&nothing, "protocol 59 has no ports");
}

#[test]
fn only_the_first_fragment_has_ports() {
    for base in [Recipe::default(), Recipe::v6()] {
        let expected = if base.v6 { V6 } else { V4 };
        let first = Recipe { fragment: Some((0, true)), payload: 1200, ..base.clone() };
        check(&first, expected);
        // An "atomic" fragment is a whole packet.
        check(&Recipe { fragment: Some((0, false)), ..base.clone() }, expected);
        for more in [true, false] {
            let later = Recipe { fragment: Some((1, more)), payload: 40, ..base.clone() };
            check(&later, "a fragment behind the first, without ports");
        }
    }
    // So small that the flags are in the next one: it could be anything.
    let mut tiny = Recipe { fragment: Some((0, true)), link: 12, ..Recipe::default() }.bytes();
    tiny[2..4].copy_from_slice(&28_u16.to_be_bytes());
    assert_eq!(read(12, &tiny), "ends inside the TCP header");
}

#[test]
fn of_the_other_protocols_those_with_ports_count() {
    let inside = |inside| Recipe { inside, ..Recipe::default() };
    check(&inside(Inside::Udp), "203.0.113.7 34084 > 192.0.2.1 800 UDP");
    check(&inside(Inside::Other(132)), "203.0.113.7 34084 > 192.0.2.1 800 SCTP");
    check(&inside(Inside::Other(33)), "203.0.113.7 34084 > 192.0.2.1 800 DCCP");
    check(&inside(Inside::Other(1)), "protocol ICMP has no ports");
    check(&inside(Inside::Other(47)), "protocol 47 has no ports");
    check(&Recipe { port: 0, ..Recipe::default() }, "sent to port 0");
}

#[test]
fn the_packet_inside_an_icmp_error_or_a_tunnel_never_counts() {
    for base in [Recipe::default(), Recipe::v6()] {
        for inner in
            [Recipe::default(), Recipe::v6(), Recipe { inside: Inside::Udp, ..Recipe::v6() }]
        {
            let packet = inner.ip().0;
            for (proto, name) in [(1, "ICMP"), (58, "ICMPv6"), (4, "4"), (41, "41"), (47, "47")] {
                let forged = Inside::Error(proto, packet.clone());
                let forged = Recipe { inside: forged, ..base.clone() };
                check(&forged, &format!("protocol {name} has no ports"));
                // Also behind extension headers.
                if base.v6 {
                    let forged = Recipe { extensions: vec![0, 60], ..forged };
                    check(&forged, &format!("protocol {name} has no ports"));
                }
            }
        }
    }
}

#[test]
fn an_address_is_canonical_as_in_a_log_line() {
    let mut mapped = Recipe { link: 12, ..Recipe::v6() }.bytes();
    let source: std::net::Ipv6Addr = "::ffff:203.0.113.7".parse().unwrap();
    mapped[8..24].copy_from_slice(&source.octets());
    assert_eq!(read(12, &mapped), "203.0.113.7 34084 > 2001:db8::1 800 TCP");
}

#[test]
fn a_hit_has_what_tells_a_repeat_from_a_second_packet() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    let bytes = Recipe::default().bytes();
    let captured = Captured { link: LinkType::ETHERNET, bytes: &bytes, time: Some(time) };
    let hit = EthFilters::default().hit(&captured).unwrap();
    assert_eq!(hit.source_port, Some(34084));
    assert_eq!(hit.sequence, Some(0x0102_0304));
    assert_eq!(hit.time, Some(LineTime::Wall(time)));
    assert_eq!(hit.protocol, Some(Protocol::TCP));
    assert_eq!(hit.interface, None);
}

/// Cut at every byte: no hit while a header is not whole, the very same one from then on.
#[test]
fn a_snapshot_may_end_anywhere_behind_the_headers() {
    let bases = [
        Recipe { options: 3, tcp_options: 5, payload: 100, ..Recipe::default() },
        Recipe { extensions: vec![0, 43, 51, 60], payload: 100, ..Recipe::v6() },
        Recipe { fragment: Some((0, true)), payload: 600, ..Recipe::v6() },
        Recipe {
            fragment: Some((0, true)),
            inside: Inside::Udp,
            payload: 600,
            ..Recipe::default()
        },
        Recipe { inside: Inside::Udp, payload: 100, ..Recipe::v6() },
        Recipe { inside: Inside::Other(132), payload: 100, ..Recipe::default() },
        Recipe::default(),
    ];
    for base in bases {
        for link in LINKS {
            for tags in [vec![], vec![0x8100], vec![0x88a8, 0x8100]] {
                let recipe = Recipe { link, tags, ..base.clone() };
                let (bytes, headers) = recipe.build();
                let whole = read(link, &bytes);
                assert!(whole.contains(" 800 "), "{whole} {recipe:?}");
                for len in 0..=bytes.len() {
                    let cut = read(link, &bytes[..len]);
                    if len >= headers {
                        assert_eq!(cut, whole, "{len} of {recipe:?}");
                    } else {
                        assert!(cut.starts_with("ends inside the "), "{len}: {cut} {recipe:?}");
                    }
                }
            }
        }
    }
}

/// What fills a frame up behind a packet is not of the packet.
#[test]
fn a_header_is_not_read_beyond_the_packet() {
    for (recipe, len_at, header) in [
        (Recipe { link: 12, payload: 60, ..Recipe::default() }, 2, "TCP"),
        (Recipe { link: 12, payload: 60, inside: Inside::Udp, ..Recipe::default() }, 2, "UDP"),
        (Recipe { link: 12, payload: 60, ..Recipe::v6() }, 4, "TCP"),
        (Recipe { link: 12, extensions: vec![60], ..Recipe::v6() }, 4, "IPv6 extension"),
    ] {
        let mut bytes = recipe.bytes();
        let short: u16 = if recipe.v6 { 7 } else { 27 };
        bytes[len_at..len_at + 2].copy_from_slice(&short.to_be_bytes());
        assert_eq!(read(12, &bytes), format!("ends inside the {header} header"));
    }
    let mut lying = Recipe { link: 12, ..Recipe::default() }.bytes();
    lying[2..4].copy_from_slice(&19_u16.to_be_bytes());
    assert_eq!(read(12, &lying), "the IPv4 header contradicts itself");
    let mut short = Recipe { link: 12, ..Recipe::default() }.bytes();
    short[0] = 0x44;
    assert_eq!(read(12, &short), "the IPv4 header contradicts itself");
    let mut offset = Recipe { link: 12, ..Recipe::default() }.bytes();
    offset[20 + 12] = 0x40;
    assert_eq!(read(12, &offset), "the TCP header contradicts itself");
}

#[test]
fn of_tcp_only_the_first_packet_of_a_connection_counts() {
    for flags in 0..=u8::MAX {
        let recipe = Recipe { inside: Inside::Tcp(flags), ..Recipe::default() };
        let bytes = recipe.bytes();
        let result = EthFilters::default().hit(&captured(1, &bytes));
        if flags & (SYN | ACK) == SYN {
            assert!(result.is_ok(), "{flags:#x}");
        } else {
            assert_eq!(result, Err(NoPacketHit::NotASyn), "{flags:#x}");
        }
    }
    for inside in [Inside::Udp, Inside::Other(132), Inside::Tcp(FIN | RST)] {
        let bytes = Recipe { inside, ..Recipe::default() }.bytes();
        assert!(EthFilters::default().hit(&captured(1, &bytes)).is_err());
    }
}
