//! What can be wrong with an ethfilter as it is written. Where in which file it stands, the
//! config knows.

use std::fmt;
use std::ops::Range;

use super::Property;
use super::symbols::Group;
use crate::log::ErrorKind;

/// One mistake in the value of one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// The property whose value it is in.
    pub property: Property,
    /// Where, in bytes of that value's text.
    pub at: Range<usize>,
    /// What is wrong.
    pub kind: FilterErrorKind,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterErrorKind {
    /// Nothing where a number or a symbol should be.
    Empty,
    /// The same property twice in one filter.
    Twice,
    /// A word that is neither number nor symbol.
    Unknown {
        /// The word.
        word: String,
        /// The symbols that the property knows; empty where it has none.
        known: &'static [(&'static str, u32)],
    },
    /// A symbol of another property.
    Elsewhere {
        /// The symbol.
        word: String,
        /// What it is, in words.
        what: &'static str,
    },
    /// A number that the property can never be.
    TooLarge {
        /// As written.
        word: String,
        /// The greatest that it can be.
        max: u32,
    },
    /// A range whose end comes before its start.
    Descending,
    /// A character that means nothing here.
    Character(char),
    /// A regular expression that is none, or that means something else than in Perl.
    Expression(ErrorKind),
}

impl FilterError {
    /// The way out, where there is one to tell.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let numbers = || match self.property.symbols().map(Group::symbols) {
            Some([(symbol, _), ..]) => {
                format!("write a number, a range such as 1-5, or a symbol such as {symbol}")
            }
            Some([]) | None => "write a number or a range such as 1-5".to_owned(),
        };
        match &self.kind {
            FilterErrorKind::Empty => Some(numbers()),
            FilterErrorKind::Twice => {
                Some("keep one of them; `22|80` is one or the other".to_owned())
            }
            FilterErrorKind::Unknown { known: [], .. } => Some(numbers()),
            FilterErrorKind::Unknown { known, .. } => {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                Some(format!("there are {}", names.join(" ")))
            }
            FilterErrorKind::Character(_) => Some(format!(
                "{}; `|` is or, `&` is and, `!` is not. Regular expressions are for addresses",
                numbers()
            )),
            FilterErrorKind::Elsewhere { .. }
            | FilterErrorKind::TooLarge { .. }
            | FilterErrorKind::Descending => None,
            FilterErrorKind::Expression(kind) => kind.help(),
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.kind)
    }
}

impl std::error::Error for FilterError {}

impl fmt::Display for FilterErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("has no value here"),
            Self::Twice => f.write_str("stands here a second time"),
            Self::Unknown { word, known: [] } => write!(f, "'{word}' is not a number"),
            Self::Unknown { word, .. } => write!(f, "unknown symbol '{word}'"),
            Self::Elsewhere { word, what } => {
                write!(f, "{word} is {what}, which this is never compared with")
            }
            Self::TooLarge { word, max } => write!(f, "{word} is too large; it is at most {max}"),
            Self::Descending => f.write_str("the range goes down"),
            Self::Character(character) => {
                write!(f, "'{}' means nothing in a number", character.escape_default())
            }
            Self::Expression(kind) => kind.fmt(f),
        }
    }
}
