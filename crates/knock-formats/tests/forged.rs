//! Lines that somebody made up: what strangers can get into a log, and what must come of it.

mod common;

use std::sync::LazyLock;

use knock_formats::LogFormat;
use proptest::prelude::*;

/// A packet's line, of which the forged ones are made. It yields port 800 from 198.51.100.66.
const PACKET: &str = "IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC=198.51.100.66 DST=203.0.113.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=40000 DPT=800 WINDOW=64240 RES=0x00 SYN URGP=0 ";
const IPCHAINS: &str = "Packet log: input DENY eth0 PROTO=6 198.51.100.66:40000 203.0.113.1:800 L=60 S=0x00 I=1 F=0x4000 T=64 SYN (#1)";

/// Where a text of a stranger's choice ends up, `{}`, and who writes it there.
const PLACES: [(&str, &str); 16] = [
    (
        "Nov 21 03:22:42 h sshd[7]: Invalid user {} from 203.0.113.7 port 50000",
        "a name typed at ssh",
    ),
    (
        "Nov 21 03:22:42 h sshd[7]: Bad protocol version identification '{}' from 203.0.113.7",
        "ssh's version string",
    ),
    (
        "2026-11-21T03:22:42.972511+00:00 h sshd[7]: Invalid user {} from 203.0.113.7 port 50000",
        "a name typed at ssh, ISO date",
    ),
    (
        "<38>1 2026-11-21T03:22:42.972511+00:00 h sshd 7 - - Invalid user {} from 203.0.113.7",
        "a name typed at ssh, RFC 5424",
    ),
    (
        "1795231365.065442 h sshd[7]: Invalid user {} from 203.0.113.7",
        "a name typed at ssh, seconds since 1970",
    ),
    (
        "Sat 2026-11-21 03:22:45 UTC h sshd[7]: Invalid user {} from 203.0.113.7",
        "a name typed at ssh, the journal's full date",
    ),
    ("[ 1679.232768] h sshd[7]: pam: user={} unknown", "a name, in the journal's monotonic form"),
    (
        "Nov 21 03:22:42 h postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[203.0.113.7]: to=<{}>",
        "a recipient of mail",
    ),
    ("Nov 21 03:22:42 h httpd: 203.0.113.7 - - \"GET /{} HTTP/1.0\" 404", "a web address"),
    (
        "Nov 21 03:22:42 h dhcpd: DHCPDISCOVER from 8a:92:9e:a6:fb:e3 ({}) via eth0",
        "a host name sent by DHCP",
    ),
    (
        "Nov 21 03:22:42 h named[7]: client 203.0.113.7#53 ({}): query denied",
        "a name asked of the DNS",
    ),
    ("Nov 21 03:22:42 h su: FAILED SU (to {}) nobody on pts/0", "a name given to su"),
    ("Nov 21 03:22:42 h app: unknown request {}", "a program under a tag without a number"),
    ("<14>Nov 21 03:22:42 h kernel: {}", "logger -t kernel, where the facility is written"),
    ("<14>1 2026-11-21T03:22:42.97+00:00 h kernel - - - {}", "the same by RFC 5424"),
    ("12,500,1679232768,-;{}", "a program that writes to /dev/kmsg"),
];

/// What the text may be made of besides the packet's line itself.
const DISGUISES: [&str; 12] = [
    "{}",
    "portknock {}",
    "portknock{}",
    "kernel: portknock {}",
    "h kernel: {}",
    "Nov 21 03:22:42 h kernel: portknock {}",
    "[ 1679.232768] portknock {}",
    "x\rNov 21 03:22:42 h kernel: {}",
    "x\u{1b}[2K\u{1b}[1GNov 21 03:22:42 h kernel: {}",
    "x\0Nov 21 03:22:42 h kernel: {}",
    "x\u{2028}Nov 21 03:22:42 h kernel: {}",
    "x#012Nov 21 03:22:42 h kernel: {}",
];

/// The shipped formats. Compiled once: that takes longer than a thousand lines.
fn formats() -> &'static [LogFormat] {
    static FORMATS: LazyLock<Vec<LogFormat>> =
        LazyLock::new(|| ["iptables", "ipchains", "ulogd"].map(common::compiled).into());
    &FORMATS
}

#[track_caller]
fn yields_nothing(line: &[u8], because: &str) {
    for format in formats() {
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
fn text_of_a_strangers_choice_is_no_packet() {
    let packets = [PACKET.to_owned(), PACKET.replace("RES=0x00 ", ""), IPCHAINS.to_owned()];
    for (place, because) in PLACES {
        for disguise in DISGUISES {
            for packet in &packets {
                let line = place.replace("{}", &disguise.replace("{}", packet));
                for format in formats() {
                    let hit = format.hit(line.as_bytes());
                    assert_eq!(hit, None, "{} believes {because}: {line:?}", format.name());
                }
            }
        }
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
        for format in formats() {
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
        for format in formats() {
            if let Some(hit) = format.hit(line.as_bytes()) {
                prop_assert_eq!(hit.port, 800);
                prop_assert_eq!(hit.client.to_string(), "10.0.0.1");
            }
        }
    }
}

/// A writer that died, or a disk that was full: a line ends anywhere and the next one follows.
#[test]
fn a_torn_line_lends_the_next_one_nothing() {
    let kernel = |packet: &str| format!("Nov 21 03:22:42 h kernel: portknock {packet}");
    let udp = "IN=eth0 OUT= MAC= SRC=203.0.113.7 DST=203.0.113.1 LEN=29 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=UDP SPT=50000 DPT=900 LEN=9 ";
    let ulogd = |packet: &str| format!("Nov 21 03:22:42 h {}", packet.replace("RES=0x00 ", ""));
    let mine = |packet: &str| {
        packet.replace("198.51.100.66", "203.0.113.7").replace("800", "900").replace("ID=1", "ID=7")
    };
    for (torn, whole) in [
        (kernel(&mine(PACKET)), kernel(PACKET)),
        (kernel(udp), kernel(PACKET)),
        (ulogd(&mine(PACKET)), ulogd(PACKET)),
        (kernel(&mine(IPCHAINS)), kernel(IPCHAINS)),
    ] {
        for at in 0..=torn.len() {
            let line = format!("{}{whole}", &torn[..at]);
            for hit in formats().iter().filter_map(|format| format.hit(line.as_bytes())) {
                let whose = (hit.client.to_string(), hit.port);
                let honest = [("198.51.100.66".to_owned(), 800), ("203.0.113.7".to_owned(), 900)];
                assert!(honest.contains(&whose), "{whose:?} of {line:?}");
            }
        }
    }
}
