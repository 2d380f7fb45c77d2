//! What a configuration needs of the machine that it is for: users, groups, folders, and programs of others.
//!
//! Nothing here looks around; the program that reads the file says how to ask.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::place::Place;
use crate::problem::{Problem, Severity};

/// Answers for a name what is wrong with that user or group.
pub type AskForUser = Arc<dyn Fn(&str) -> Option<Objection> + Send + Sync>;

/// Answers for a path what is wrong with the place.
pub type AskForPlace = Arc<dyn Fn(&Path) -> Option<Objection> + Send + Sync>;

/// How to ask. By default there is nothing to object to.
#[derive(Clone)]
#[non_exhaustive]
pub struct Machine {
    /// What keeps commands from running as the user of this name. Asked for each template.
    pub user: AskForUser,
    /// What keeps the control socket from being of the group of this name.
    pub group: AskForUser,
    /// What makes the control socket unsafe at this path.
    pub socket: AskForPlace,
    /// What keeps jobs from at(1).
    pub at: fn() -> Option<Objection>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            user: Arc::new(|_| None),
            group: Arc::new(|_| None),
            socket: Arc::new(|_| None),
            at: || None,
        }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
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
