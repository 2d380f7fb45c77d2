//! The language of ethfilters on real packets, and what libpcap is told about them.

use knock_formats::packet::{EthFilter, EthFilterSpec, EthFilters, NoPacketHit, Property};
use knock_wire::PortSpan;

use super::build::{ACK, CWR, ECE, FIN, Inside, RST, Recipe, SYN, captured};

/// A filter from lines as they stand in an `<ethfilter>` block.
pub(crate) fn filter(lines: &str) -> EthFilter {
    let mut properties = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').unwrap();
        let property = Property::parse(name.trim()).unwrap();
        properties.push((property, value.trim().to_owned()));
    }
    EthFilter::compile(&EthFilterSpec { name: "t".to_owned(), properties }).unwrap()
}

fn answer(lines: &str, recipe: &Recipe) -> &'static str {
    let bytes = recipe.bytes();
    match EthFilters::new(vec![filter(lines)]).hit(&captured(recipe.link, &bytes)) {
        Ok(_) => "hit",
        Err(NoPacketHit::NotChosen) => "not chosen",
        Err(NoPacketHit::NotASyn) => "no SYN",
        Err(_) => "no port",
    }
}

#[track_caller]
fn check(lines: &str, recipe: &Recipe, expected: &str) {
    assert_eq!(answer(lines, recipe), expected, "{lines} on {recipe:?}");
}

fn tcp(flags: u8) -> Recipe {
    Recipe { inside: Inside::Tcp(flags), ..Recipe::default() }
}

fn udp() -> Recipe {
    Recipe { inside: Inside::Udp, payload: 12, ..Recipe::default() }
}

#[test]
fn numbers_of_the_ip_header() {
    let v4 = tcp(SYN);
    for holds in [
        "ver = 4",
        "ver = IP_VERSION_IPv4",
        "hlen = 5",
        "ip.flags = DONTFRAG",
        "ip.flags = 2",
        "foffset = 0",
        "tos = 0",
        "len = 40",
        "id = 0x1234",
        "id = 4660",
        "ttl = 57",
        "ttl = 50-60",
        "ttl = !64",
        "proto = IP_PROTO_TCP",
        "proto = tcp",
        "proto = 6",
        "proto = TCP|UDP",
        "ip.proto = TCP",
        "dest_port = 800",
        "dest_port = 745-1000",
        "dest_port = 22|800",
        "tcp.dest_port = 800",
        "src_port = 1024-65535",
        "seqnum = 16909060",
        "acknum = 0x05060708",
        "winsize = 64240",
        "tcp.hlen = 5",
        "reserved = 0",
        "urg = 0",
        "tcp.cksum = 0xbeef",
        "flags = SYN\nproto = TCP\ndest_port = 745-1000",
    ] {
        check(holds, &v4, "hit");
    }
    for fails in [
        "ver = 6",
        "hlen = 6",
        "ip.flags = MOREFRAGS",
        "ip.flags = !DONTFRAG",
        "foffset = 8",
        "tos = IPTOS_DSCP_EF",
        "len = 41",
        "id = 1",
        "ttl = 64",
        "proto = UDP",
        "proto = !TCP",
        "dest_port = 22",
        "dest_port = !800",
        "udp.dest_port = 800",
        "udp.len = 20",
        "src_port = 1-1023",
        "winsize = 0",
        "flags = SYN\nproto = TCP\ndest_port = 22",
    ] {
        check(fails, &v4, "not chosen");
    }
    check("cksum = 0-65535", &v4, "hit");
    check("cksum = 0-65535", &Recipe::v6(), "not chosen");
}

#[test]
fn numbers_of_udp_and_of_fragments() {
    for holds in
        ["proto = UDP", "udp.len = 20", "udp.dest_port = 800", "dest_port = 800", "len = 40"]
    {
        check(holds, &udp(), "hit");
    }
    // A flag of TCP is nothing that a UDP packet could lack: it has no such property.
    for fails in ["flags = SYN", "flags = !SYN", "flags = 0", "seqnum = 0", "tcp.dest_port = 800"] {
        check(fails, &udp(), "not chosen");
    }
    let fragment = Recipe { fragment: Some((0, true)), payload: 600, ..tcp(SYN) };
    check("ip.flags = MOREFRAGS", &fragment, "hit");
    check("ip.flags = !MOREFRAGS", &fragment, "not chosen");
    let later = Recipe { fragment: Some((9, true)), payload: 600, ..tcp(SYN) };
    check("foffset = 72", &later, "no port");
}

#[test]
fn ipv6_has_the_same_names() {
    let v6 = Recipe { extensions: vec![0, 60], ..Recipe::v6() };
    for holds in [
        "ver = 6",
        "proto = TCP",
        "ttl = 57",
        "hlen = 10",
        "tos = 0",
        "ip.flags = 0",
        "len = 52",
        "src_ip = ^2001:db8::7$",
        "dest_ip = ^2001:db8::",
        "flags = SYN",
    ] {
        check(holds, &v6, "hit");
    }
    for fails in ["ver = 4", "proto = 0", "proto = 60", "id = 0-4294967295", "dest_ip = ::7"] {
        check(fails, &v6, "not chosen");
    }
    let fragment = Recipe { fragment: Some((0, true)), payload: 600, ..Recipe::v6() };
    check("id = 0x1234\nip.flags = MOREFRAGS\nproto = TCP", &fragment, "hit");
}

