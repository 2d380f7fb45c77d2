//! The corpus of forged lines: those of `data/forged/`, and those that are put together from every
//! shipped format's own samples, for all formats at once. Nothing that a stranger can get into a
//! log may become a hit; nothing that damages a line may change whose hit it is, or on what.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use knock_formats::{LogFormat, MAX_LINE, SampleYield};
use knock_wire::{Hit, Protocol};

/// Where a text of a stranger's choice ends up, `{}`, and who writes it there.
const PLACES: [(&str, &str); 27] = [
    (
        "Nov 21 03:22:42 h sshd[7]: Invalid user {} from 203.0.113.7 port 50000",
        "a name typed at ssh",
    ),
    (
        "Nov 21 03:22:42 h sshd[7]: Failed password for invalid user {} from 203.0.113.7 port 50000 ssh2",
        "a name in the middle",
    ),
    ("Nov 21 03:22:42 h sshd[7]: Connection closed by invalid user {}", "a name at the end"),
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
    ("<38>1 2026-11-21T03:22:42.972511+00:00 h sshd 7 - - {}", "a text alone, RFC 5424"),
    ("<38>1 2026-11-21T03:22:42Z h app 7 - [meta user=\"{}\"] -", "structured data of RFC 5424"),
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
        "Nov 21 03:22:42 h httpd[7]: 203.0.113.7 - - \"GET / HTTP/1.0\" 404 0 \"-\" \"{}",
        "a browser's name",
    ),
    (
        "203.0.113.7 - {} [21/Nov/2026:03:22:42 +0000] \"GET / HTTP/1.0\" 401 0",
        "a web server's own log",
    ),
    ("Nov 21 03:22:42 h ftpd[7]: failed login from 203.0.113.7, {}", "a name typed at ftp"),
    ("Nov 21 03:22:42 h ftpd: {}: no such user", "a name typed at ftp, in front"),
    (
        "Nov 21 03:22:42 h dhcpd: DHCPDISCOVER from 8a:92:9e:a6:fb:e3 ({}) via eth0",
        "a host name sent by DHCP",
    ),
    (
        "Nov 21 03:22:42 h named[7]: client 203.0.113.7#53 ({}): query denied",
        "a name asked of the DNS",
    ),
    (
        "Nov 21 03:22:42 h named[7]: {} IN A: query (cache) denied",
        "a name asked of the DNS, in front",
    ),
    ("Nov 21 03:22:42 h su: FAILED SU (to {}) nobody on pts/0", "a name given to su"),
    ("Nov 21 03:22:42 h app: unknown request {}", "a program under a tag without a number"),
    ("Nov 21 03:22:42 h app: {}", "a text alone"),
    (
        "Mon Mar 23 13:16:49 2026 authpriv.warn dropbear[7]: Login attempt for nonexistent user {}",
        "OpenWrt's logread",
    ),
    ("<14>Nov 21 03:22:42 h kernel: {}", "logger -t kernel, where the facility is written"),
    ("<14>1 2026-11-21T03:22:42.97+00:00 h kernel - - - {}", "the same by RFC 5424"),
    ("12,500,1679232768,-;{}", "a program that writes to /dev/kmsg"),
];

/// What the text may be made of besides the packet's line itself.
const DISGUISES: [&str; 9] = [
    "{}",
    "portknock {}",
    "h kernel: {}",
    "Nov 21 03:22:42 h kernel: portknock {}",
    "[ 1679.232768] portknock {}",
    "x\r{}",
    "x\u{1b}[2K\u{1b}[1G{}",
    "x\0{}",
    "x#012{}",
];

/// A sample of a shipped format that yields a hit.
struct Genuine {
    format: &'static str,
    line: &'static str,
    hit: Hit,
}

fn formats() -> impl Iterator<Item = &'static LogFormat> {
    common::all().iter().map(|shipped| &shipped.format)
}

fn genuine() -> Vec<Genuine> {
    let mut found = Vec::new();
    for shipped in common::all() {
        let yielding =
            shipped.spec.samples.iter().filter(|s| matches!(s.yields, SampleYield::Fields(_)));
        for sample in yielding {
            found.push(Genuine {
                format: &shipped.file,
                line: std::str::from_utf8(&sample.line).unwrap(),
                hit: shipped.format.hit(&sample.line).unwrap(),
            });
        }
    }
    found
}

/// A few of each format, for what multiplies.
fn some() -> Vec<Genuine> {
    let mut all = genuine();
    let mut last = ("", 0);
    all.retain(|genuine| {
        last = if last.0 == genuine.format { (last.0, last.1 + 1) } else { (genuine.format, 1) };
        last.1 <= 4
    });
    all
}

