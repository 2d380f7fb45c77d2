//! A regular expression of `=~ /…/`. Refuses what Perl would read in another way, silently, rather
//! than match something else than the author meant.

use std::fmt;
use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ast::{self, Ast};

use crate::error::RuleError;
use crate::limits::MAX_PATTERN;

/// A compiled expression with the text that it came from.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    source: String,
    flags: String,
    regex: Regex,
}

impl Pattern {
    /// `source` stands between the slashes and begins at byte `at` of the rule; so do the flags.
    pub(crate) fn compile(
        source: &str,
        at: usize,
        flags: &str,
        flags_at: usize,
    ) -> Result<Self, Vec<RuleError>> {
        let mut errors = Vec::new();
        let mut builder = RegexBuilder::new(source);
        // Perl matched byte strings here: ASCII classes, any byte for `.`.
        builder.unicode(false).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
        for (index, flag) in flags.char_indices() {
            match flag {
                'i' => builder.case_insensitive(true),
                'm' => builder.multi_line(true),
                's' => builder.dot_matches_new_line(true),
                'x' => builder.ignore_whitespace(true),
                // Compile once: what we always do.
                'o' => &mut builder,
                _ => {
                    let at = flags_at + index..flags_at + index + flag.len_utf8();
                    let message = format!("unknown flag `{flag}` behind a regular expression");
                    errors.push(RuleError::new(at, message).help_with("i, m, s and x are known"));
                    &mut builder
                }
            };
        }
        if source.is_empty() {
            let error = RuleError::new(at..at, "an empty regular expression");
            errors
                .push(error.help_with("in Perl it means the last one that matched; write it out"));
            return Err(errors);
        }
        differences(source, at, flags.contains('x'), &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        match builder.build() {
            Ok(regex) => Ok(Self { source: source.to_owned(), flags: flags.to_owned(), regex }),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or("it is not valid").trim();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                let message = format!("this regular expression cannot be used: {reason}");
                Err(vec![RuleError::new(at..at + source.len(), message)])
            }
        }
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, &self.flags) == (&other.source, &other.flags)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.source, self.flags)
    }
}

/// Pushes an error for what is Perl only, and for what both take but read differently.
fn differences(source: &str, at: usize, ignore_whitespace: bool, errors: &mut Vec<RuleError>) {
    let mut parser = ast::parse::ParserBuilder::new();
    match parser.ignore_whitespace(ignore_whitespace).build().parse(source) {
        Ok(ast) => {
            // The visitor stops at the first; one at a time is enough for a line of regex.
            if let Err((span, message, help)) = ast::visit(&ast, Differences) {
                errors.push(RuleError::new(shifted(&span, at), message).help_with(help));
            }
        }
        Err(error) => {
            use ast::ErrorKind as Kind;
            let kind = error.kind();
            let (message, help) = match kind {
                Kind::UnsupportedLookAround => (
                    "look-around is Perl's; it is not available here".to_owned(),
                    Some("combine two matches with &&, or use !~"),
                ),
                Kind::UnsupportedBackreference => {
                    ("back-references are Perl's; they are not available here".to_owned(), None)
                }
                kind => (format!("bad regular expression: {kind}"), None),
            };
            let error = RuleError::new(shifted(error.span(), at), message);
            errors.push(match help {
                Some(help) => error.help_with(help),
                None => error,
            });
        }
    }
    if let Some(dollar) = interpolation(source) {
        let place = at + dollar..at + dollar + 1;
        let error = RuleError::new(place, "a Perl variable in a regular expression");
        errors.push(error.help_with("nothing is put in here; write \\$ for a dollar sign"));
    }
}

fn shifted(span: &ast::Span, at: usize) -> Range<usize> {
    at + span.start.offset..at + span.end.offset
}

/// Where Perl would put in a variable: `$` before a name.
fn interpolation(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut escaped = false;
    for (index, byte) in bytes.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if *byte == b'\\' {
            escaped = true;
        } else if *byte == b'$' {
            let next = bytes.get(index + 1).copied().unwrap_or(b' ');
            if next.is_ascii_alphabetic() || next == b'_' || next == b'{' {
                return Some(index);
            }
        }
    }
    None
}

struct Differences;

type Difference = (ast::Span, &'static str, &'static str);

impl ast::Visitor for Differences {
    type Output = ();
    type Err = Difference;

    fn finish(self) -> Result<(), Difference> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Difference> {
        use ast::AssertionKind as Kind;
        match ast {
            Ast::Repetition(outer) if matches!(*outer.ast, Ast::Repetition(_)) => Err((
                outer.op.span,
                "a possessive or doubled quantifier",
                "drop the last sign; nothing here backtracks anyway",
            )),
            Ast::Assertion(assertion) => match assertion.kind {
                Kind::WordBoundaryStartAngle | Kind::WordBoundaryEndAngle => Err((
                    assertion.span,
                    "\\< and \\> are plain signs in Perl, word boundaries here",
                    "write < for the sign, \\b for the boundary",
                )),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), Difference> {
        match item {
            ast::ClassSetItem::Bracketed(inner) => Err((
                inner.span,
                "a [ inside [ ] is a plain sign in Perl, a nested class here",
                "write \\[",
            )),
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(
        &mut self,
        operation: &ast::ClassSetBinaryOp,
    ) -> Result<(), Difference> {
        Err((
            operation.span,
            "&&, -- and ~~ inside [ ] are plain signs in Perl, operations on sets here",
            "write each sign once",
        ))
    }
}
