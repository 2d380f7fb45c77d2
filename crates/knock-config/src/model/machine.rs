//! What a configuration needs of the machine that it is for: users, and programs of others.
//!
//! Nothing here looks around; the program that reads the file says how to ask.

use crate::place::Place;
use crate::problem::{Problem, Severity};

/// How to ask. By default there is nothing to object to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Machine {
    /// What keeps commands from running as the user of this name.
    pub user: fn(&str) -> Option<Objection>,
    /// What keeps jobs from at(1).
    pub at: fn() -> Option<Objection>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { user: |_| None, at: || None }
    }
}

/// A problem whose place the reader of the file knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: String,
}

impl Objection {
    pub(super) fn at(self, place: Place) -> Problem {
        let Self { severity, message, help } = self;
        Problem { severity, at: Some(place), message, help: Some(help) }
    }
}
