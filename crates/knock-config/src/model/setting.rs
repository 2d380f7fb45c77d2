//! A value together with where it came from, for problems that show only when several are put
//! together.

use std::ops::Range;

use crate::place::Place;
use crate::problem::{Problem, Severity};
use crate::tree::Scalar;

/// A value from the file or from the command line.
#[derive(Clone, Debug)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    origin: Origin,
}

/// The same value, wherever it stands.
impl<T: PartialEq> PartialEq for Setting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

#[derive(Clone, Debug)]
enum Origin {
    CommandLine,
    At(Place),
    // Boxed, since a scalar knows the place of every byte of its text.
    Text(Box<Scalar>),
}

impl<T> Setting<T> {
    /// A value that stands in no file.
    pub fn given(value: T) -> Self {
        Self { value, origin: Origin::CommandLine }
    }

    /// A value whose parts need no place of their own. Secrets come this way, since the other
    /// keeps the text.
    pub(crate) fn at_place(value: T, at: Place) -> Self {
        Self { value, origin: Origin::At(at) }
    }

    pub(crate) fn from_text(value: T, text: &Scalar) -> Self {
        Self { value, origin: Origin::Text(Box::new(text.clone())) }
    }

    /// Where it stands, if in a file.
    pub fn at(&self) -> Option<Place> {
        match &self.origin {
            Origin::CommandLine => None,
            Origin::At(place) => Some(place.clone()),
            Origin::Text(text) => Some(text.place()),
        }
    }

    /// An error about a part of it; `key` is its name, for those that have no place.
    pub(crate) fn problem(
        &self,
        key: &str,
        part: Range<usize>,
        message: impl std::fmt::Display,
    ) -> Problem {
        let at = match &self.origin {
            Origin::CommandLine => None,
            Origin::At(place) => Some(place.clone()),
            Origin::Text(text) => Some(text.place_of(part)),
        };
        let message = if at.is_some() { message.to_string() } else { format!("{key}: {message}") };
        Problem { severity: Severity::Error, at, message, help: None }
    }
}
