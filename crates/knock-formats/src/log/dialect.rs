//! Whether an expression means here what it means in Perl. Users bring expressions written for
//! Perl: what this engine lacks is named, and so is what it would silently read otherwise.
//! Matching is `matcher.rs`'s work.

use std::ops::Range;

use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::{self, Hir};

use super::{ErrorKind, MAX_EXPRESSION};

/// How deep groups may be nested.
const MAX_DEPTH: u32 = 64;

/// A mistake and where in the expression it stands.
pub(crate) type Mistake = (Range<usize>, ErrorKind);

/// The expression's meaning on bytes, with ASCII classes; or what is wrong with it.
pub(super) fn read(text: &str) -> Result<Hir, Vec<Mistake>> {
    if text.len() > MAX_EXPRESSION {
        let kind = ErrorKind::TooLong { bytes: text.len() };
        return Err(vec![(0..text.len(), kind)]);
    }
    let ast = ast::parse::ParserBuilder::new()
        .nest_limit(MAX_DEPTH)
        .build()
        .parse(text)
        .map_err(|error| vec![unparsable(text, error.kind(), range(error.span()))])?;
    let mistakes = ast::visit(&ast, Differences { text, found: Vec::new() })
        .map_err(|()| vec![(0..text.len(), ErrorKind::TooBig)])?;
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    hir::translate::TranslatorBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .translate(text, &ast)
        .map_err(|error| {
            let kind = match error.kind() {
                hir::ErrorKind::UnicodeNotAllowed => {
                    perl_only("a Unicode class", "classes are ASCII here; list the bytes: [A-Za-z]")
                }
                other => ErrorKind::Syntax { what: other.to_string() },
            };
            vec![(range(error.span()), kind)]
        })
}

fn range(span: &ast::Span) -> Range<usize> {
    span.start.offset..span.end.offset
}

fn perl_only(construct: &'static str, instead: impl Into<String>) -> ErrorKind {
    ErrorKind::PerlOnly { construct, instead: instead.into() }
}

/// Why the parser stopped, in the words of somebody who knows Perl.
fn unparsable(text: &str, kind: &ast::ErrorKind, at: Range<usize>) -> Mistake {
    use ast::ErrorKind as K;
    let at = at_least_a_character(text, at);
    let head = text.get(..at.end).unwrap_or_default();
    match kind {
        K::UnsupportedLookAround => look_around(text, at),
        K::UnsupportedBackreference => digits(text, at),
        K::RepetitionMissing if text.get(..at.start).is_some_and(|t| t.ends_with("(?R)")) => {
            (at.start - "(?R)".len()..at.start, recursion())
        }
        K::FlagUnrecognized | K::FlagUnexpectedEof | K::RepetitionMissing
            if open_group(head).is_some() =>
        {
            extended_group(text, kind, at)
        }
        K::EscapeUnrecognized | K::ClassEscapeInvalid | K::SpecialWordBoundaryUnrecognized => {
            escape(text, kind, at)
        }
        K::RepetitionMissing | K::RepetitionCountUnclosed | K::RepetitionCountDecimalEmpty
            if unclosed_brace(head).is_some() =>
        {
            let open = unclosed_brace(head).unwrap_or(at.start);
            (
                open..at.end,
                perl_only("a { that counts nothing", "write \\{ for the character itself"),
            )
        }
        K::ClassUnclosed if bare_brackets(head) > 1 => (at, nested_class()),
        other => (at, ErrorKind::Syntax { what: other.to_string() }),
    }
}

/// Some errors are placed before a character; a caret needs the character.
fn at_least_a_character(text: &str, at: Range<usize>) -> Range<usize> {
    match text.get(at.start..).and_then(|rest| rest.chars().next()) {
        Some(next) if at.is_empty() => at.start..at.start + next.len_utf8(),
        _ => at,
    }
}

/// Where a `{` is that the text does not close.
fn unclosed_brace(head: &str) -> Option<usize> {
    let open = head.rfind('{')?;
    let closed = head.get(open..head.len().saturating_sub(1)).is_some_and(|t| t.contains('}'));
    (!closed).then_some(open)
}

/// How many brackets open without being escaped.
fn bare_brackets(text: &str) -> usize {
    let mut escaped = false;
    text.bytes()
        .filter(|byte| {
            let bare = !escaped && *byte == b'[';
            escaped = !escaped && *byte == b'\\';
            bare
        })
        .count()
}

