//! Draws problems for a person: `file:line:column: error: message`, the line, a caret under the place, the way out.
//!
//! Decides nothing about them, and shows no secret: the value of a `key` is masked. By hand, because editors jump by
//! what stands at the very start of a line, where annotate-snippets puts the message.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use crate::mask::Hidden;
use crate::place::{BOM, Place, SourceText};
use crate::problem::{Problem, Severity};

/// Most characters of a source line that are shown.
pub const MAX_SHOWN: usize = 120;

/// Most problems that are drawn; the rest is counted.
pub const MAX_PROBLEMS: usize = 200;

/// Whether to use colours. The caller knows whether it writes to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// Plain text.
    #[default]
    Never,
    /// With escape sequences.
    Always,
}

/// The texts that problems point into.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    texts: BTreeMap<PathBuf, (SourceText, Hidden)>,
}

/// A line of a source, and from which character on it spells the key.
struct Line {
    text: String,
    secret: Option<usize>,
}

impl Sources {
    /// With the text that was given to the reader.
    pub fn of(source: &SourceText) -> Self {
        let mut sources = Sources::default();
        sources.add(source);
        sources
    }

    /// One more text.
    pub fn add(&mut self, source: &SourceText) {
        self.texts.insert(source.path.clone(), (source.clone(), Hidden::of(source)));
    }

    /// Reads from disk each other file that a problem points into, such as an included one.
    ///
    /// A file that cannot be read any more is left out; its problems are then shown without their line.
    pub fn load(&mut self, problems: &[Problem]) {
        for place in problems.iter().filter_map(|problem| problem.at.as_ref()) {
            if self.texts.contains_key(&*place.file) {
                continue;
            }
            if let Ok(source) = SourceText::read(&place.file) {
                self.add(&source);
            }
        }
    }

    fn line(&self, place: &Place) -> Option<Line> {
        let (source, hidden) = self.texts.get(&*place.file)?;
        let text = source.text.strip_prefix(BOM).unwrap_or(&source.text);
        let line = text.split(|byte| *byte == b'\n').nth(place.line.checked_sub(1)?)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = String::from_utf8_lossy(line).into_owned();
        Some(Line { text, secret: hidden.from(place.line) })
    }
}

/// Draws all problems, one after the other.
pub fn print(
    problems: &[Problem],
    sources: &Sources,
    colour: Colour,
    out: &mut impl io::Write,
) -> io::Result<()> {
    for problem in problems.iter().take(MAX_PROBLEMS) {
        out.write_all(draw(problem, sources, colour).as_bytes())?;
    }
    match problems.len().saturating_sub(MAX_PROBLEMS) {
        0 => Ok(()),
        more => writeln!(out, "… and {more} more"),
    }
}

fn draw(problem: &Problem, sources: &Sources, colour: Colour) -> String {
    let (word, paint) = match problem.severity {
        Severity::Error => ("error", RED),
        Severity::Warning => ("warning", YELLOW),
    };
    let mut drawn = String::new();
    if let Some(at) = &problem.at {
        let at = escape(&at.to_string());
        drawn += &colour.paint(BOLD, &format!("{at}: "));
    }
    drawn += &colour.paint(paint, &format!("{word}: "));
    let line = problem.at.as_ref().and_then(|at| sources.line(at));
    let message =
        line.as_ref().map_or(problem.message.clone(), |line| line.spared(&problem.message));
    drawn += &colour.paint(BOLD, &escape(&message));
    drawn.push('\n');
    if let Some(at) = &problem.at
        && let Some(line) = line
    {
        let (line, indent, len) = window(&line, at);
        let underline = format!("^{}", "~".repeat(len.saturating_sub(1)));
        drawn +=
            &format!("  {line}\n  {}{}\n", " ".repeat(indent), colour.paint(paint, &underline));
    }
    if let Some(help) = &problem.help {
        let lines: Vec<String> = help.lines().map(escape).collect();
        drawn += &format!("  {} {}\n", colour.paint(CYAN, "help:"), lines.join("\n        "));
    }
    drawn
}

const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const CYAN: &str = "1;36";

impl Colour {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Colour::Never => text.to_owned(),
            Colour::Always => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// What stands in place of a secret.
const MASK: &str = "********";

impl Line {
    /// What may be shown, and what may not.
    fn split(&self) -> (&str, &str) {
        let nth = |column: usize| self.text.char_indices().nth(column);
        let end = self.secret.and_then(nth).map_or(self.text.len(), |(offset, _)| offset);
        self.text.split_at(end)
    }

