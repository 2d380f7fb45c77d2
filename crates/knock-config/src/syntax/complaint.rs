//! The YAML parser's complaints in plain words, with a way out.
//!
//! Works on their text only, which is all that the parser gives besides a place.

use super::locate::Mark;

/// What serde says of a list or a map where only text may stand.
pub(super) const NOT_TEXT: &str = "invalid type";

/// Stands before our own messages among the parser's, which puts a path before each.
pub(super) const OWN: &str = "\u{1}";

/// A complaint as we show it.
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// A better place than the parser's, if there is one.
    pub(super) at: Option<Mark>,
}

/// Puts the parser's words into ours.
pub(super) fn of(full: &str) -> Complaint {
    if let Some(complaint) = open_quote(full).or_else(|| lone_word(full)) {
        return complaint;
    }
    let (message, context) = match full.split_once(" at line ") {
        Some((message, rest)) => (message, rest.split_once(", ").map(|(_, context)| context)),
        None => (full, None),
    };
    let known = KNOWN.iter().find(|(theirs, _, _)| message.contains(theirs));
    let (message, help) = match known {
        Some((_, ours, help)) => (*ours, Some(*help)),
        None => (message.rsplit_once(OWN).map_or(message, |(_, own)| own), None),
    };
    let help = match (help, context) {
        (Some(help), Some(context)) => Some(format!("{help} ({context})")),
        (Some(help), None) => Some(help.to_owned()),
        (None, context) => context.map(str::to_owned),
    };
    Complaint { message: message.to_owned(), help, at: None }
}

/// A quote that never ends: where the file ends is no help, where the quote begins is.
fn open_quote(full: &str) -> Option<Complaint> {
    let (what, quote) = full.split_once("while scanning a quoted scalar")?;
    let at_end = ["unexpected end of stream", "unexpected document indicator"];
    at_end.iter().find(|end| what.contains(**end))?;
    Some(Complaint {
        message: "this quote is never closed".to_owned(),
        help: Some(r#"close it; inside double quotes a quote is written \""#.to_owned()),
        at: Some(Mark::at_end_of(quote).unwrap_or_default()),
    })
}

/// Text that would be a key if a colon came: noticed where the next line begins, which may be the end.
fn lone_word(full: &str) -> Option<Complaint> {
    let (what, key) = full.split_once("while scanning a simple key")?;
    what.contains("could not find expected ':'").then(|| Complaint {
        message: "this key has no `:`".to_owned(),
        help: Some("write `key: value`".to_owned()),
        at: Some(Mark::at_end_of(key).unwrap_or_default()),
    })
}

/// Their words, ours, and the way out.
const KNOWN: [(&str, &str, &str); 12] = [
    (
        "mapping values are not allowed",
        "a `:` with a blank behind it begins a value, but none may begin here",
        "put text that holds `: ` into quotes, and look at the indentation",
    ),
    (
        "cannot start any token",
        "a value cannot begin with this character",
        "put the value into quotes; indent with blanks, not with tabs",
    ),
    (
        "did not find expected key",
        "a key was expected here",
        "keys of one block begin in the same column; text behind a closing quote needs quotes of its own",
    ),
    (
        "did not find expected '-' indicator",
        "a list item was expected here",
        "each item begins with `- `, all in the same column",
    ),
    (
        "did not find expected ',' or",
        "a bracket is not closed before this",
        "put text that begins with `[` or `{` into quotes",
    ),
    (
        "did not find expected <document start>",
        "the file should have ended before this",
        "keys of one block begin in the same column",
    ),
    (
        "found unknown escape character",
        "this backslash means nothing inside double quotes",
        "write it twice, or use single quotes, in which it is an ordinary character",
    ),
    ("tab character that violates indentation", "a tab cannot indent", "indent with blanks"),
    (NOT_TEXT, "a key must be plain text", "put lists and maps behind the key"),
    ("unknown anchor", "no `&anchor` with this name stands before", "write the value out"),
    (
        "repetition limit exceeded",
        "the aliases of this file unfold into too much",
        "write the values out",
    ),
    ("recursion limit exceeded", "this is nested too deep", "at most 64 levels are read"),
];
