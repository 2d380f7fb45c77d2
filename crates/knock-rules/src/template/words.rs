//! Words as the shell splits them, with its quotes. The rest of the shell there is not: a rule
//! refuses it, for a program it is text like any other.

use std::ops::Range;

use crate::error::RuleError;

/// One word without its quotes, which knows where it stands.
#[derive(Clone, Debug)]
pub struct Word {
    text: String,
    /// For each byte of the text where it stood, and where the word ended.
    places: Vec<usize>,
    quoted: bool,
}

impl Word {
    /// A text that is one word as a whole, whatever is in it.
    #[must_use]
    pub fn verbatim(text: &str) -> Self {
        Self { text: text.to_owned(), places: (0..=text.len()).collect(), quoted: true }
    }

    /// The word.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a part of the word stands in the text that it was split from.
    #[must_use]
    pub fn range(&self, part: Range<usize>) -> Range<usize> {
        let start = self.place(part.start);
        // Up to the last byte of it, since a quote or a backslash may stand before what follows.
        let end = part.end.checked_sub(1).map_or(start, |last| self.place(last) + 1);
        start..end.max(start)
    }

    pub(super) fn is_quoted(&self) -> bool {
        self.quoted
    }

    pub(super) fn place(&self, at: usize) -> usize {
        self.places.get(at).or(self.places.last()).copied().unwrap_or(0)
    }

    pub(super) fn whole(&self) -> Range<usize> {
        if self.text.is_empty() {
            // Its two quotes.
            let end = self.place(0);
            return end.saturating_sub(2)..end;
        }
        self.range(0..self.text.len())
    }
}

/// Splits the words of an `exec =` that is one text: a program and its arguments.
///
/// # Errors
/// For a quote that is never closed.
pub fn split_words(text: &str) -> Result<Vec<Word>, Vec<RuleError>> {
    match split(text, Within::Program) {
        (words, errors) if errors.is_empty() => Ok(words),
        (_, errors) => Err(errors),
    }
}

/// What the words are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// A firewall rule.
    Rule,
    /// A program with its arguments.
    Program,
}

/// Splits a text into words, with all that is wrong with it.
pub(super) fn split(text: &str, within: Within) -> (Vec<Word>, Vec<RuleError>) {
    let mut splitter = Splitter { within, words: Vec::new(), errors: Vec::new(), open: None };
    splitter.split(text);
    (splitter.words, splitter.errors)
}

struct Splitter {
    within: Within,
    words: Vec<Word>,
    errors: Vec<RuleError>,
    open: Option<Word>,
}

impl Splitter {
    fn split(&mut self, text: &str) {
        let rule = self.within == Within::Rule;
        let mut chars = text.char_indices();
        let mut quote: Option<(char, usize)> = None;
        while let Some((at, c)) = chars.next() {
            match (quote, c) {
                (None, ' ' | '\t' | '\r' | '\n') => self.close(at),
                (None, '"' | '\'') => {
                    quote = Some((c, at));
                    self.word().quoted = true;
                }
                (Some((open, _)), c) if c == open => quote = None,
                (None, '\\') => {
                    if let Some((at, c)) = chars.next() {
                        self.push(at, c);
                    }
                }
                (Some(('"', _)), '\\') if chars.as_str().starts_with(['"', '\\']) => {
                    if let Some((at, c)) = chars.next() {
                        self.push(at, c);
                    }
                }
                (None, ';' | '|' | '&' | '<' | '>' | '`') if rule => {
                    let error = RuleError::new(at..at + 1, format!("`{c}` is the shell's"));
                    self.errors.push(error.help_with("there is no shell here; use `system =`"));
                }
                (None, '#') if rule && self.open.is_none() => {
                    let error = RuleError::new(at..at + 1, "a comment inside a rule");
                    self.errors.push(error.help_with("move it to a line of its own"));
                }
                (_, '$') if rule && chars.as_str().starts_with(starts_expansion) => {
                    let error = RuleError::new(at..at + 1, "`$` is the shell's");
                    let help = "there is no shell here; write the field's name alone: IP";
                    self.errors.push(error.help_with(help));
                }
                (_, c) if rule && c.is_control() => {
                    let error = RuleError::new(at..at + c.len_utf8(), "a control character");
                    self.errors.push(error.help_with("a rule is one line of plain text"));
                }
                (_, c) => self.push(at, c),
            }
        }
        if let Some((c, at)) = quote {
            let error = RuleError::new(at..at + 1, "this quote is never closed");
            self.errors.push(error.help_with(format!("close it with {c}")));
        }
        self.close(text.len());
    }

    fn word(&mut self) -> &mut Word {
        let new = || Word { text: String::new(), places: Vec::new(), quoted: false };
        self.open.get_or_insert_with(new)
    }

    fn push(&mut self, at: usize, c: char) {
        let word = self.word();
        word.text.push(c);
        word.places.extend(at..at + c.len_utf8());
    }

    fn close(&mut self, at: usize) {
        if let Some(mut word) = self.open.take() {
            word.places.push(at);
            self.words.push(word);
        }
    }
}

fn starts_expansion(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '(' | '{')
}
