//! Here-documents: `key <<MARK`, the value on lines of its own, `MARK`.
//!
//! Nothing in them is a comment, a tag or a continuation.

use std::ops::Range;
use std::sync::Arc;

use super::spelt::{Letters, Spelt};
use crate::place::{SourceFile, Spot};

/// A here-document that is being read.
#[derive(Debug)]
pub(super) struct HereDoc {
    pub(super) key: Spelt,
    pub(super) mark: Spelt,
    lines: Vec<Spelt>,
}

impl HereDoc {
    /// Does this line begin one?
    pub(super) fn begun_by(line: &Spelt, letters: Letters) -> Option<HereDoc> {
        let (key, mark) =
            with_equals(line.bytes(), letters).or_else(|| with_blank(line.bytes(), letters))?;
        Some(HereDoc { key: line.part(key), mark: line.part(mark), lines: Vec::new() })
    }

    /// Does this line end it? Then with how much indentation.
    pub(super) fn ended_by(&self, line: &Spelt, letters: Letters) -> Option<Range<usize>> {
        let text = line.bytes();
        let end = text.len() - letters.trailing(text);
        let mark = self.mark.bytes();
        // A mark of one blank, from `key << `, is ended by any line of blanks.
        if letters.is_blank(mark) {
            return (end == 0 && text.len() >= mark.len()).then(|| 0..text.len() - mark.len());
        }
        let indent = letters.leading(text);
        (text.get(indent..end) == Some(mark)).then_some(0..indent)
    }

    pub(super) fn push(&mut self, line: Spelt) {
        self.lines.push(line);
    }

    /// Its lines, the one that begins it first: what is lost if it never ends.
    pub(super) fn lost(&self, file: &Arc<SourceFile>) -> Vec<Spot> {
        let end = self.mark.offset(self.mark.bytes().len());
        let first = Spot { file: file.clone(), bytes: self.key.offset(0)..end };
        let lines = self.lines.iter().map(|line| line.spot(file, 0..line.bytes().len()));
        std::iter::once(first).chain(lines).collect()
    }

    /// The value, with the end mark's own indentation taken off each line that has it.
    pub(super) fn finish(self, indent: &[u8], letters: Letters) -> (Spelt, Spelt) {
        let mut value = Spelt::default();
        for line in self.lines {
            let newline_at = line.offset(line.bytes().len());
            let from = if line.bytes().starts_with(indent) { indent.len() } else { 0 };
            value.append(line.part(from..line.bytes().len()));
            value.push(b'\n', newline_at);
        }
        if value.bytes().is_empty() {
            // An empty value has no place but behind its mark.
            let after_mark = self.mark.bytes().len();
            return (self.key, self.mark.part(after_mark..after_mark));
        }
        let range = letters.trimmed(value.bytes());
        let value = value.part(range);
        (self.key, value)
    }
}

/// `key = <<MARK`: the first `=` of the line must be that one.
fn with_equals(text: &[u8], letters: Letters) -> Option<(Range<usize>, Range<usize>)> {
    let equals = text.iter().position(|byte| *byte == b'=')?;
    // There must be something before it, though a blank will do.
    let key = letters.trimmed(text.get(..equals).filter(|key| !key.is_empty())?);
    Some((key, mark(text, equals + 1, letters)?))
}

/// `key <<MARK`: one word, then blanks.
fn with_blank(text: &[u8], letters: Letters) -> Option<(Range<usize>, Range<usize>)> {
    let start = letters.leading(text);
    let end = start + letters.find(text.get(start..)?)?;
    Some((start..end, mark(text, end, letters)?))
}

/// The mark behind `<<` at `from`, with blanks between.
fn mark(text: &[u8], from: usize, letters: Letters) -> Option<Range<usize>> {
    let angles = from + letters.leading(text.get(from..)?);
    let rest = text.get(angles..)?.strip_prefix(b"<<")?;
    if rest.is_empty() {
        return None;
    }
    let range = letters.trimmed(rest);
    // Only blanks: then the last of them is the mark.
    let range = if range.is_empty() { rest.len() - 1..rest.len() } else { range };
    Some(angles + 2 + range.start..angles + 2 + range.end)
}
