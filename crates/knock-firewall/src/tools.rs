//! Programs of this host, as far as this crate needs any: for what is written once and is not in a
//! hurry. Who runs them is the caller's business, who knows how to end one that hangs.

use std::fmt;
use std::time::Duration;

/// Runs programs.
pub trait Tools: fmt::Debug + Send + Sync {
    /// Whether there is a program of this name.
    fn has(&self, program: &str) -> bool;

    /// Runs it to its end, with this on its standard input, in the language `C`.
    ///
    /// # Errors
    /// When nothing is known of its end.
    fn run(
        &self,
        program: &str,
        args: &[&str],
        input: &str,
        limit: Duration,
    ) -> Result<Ran, ToolError>;
}

/// How a program ended by itself, and what it said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit status; none after a signal.
    pub status: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    pub(crate) fn is_success(&self) -> bool {
        self.status == Some(0)
    }
}

/// Why nothing is known of a program's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolError {
    /// There is none of that name.
    Missing,
    /// It took too long, and was ended.
    TimedOut,
    /// It could not be run or watched, for this reason.
    NotRun(String),
}
