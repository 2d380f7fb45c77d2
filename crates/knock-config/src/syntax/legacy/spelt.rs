//! Text that remembers, byte for byte, where in the file it came from.
//!
//! Cutting and joining keep that memory; what is cut and why is decided elsewhere.

use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::place::{SourceFile, Spelling, Spot};
use crate::tree::Scalar;

/// What counts as white space: Perl looks at bytes, unless a byte order mark told it that there are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    Bytes,
    Characters,
}

impl Letters {
    /// How many bytes of white space the text begins with.
    pub(super) fn leading(self, text: &[u8]) -> usize {
        match self {
            Letters::Bytes => text.iter().take_while(|byte| is_space(**byte)).count(),
            Letters::Characters => {
                let good = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
                good.len() - good.trim_start().len()
            }
        }
    }

    /// How many bytes of white space the text ends with.
    pub(super) fn trailing(self, text: &[u8]) -> usize {
        match self {
            Letters::Bytes => text.iter().rev().take_while(|byte| is_space(**byte)).count(),
            Letters::Characters => {
                let last = text.utf8_chunks().last();
                let good = last.filter(|chunk| chunk.invalid().is_empty());
                let good = good.map_or("", |chunk| chunk.valid());
                good.len() - good.trim_end().len()
            }
        }
    }

    /// Where the first white space is.
    pub(super) fn find(self, text: &[u8]) -> Option<usize> {
        match self {
            Letters::Bytes => text.iter().position(|byte| is_space(*byte)),
            Letters::Characters => {
                let mut start = 0;
                for chunk in text.utf8_chunks() {
                    if let Some(at) = chunk.valid().find(char::is_whitespace) {
                        return Some(start + at);
                    }
                    start += chunk.valid().len() + chunk.invalid().len();
                }
                None
            }
        }
    }

    /// The part between leading and trailing white space.
    pub(super) fn trimmed(self, text: &[u8]) -> Range<usize> {
        let start = self.leading(text);
        let rest = text.get(start..).unwrap_or_default();
        start..text.len() - self.trailing(rest)
    }

    pub(super) fn is_blank(self, text: &[u8]) -> bool {
        self.leading(text) == text.len()
    }
}

/// Perl's `\s`, which has the vertical tab; `u8::is_ascii_whitespace` has not.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

/// Text with the file's offset of each byte. Some of it is the key, so it is wiped when it goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Spelt {
    bytes: Zeroizing<Vec<u8>>,
    at: Vec<usize>,
    /// Where it would go on, which is the only place that an empty text has.
    end: usize,
}

impl Spelt {
    /// A stretch of a file.
    pub(super) fn of_file(text: &[u8], range: Range<usize>) -> Self {
        let bytes = text.get(range.clone()).unwrap_or_default().to_vec().into();
        Spelt { bytes, end: range.end, at: range.collect() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn push(&mut self, byte: u8, at: usize) {
        self.bytes.push(byte);
        self.at.push(at);
        self.end = at + 1;
    }

    pub(super) fn append(&mut self, mut other: Spelt) {
        self.end = other.end;
        self.bytes.append(&mut other.bytes);
        self.at.append(&mut other.at);
    }

    /// Takes a part out of the middle.
    pub(super) fn cut(&mut self, range: Range<usize>) {
        self.bytes.drain(range.clone());
        self.at.drain(range);
    }

    /// A part of it; `range` lies inside.
    pub(super) fn part(&self, range: Range<usize>) -> Spelt {
        let at = self.at.get(range.clone()).unwrap_or_default().to_vec();
        let end = match at.last() {
            Some(last) => last + 1,
            None => self.offset(range.start),
        };
        Spelt { bytes: self.bytes.get(range).unwrap_or_default().to_vec().into(), at, end }
    }

    /// The file's offset of a byte, or of the end.
    pub(super) fn offset(&self, index: usize) -> usize {
        self.at.get(index).copied().unwrap_or(self.end)
    }

    /// Where a part of it stands.
    pub(super) fn spot(&self, file: &Arc<SourceFile>, range: Range<usize>) -> Spot {
        let start = self.offset(range.start);
        let last = range.end.checked_sub(1).filter(|last| *last >= range.start);
        let end = last.map_or(start, |last| self.offset(last) + 1);
        Spot { file: file.clone(), bytes: start..end.max(start) }
    }

    /// Takes away the backslashes that protect `$`, `\`, `"` and `#`.
    pub(super) fn unescape(self) -> Spelt {
        let mut plain = Spelt { end: self.end, ..Spelt::default() };
        let mut rest = self.bytes.iter().zip(&self.at).peekable();
        while let Some((byte, at)) = rest.next() {
            let protected = rest.next_if(|(next, _)| *byte == b'\\' && b"$\\\"#".contains(next));
            let (byte, at) = protected.unwrap_or((byte, at));
            plain.bytes.push(*byte);
            plain.at.push(*at);
        }
        plain
    }

    pub(super) fn into_scalar(mut self, file: &Arc<SourceFile>) -> Scalar {
        // The offsets must fit the text that is shown, in which each bad stretch is one U+FFFD.
        let mut offsets = Vec::with_capacity(self.at.len());
        let mut start = 0;
        for chunk in self.bytes.utf8_chunks() {
            let valid = start + chunk.valid().len();
            offsets.extend_from_slice(self.at.get(start..valid).unwrap_or_default());
            if !chunk.invalid().is_empty() {
                offsets.extend([self.offset(valid); char::REPLACEMENT_CHARACTER.len_utf8()]);
            }
            start = valid + chunk.invalid().len();
        }
        let end = self.at.last().map_or(self.end, |last| last + 1);
        Scalar::new(
            std::mem::take(&mut *self.bytes),
            Spelling::of_bytes(file.clone(), offsets, end),
        )
    }
}
