//! What is wrong with the user's file, said so that they can put it right.
//!
//! Only the data; `report` draws it.

use crate::place::Place;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file is used, but probably does not say what its writer meant.
    Warning,
}

/// One mistake in a config file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where, if it stands somewhere.
    pub at: Option<Place>,
    /// What is wrong and what was expected.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
}

impl Problem {
    /// An error at a place.
    pub fn error(at: Place, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Error, at: Some(at), message: message.into(), help: None }
    }

    /// A warning at a place.
    pub fn warning(at: Place, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(at, message) }
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Problem { help: Some(help.into()), ..self }
    }
}

/// What came of reading something: a value, and all that was found on the way.
#[derive(Debug, Clone)]
pub struct Reading<T> {
    /// The value; `None` when any problem is an error.
    pub value: Option<T>,
    /// Everything that was found, in the order of the file.
    pub problems: Vec<Problem>,
}

impl<T> Reading<T> {
    /// Keeps the value only if no problem is an error.
    pub fn new(value: T, problems: Vec<Problem>) -> Self {
        let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
        Reading { value: (!failed).then_some(value), problems }
    }
}
