//! From the lines of a file to the lines that count: without comments, joined, with included files in place.
//!
//! The order of the steps is Config::General's, and all of its behaviour hangs on it. Tags and options are told apart
//! later, in `blocks`.

use std::sync::Arc;

use super::comments::{self, Found, Left};
use super::heredoc::HereDoc;
use super::include::{Included, Includes};
use super::spelt::{Letters, Spelt};
use crate::place::{BOM, SourceFile};
use crate::problem::Problem;
use crate::syntax::remarks::Remark;

/// A line that counts, without white space at its ends.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) file: Arc<SourceFile>,
    pub(super) letters: Letters,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A tag or an option.
    Text(Spelt),
    /// An option whose value was a here-document.
    HereDoc { key: Spelt, value: Spelt },
    /// The end of a block that was closed where it was opened, as in `<a/>`.
    EndOfSelfClosed(Spelt),
    /// A comment or an empty line, before what comes next.
    Above(Remark),
    /// A comment on the line of what came last.
    Beside(Remark),
}

/// Collects the lines of a file and of all that it includes.
pub(super) fn collect(file: &Arc<SourceFile>) -> (Vec<Line>, Vec<Problem>) {
    let includes = Includes::new(file.path());
    let mut collector =
        Collector { lines: Vec::new(), problems: Vec::new(), cut: Vec::new(), includes };
    collector.file(file);
    (collector.lines, collector.problems)
}

struct Collector {
    lines: Vec<Line>,
    problems: Vec<Problem>,
    /// The comments of the line at hand.
    cut: Vec<Remark>,
    includes: Includes,
}

/// What one line leaves for the next; each file has its own.
struct Pending {
    comment: Option<usize>,
    heredoc: Option<HereDoc>,
    joined: Spelt,
    letters: Letters,
}

impl Pending {
    /// Perl asks whether the joined text is true, and "0" is not.
    fn is_joining(&self) -> bool {
        !matches!(self.joined.bytes(), b"" | b"0")
    }
}

