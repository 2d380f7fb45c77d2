//! Text with gaps: finds the gaps when a template is read, fills them when a knock comes. Knows
//! words, not what program they are for.

use std::net::IpAddr;
use std::ops::Range;

use knock_wire::Field;

use super::{Body, Template};
use crate::error::{EvalError, RuleError};
use crate::names::{Lookup, Names, Variable};
use crate::scope::Scope;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Value(Variable),
    /// The `/32` behind an address.
    Prefix {
        of: Variable,
        bits: u8,
    },
}

impl Piece {
    pub(super) fn is_gap(&self) -> bool {
        self.variable().is_some()
    }

    pub(super) fn variable(&self) -> Option<Variable> {
        match self {
            Self::Text(_) => None,
            Self::Value(variable) | Self::Prefix { of: variable, .. } => Some(*variable),
        }
    }
}

pub(super) fn fill(pieces: &[Piece], scope: &Scope<'_>) -> Result<String, EvalError> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(fixed) => text.push_str(fixed),
            Piece::Value(variable) => text.push_str(&scope.value(*variable)?.into_text()),
            Piece::Prefix { of, bits } => {
                let bits = match (scope.value(*of)?.to_address(), *bits) {
                    (Some(IpAddr::V6(_)), 32) => 128,
                    (Some(address @ IpAddr::V6(_)), bits) => {
                        return Err(EvalError::PrefixOfOtherFamily { address, bits });
                    }
                    (Some(IpAddr::V4(_)) | None, bits) => bits,
                };
                text.push_str(&format!("/{bits}"));
            }
        }
    }
    Ok(text)
}

/// Reads texts into pieces and collects what is wrong with them.
pub(super) struct Reader<'a> {
    names: &'a Names,
    pub(super) part: usize,
    pub(super) errors: Vec<RuleError>,
    /// Bare words that are fields of other knock formats only.
    pub(super) unfilled: Vec<(Range<usize>, &'static str)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(names: &'a Names) -> Self {
        Self { names, part: 0, errors: Vec::new(), unfilled: Vec::new() }
    }

    pub(super) fn finish(
        mut self,
        body: Body,
        deletes: Option<Range<usize>>,
    ) -> Result<Template, Vec<RuleError>> {
        if self.errors.is_empty() {
            return Ok(Template { body, deletes, unfilled: self.unfilled });
        }
        self.errors.sort_by_key(|error| (error.part, error.at.start));
        Err(self.errors)
    }

    /// The pieces of one text. `place` tells where a byte of it stands in the user's own text.
    pub(super) fn pieces(&mut self, text: &str, place: impl Fn(usize) -> usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        // Where the text begins that no piece holds yet.
        let mut pending = 0;
        let mut at = 0;
        while let Some(byte) = text.as_bytes().get(at) {
            let marked = *byte == b'%';
            if !marked && !is_word(*byte) {
                at += 1;
                continue;
            }
            let start = at + usize::from(marked);
            let end = start + word_len(text.get(start..).unwrap_or_default());
            let word = text.get(start..end).unwrap_or_default();
            let closed = marked && text.as_bytes().get(end) == Some(&b'%') && !word.is_empty();
            let whole = at..end + usize::from(closed);
            let range = place(whole.start)..place(whole.end);
            let gap = match (marked, closed) {
                (true, true) => self.marked(word, range),
                // A lone `%`: the word behind it gets its own turn.
                (true, false) => {
                    at += 1;
                    continue;
                }
                (false, _) => self.bare(word, range, text.get(..at).unwrap_or_default()),
            };
            match gap {
                Some(variable) => {
                    push_text(&mut pieces, text.get(pending..at).unwrap_or_default());
                    pieces.push(Piece::Value(variable));
                    at = whole.end;
                    pending = at;
                    if variable.is_address() {
                        at = prefix(&mut pieces, variable, text, at);
                        pending = at;
                    }
                }
                // `%d%IP%`: the second sign may open a gap of its own.
                None if marked => at += 1,
                None => at = end,
            }
        }
        push_text(&mut pieces, text.get(pending..).unwrap_or_default());
        pieces
    }

    fn marked(&mut self, word: &str, at: Range<usize>) -> Option<Variable> {
        match self.names.look_up(word) {
            Lookup::Known(variable) => return Some(variable),
            Lookup::Missing => {
                self.errors.push(self.names.missing(at, word).in_part(self.part));
            }
            // The formats of date(1), `%H%M%S`, look like gaps too, but are no near misses.
            Lookup::Unknown if word.bytes().all(|b| b.is_ascii_uppercase()) => {
                if let Some(name) = self.names.nearest(word) {
                    let error = RuleError::new(at, format!("unknown field `%{word}%`"));
                    let error = error.help_with(format!("did you mean %{name}%?"));
                    self.errors.push(error.in_part(self.part));
                }
            }
            Lookup::Unknown => (),
        }
        None
    }

    fn bare(&mut self, word: &str, at: Range<usize>, before: &str) -> Option<Variable> {
        let dollar = before.ends_with('$') || before.ends_with("${");
        match self.names.field(word) {
            Some(_) if dollar => {
                let error =
                    RuleError::new(at, format!("`${word}`: no shell variable has this name"));
                let help = format!("write {word} or %{word}%, or $KNOCK_{word} in a `system =`");
                self.errors.push(error.help_with(help).in_part(self.part));
                None
            }
            Some(variable) => Some(variable),
            None if dollar => None,
            None => {
                match self.names.look_up(word) {
                    Lookup::Missing if self.names.is_alias(word) => {
                        self.errors.push(self.names.missing(at, word).in_part(self.part));
                    }
                    // As a time word it needs its signs; bare, it is meant as the field.
                    Lookup::Known(_) if word != "TIME" => (),
                    Lookup::Missing | Lookup::Known(_) => {
                        let field = Field::from_name(word).map(Field::rule_name);
                        self.unfilled.extend(field.filter(|name| *name == word).map(|n| (at, n)));
                    }
                    Lookup::Unknown => (),
                }
                None
            }
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// Takes `/32`, or the `"/32` of `"IP"/32`, from `at`; answers where the text goes on.
fn prefix(pieces: &mut Vec<Piece>, of: Variable, text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let quote = usize::from(rest.starts_with(['"', '\'']));
    let Some(digits) = rest.get(quote..).and_then(|rest| rest.strip_prefix('/')) else {
        return at;
    };
    let len = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, behind) = digits.split_at(len);
    // A mask `/255.255.255.0` and a path `/32bit` are none.
    let ends = !behind.starts_with(|c: char| c == '.' || c == '_' || c.is_alphanumeric());
    match number.parse::<u8>() {
        Ok(bits) if bits <= 32 && ends => {
            push_text(pieces, rest.get(..quote).unwrap_or_default());
            pieces.push(Piece::Prefix { of, bits });
            at + quote + 1 + len
        }
        Ok(_) | Err(_) => at,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn word_len(text: &str) -> usize {
    text.bytes().position(|byte| !is_word(byte)).unwrap_or(text.len())
}
