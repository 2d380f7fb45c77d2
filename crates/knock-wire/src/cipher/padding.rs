//! How a text is filled up to whole blocks, as Crypt::CBC does it.
//! Knows no cipher; only how long its blocks are.

use std::fmt;

/// What stands behind the text. All but [`Padding::None`] add at least one byte: a text that fills
/// its last block is followed by a block of padding.
///
/// Both sides know how long the text is, so there is exactly one right padding, and any other is
/// refused. Crypt::CBC has to guess, and loses blanks or zeroes from the end of a text where these
/// fill it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// PKCS#7: as many bytes as are missing, each of that value.
    #[default]
    Standard,
    /// Blanks.
    Space,
    /// Zero bytes.
    Null,
    /// `0x80`, then zero bytes.
    OneAndZeroes,
    /// Nothing; the text has to be whole blocks.
    None,
}

impl Padding {
    /// Every padding, for messages that list them.
    pub const ALL: [Self; 5] =
        [Self::Standard, Self::Space, Self::Null, Self::OneAndZeroes, Self::None];

    /// By its name in configs, without regard to case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
    }

    /// The name as configs spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Space => "space",
            Self::Null => "null",
            Self::OneAndZeroes => "oneandzeroes",
            Self::None => "none",
        }
    }

    /// How many bytes it adds to a text of this length.
    pub(super) fn len(self, text: usize, block: usize) -> usize {
        match self {
            Self::None => 0,
            Self::Standard | Self::Space | Self::Null | Self::OneAndZeroes => block - text % block,
        }
    }

    /// The bytes that it adds.
    pub(super) fn bytes(self, text: usize, block: usize) -> impl Iterator<Item = u8> {
        let length = self.len(text, block);
        let count = u8::try_from(length).unwrap_or(u8::MAX);
        (0..length).map(move |place| match self {
            Self::Standard => count,
            Self::Space => b' ',
            Self::OneAndZeroes if place == 0 => 0x80,
            Self::OneAndZeroes | Self::Null | Self::None => 0,
        })
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_five_bytes_and_behind_eight() {
        let bytes = |padding: Padding, text| padding.bytes(text, 8).collect::<Vec<_>>();
        assert_eq!(bytes(Padding::Standard, 5), [3; 3]);
        assert_eq!(bytes(Padding::Standard, 8), [8; 8]);
        assert_eq!(bytes(Padding::Space, 5), *b"   ");
        assert_eq!(bytes(Padding::Null, 5), [0; 3]);
        assert_eq!(bytes(Padding::Null, 8), [0; 8]);
        assert_eq!(bytes(Padding::OneAndZeroes, 5), [0x80, 0, 0]);
        assert_eq!(bytes(Padding::OneAndZeroes, 7), [0x80]);
        assert_eq!(bytes(Padding::None, 5), [0_u8; 0]);
    }

    #[test]
    fn names() {
        for padding in Padding::ALL {
            assert_eq!(Padding::parse(&padding.as_str().to_uppercase()), Some(padding));
        }
        assert_eq!(Padding::parse("pkcs7"), None);
    }
}