impl Collector {
    fn file(&mut self, file: &Arc<SourceFile>) {
        let text = file.text();
        let (letters, mut start) = match text.starts_with(BOM) {
            true => (Letters::Characters, BOM.len()),
            false => (Letters::Bytes, 0),
        };
        let joined = Spelt::default();
        let mut pending = Pending { comment: None, heredoc: None, joined, letters };
        for line in text.get(start..).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            let end = start + line.strip_suffix(b"\n").unwrap_or(line).len();
            self.line(file, &mut pending, Spelt::of_file(text, start..end));
            start += line.len();
        }
        self.end_of_file(file, pending);
    }

    fn line(&mut self, file: &Arc<SourceFile>, pending: &mut Pending, mut line: Spelt) {
        let letters = pending.letters;
        if let Some(mut heredoc) = pending.heredoc.take() {
            if let Some(indent) = heredoc.ended_by(&line, letters) {
                let indent = line.part(indent);
                let (key, value) = heredoc.finish(indent.bytes(), letters);
                self.push(file, letters, Content::HereDoc { key, value });
            } else {
                heredoc.push(line);
                pending.heredoc = Some(heredoc);
            }
            return;
        }
        let open = &mut pending.comment;
        let mut found = Found { problems: &mut self.problems, remarks: &mut self.cut };
        let left = comments::cut_c_comment(&mut line, letters, open, file, &mut found);
        if left == Left::Line {
            comments::cut_hash_comment(&mut line, letters, file, &mut found);
            if letters.is_blank(line.bytes()) && self.cut.is_empty() && !pending.is_joining() {
                self.push(file, letters, Content::Above(Remark::Blank));
            }
            let before = self.lines.len();
            self.content(file, pending, line);
            if self.lines.len() > before {
                self.cut(file, letters, Content::Beside);
            }
        }
        self.cut(file, letters, Content::Above);
    }

    /// Tells of the comments of a line.
    fn cut(&mut self, file: &Arc<SourceFile>, letters: Letters, place: fn(Remark) -> Content) {
        for remark in std::mem::take(&mut self.cut) {
            self.push(file, letters, place(remark));
        }
    }

    /// A line without its comments.
    fn content(&mut self, file: &Arc<SourceFile>, pending: &mut Pending, line: Spelt) {
        let letters = pending.letters;
        if continues(line.bytes()) {
            let from = letters.leading(line.bytes());
            pending.joined.append(line.part(from..line.bytes().len() - 1));
            return;
        }
        self.warn_of_backslash_before_blank(file, letters, &line);
        if let Some((open, close)) = self_closed(&line, letters) {
            self.text(file, letters, &open);
            self.push(file, letters, Content::EndOfSelfClosed(close));
            return;
        }
        if let Some(heredoc) = HereDoc::begun_by(&line, letters) {
            pending.heredoc = Some(heredoc);
            return;
        }
        if pending.is_joining() {
            let from = letters.leading(line.bytes());
            let mut joined = std::mem::take(&mut pending.joined);
            joined.append(line.part(from..line.bytes().len()));
            self.text(file, letters, &joined);
        } else if let Some(name) = include_name(&line, letters) {
            self.include(file, letters, &name);
        } else if !letters.is_blank(line.bytes()) {
            self.text(file, letters, &line);
        }
    }

    fn text(&mut self, file: &Arc<SourceFile>, letters: Letters, line: &Spelt) {
        let line = line.part(letters.trimmed(line.bytes()));
        self.push(file, letters, Content::Text(line));
    }

    fn push(&mut self, file: &Arc<SourceFile>, letters: Letters, content: Content) {
        self.lines.push(Line { file: file.clone(), letters, content });
    }

    fn include(&mut self, file: &Arc<SourceFile>, letters: Letters, name: &Spelt) {
        let spot = name.spot(file, 0..name.bytes().len());
        let at = || spot.place();
        self.cut(file, letters, Content::Above);
        match self.includes.get(&String::from_utf8_lossy(name.bytes())) {
            Included::File(included) => {
                self.push(file, letters, Content::Above(Remark::Included(spot.clone())));
                self.file(&included);
                self.push(file, letters, Content::Above(Remark::EndOfIncluded(spot)));
            }
            Included::Again(path) => {
                let message = format!("'{}' was read before and is skipped here", path.display());
                self.problems.push(Problem::warning(at(), message));
            }
            Included::Failed { message, help } => {
                self.problems.push(Problem::error(at(), message).with_help(help));
            }
        }
    }

    fn end_of_file(&mut self, file: &Arc<SourceFile>, pending: Pending) {
        if let Some(open) = pending.comment {
            comments::never_closed(open, file, &mut self.problems);
        }
        let letters = pending.letters;
        if let Some(heredoc) = pending.heredoc {
            for line in heredoc.lost(file) {
                self.push(file, letters, Content::Above(Remark::Text(line)));
            }
            let mark = heredoc.mark;
            let at = mark.spot(file, 0..mark.bytes().len()).place();
            let end = String::from_utf8_lossy(mark.bytes());
            let message = "the here-document that begins here never ends; all of it is lost";
            let help = format!("end it with a line that holds nothing but `{end}`");
            self.problems.push(Problem::warning(at, message).with_help(help));
        }
        let joined = pending.joined;
        if !letters.is_blank(joined.bytes()) {
            let spot = joined.spot(file, 0..joined.bytes().len());
            let at = spot.place();
            self.push(file, letters, Content::Above(Remark::Text(spot)));
            let message = "the file ends in a continued line; the whole option is lost";
            let help = "take away the backslash at the end of the last line";
            self.problems.push(Problem::warning(at, message).with_help(help));
        }
    }

    fn warn_of_backslash_before_blank(
        &mut self,
        file: &Arc<SourceFile>,
        letters: Letters,
        line: &Spelt,
    ) {
        let text = line.bytes();
        let end = text.len() - letters.trailing(text);
        if end < text.len() && continues(text.get(..end).unwrap_or_default()) {
            let at = line.spot(file, end - 1..end).place();
            let message = "a backslash joins the next line only as the very last character";
            let help = "take away the blanks, or the carriage return of a Windows file, behind it";
            self.problems.push(Problem::warning(at, message).with_help(help));
        }
    }
}

/// One backslash at the very end; a second one before it would protect it.
fn continues(line: &[u8]) -> bool {
    line.ends_with(b"\\") && !line.ends_with(b"\\\\")
}

/// `<…/>` at the end of a line, anywhere in it, as a tag that opens and one that closes.
fn self_closed(line: &Spelt, letters: Letters) -> Option<(Spelt, Spelt)> {
    let text = line.bytes();
    let end = text.len() - letters.trailing(text);
    let slash = text.get(..end)?.strip_suffix(b"/>")?.len();
    let opens = |at: usize| text.get(at) == Some(&b'<') && text.get(at + 1) != Some(&b'/');
    (0..slash.saturating_sub(1)).find(|at| opens(*at))?;
    let mut open = line.clone();
    // With a blank or a carriage return behind it the original left the slash in the name.
    if end == text.len() {
        open.cut(slash..slash + 1);
    }
    Some((open, line.part(slash..end)))
}

/// The name in `<<include NAME>>`, just as it stands there.
fn include_name(line: &Spelt, letters: Letters) -> Option<Spelt> {
    let text = line.bytes();
    let start = letters.leading(text) + b"<<include".len();
    let word = text.get(letters.leading(text)..start)?;
    let end = text.len() - letters.trailing(text);
    let end = text.get(..end)?.strip_suffix(b">>")?.len();
    let blanks = letters.leading(text.get(start..end)?);
    let is_include = word.eq_ignore_ascii_case(b"<<include") && blanks > 0 && start + blanks < end;
    is_include.then(|| line.part(start + blanks..end))
}
