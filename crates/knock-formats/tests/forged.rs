//! Lines that somebody made up, packet by packet: headers inside errors, prefixes, damaged fields.
//! What is put together from the formats' own samples is in `corpus.rs`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use proptest::prelude::*;

/// A packet's line, of which the forged ones are made. It yields port 800 from 198.51.100.66.
const PACKET: &str = "IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC=198.51.100.66 DST=203.0.113.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=40000 DPT=800 WINDOW=64240 RES=0x00 SYN URGP=0 ";
const IPCHAINS: &str = "Packet log: input DENY eth0 PROTO=6 198.51.100.66:40000 203.0.113.1:800 L=60 S=0x00 I=1 F=0x4000 T=64 SYN (#1)";

#[track_caller]
fn yields_nothing(line: &[u8], because: &str) {
    for format in common::all().iter().map(|shipped| &shipped.format) {
        if let Ok(hit) = format.examine(line) {
            let line = line.escape_ascii();
            panic!("{} believes {because}: {hit:?}\n    {line}", format.name());
        }
    }
}

#[test]
fn the_packet_itself_is_one() {
    for (format, line) in [
        ("iptables", format!("Nov 21 03:22:42 h kernel: {PACKET}")),
        ("ipchains", format!("Nov 21 03:22:42 h kernel: {IPCHAINS}")),
        ("ulogd", format!("Nov 21 03:22:42 h {}", PACKET.replace("RES=0x00 ", ""))),
    ] {
        let hit = common::compiled(format).hit(line.as_bytes()).unwrap();
        assert_eq!((hit.client.to_string().as_str(), hit.port), ("198.51.100.66", 800));
    }
}

#[test]
fn a_local_users_own_line_is_told_from_the_kernels_by_its_tag() {
    // ulogd's own file has no tags; which is why nothing else may write into it.
    for tag in ["logger", "root", "kernel[7]"] {
        let line = format!("Nov 21 03:22:42 h {tag}: {PACKET}");
        assert_eq!(common::compiled("iptables").hit(line.as_bytes()), None, "{line}");
        let line = format!("Nov 21 03:22:42 h {tag}: {IPCHAINS}");
        assert_eq!(common::compiled("ipchains").hit(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn a_header_inside_an_icmp_error_is_no_packet() {
    let outer = "SRC=203.0.113.7 DST=203.0.113.1 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=2 DF";
    let inner = "[SRC=198.51.100.66 DST=203.0.113.1 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=40000 DPT=800 WINDOW=64240 RES=0x00 SYN URGP=0 ] ";
    for protocol in ["ICMP", "ICMPv6", "1", "58"] {
        for tag in ["Nov 21 03:22:42 h kernel: portknock ", "[ 1.000000] ", "Nov 21 03:22:42 h "] {
            let line =
                format!("{tag}IN=eth0 OUT= MAC= {outer} PROTO={protocol} TYPE=3 CODE=3 {inner}");
            yields_nothing(line.as_bytes(), "a header inside an ICMP error");
            let bare = line.replace(&format!("PROTO={protocol} "), "");
            yields_nothing(bare.as_bytes(), "the same without a protocol");
        }
    }
}

#[test]
fn prefixes_that_look_like_fields_yield_nothing() {
    for prefix in [
        "SRC=198.51.100.66 ",
        "IN=eth1 OUT= SRC=198.51.100.66 ",
        "DPT=800 ",
        "[SRC=",
        "PROTO=ICMP ",
        "MACSRC=",
    ] {
        for head in ["Nov 21 03:22:42 h kernel: ", "[ 1.000000] ", "Nov 21 03:22:42 h "] {
            let line = format!("{head}{prefix}{}", PACKET.replace("198.51.100.66", "203.0.113.7"));
            yields_nothing(line.as_bytes(), "a prefix that looks like fields");
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_bytes_like_others() {
    let iptables = common::compiled("iptables");
    let line = |prefix: &[u8]| [b"Nov 21 03:22:42 h kernel: ", prefix, PACKET.as_bytes()].concat();
    // An administrator may write the prefix in any character set.
    for prefix in [&b"t\xfcr "[..], "tür ".as_bytes(), b"\xff\xfe"] {
        assert_eq!(iptables.hit(&line(prefix)).map(|hit| hit.port), Some(800), "{prefix:?}");
    }
    // The kernel takes control characters into no prefix that came to it by way of iptables.
    for prefix in [&b"\0"[..], b"\x1b[2K", b"a\rb", b"\x7f", b"x\n"] {
        yields_nothing(&line(prefix), "control characters");
    }
    for (from, to) in [
        ("198.51.100.66", &b"198.51.100.66\xff"[..]),
        ("DPT=800", b"DPT=8\x0000"),
        ("DPT=800", b"DPT=\xc2\xb2"),
    ] {
        let text = String::from_utf8(line(b"")).unwrap();
        let (before, after) = text.split_once(from).unwrap();
        yields_nothing(&[before.as_bytes(), to, after.as_bytes()].concat(), "a damaged field");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(line in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in common::all().iter().map(|shipped| &shipped.format) {
            prop_assert!(format.hit(&line).is_none());
        }
    }

    /// Pieces of real lines in any order: nothing panics, and a hit has a port and an address that
    /// stand in the line as fields of their own.
    #[test]
    fn shuffled_pieces_yield_what_stands_there(pieces in prop::collection::vec(prop::sample::select(vec![
        "Nov 21 03:22:42 ", "h ", "kernel: ", "sshd[7]: ", "[ 1.000000] ", "IN=eth0 ", "OUT= ", "MAC= ", "MACSRC=8a:92 ",
        "SRC=10.0.0.1 ", "[SRC=10.0.0.2 ", "DST=10.0.0.3 ", "LEN=60 ", "PROTO=TCP ", "PROTO=ICMP ", "SPT=1 ", "DPT=800 ",
        "DPT=80", "WINDOW=1 RES=0x00 SYN URGP=0 ", "\0", "é", "Packet log: input DENY eth0 PROTO=6 10.0.0.1:1 10.0.0.3:800 ",
    ]), 0..24)) {
        let line = pieces.concat();
        for format in common::all().iter().map(|shipped| &shipped.format) {
            if let Some(hit) = format.hit(line.as_bytes()) {
                prop_assert_eq!(hit.port, 800);
                prop_assert_eq!(hit.client.to_string(), "10.0.0.1");
            }
        }
    }
}
