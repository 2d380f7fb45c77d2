//! Which parts of a config file spell its key, or what somebody took for one, so that a report can leave them out.
//!
//! Where the file can be parsed the tree knows. It may be broken just there, so the lines are looked
//! at too, by words and in both syntaxes at once: better one line too many than one too few.

use std::collections::BTreeMap;

use crate::keys::{self, Within};
use crate::place::{BOM, SourceText, Spot};
use crate::suggest::nearest;
use crate::syntax::{Syntax, parse_all};
use crate::tree::Entry;

/// The lines (from 1) that show some of the key, each with the column (from 0, in characters) from
/// which it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hidden(BTreeMap<usize, usize>);

/// Whether a file shows a key anywhere, also in a comment.
pub(crate) fn hides_any(source: &SourceText) -> bool {
    !Hidden::of(source).0.is_empty()
}

impl Hidden {
    /// Looks for it.
    pub(crate) fn of(source: &SourceText) -> Self {
        let mut hidden = Hidden::default();
        hidden.by_words(source);
        hidden.by_tree(source);
        hidden
    }

    /// From which column a line is to be hidden.
    pub(crate) fn from(&self, line: usize) -> Option<usize> {
        self.0.get(&line).copied()
    }

    fn hide(&mut self, line: usize, column: usize) {
        let from = self.0.entry(line).or_insert(column);
        *from = column.min(*from);
    }

    fn by_words(&mut self, source: &SourceText) {
        let text = source.text.strip_prefix(BOM).unwrap_or(&source.text);
        let yaml = Syntax::of(&source.path) == Syntax::Yaml;
        let mut open: Option<Open> = None;
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            if let Some(value) = open.take().filter(|value| !value.ended_before(&line)) {
                self.hide(index + 1, 0);
                open = value.after(&line);
                continue;
            }
            let Some(value) = Value::in_line(&line) else { continue };
            if !value.text.is_empty() {
                let before = line.len() - value.text.len();
                self.hide(index + 1, line.get(..before).unwrap_or_default().chars().count());
            }
            open = Open::behind(&line, &value, yaml);
        }
    }

    fn by_tree(&mut self, source: &SourceText) {
        let (tree, _) = parse_all(source);
        let is_secret = |entry: &&Entry| entry.key == "key" || looks_secret(&entry.key);
        let entries = tree.root().iter().filter(is_secret).flat_map(Entry::occurrences);
        let scalars = entries.filter_map(|found| found.node.scalar());
        for scalar in scalars.filter(|scalar| !scalar.bytes().is_empty()) {
            let Spot { file, bytes } = scalar.spot();
            // What an included file holds is found when that file is shown.
            if file.path() != source.path {
                continue;
            }
            let first = scalar.place();
            let end = Spot { file, bytes: bytes.end.saturating_sub(1)..bytes.end }.place();
            self.hide(first.line, first.column.saturating_sub(1));
            for line in first.line.saturating_add(1)..=end.line {
                self.hide(line, 0);
            }
        }
    }
}

/// What stands behind the word `key`, or one that is like it, in its line.
struct Value<'a> {
    text: &'a str,
    /// There is a colon between, so the rest may follow below, as in YAML.
    colon: bool,
}

impl<'a> Value<'a> {
    fn in_line(line: &'a str) -> Option<Self> {
        let mut rest = line;
        loop {
            let start = rest.find(is_letter)?;
            let behind = rest.get(start..)?;
            let (word, behind) =
                behind.split_at(behind.find(|c| !is_letter(c)).unwrap_or(behind.len()));
            let before = line.len() - behind.len() - word.len();
            let begins = line.get(..before)?.trim_matches([' ', '\t', '"', '\'']).is_empty();
            if let Some(value) = Self::behind(word, begins, behind) {
                return Some(value);
            }
            rest = behind;
        }
    }

    fn behind(word: &str, begins: bool, rest: &'a str) -> Option<Self> {
        let unquoted = rest.trim_start_matches(['"', '\'']);
        let separator = unquoted.trim_start();
        let text = separator.trim_start_matches(['=', ':']).trim_start();
        let is_key = word.rsplit('-').next().is_some_and(|word| word.eq_ignore_ascii_case("key"));
        // A blank is enough behind the word itself; of others there are too many in plain sentences.
        let separated =
            text.len() < unquoted.len() && (is_key || begins || separator.starts_with(['=', ':']));
        (separated && (is_key || looks_secret(word)))
            .then_some(Value { text, colon: separator.starts_with(':') })
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// A name that no key has, and whose value is a secret all the same: `keyy`, `sharedsecret`, `passphrase`.
fn looks_secret(name: &str) -> bool {
    let name: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let shaped = ["secret", "passw", "passphrase"].iter().any(|part| name.contains(part))
        || name.starts_with("pass")
        || name.ends_with("key");
    let is_secret = if shaped {
        true
    } else if name.starts_with("key") {
        // `keyfil` is meant to be `keyfile`, which anybody may see.
        nearest(&name, keys::names(Within::Top)).is_none_or(|meant| meant == "key")
    } else {
        nearest(&name, ["key"]).is_some()
    };
    is_secret && !keys::KEYS.iter().any(|key| key.name == name && name != "key")
}

/// A value that may go on in the next line.
enum Open {
    /// Up to this mark on a line of its own.
    HereDocument { mark: String },
    /// For one line more, and then as long as lines end so.
    Backslash,
    /// Up to a line that is indented no more than this and begins another entry, and at least up to
    /// this quote.
    Block { indent: usize, quote: Option<char> },
}

impl Open {
    fn behind(line: &str, value: &Value<'_>, yaml: bool) -> Option<Self> {
        let text = value.text.trim_end();
        if let Some(mark) = text.strip_prefix("<<").map(str::trim) {
            return Some(Open::HereDocument { mark: mark.to_owned() });
        }
        if text.ends_with('\\') {
            return Some(Open::Backslash);
        }
        let may_go_on = yaml || value.colon && text.is_empty();
        if !may_go_on {
            return None;
        }
        let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
        let quote = quote.filter(|quote| text.matches(*quote).count() == 1);
        Some(Open::Block { indent: indent(line), quote })
    }

    /// Whether this line belongs to something else already.
    fn ended_before(&self, line: &str) -> bool {
        match self {
            Open::HereDocument { .. } | Open::Backslash | Open::Block { quote: Some(_), .. } => {
                false
            }
            Open::Block { indent: of_key, quote: None } => {
                indent(line) <= *of_key && begins_entry(line.trim())
            }
        }
    }

    /// What is open behind this line, which belongs to the value.
    fn after(self, line: &str) -> Option<Self> {
        match self {
            Open::HereDocument { mark } if line.trim() == mark => None,
            Open::HereDocument { mark } => Some(Open::HereDocument { mark }),
            Open::Backslash => line.trim_end().ends_with('\\').then_some(Open::Backslash),
            Open::Block { indent, quote } => {
                Some(Open::Block { indent, quote: quote.filter(|quote| !line.contains(*quote)) })
            }
        }
    }
}

/// `name:`, `name = `, a list's item, a tag, or a document's mark.
fn begins_entry(line: &str) -> bool {
    let name = line.trim_start_matches(['"', '\'']);
    let rest = name.trim_start_matches(|one: char| one.is_alphanumeric() || "_-.".contains(one));
    let named = rest.len() < name.len()
        && rest.trim_start_matches(['"', '\'']).trim_start().starts_with([':', '=']);
    named || line.starts_with("- ") || line.starts_with('<') || matches!(line, "---" | "...")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests;