/// A line of the format for somebody who is in none of the samples.
fn other(format: &str) -> (String, Hit) {
    let shipped = common::all().iter().find(|shipped| shipped.file == format).unwrap();
    let (client, server): (IpAddr, IpAddr) = match format {
        "ip6tables" => ("2001:db8::66".parse().unwrap(), "2001:db8::1".parse().unwrap()),
        _ => ("198.51.100.66".parse().unwrap(), "203.0.113.1".parse().unwrap()),
    };
    let hit = Hit {
        server: Some(server),
        protocol: Some(Protocol::TCP),
        source_port: Some(40000),
        ..Hit::new(client, 31337)
    };
    let line = shipped.format.render(&hit, SystemTime::UNIX_EPOCH).unwrap();
    (line, hit)
}

fn whose(hit: &Hit) -> (IpAddr, u16) {
    (hit.client, hit.port)
}

/// Whatever hits a line yields are among these.
#[track_caller]
fn yields_only(line: &[u8], honest: &[(IpAddr, u16)]) {
    for format in formats() {
        if let Some(hit) = format.hit(line) {
            let shown = line.escape_ascii();
            assert!(
                honest.contains(&whose(&hit)),
                "{} believes {hit:?}\n    {shown}",
                format.name()
            );
        }
    }
}

/// A line of the data files: `\xNN` is a byte.
fn unescaped(text: &str) -> Vec<u8> {
    let mut pieces = text.split("\\x");
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

#[test]
fn the_lines_of_the_corpus_yield_nothing() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/forged");
    let mut lines = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let mut because = "";
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.strip_prefix("# ") {
                Some(reason) => because = reason,
                None => {
                    lines += 1;
                    let bytes = unescaped(line);
                    for format in formats() {
                        let hit = format.hit(&bytes);
                        assert_eq!(
                            hit,
                            None,
                            "{}: {}: {because}\n    {line}",
                            path.display(),
                            format.name()
                        );
                    }
                }
            }
        }
    }
    assert!(lines >= 60, "only {lines} lines");
}

#[track_caller]
fn is_no_hit_anywhere(text: &str) {
    for (place, because) in PLACES {
        let line = place.replace("{}", text);
        for format in formats() {
            // These have no tag of their own to hold on to, and their files say so: `app: ` may be the
            // prefix of a rule, or the name of a device.
            if ["ulogd", "netscreen"].contains(&format.name()) && place.ends_with(": {}") {
                continue;
            }
            let hit = format.hit(line.as_bytes());
            assert_eq!(hit, None, "{} believes {because}: {line:?}", format.name());
        }
    }
}

#[test]
fn every_formats_own_line_typed_by_a_stranger_is_no_hit() {
    for genuine in some() {
        is_no_hit_anywhere(genuine.line.trim_end());
        for disguise in DISGUISES {
            is_no_hit_anywhere(&disguise.replace("{}", genuine.line));
        }
    }
}

/// The part behind the kernel's, or another program's, tag is what a stranger would rather type.
#[test]
fn nor_is_a_part_of_it() {
    for genuine in some() {
        let starts = genuine.line.match_indices(' ').map(|(at, _)| at + 1).take(8);
        for start in starts {
            is_no_hit_anywhere(&genuine.line[start..]);
        }
    }
}

#[test]
fn a_torn_line_is_the_same_hit_or_none() {
    for genuine in genuine() {
        for end in 0..genuine.line.len() {
            yields_only(&genuine.line.as_bytes()[..end], &[whose(&genuine.hit)]);
        }
    }
}

/// A writer that died, or a disk that was full: a line ends anywhere and the next one follows.
#[test]
fn a_torn_line_lends_the_next_one_nothing() {
    for genuine in genuine() {
        let (next, hit) = other(genuine.format);
        let honest = [whose(&genuine.hit), whose(&hit)];
        assert_ne!(honest[0], honest[1]);
        for end in 0..=genuine.line.len() {
            yields_only([&genuine.line[..end], next.as_str()].concat().as_bytes(), &honest);
        }
        for end in 0..=next.len() {
            yields_only([&next[..end], genuine.line].concat().as_bytes(), &honest);
        }
    }
}

#[test]
fn a_damaged_line_is_the_same_hit_or_none() {
    for genuine in genuine() {
        let line = genuine.line.as_bytes();
        for at in 0..=line.len() {
            for damage in [&b"\0"[..], b"\x1b[2K", b"\r", b"\x7f", b"\xff", b"\xc2\xa0"] {
                let (before, behind) = line.split_at(at);
                yields_only(&[before, damage, behind].concat(), &[whose(&genuine.hit)]);
            }
        }
    }
}

#[test]
fn a_huge_line_is_no_hit() {
    for genuine in genuine() {
        let line = genuine.line.as_bytes();
        let filler = vec![b' '; MAX_LINE];
        yields_only(&[line, &filler].concat(), &[]);
        yields_only(&[&filler, line].concat(), &[]);
        // Just short enough to be looked at, and full of what expressions look for.
        let again: Vec<u8> = line.iter().copied().cycle().take(MAX_LINE).collect();
        yields_only(&again, &[whose(&genuine.hit)]);
    }
}
