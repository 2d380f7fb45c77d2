//! The words of an `iptables =` template: which of them say what to do with a rule, and which could
//! not be handed to iptables. Knows nothing of what iptables makes of the others.

use std::ops::Range;

use super::words::{Within, Word, split};
use crate::error::RuleError;

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
    let (words, mut errors) = split(text, Within::Rule);
    if let Some(first) = words.first() {
        let name = first.text().rsplit('/').next().unwrap_or_default();
        let program = name.starts_with("iptables")
            || name.starts_with("ip6tables")
            || name.starts_with("ipchains")
            || name == "sudo";
        if program || first.text().starts_with('/') {
            let message = format!("`{}`: the program's name is not part of the rule", first.text());
            let help = format!("write {key} = -I INPUT …, or use `system =`");
            errors.push(RuleError::new(first.whole(), message).help_with(help));
            return (words, errors);
        }
    }
    let mut doings = words.iter().filter(|word| {
        !word.is_quoted()
            && DOINGS.iter().any(|(short, long)| word.text() == *short || word.text() == *long)
    });
    match (doings.next(), doings.next()) {
        (Some(_), None) => (),
        (Some(_), Some(second)) => {
            let error = RuleError::new(second.whole(), "a second rule in one template");
            errors
                .push(error.help_with(format!("one `{key} =` is one rule; use another template")));
        }
        (None, _) => {
            let error = RuleError::new(0..text.len(), "the rule does not say what to do with it");
            errors.push(error.help_with("start with -I CHAIN, -A CHAIN or -D CHAIN"));
        }
    }
    if errors.is_empty() {
        errors.extend(words.iter().filter_map(unpassable));
    }
    (words, errors)
}

/// Rules go to iptables in one line, in which quotes cannot be escaped. A word that does not fit
/// would fail when somebody stands before the door.
fn unpassable(word: &Word) -> Option<RuleError> {
    let text = word.text();
    let message = if text.is_empty() {
        "an empty word cannot be part of a rule"
    } else if text.contains(' ') && text.contains(QUOTES) {
        "a word with both blanks and quotation marks cannot be part of a rule"
    } else if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        "a word that begins or ends with a quotation mark cannot be part of a rule"
    } else {
        return None;
    };
    Some(
        RuleError::new(word.whole(), message)
            .help_with("leave the quotation marks out, or use `exec =`"),
    )
}

const QUOTES: [char; 2] = ['"', '\''];

/// Where the rule is deleted.
pub(super) fn deletes(words: &[Word]) -> Option<Range<usize>> {
    let found = words.iter().find(|word| !word.is_quoted() && super::lint::is_delete(word.text()));
    found.map(Word::whole)
}