fn look_around(text: &str, at: Range<usize>) -> Mistake {
    let opening = text.get(at.start..).unwrap_or_default();
    let (construct, instead) = if opening.starts_with("(?<=") {
        (
            "a look-behind (?<=…)",
            "write its text before the group: `SRC=(\\S+)` captures what follows SRC=",
        )
    } else if opening.starts_with("(?<!") {
        (
            "a negative look-behind (?<!…)",
            "write what may stand there instead: `(?:^| )SRC=(\\S+)`; a value that is no address is skipped anyway",
        )
    } else if opening.starts_with("(?!") {
        (
            "a negative look-ahead (?!…)",
            "write what may stand there instead, as a class such as [^ ]",
        )
    } else {
        (
            "a look-ahead (?=…)",
            "write its text behind the group: `DPT=(\\d+) ` wants a blank behind the port",
        )
    };
    (whole_group(text, at.start), perl_only(construct, instead))
}

/// From an opening parenthesis to its closing one, or to the end.
fn whole_group(text: &str, start: usize) -> Range<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    let mut in_class = false;
    for (offset, byte) in text.bytes().enumerate().skip(start) {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match byte {
            b'\\' => escaped = true,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'(' if !in_class => depth += 1,
            b')' if !in_class => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return start..offset + 1;
                }
            }
            _ => (),
        }
    }
    start..text.len()
}

fn digits(text: &str, at: Range<usize>) -> Mistake {
    let rest = text.get(at.start + 1..).unwrap_or_default();
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    let at = at.start..at.start + 1 + len;
    if rest.starts_with('0') {
        return (at, perl_only("an octal escape", "write it in hexadecimal: \\x00"));
    }
    (at, back_reference())
}

fn back_reference() -> ErrorKind {
    perl_only("a back-reference", "write what it would repeat, such as \\S+, a second time")
}

fn recursion() -> ErrorKind {
    perl_only("a recursion", "write the inner pattern out; a log line nests nothing")
}

fn nested_class() -> ErrorKind {
    ErrorKind::Differs {
        construct: "a [ inside a class",
        perl: "the character itself",
        here: "a class within the class",
        instead: "write \\[".to_owned(),
    }
}

/// Where the last `(?` or `(*` begins, when it is still open at the end.
fn open_group(head: &str) -> Option<usize> {
    let start = head.rfind("(?").max(head.rfind("(*"))?;
    let inside = head.get(start + 1..)?;
    (!inside.contains(')')).then_some(start)
}

/// `(?…` that is neither a group with flags nor a look-around.
fn extended_group(text: &str, kind: &ast::ErrorKind, at: Range<usize>) -> Mistake {
    let Some(start) = text.get(..at.end).and_then(open_group) else {
        return (at, ErrorKind::Syntax { what: kind.to_string() });
    };
    let inside = text.get(start + 1..).unwrap_or_default();
    let whole = whole_group(text, start);
    if inside.starts_with('*') {
        let instead = "leave it out: matching here takes linear time anyway";
        return (whole, perl_only("a backtracking verb (*…)", instead));
    }
    let mut after = inside.chars().skip(1);
    let found = match (after.next(), after.next()) {
        (Some('>'), _) => {
            perl_only("an atomic group (?>…)", "write (?:…): nothing backtracks here")
        }
        (Some('#'), _) => perl_only("a comment (?#…)", "put it on a line of its own, or use (?x)"),
        (Some('|'), _) => perl_only("a branch reset (?|…)", "write one group around (?:this|that)"),
        (Some('('), _) => perl_only("a conditional (?(…)…)", "write both cases: (?:this|that)"),
        (Some('{'), _) | (Some('?'), Some('{')) => {
            perl_only("Perl code (?{…})", "leave it out: no text from a config is run")
        }
        (Some('\''), _) => perl_only("a group named (?'…')", "write (?<name>…) or just (…)"),
        (Some('^'), _) => perl_only("flags reset by (?^…)", "write (?-i) for what is to be off"),
        (Some('P'), Some('=')) => back_reference(),
        (Some('P'), Some('>')) | (Some('&'), _) => recursion(),
        (Some('0'..='9' | '+'), _) | (Some('-'), Some('0'..='9')) => recursion(),
        _ => {
            let what = "an unknown flag; known are i (case), m, s, x and their negation";
            return (at, ErrorKind::Syntax { what: what.to_owned() });
        }
    };
    (whole, found)
}

