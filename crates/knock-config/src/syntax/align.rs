//! Which bytes of a YAML file spell which bytes of a scalar, once it is known where the scalar begins.
//!
//! Walks through both at once. It does not parse YAML: that a value is right it takes from the parser, and where the two
//! do not fit it says the nearest place before.

use std::sync::Arc;

use crate::place::{SourceFile, Spelling};

/// The spelling of `value`, which begins at `start` with its quote, its `|` or its first character.
pub(super) fn align(file: &Arc<SourceFile>, start: usize, value: &str) -> Spelling {
    let text = file.text();
    let start = behind_properties(text, start);
    let (style, start) = match text.get(start) {
        Some(b'"') => (Style::Double, start + 1),
        Some(b'\'') => (Style::Single, start + 1),
        // The first line of a block scalar is only its header.
        Some(b'|' | b'>') => (Style::Plain, behind_line(text, start)),
        Some(_) | None => (Style::Plain, start),
    };
    let mut walk = Walk { text, style, at: start };
    let mut offsets = Vec::with_capacity(value.len());
    let mut end = start;
    for character in value.chars() {
        let (from, to) = walk.next(character);
        end = to.max(end);
        let width = character.len_utf8();
        // Where it is spelt as it is, each byte has its own place.
        let literal = to - from == width;
        offsets.extend((0..width).map(|byte| if literal { from + byte } else { from }));
    }
    if value.is_empty() {
        return Spelling::new(crate::place::Spot { file: file.clone(), bytes: start..start });
    }
    Spelling::of_bytes(file.clone(), offsets, end)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Unquoted, or a block.
    Plain,
    Single,
    Double,
}

struct Walk<'a> {
    text: &'a [u8],
    style: Style,
    at: usize,
}

impl Walk<'_> {
    /// From where to where the next character of the value stands.
    fn next(&mut self, character: char) -> (usize, usize) {
        let mut buffer = [0; 4];
        let bytes = character.encode_utf8(&mut buffer).as_bytes();
        if self.style == Style::Double && self.peek() == Some(b'\\') {
            let broken = matches!(self.text.get(self.at + 1), Some(b'\n' | b'\r'));
            if !broken {
                return self.step(escape_len(self.text.get(self.at + 1)));
            }
            self.at += 1;
            self.skip_space();
        }
        if self.style == Style::Single && self.rest().starts_with(b"''") {
            return self.step(2);
        }
        if self.rest().starts_with(bytes) {
            return self.step(bytes.len());
        }
        let here = self.at;
        self.skip_space();
        if character.is_whitespace() {
            // A folded line break: all the white space of the file is this character, or the last of several.
            return (here, self.at.max(here));
        }
        if self.at != here {
            return self.next_after_space(character, bytes);
        }
        (here, here)
    }

    /// Behind indentation there may be an escape again, but no second indentation.
    fn next_after_space(&mut self, character: char, bytes: &[u8]) -> (usize, usize) {
        let escaped = self.style == Style::Double && self.peek() == Some(b'\\');
        let doubled = self.style == Style::Single && self.rest().starts_with(b"''");
        if escaped || doubled {
            return self.next(character);
        }
        if self.rest().starts_with(bytes) { self.step(bytes.len()) } else { (self.at, self.at) }
    }

    fn step(&mut self, len: usize) -> (usize, usize) {
        let from = self.at;
        self.at = (from + len).min(self.text.len());
        (from, self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at += space(self.rest());
    }
}

/// How long an escape is, backslash included.
fn escape_len(kind: Option<&u8>) -> usize {
    match kind {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        Some(_) | None => 2,
    }
}

/// An anchor or a tag may stand before a scalar.
fn behind_properties(text: &[u8], mut start: usize) -> usize {
    while matches!(text.get(start), Some(b'&' | b'!')) {
        let rest = text.get(start..).unwrap_or_default();
        let word = rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        start += word + space(rest.get(word..).unwrap_or_default());
    }
    start
}

fn behind_line(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1)
}

fn space(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}
