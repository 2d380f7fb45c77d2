//! Both kinds of comment, cut out of one line.
//!
//! Neither knows of quotes, so both can eat a part of a value; that is told.

use std::sync::Arc;

use super::spelt::{Letters, Spelt};
use crate::place::SourceFile;
use crate::problem::Problem;
use crate::syntax::remarks::Remark;

/// What is left of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Whatever the line still holds.
    Line,
    /// Nothing: it is inside a comment.
    Nothing,
}

/// What is found on the way.
pub(super) struct Found<'a> {
    pub(super) problems: &'a mut Vec<Problem>,
    /// What is cut out, and text that is lost with it.
    pub(super) remarks: &'a mut Vec<Remark>,
}

/// Cuts `/* … */` out of a line. `open` is where a comment began that is still open.
pub(super) fn cut_c_comment(
    line: &mut Spelt,
    letters: Letters,
    open: &mut Option<usize>,
    file: &Arc<SourceFile>,
    found: &mut Found<'_>,
) -> Left {
    let text = line.bytes();
    let was_open = open.is_some();
    let whole = line.spot(file, 0..text.len());
    let first = find(text, b"/*");
    let last = rfind(text, b"*/");
    match (first, last) {
        // From the first to the last, even if there are two of them with text between.
        (Some(first), Some(last)) if last >= first + 2 => {
            let before = text.get(..first).unwrap_or_default();
            let after = text.get(last + 2..).unwrap_or_default();
            let range = first - letters.trailing(before)..last + 2 + letters.leading(after);
            let loss = open.is_none() && eats_a_value(before, after, letters);
            if loss {
                let at = line.spot(file, first..last + 2).place();
                found.problems.push(comment_in_value(at));
            }
            if !was_open {
                found.remarks.push(Remark::Text(line.spot(file, first + 2..last)));
            }
            line.cut(range);
        }
        (Some(first), _) if letters.is_blank(text.get(..first).unwrap_or_default()) => {
            if !was_open {
                found.remarks.push(Remark::Text(line.spot(file, first + 2..text.len())));
            }
            *open = Some(line.offset(first));
        }
        (_, Some(last)) => {
            if open.is_none() {
                let at = line.spot(file, last..last + 2).place();
                found.problems.push(stray_comment_end(at));
            }
            found.remarks.push(Remark::Text(line.spot(file, 0..last)));
            *open = None;
            line.cut(0..last + 2);
        }
        (_, None) => {}
    }
    if open.is_none() {
        return Left::Line;
    }
    if was_open {
        found.remarks.push(Remark::Text(whole));
    }
    Left::Nothing
}

/// Cuts off what follows `#`, unless a backslash stands before it.
pub(super) fn cut_hash_comment(
    line: &mut Spelt,
    letters: Letters,
    file: &Arc<SourceFile>,
    found: &mut Found<'_>,
) {
    let text = line.bytes();
    let hash = text.iter().enumerate().position(|(at, byte)| {
        *byte == b'#' && at.checked_sub(1).and_then(|at| text.get(at)) != Some(&b'\\')
    });
    let Some(hash) = hash else { return };
    let before = text.get(..hash).unwrap_or_default();
    let after = text.get(hash + 1..).unwrap_or_default();
    if let Some(message) = hash_eats_a_value(before, after, letters) {
        let at = line.spot(file, hash..text.len()).place();
        found
            .problems
            .push(Problem::warning(at, message).with_help(r"write `\#` for the character itself"));
    }
    found.remarks.push(Remark::Hash(line.spot(file, hash + 1..text.len())));
    line.cut(hash..text.len());
}

/// For a comment that is still open at the end of its file.
pub(super) fn never_closed(open: usize, file: &Arc<SourceFile>, problems: &mut Vec<Problem>) {
    let spot = crate::place::Spot { file: file.clone(), bytes: open..open + 2 };
    let message = "this comment is never closed; nothing behind it is read";
    let help = "end it with a line `*/`, or put `#` in front of each line instead";
    problems.push(Problem::warning(spot.place(), message).with_help(help));
}

fn comment_in_value(at: crate::place::Place) -> Problem {
    Problem::warning(at, "this is a comment, even inside a value or quotes; it is cut out")
        .with_help(HEREDOC_HELP)
}

fn stray_comment_end(at: crate::place::Place) -> Problem {
    Problem::warning(at, "`*/` ends a comment that was never begun; the line is dropped up to here")
        .with_help(HEREDOC_HELP)
}

const HEREDOC_HELP: &str =
    "in a here-document nothing is a comment: `key <<END`, the value on its own lines, `END`";

fn eats_a_value(before: &[u8], after: &[u8], letters: Letters) -> bool {
    let before = before.get(letters.trimmed(before)).unwrap_or_default();
    let quoted = before.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
    quoted || !(before.is_empty() || before.ends_with(b"=") || letters.is_blank(after))
}

fn hash_eats_a_value(before: &[u8], after: &[u8], letters: Letters) -> Option<&'static str> {
    let quotes = before.iter().filter(|byte| **byte == b'"').count();
    if quotes % 2 == 1 && after.contains(&b'"') {
        return Some("`#` begins a comment even inside quotes; the value ends here");
    }
    let next_is_text = after.first().is_some_and(|byte| !b" \t\r#".contains(byte));
    let before_is_text = !before.is_empty() && letters.trailing(before) == 0;
    let trimmed = before.get(letters.trimmed(before)).unwrap_or_default();
    match next_is_text {
        true if trimmed.ends_with(b"=") => Some("`#` begins a comment; the value is empty"),
        true if before_is_text => Some("`#` begins a comment; the value ends here"),
        true | false => None,
    }
}

fn find(text: &[u8], what: &[u8; 2]) -> Option<usize> {
    text.windows(2).position(|pair| pair == what)
}

fn rfind(text: &[u8], what: &[u8; 2]) -> Option<usize> {
    text.windows(2).rposition(|pair| pair == what)
}
