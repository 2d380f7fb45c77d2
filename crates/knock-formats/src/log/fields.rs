//! What a captured text is worth: an address, a port, a protocol, an interface, or nothing.
//! Finding the text is `matcher.rs`'s work.

use std::net::{IpAddr, Ipv4Addr};

use knock_wire::Protocol;

/// An address in its one canonical form: IPv4-mapped IPv6 is IPv4, a zone (`%eth0`) is dropped.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    if let Some(address) = ipv4(text) {
        return Some(IpAddr::V4(address));
    }
    let text = std::str::from_utf8(text).ok()?;
    let bare = match text.split_once('%') {
        Some((bare, zone)) if bare.contains(':') && !zone.is_empty() => bare,
        Some(_) => return None,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Four numbers and three dots, as the standard library takes them. By hand, since nearly each
/// address is one and it takes a fifth of the time.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut digits = text.iter();
    for (nth, octet) in octets.iter_mut().enumerate() {
        let mut value: u32 = 0;
        let mut is_zero_first = false;
        let mut len = 0;
        loop {
            match digits.next() {
                // What is behind a first zero could be meant as an octal number.
                Some(digit @ b'0'..=b'9') if !is_zero_first && len < 3 => {
                    is_zero_first = len == 0 && *digit == b'0';
                    value = value * 10 + u32::from(digit - b'0');
                    len += 1;
                }
                Some(b'.') if nth < 3 && len > 0 => break,
                None if nth == 3 && len > 0 => break,
                _ => return None,
            }
        }
        *octet = u8::try_from(value).ok()?;
    }
    Some(Ipv4Addr::from(octets))
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

/// What stands before a protocol in the lines of iptables, nftables, ulogd and ipchains.
pub(super) const PROTOCOL: &[u8] = b"PROTO=";

/// The protocol that the line itself names as `PROTO=…`: the first that is a word of its own
/// (`MACPROTO=` is not) and a known value. None of them stands before `from`.
pub(super) fn outer_protocol(line: &[u8], from: usize) -> Option<Protocol> {
    // Where one stands at `from`, as it nearly always does, no search is needed.
    protocol_at(line, from).or_else(|| {
        let mut found = memchr::memmem::find_iter(line.get(from..)?, PROTOCOL);
        found.find_map(|at| protocol_at(line, from + at))
    })
}

fn protocol_at(line: &[u8], at: usize) -> Option<Protocol> {
    let value = line.get(at..)?.strip_prefix(PROTOCOL)?;
    let is_word = match at.checked_sub(1) {
        Some(before) => line.get(before)?.is_ascii_whitespace(),
        None => true,
    };
    let value = value.split(u8::is_ascii_whitespace).next()?;
    if is_word { Protocol::from_text(value) } else { None }
}

/// TCP's flags where they are written out.
const NAMES: [&[u8]; 8] = [b"SYN", b"ACK", b"FIN", b"RST", b"PSH", b"URG", b"ECE", b"CWR"];

/// Whether flags are those of a connection's first packet: SYN without ACK. Takes names (`SYN`,
/// `ACK SYN`), letters (`S`, `SA`, tcpdump's `S.`) and a number (`0x02`).
pub(super) fn opens(flags: &[u8]) -> bool {
    let flags = flags.trim_ascii();
    if flags == b"SYN" {
        return true;
    }
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

    proptest::proptest! {
        #[test]
        fn four_numbers_are_what_the_standard_library_takes(
            text in "[0-9]{0,4}(\\.[0-9]{0,4}){0,4}|[0-2]?[0-9]{1,2}(\\.[0-2]?[0-9]{1,2}){3}|[0-9.: x-]{0,16}",
        ) {
            proptest::prop_assert_eq!(ipv4(text.as_bytes()), text.parse().ok());
        }
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
        let of = |line: &str| outer_protocol(line.as_bytes(), 0);
        assert_eq!(of("MACPROTO=0800 PROTO=ICMP TYPE=8"), Some(Protocol::ICMP));
        assert_eq!(of("XPROTO=UDP PROTO=2"), Some(Protocol(2)));
        assert_eq!(of("PROTO=TCP"), Some(Protocol::TCP));
        assert_eq!(of("PROTO= PROTO=UDP PROTO=TCP"), Some(Protocol::UDP));
        assert_eq!(of("MACPROTO=6"), None);
    }
}