    /// A message about the line, without the secret: half a key, taken for an option, is quoted.
    fn spared(&self, message: &str) -> String {
        let (_, secret) = self.split();
        let words = secret.split_whitespace().chain([secret.trim()]);
        words.filter(|word| !word.is_empty()).fold(message.to_owned(), |message, word| {
            message.replace(&format!("'{word}'"), &format!("'{MASK}'"))
        })
    }
}

/// The part of a line that is shown, and from where to where in it the place is.
fn window(line: &Line, at: &Place) -> (String, usize, usize) {
    let (shown, _) = line.split();
    let mut characters: Vec<char> = shown.chars().collect();
    // Inside a masked value no column means anything but its start.
    let column = at.column.saturating_sub(1).min(characters.len());
    if line.secret.is_some() {
        characters.extend(MASK.chars());
    }
    let last = column.saturating_add(at.len).min(characters.len()).max(column);
    let first = (column + 20).saturating_sub(MAX_SHOWN);
    let shown = |from: usize, to: usize| {
        let part = characters.get(from..to.min(characters.len())).unwrap_or_default();
        escape(&part.iter().collect::<String>())
    };
    let before = if first > 0 { "…" } else { "" };
    let after = if characters.len() > first + MAX_SHOWN { "…" } else { "" };
    let last = last.min(first + MAX_SHOWN);
    let indent = before.chars().count() + shown(first, column).chars().count();
    let len = shown(column, last).chars().count().max(1);
    (format!("{before}{}{after}", shown(first, first + MAX_SHOWN)), indent, len)
}

/// Makes visible what would steer a terminal or turn the text round; a tab becomes blanks.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => escaped.push_str("    "),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(escaped, "{}", character.escape_unicode());
            }
            _ if character.is_control() => {
                let _ = write!(escaped, "{}", character.escape_default());
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    /// `text` is a config file in which `@` stands before the place and is taken out.
    #[track_caller]
    fn check(text: &str, len: usize, expected: &str) {
        let line = text.lines().position(|line| line.contains('@')).unwrap();
        let column = text.lines().nth(line).unwrap().chars().position(|one| one == '@').unwrap();
        let source = SourceText::new("a.conf", text.replacen('@', "", 1));
        let file = source.path.as_path().into();
        let at = Place { file, line: line + 1, column: column + 1, len };
        let problem = Problem::error(at, "wrong").with_help("do it right");
        assert_eq!(draw(&problem, &Sources::of(&source), Colour::Never), expected);
    }

    #[test]
    fn place_line_caret_and_help() {
        check(
            "a = 1\n  template  = @opn\n",
            3,
            "a.conf:2:15: error: wrong\n    \
               template  = opn\n                \
                           ^~~\n  \
               help: do it right\n",
        );
    }

    #[test]
    fn at_the_end_of_the_line_and_with_tabs() {
        check(
            "\ta =@\n",
            1,
            "a.conf:1:5: error: wrong\n      a =\n         ^\n  help: do it right\n",
        );
    }

    #[test]
    fn nothing_in_the_line_steers_the_terminal() {
        check(
            "a = \x1b[31m\u{202e} @b\n",
            1,
            "a.conf:1:12: error: wrong\n  a = \\u{1b}[31m\\u{202e} b\n                         ^\n  help: do it right\n",
        );
    }

    #[test]
    fn a_secret_is_masked() {
        let masked = "  key = ********\n        ^~~~~~~~\n";
        check(
            "key = @opensesame\n",
            10,
            &format!("a.conf:1:7: error: wrong\n{masked}  help: do it right\n"),
        );
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let text = format!("{}@bad{}", "a".repeat(500), "b".repeat(500));
        let source = SourceText::new("a.conf", text.replace('@', ""));
        let file = source.path.as_path().into();
        let at = Place { file, line: 1, column: 501, len: 3 };
        let drawn = draw(&Problem::error(at, "wrong"), &Sources::of(&source), Colour::Never);
        let lines: Vec<&str> = drawn.lines().collect();
        let caret = lines[2].find('^').map(|at| lines[1].chars().skip(at).take(3).collect());
        assert_eq!(caret, Some("bad".to_owned()));
        assert!(lines[1].chars().count() < MAX_SHOWN + 10, "{drawn}");
    }

    #[test]
    fn colours_only_if_asked() {
        let source = SourceText::new("a.conf", "<a>\n");
        let problems = parse(&source).problems;
        let draw = |colour| {
            let mut out = Vec::new();
            print(&problems, &Sources::of(&source), colour, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(!draw(Colour::Never).contains('\x1b'));
        assert!(draw(Colour::Always).starts_with("\x1b[1ma.conf:1:1: \x1b[0m\x1b[1;31merror: "));
    }

    #[test]
    fn a_flood_of_problems_is_counted() {
        let source = SourceText::new("a.conf", "</a>\n".repeat(MAX_PROBLEMS + 7));
        let mut out = Vec::new();
        let problems = parse(&source).problems;
        print(&problems, &Sources::of(&source), Colour::Never, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().ends_with("… and 7 more\n"));
    }
}