#[test]
fn addresses_are_matched_as_text() {
    for holds in [
        "dest_ip = 192.0.2.1",
        "dest_ip = 192",
        "dest_ip = ^192\\.0\\.2\\.1$",
        "src_ip = \\.7$",
        "src_ip = ^(203|198)\\.",
        "dest_ip = !^127\\.",
        "dest_ip = 2.0.2",
    ] {
        check(holds, &tcp(SYN), "hit");
    }
    for fails in ["dest_ip = 127.0.0.1", "dest_ip = !192", "src_ip = 192", "src_ip = ^3\\."] {
        check(fails, &tcp(SYN), "not chosen");
    }
}

/// What is said about TCP's flags, flags by flags: `flags = SYN` is no wish for answers.
#[test]
fn answers_count_only_for_who_names_their_flags() {
    let packets = [SYN, SYN | ECE | CWR, SYN | ACK, ACK, RST, FIN, 0];
    let all = |lines: &str| packets.map(|flags| answer(lines, &tcp(flags)));
    let opening = ["hit", "hit", "no SYN", "no SYN", "no SYN", "no SYN", "no SYN"];
    assert_eq!(all("dest_port = 800"), opening);
    let no = "not chosen";
    assert_eq!(all("flags = SYN"), ["hit", "hit", "no SYN", no, no, no, no]);
    assert_eq!(all("tcp.flags = syn"), all("flags = SYN"));
    assert_eq!(all("flags = SYN & !ACK"), ["hit", "hit", no, no, no, no, no]);
    assert_eq!(all("flags = 2"), ["hit", no, no, no, no, no, no]);
    assert_eq!(all("flags = SYN & ACK"), [no, no, "hit", no, no, no, no]);
    assert_eq!(all("flags = SYN | ACK"), ["hit", "hit", "hit", "hit", no, no, no]);
    assert_eq!(all("flags = FIN"), [no, no, no, no, no, "hit", no]);
    assert_eq!(all("flags = 0"), [no, no, no, no, no, no, "hit"]);
    assert_eq!(all("flags = !ACK"), ["hit", "hit", no, no, "hit", "hit", "hit"]);
    // What IP's flags are says nothing about TCP's.
    assert_eq!(all("ip.flags = DONTFRAG"), opening);
}

#[test]
fn of_several_filters_one_must_match() {
    let filters = EthFilters::new(vec![filter("proto = UDP"), filter("flags = FIN")]);
    let hit = |recipe: &Recipe| filters.hit(&captured(1, &recipe.bytes())).is_ok();
    assert_eq!([hit(&udp()), hit(&tcp(FIN)), hit(&tcp(SYN))], [true, true, false]);
    assert!(EthFilters::new(Vec::new()).hit(&captured(1, &tcp(SYN).bytes())).is_err());
}

/// The guide names every property, and its examples are filters.
#[test]
fn the_guide_is_right() {
    let guide = include_str!("../../../../docs/guide/ethfilters.md").replace("\\|", "|");
    let quoted: Vec<&str> = guide.split('`').skip(1).step_by(2).collect();
    for property in Property::all() {
        let names = property.names();
        assert!(quoted.iter().any(|text| names.contains(text)), "{property} is not in the guide");
    }
    let examples = quoted.iter().filter(|text| {
        text.split_once(" = ").is_some_and(|(name, _)| Property::parse(name).is_some())
    });
    let compiled: Vec<EthFilter> = examples.map(|example| filter(example)).collect();
    assert!(compiled.len() > 20, "{compiled:?}");
}

#[track_caller]
fn check_capture(lines: &str, span: Option<&str>, expected: &str) {
    let span = span.map(|span| PortSpan::parse(span).unwrap());
    let shown = EthFilters::new(vec![filter(lines)]).capture_filter(span.as_ref());
    // The same in all of them.
    let shown = shown.map(|shown| {
        shown
            .replace(" or ether proto 0x8100 or ether proto 0x88a8 or ether proto 0x9100", "")
            .replace(
                " or (ip6 and (ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 51 or ip6[6] = 60 \
                 or ip6[6] = 135 or ip6[6] = 139 or ip6[6] = 140))",
                " …",
            )
    });
    assert_eq!(shown.as_deref().unwrap_or("none"), expected);
}

#[test]
fn libpcap_is_told_what_can_be_left_out() {
    const IS_SYN: &str = "(tcp[13] & 2 != 0 or (ip6 and ip6[53] & 2 != 0))";
    let syn = format!("(((tcp dst portrange 745-1000) and {IS_SYN})) …");
    check_capture("flags = SYN", Some("745-1000"), &syn);
    check_capture("proto = TCP", Some("745-1000"), &syn);
    check_capture("flags = SYN", None, &format!("(((tcp) and {IS_SYN})) …"));
    check_capture("flags = FIN", None, "((tcp)) …");
    check_capture(
        "proto = UDP\nver = 4",
        Some("7,9-11"),
        "(ip and ((udp dst port 7 or udp dst portrange 9-11)))",
    );
    check_capture("proto = TCP|UDP\nflags = SYN", None, &format!("(((tcp) and {IS_SYN})) …"));
    check_capture(
        "proto = SCTP | DCCP\nver = 6",
        None,
        "(ip6 and ((ip proto 33 or ip6 proto 33) or (sctp))) …",
    );
    check_capture("proto = ICMP", None, "none");
    let scattered: Vec<String> = (0..32).map(|n| (100 + 3 * n).to_string()).collect();
    check_capture("proto = UDP", Some(&scattered.join(",")), "((udp dst portrange 100-193)) …");
}
