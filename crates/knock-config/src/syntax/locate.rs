//! Where YAML scalars stand, which serde_yaml tells only of errors.
//!
//! So each scalar is read by a visitor that keeps the text and then fails on purpose: the error carries the place, is
//! caught on the spot, and reading goes on behind it. What the text means is no matter here.

use std::cell::RefCell;
use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// A line and a column as YAML counts them, both from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Mark {
    /// The mark that a message ends with, as "… at line 3 column 14".
    ///
    /// A seed sees an error of some type `D::Error`, of which it can know nothing but the text.
    pub(super) fn at_end_of(message: &str) -> Option<Mark> {
        let (_, mark) = message.rsplit_once(" at line ")?;
        let (line, column) = mark.split_once(" column ")?;
        let line = line.parse::<usize>().ok()?.checked_sub(1)?;
        Some(Mark { line, column: column.parse::<usize>().ok()?.checked_sub(1)? })
    }
}

impl From<serde_yaml::Location> for Mark {
    fn from(location: serde_yaml::Location) -> Self {
        Mark {
            line: location.line().saturating_sub(1),
            column: location.column().saturating_sub(1),
        }
    }
}

/// The text of the next scalar, as it would be if it were quoted, and where it begins.
pub(super) fn scalar<'de, D>(deserializer: D) -> Result<(String, Mark), D::Error>
where
    D: Deserializer<'de>,
{
    let text = RefCell::new(None);
    match deserializer.deserialize_str(KeepAndFail(&text)) {
        Ok(never) => match never {},
        Err(error) => match text.take() {
            // The very first character of a file has no line and column in the message.
            Some(text) => Ok((text, Mark::at_end_of(&error.to_string()).unwrap_or_default())),
            None => Err(error),
        },
    }
}

enum Never {}

struct KeepAndFail<'a>(&'a RefCell<Option<String>>);

impl Visitor<'_> for KeepAndFail<'_> {
    type Value = Never;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Never, E> {
        self.0.replace(Some(text.to_owned()));
        Err(E::custom("here"))
    }
}

/// Finds the offsets of marks. Quick if they come in the order of the file.
pub(super) struct Offsets<'a> {
    text: &'a str,
    lines: Vec<usize>,
    last: Mark,
    last_offset: usize,
}

impl<'a> Offsets<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // YAML breaks lines at more characters than editors do, so its lines are counted here.
        let mut lines = vec![0];
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let next_is_newline = characters.peek().is_some_and(|(_, next)| *next == '\n');
            let breaks = match character {
                '\r' => !next_is_newline,
                '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => true,
                _ => false,
            };
            if breaks {
                lines.push(at + character.len_utf8());
            }
        }
        Offsets { text, lines, last: Mark::default(), last_offset: 0 }
    }

    pub(super) fn of(&mut self, mark: Mark) -> usize {
        let goes_on = mark.line == self.last.line && mark.column >= self.last.column;
        let (from, columns) = if goes_on {
            (self.last_offset, mark.column - self.last.column)
        } else {
            (self.lines.get(mark.line).copied().unwrap_or(self.text.len()), mark.column)
        };
        let rest = self.text.get(from..).unwrap_or_default();
        let offset = from + rest.char_indices().nth(columns).map_or(rest.len(), |(at, _)| at);
        (self.last, self.last_offset) = (mark, offset);
        offset
    }
}
