//! Why a line is no hit, for `formats --test` and `replay`. A normal result, not an error.

use std::fmt;

use knock_wire::Protocol;

use super::FieldName;

/// Why a line yields no hit. Small and `Copy`: nearly every line ends as one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoHit {
    /// Longer than [`super::MAX_LINE`]; not looked at.
    TooLong,
    /// The `required` expression does not match.
    NotRequired,
    /// It has the source address of a second packet: a torn line and another glued together, so the
    /// client of one could stand beside the port of the other.
    TwoPackets,
    /// The packet was let through, says the line.
    Allowed,
    /// Its protocol has no ports (ICMP, say).
    NoPorts(Protocol),
    /// `ipclient` does not match.
    NoClient,
    /// `ipclient` matches, but never on an address.
    BadClient {
        /// What it captured first.
        text: Excerpt,
    },
    /// `port` does not match.
    NoPort,
    /// `port` matches, but never on 1-65535.
    BadPort {
        /// What it captured first.
        text: Excerpt,
    },
    /// TCP, and not the first packet of a connection.
    NotASyn,
    /// It tells that the line before it came again, and that one is no hit.
    RepeatsNothing,
    /// Another expression matches, but never on a value of its type.
    BadField {
        /// Which one.
        field: FieldName,
        /// What it captured first.
        text: Excerpt,
    },
}

impl NoHit {
    /// How far the line got; the highest of several formats' answers tells most.
    pub(super) fn progress(self) -> u8 {
        match self {
            Self::TooLong | Self::NotRequired => 0,
            Self::NoClient => 1,
            Self::NoPort => 2,
            Self::BadClient { .. } => 3,
            Self::BadPort { .. } => 4,
            Self::TwoPackets | Self::Allowed | Self::NoPorts(_) => 5,
            Self::NotASyn | Self::BadField { .. } | Self::RepeatsNothing => 6,
        }
    }
}

impl fmt::Display for NoHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {} bytes: not looked at", super::MAX_LINE),
            Self::NotRequired => f.write_str("the required expression does not match"),
            Self::TwoPackets => f.write_str("a second SRC=: two packets in one line, perhaps torn"),
            Self::Allowed => f.write_str("the packet was let through, not denied"),
            Self::NoPorts(protocol) => write!(f, "protocol {protocol} has no ports"),
            Self::NoClient => f.write_str("no client address: ipclient does not match"),
            Self::BadClient { text } => write!(f, "ipclient found '{text}', which is no address"),
            Self::NoPort => f.write_str("no port: the port expression does not match"),
            Self::BadPort { text } => write!(f, "port found '{text}', which is not 1-65535"),
            Self::NotASyn => f.write_str("TCP, but not a SYN without ACK"),
            Self::RepeatsNothing => f.write_str("a repetition of a line that is no hit"),
            Self::BadField { field, text } => {
                write!(f, "{field} found '{text}', which cannot be one")
            }
        }
    }
}

/// The beginning of what an expression captured, kept without the heap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    bytes: [u8; Self::MAX],
    len: u8,
    cut: bool,
}

impl Excerpt {
    /// How much is kept: the longest address is 45 bytes.
    pub const MAX: usize = 48;

    pub(super) fn of(text: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX];
        let mut len = 0;
        for (to, from) in bytes.iter_mut().zip(text) {
            *to = *from;
            len += 1;
        }
        Self { bytes, len, cut: text.len() > Self::MAX }
    }

    /// The bytes kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for Excerpt {
    // Escaped: it comes from a log line, which may carry sequences that drive a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.cut { "…" } else { "" };
        write!(f, "{}{more}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
