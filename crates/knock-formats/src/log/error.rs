//! What can be wrong with a logformat as it is written. Finding it out is `dialect.rs`'s work and
//! `format.rs`'s; where in which file it stands, the config's.

use std::fmt;
use std::ops::Range;

use super::FieldName;

/// One mistake in one expression of a logformat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The expression it is in, or the one that is missing.
    pub field: FieldName,
    /// Where it stands, in bytes of that expression's text; empty when the expression is missing.
    pub at: Range<usize>,
    /// What is wrong.
    pub kind: ErrorKind,
}

impl FormatError {
    /// The way out, where there is one to tell.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        self.kind.help()
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.kind)
    }
}

impl std::error::Error for FormatError {}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A format without it never yields a hit.
    Missing,
    /// The same name twice.
    Twice,
    /// Nothing is captured.
    NoGroup,
    /// Longer than [`super::MAX_EXPRESSION`].
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It would compile into too large a machine.
    TooBig,
    /// Perl has it, a linear-time engine has not, or means something else by it.
    PerlOnly {
        /// What Perl's manual calls it.
        construct: &'static str,
        /// What to write instead.
        instead: String,
    },
    /// It would silently mean something else than in Perl.
    Differs {
        /// The construct.
        construct: &'static str,
        /// What Perl takes it for.
        perl: &'static str,
        /// What it would be taken for here.
        here: &'static str,
        /// What to write instead.
        instead: String,
    },
    /// Not a regular expression.
    Syntax {
        /// The parser's words.
        what: String,
    },
}

impl ErrorKind {
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::Missing => Some(
                "add it: the first group captures the value, such as `SRC=([0-9.]+)`".to_owned(),
            ),
            Self::Twice => Some("keep one of them; `(?:this|that)` matches either".to_owned()),
            Self::NoGroup => Some("put the value into parentheses: `DPT=(\\d+)`".to_owned()),
            Self::TooLong { .. } => None,
            Self::TooBig => Some("use + or * instead of large counts such as {1,5000}".to_owned()),
            Self::PerlOnly { instead, .. } | Self::Differs { instead, .. } => Some(instead.clone()),
            Self::Syntax { .. } => None,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing; a line yields a hit only when it matches"),
            Self::Twice => f.write_str("stands here a second time"),
            Self::NoGroup => f.write_str("has no capture group, so it captures nothing"),
            Self::TooLong { bytes } => {
                write!(f, "has {bytes} bytes; an expression may have {}", super::MAX_EXPRESSION)
            }
            Self::TooBig => f.write_str("is too large once it is compiled"),
            Self::PerlOnly { construct, .. } => {
                write!(f, "{construct}: Perl has it, expressions here have not")
            }
            Self::Differs { construct, perl, here, .. } => {
                write!(f, "{construct} is {perl} in Perl, and would be {here} here")
            }
            Self::Syntax { what } => write!(f, "not a regular expression: {what}"),
        }
    }
}