/// A backslash with a letter that means nothing here.
fn escape(text: &str, kind: &ast::ErrorKind, at: Range<usize>) -> Mistake {
    let letter = text.get(at.start + 1..).and_then(|rest| rest.chars().next());
    let (construct, instead) = match letter {
        Some('Z') => ("\\Z", "write $: lines come without their newline"),
        Some('K') => ("\\K", "put the value into a group instead: SRC=(\\S+)"),
        Some('G') => ("\\G", "leave it out; write ^ for the start of the line"),
        Some('R') => ("\\R", "leave it out: lines come without their newline"),
        Some('X' | 'C') => ("\\X", "write . for any byte"),
        Some('h') => ("\\h", "write [ \\t]"),
        Some('H') => ("\\H", "write [^ \\t]"),
        Some('V' | 'N') => ("\\N", "write . for any byte: lines come without their newline"),
        Some('Q' | 'E') => {
            ("\\Q…\\E", "put a backslash before each of . * + ? ( ) [ ] { } | ^ $ \\")
        }
        Some('l' | 'u' | 'L' | 'U' | 'F') => {
            ("case changing by \\u, \\L …", "use (?i) to ignore case")
        }
        Some('k' | 'g') => return (at, back_reference()),
        Some('e') => ("\\e", "write \\x1b"),
        Some('c') => ("\\c", "write the byte in hexadecimal: \\x01"),
        Some('o') => ("an octal escape", "write it in hexadecimal: \\x00"),
        Some('b') => ("\\b as it is used here", "write \\b alone, outside a class"),
        _ => return (at, ErrorKind::Syntax { what: kind.to_string() }),
    };
    (at, perl_only(construct, instead))
}

/// What parses, but would not mean what it means in Perl.
struct Differences<'t> {
    text: &'t str,
    found: Vec<Mistake>,
}

impl ast::Visitor for Differences<'_> {
    type Output = Vec<Mistake>;
    type Err = ();

    fn finish(self) -> Result<Vec<Mistake>, ()> {
        Ok(self.found)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), ()> {
        match ast {
            Ast::Repetition(outer) => {
                if let Ast::Repetition(inner) = &*outer.ast {
                    self.found.push(self.two_quantifiers(outer, inner));
                }
            }
            Ast::Flags(set) => self.flags(&set.flags, range(&set.span)),
            Ast::Group(group) => {
                if let ast::GroupKind::NonCapturing(flags) = &group.kind {
                    self.flags(flags, range(&flags.span));
                }
            }
            Ast::Assertion(assertion) => {
                let (construct, here) = match assertion.kind {
                    ast::AssertionKind::WordBoundaryStartAngle => ("\\<", "the start of a word"),
                    ast::AssertionKind::WordBoundaryEndAngle => ("\\>", "the end of a word"),
                    _ => return Ok(()),
                };
                self.differs(
                    &assertion.span,
                    construct,
                    "the character itself",
                    here,
                    "leave out the backslash, or write \\b for the edge of a word",
                );
            }
            Ast::Literal(literal) => self.literal(literal),
            _ => (),
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), ()> {
        match item {
            ast::ClassSetItem::Bracketed(class) => {
                self.found.push((range(&class.span), nested_class()));
            }
            ast::ClassSetItem::Literal(literal) => self.literal(literal),
            _ => (),
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, op: &ast::ClassSetBinaryOp) -> Result<(), ()> {
        let instead = "put a backslash before each of the two characters";
        self.differs(
            &op.span,
            "&&, -- or ~~ inside a class",
            "plain characters",
            "a set operation",
            instead,
        );
        Ok(())
    }
}

impl Differences<'_> {
    fn differs(
        &mut self,
        at: &ast::Span,
        construct: &'static str,
        perl: &'static str,
        here: &'static str,
        instead: &str,
    ) {
        let kind = ErrorKind::Differs { construct, perl, here, instead: instead.to_owned() };
        self.found.push((range(at), kind));
    }

    fn two_quantifiers(&self, outer: &ast::Repetition, inner: &ast::Repetition) -> Mistake {
        let at = inner.op.span.start.offset..outer.op.span.end.offset;
        let second = self.text.get(range(&outer.op.span)).unwrap_or_default();
        if second == "+" && inner.greedy {
            let instead =
                "leave out the second +: nothing backtracks here, so it would gain nothing";
            return (at, perl_only("a possessive quantifier", instead));
        }
        let what = "two quantifiers in a row; put the inner one into (?:…)".to_owned();
        (at, ErrorKind::Syntax { what })
    }

    fn flags(&mut self, flags: &ast::Flags, at: Range<usize>) {
        if flags.flag_state(ast::Flag::CRLF) == Some(true) {
            self.found.push((at.clone(), recursion()));
        }
        if flags.flag_state(ast::Flag::Unicode) == Some(true) {
            let instead = "leave out the u: a log line is bytes, and classes are ASCII";
            self.found.push((at, perl_only("Unicode mode (?u)", instead)));
        }
    }

    fn literal(&mut self, literal: &ast::Literal) {
        let written = self.text.get(range(&literal.span)).unwrap_or_default();
        if written == "\\v" {
            self.differs(
                &literal.span,
                "\\v",
                "any vertical blank",
                "the one byte \\x0b",
                "write \\x0b if that byte is meant, else leave it out",
            );
        } else if written.starts_with("\\u") || written.starts_with("\\U") {
            let instead = "write the bytes in hexadecimal: \\x41";
            self.differs(
                &literal.span,
                "\\u",
                "the next letter in upper case",
                "a character by its number",
                instead,
            );
        }
    }
}

#[cfg(test)]
mod tests;
