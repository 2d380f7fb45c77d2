//! The words of an `iptables =` template. Has the shell's quotes, and refuses the rest of the shell.
//! Knows which words say what to do with a rule, not what iptables makes of the others.

use std::ops::Range;

use crate::error::RuleError;

/// One word without its quotes.
pub(super) struct Word {
    pub(super) text: String,
    /// For each byte of the text where it stood, and where the word ended.
    places: Vec<usize>,
    quoted: bool,
}

impl Word {
    pub(super) fn place(&self, at: usize) -> usize {
        self.places.get(at).or(self.places.last()).copied().unwrap_or(0)
    }

    fn range(&self) -> Range<usize> {
        self.place(0)..self.place(self.text.len())
    }
}

/// What a rule's first option says, short and long.
const DOINGS: [(&str, &str); 13] = [
    ("-A", "--append"),
    ("-I", "--insert"),
    ("-D", "--delete"),
    ("-R", "--replace"),
    ("-C", "--check"),
    ("-N", "--new-chain"),
    ("-X", "--delete-chain"),
    ("-F", "--flush"),
    ("-P", "--policy"),
    ("-Z", "--zero"),
    ("-E", "--rename-chain"),
    ("-L", "--list"),
    ("-S", "--list-rules"),
];

/// Splits a rule into words, with all that is wrong with them.
pub(super) fn words(text: &str, key: &str) -> (Vec<Word>, Vec<RuleError>) {
    let mut splitter = Splitter { words: Vec::new(), errors: Vec::new(), open: None };
    splitter.split(text);
    let Splitter { words, mut errors, .. } = splitter;
    if let Some(first) = words.first() {
        let name = first.text.rsplit('/').next().unwrap_or_default();
        let program = name.starts_with("iptables")
            || name.starts_with("ip6tables")
            || name.starts_with("ipchains")
            || name == "sudo";
        if program || first.text.starts_with('/') {
            let message = format!("`{}`: the program's name is not part of the rule", first.text);
            let help = format!("write {key} = -I INPUT …, or use `system =`");
            errors.push(RuleError::new(first.range(), message).help_with(help));
            return (words, errors);
        }
    }
    let mut doings = words.iter().filter(|word| {
        !word.quoted && DOINGS.iter().any(|(short, long)| word.text == *short || word.text == *long)
    });
    match (doings.next(), doings.next()) {
        (Some(_), None) => (),
        (Some(_), Some(second)) => {
            let error = RuleError::new(second.range(), "a second rule in one template");
            errors
                .push(error.help_with(format!("one `{key} =` is one rule; use another template")));
        }
        (None, _) => {
            let error = RuleError::new(0..text.len(), "the rule does not say what to do with it");
            errors.push(error.help_with("start with -I CHAIN, -A CHAIN or -D CHAIN"));
        }
    }
    (words, errors)
}

/// Where the rule is deleted.
pub(super) fn deletes(words: &[Word]) -> Option<Range<usize>> {
    let found = words.iter().find(|word| !word.quoted && super::lint::is_delete(&word.text));
    found.map(Word::range)
}

struct Splitter {
    words: Vec<Word>,
    errors: Vec<RuleError>,
    open: Option<Word>,
}

impl Splitter {
    fn split(&mut self, text: &str) {
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
                (None, ';' | '|' | '&' | '<' | '>' | '`') => {
                    let error = RuleError::new(at..at + 1, format!("`{c}` is the shell's"));
                    self.errors.push(error.help_with("there is no shell here; use `system =`"));
                }
                (None, '#') if self.open.is_none() => {
                    let error = RuleError::new(at..at + 1, "a comment inside a rule");
                    self.errors.push(error.help_with("move it to a line of its own"));
                }
                (_, '$') if chars.as_str().starts_with(starts_expansion) => {
                    let error = RuleError::new(at..at + 1, "`$` is the shell's");
                    let help = "there is no shell here; write the field's name alone: IP";
                    self.errors.push(error.help_with(help));
                }
                (_, c) if c.is_control() => {
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
