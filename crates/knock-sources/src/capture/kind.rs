//! Tells a capture file from a log by its first bytes. Reads nothing itself.

/// What an input holds, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Lines of text: the bytes are the beginning of no capture file.
    Lines,
    /// Packets: a `.pcap` or `.pcapng` file, whatever its name.
    Packets,
    /// More bytes are needed; at the end of the input it is lines.
    Undecided,
}

/// First bytes of a `.pcap` file in either byte order: the usual ones, with nanoseconds, and three
/// old variants that libpcap reads.
const PCAP: [u32; 5] = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34, 0xa1b2_34cd, 0xa12b_3c4d];

/// A `.pcapng` file begins with a section header, a palindrome in both byte orders...
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// ... which has this number behind its length.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

impl InputKind {
    /// So many bytes decide in any case.
    pub const ENOUGH: usize = 12;

    /// What an input is that begins like this.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        let orders = |magic: u32| [magic.to_be_bytes(), magic.to_le_bytes()];
        if let Some(magic) = head.first_chunk::<4>() {
            return match magic {
                &SECTION => match head.get(8..Self::ENOUGH) {
                    Some(order) if orders(BYTE_ORDER).iter().any(|one| one == order) => {
                        Self::Packets
                    }
                    Some(_) => Self::Lines,
                    None => Self::Undecided,
                },
                magic if PCAP.iter().any(|known| orders(*known).contains(magic)) => Self::Packets,
                _ => Self::Lines,
            };
        }
        let mut known = PCAP.into_iter().flat_map(orders).chain([SECTION]);
        if known.any(|magic| magic.starts_with(head)) { Self::Undecided } else { Self::Lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_told_from_a_capture_as_early_as_can_be() {
        use InputKind::{Lines, Packets, Undecided};
        for (head, kind) in [
            (b"".as_slice(), Undecided),
            (b"Nov 21", Lines),
            (b"N", Lines),
            (b"\xd4", Undecided),
            (b"\xd4\xc3\xb2\xa1", Packets),
            (b"\xa1\xb2\xc3\xd4\0\x02", Packets),
            (b"\x4d\x3c\xb2\xa1", Packets),
            (b"\xd4\xc3\xb2\xa2", Lines),
            // Empty lines, as an editor on DOS may leave them, are no section header.
            (b"\n", Undecided),
            (b"\n\r\r\n", Undecided),
            (b"\n\r\r\n1234567890", Lines),
            (b"\n\r\r\n\x1c\0\0\0\x4d\x3c\x2b\x1a", Packets),
        ] {
            assert_eq!(InputKind::of(head), kind, "{head:x?}");
        }
    }
}
