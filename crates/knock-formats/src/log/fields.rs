//! What a captured text is worth: an address, a port, a protocol, an interface, or nothing.
//! Finding the text is `matcher.rs`'s work.

use std::net::IpAddr;

use knock_wire::Protocol;

/// An address in its one canonical form: IPv4-mapped IPv6 is IPv4, a zone (`%eth0`) is dropped.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = match text.split_once('%') {
        Some((bare, zone)) if bare.contains(':') && !zone.is_empty() => bare,
        Some(_) => return None,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// 1-65535, in decimal digits alone.
pub(super) fn port(text: &[u8]) -> Option<u16> {
    match number(text).map(u16::try_from) {
        Some(Ok(port)) if port > 0 => Some(port),
        _ => None,
    }
}

/// Any number of 32 bits, in decimal digits alone: `parse` would take a sign.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 10 {
        return None;
    }
    text.iter().try_fold(0_u32, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The protocol that the line itself names as `PROTO=…`, as iptables, nftables, ulogd and ipchains
/// do: the first that is a word of its own (`MACPROTO=` is not) and a known value.
pub(super) fn outer_protocol(line: &[u8], finder: &memchr::memmem::Finder<'_>) -> Option<Protocol> {
    let name = finder.needle().len();
    finder.find_iter(line).find_map(|at| {
        let edge = match at.checked_sub(1) {
            Some(before) => line.get(before).is_some_and(u8::is_ascii_whitespace),
            None => true,
        };
        let rest = line.get(at + name..)?;
        let value = rest.split(u8::is_ascii_whitespace).next()?;
        if edge { Protocol::from_text(value) } else { None }
    })
}

/// TCP's flags where they are written out.
const NAMES: [&[u8]; 8] = [b"SYN", b"ACK", b"FIN", b"RST", b"PSH", b"URG", b"ECE", b"CWR"];

/// Whether flags are those of a connection's first packet: SYN without ACK. Takes names (`SYN`,
/// `ACK SYN`), letters (`S`, `SA`, tcpdump's `S.`) and a number (`0x02`).
pub(super) fn opens(flags: &[u8]) -> bool {
    let flags = flags.trim_ascii();
    if let Some(hex) = flags.strip_prefix(b"0x") {
        let bits = std::str::from_utf8(hex).ok().and_then(|hex| u16::from_str_radix(hex, 16).ok());
        return bits.is_some_and(|bits| bits & 0x02 != 0 && bits & 0x10 == 0);
    }
    let mut syn = false;
    let mut ack = false;
    for word in flags.split(|byte| !byte.is_ascii_alphabetic() && *byte != b'.') {
        if NAMES.iter().any(|name| word.eq_ignore_ascii_case(name)) {
            syn |= word.eq_ignore_ascii_case(b"SYN");
            ack |= word.eq_ignore_ascii_case(b"ACK");
        } else {
            syn |= word.contains(&b'S');
            ack |= word.contains(&b'A') || word.contains(&b'.');
        }
    }
    syn && !ack
}

/// Whether the words of a text name SYN and not ACK.
pub(super) fn names_syn(text: &[u8]) -> bool {
    let has = |name: &[u8]| text.split(|byte| *byte == b' ').any(|word| word == name);
    has(b"SYN") && !has(b"ACK")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_become_canonical() {
        for (text, canonical) in [
            ("203.0.113.7", "203.0.113.7"),
            ("2001:0db8:0000:0000:0000:0000:0000:0007", "2001:db8::7"),
            ("2001:DB8::7", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("0000:0000:0000:0000:0000:ffff:cb00:7107", "203.0.113.7"),
            ("fe80::1%eth0", "fe80::1"),
        ] {
            assert_eq!(address(text.as_bytes()).unwrap().to_string(), canonical, "{text}");
        }
        for text in [
            "",
            "8",
            "2001",
            "8a:92:9e:a6:fb:e3",
            "203.0.113",
            "203.0.113.256",
            "203.0.113.07",
            "203.0.113.7 ",
            "203.0.113.7%eth0",
            "fe80::1%",
            "203.0.113.7.",
            "xx.xx.xx.xx",
            "[::1]",
        ] {
            assert_eq!(address(text.as_bytes()), None, "{text}");
        }
        assert_eq!(address(b"203.0.113.7\xff"), None);
    }

    #[test]
    fn ports_are_1_to_65535() {
        assert_eq!(port(b"1"), Some(1));
        assert_eq!(port(b"65535"), Some(65535));
        for text in ["", "0", "65536", "4294967297", "-1", "+1", " 1", "1 ", "0x10", "99999999999"]
        {
            assert_eq!(port(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn only_a_first_packet_opens() {
        for yes in ["SYN", "SYN ", "CWR ECE SYN", "S", "0x02", "0xc2", "SEC", "syn"] {
            assert!(opens(yes.as_bytes()), "{yes}");
        }
        for no in
            ["", "ACK SYN", "ACK", "RST", "SA", "S.", ".", "AS", "0x12", "0x", "SYN,ACK", "FIN"]
        {
            assert!(!opens(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn the_outer_protocol_is_a_word_of_its_own() {
        let finder = memchr::memmem::Finder::new("PROTO=");
        let of = |line: &str| outer_protocol(line.as_bytes(), &finder);
        assert_eq!(of("MACPROTO=0800 PROTO=ICMP TYPE=8"), Some(Protocol::ICMP));
        assert_eq!(of("XPROTO=UDP PROTO=2"), Some(Protocol(2)));
        assert_eq!(of("PROTO=TCP"), Some(Protocol::TCP));
        assert_eq!(of("PROTO= PROTO=UDP PROTO=TCP"), Some(Protocol::UDP));
        assert_eq!(of("MACPROTO=6"), None);
    }
}
