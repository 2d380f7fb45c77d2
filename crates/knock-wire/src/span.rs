//! The ports that carry a knock, numbered in the order in which they were written.
//! Knows nothing of what the numbers spell.

use std::fmt;
use std::ops::Range;

/// Ports by number and numbers by port: `745-1000`, or `100-103,110,120-121,65535`. There are 2^k
/// of them, so each port carries k bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpan {
    /// As written; `start` ascends.
    written: Vec<Piece>,
    /// The same by port; `first` ascends.
    sorted: Vec<Piece>,
    bits: u32,
}

/// Ports that stand side by side, with the number of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    first: u16,
    last: u16,
    start: u16,
}

impl PortSpan {
    /// The fewest ports: one bit each.
    pub const MIN: u32 = 2;
    /// The most ports: fifteen bits each. All 65,535 are one short of sixteen.
    pub const MAX: u32 = 32_768;

    /// From ports and ranges of ports with commas between them; blanks do not matter.
    ///
    /// # Errors
    /// The first mistake in the text, with its place.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        if text.trim().is_empty() {
            return Err(SpanError::Empty { at: 0..text.len() });
        }
        let mut written: Vec<Piece> = Vec::new();
        let mut places = Vec::new();
        let mut size: u32 = 0;
        for item in items(text) {
            let (first, last) = ports(text, item.clone())?;
            // Beyond 65,535 ports some stand twice, which is found below: a clamped number is
            // never used.
            let start = u16::try_from(size).unwrap_or(u16::MAX);
            written.push(Piece { first, last, start });
            places.push(item);
            size = size.saturating_add(u32::from(last) - u32::from(first) + 1);
        }
        let sorted = sorted(&written, &places)?;
        if !size.is_power_of_two() || !(Self::MIN..=Self::MAX).contains(&size) {
            let start = text.len() - text.trim_start().len();
            return Err(SpanError::NotAPowerOfTwo { size, at: start..text.trim_end().len() });
        }
        Ok(Self { written, sorted, bits: size.trailing_zeros() })
    }

    /// The number of a port; `None` when it is not in the span.
    #[must_use]
    pub fn symbol(&self, port: u16) -> Option<u16> {
        let after = self.sorted.partition_point(|piece| piece.first <= port);
        let piece = self.sorted.get(after.checked_sub(1)?)?;
        (port <= piece.last).then(|| piece.start + (port - piece.first))
    }

    /// The port with this number; `None` when there are not so many.
    #[must_use]
    pub fn port(&self, symbol: u16) -> Option<u16> {
        let after = self.written.partition_point(|piece| piece.start <= symbol);
        let piece = self.written.get(after.checked_sub(1)?)?;
        let offset = symbol - piece.start;
        (offset <= piece.last - piece.first).then(|| piece.first + offset)
    }

    /// The ranges of ports side by side, first and last of each, in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = (u16, u16)> {
        self.sorted.iter().map(|piece| (piece.first, piece.last))
    }

    /// How many bits each port carries, 1 to 15.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// How many ports there are, 2 to 32,768.
    #[must_use]
    pub fn size(&self) -> u32 {
        1 << self.bits
    }
}

impl fmt::Display for PortSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, piece) in self.written.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", piece.first)?;
            if piece.last != piece.first {
                write!(f, "-{}", piece.last)?;
            }
        }
        Ok(())
    }
}

/// The places of what stands between the commas, without blanks at its ends.
fn items(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.split(',').scan(0, |next, item| {
        let start = *next;
        *next += item.len() + 1;
        Some(trimmed(item, start))
    })
}

fn trimmed(text: &str, start: usize) -> Range<usize> {
    let from = start + (text.len() - text.trim_start().len());
    from..from + text.trim().len()
}

/// First and last port of one item, `745` or `745-1000`.
fn ports(text: &str, at: Range<usize>) -> Result<(u16, u16), SpanError> {
    let item = text.get(at.clone()).unwrap_or_default();
    if item.is_empty() {
        return Err(SpanError::EmptyItem { at });
    }
    let Some((left, right)) = item.split_once('-') else {
        let only = port(item, at)?;
        return Ok((only, only));
    };
    let first = port(left.trim(), trimmed(left, at.start))?;
    let last = port(right.trim(), trimmed(right, at.start + left.len() + 1))?;
    if first > last {
        return Err(SpanError::Descending { first, last, at });
    }
    Ok((first, last))
}

