//! Whether a line names an address, in one of the spellings that logs have.
//! Not what the line says of it: that is a logformat's business.

use std::net::IpAddr;

use memchr::memmem::Finder;

/// The spellings of one address.
pub(super) struct Named(Vec<Finder<'static>>);

impl Named {
    pub(super) fn new(client: IpAddr) -> Self {
        let (shown, groups) = match client {
            IpAddr::V4(address) => (address.to_string(), address.to_ipv6_mapped().segments()),
            IpAddr::V6(address) => (address.to_string(), address.segments()),
        };
        // The kernel writes all eight groups.
        let full: Vec<String> = groups.iter().map(|group| format!("{group:04x}")).collect();
        let spellings = [shown, full.join(":")];
        Self(spellings.iter().map(|text| Finder::new(text).into_owned()).collect())
    }

    /// Whether it stands in the line as a whole, and not as a part of a longer address.
    pub(super) fn is_in(&self, line: &[u8]) -> bool {
        self.0.iter().any(|finder| {
            finder.find_iter(line).any(|at| {
                let end = at + finder.needle().len();
                let before = at.checked_sub(1).and_then(|before| line.get(before));
                let behind = line.get(end..).unwrap_or_default();
                let is_v6 = finder.needle().contains(&b':');
                !before.is_some_and(|byte| goes_on(*byte, is_v6))
                    && !begins_with_more(behind, is_v6)
            })
        })
    }
}

fn goes_on(byte: u8, is_v6: bool) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || (is_v6 && byte == b':')
}

/// A full stop may end a sentence.
fn begins_with_more(behind: &[u8], is_v6: bool) -> bool {
    match behind {
        [b'.', next, ..] => next.is_ascii_digit(),
        [b':', next, ..] => is_v6 && next.is_ascii_hexdigit(),
        [byte, ..] => byte.is_ascii_alphanumeric(),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(client: &str, line: &str, named: bool) {
        assert_eq!(Named::new(client.parse().unwrap()).is_in(line.as_bytes()), named, "{line}");
    }

    #[test]
    fn an_address_is_named_as_a_whole_only() {
        check("192.0.2.7", "SRC=192.0.2.7 DST=", true);
        check("192.0.2.7", "from 192.0.2.7.", true);
        check("192.0.2.7", "from 192.0.2.7:22", true);
        check("192.0.2.7", "[::ffff:192.0.2.7]", true);
        check("192.0.2.7", "0000:0000:0000:0000:0000:ffff:c000:0207", true);
        check("192.0.2.7", "192.0.2.77, 1192.0.2.7, 192.0.2.7.9", false);
        check("2001:db8::7", "SRC=2001:0db8:0000:0000:0000:0000:0000:0007 DST", true);
        check("2001:db8::7", "2001:db8::7 said", true);
        check("2001:db8::7", "2001:db8::7:1, 1:2001:db8::7, 2001:db8::77", false);
    }
}