fn port(text: &str, at: Range<usize>) -> Result<u16, SpanError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SpanError::NotANumber { text: text.to_owned(), at });
    }
    match text.parse() {
        Ok(0) => Err(SpanError::Zero { at }),
        Ok(port) => Ok(port),
        Err(_) => Err(SpanError::TooLarge { text: text.to_owned(), at }),
    }
}

/// By port, and no port twice. `places` tells where each piece was written.
fn sorted(written: &[Piece], places: &[Range<usize>]) -> Result<Vec<Piece>, SpanError> {
    let mut order: Vec<(Piece, &Range<usize>)> = written.iter().copied().zip(places).collect();
    order.sort_by_key(|(piece, _)| piece.first);
    for ((left, left_at), (right, right_at)) in order.iter().zip(order.iter().skip(1)) {
        if right.first <= left.last {
            // The one that was written later is the one to look at.
            let at = if left_at.start > right_at.start { left_at } else { right_at };
            return Err(SpanError::Twice { port: right.first, at: (*at).clone() });
        }
    }
    Ok(order.into_iter().map(|(piece, _)| piece).collect())
}

/// What is wrong with the text of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanError {
    /// No port at all.
    Empty {
        /// The whole text.
        at: Range<usize>,
    },
    /// Nothing between two commas, or behind the last.
    EmptyItem {
        /// Between the commas.
        at: Range<usize>,
    },
    /// Something else where a port should be.
    NotANumber {
        /// What stands there.
        text: String,
        /// Where.
        at: Range<usize>,
    },
    /// Port 0.
    Zero {
        /// The number.
        at: Range<usize>,
    },
    /// A number above 65535.
    TooLarge {
        /// The number as written.
        text: String,
        /// Where.
        at: Range<usize>,
    },
    /// A range that goes down.
    Descending {
        /// The left port.
        first: u16,
        /// The right, smaller port.
        last: u16,
        /// The range.
        at: Range<usize>,
    },
    /// A port that was there already.
    Twice {
        /// The port, or the first of several.
        port: u16,
        /// The item that brings it again.
        at: Range<usize>,
    },
    /// A size that does not give each port a whole number of bits.
    NotAPowerOfTwo {
        /// How many ports were given.
        size: u32,
        /// The whole text.
        at: Range<usize>,
    },
}

impl SpanError {
    /// Which bytes of the text are at fault.
    #[must_use]
    pub fn at(&self) -> Range<usize> {
        match self {
            Self::Empty { at }
            | Self::EmptyItem { at }
            | Self::NotANumber { at, .. }
            | Self::Zero { at }
            | Self::TooLarge { at, .. }
            | Self::Descending { at, .. }
            | Self::Twice { at, .. }
            | Self::NotAPowerOfTwo { at, .. } => at.clone(),
        }
    }
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { .. } => f.write_str("no ports given; write a range such as 745-1000"),
            Self::EmptyItem { .. } => f.write_str(
                "nothing between the commas; write a port or a range, or one comma less",
            ),
            Self::NotANumber { text, .. } if text.is_empty() => {
                f.write_str("a range needs a port on both sides, such as 745-1000")
            }
            Self::NotANumber { text, .. } => write!(
                f,
                "{text:?} is not a port; write numbers and ranges such as 745-1000 or 745-999,2000"
            ),
            Self::Zero { .. } => f.write_str("0 is not a port; ports are 1 to 65535"),
            Self::TooLarge { text, .. } => {
                write!(f, "{text} is above the last port; ports are 1 to 65535")
            }
            Self::Descending { first, last, .. } => {
                write!(f, "the range {first}-{last} goes down; write {last}-{first}")
            }
            Self::Twice { port, .. } => write!(
                f,
                "port {port} is in the span twice, so it would carry two numbers; give each port once"
            ),
            Self::NotAPowerOfTwo { size, .. } => {
                let s = if *size == 1 { "" } else { "s" };
                write!(
                    f,
                    "{size} port{s}; the number of ports must be a power of two from {} to {}: ",
                    PortSpan::MIN,
                    PortSpan::MAX
                )?;
                let (below, above) = neighbours(*size);
                match below {
                    Some(below) => write!(f, "{below}")?,
                    None => write!(f, "{}", PortSpan::MIN)?,
                }
                match (below, above) {
                    (Some(_), Some(above)) => write!(f, " or {above}"),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// The good sizes nearest to a bad one.
fn neighbours(size: u32) -> (Option<u32>, Option<u32>) {
    let mut below = None;
    for bits in 1..=15 {
        let good = 1 << bits;
        if good > size {
            return (below, Some(good));
        }
        below = Some(good);
    }
    (below, None)
}

impl std::error::Error for SpanError {}

#[cfg(test)]
mod tests;
