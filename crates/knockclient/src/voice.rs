//! What the client says and where: answers to stdout, everything else to stderr.
//! Decides nothing; `-quiet` and `-debug` end here.

use std::fmt::Display;
use std::io::{self, Write as _};

use knock_config::Problem;
use knock_config::report::{self, Colour, Sources};

use crate::error::ClientError;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Nothing but the exit code, and stdout where it was asked for.
    Quiet,
    /// Errors and warnings.
    Plain,
    /// What is done, too.
    Debug,
}

impl Voice {
    /// From the two options; who asks for both wants silence.
    pub(crate) fn new(quiet: bool, debug: bool) -> Self {
        match (quiet, debug) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Debug,
            (false, false) => Self::Plain,
        }
    }

    pub(crate) fn error(self, error: &ClientError) {
        if self != Self::Quiet {
            say(error);
        }
    }

    pub(crate) fn warn(self, warning: &str) {
        if self != Self::Quiet {
            say(&format_args!("warning: {warning}"));
        }
    }

    pub(crate) fn debug(self, text: &str) {
        if self == Self::Debug {
            say(&text);
        }
    }

    /// What is wrong with a config file, and where.
    pub(crate) fn problems(self, problems: &[Problem], sources: &Sources) {
        if self != Self::Quiet {
            // Nobody is left to tell when stderr is gone.
            let _ = report::print(problems, sources, Colour::Never, &mut io::stderr().lock());
        }
    }

    /// The answer that was asked for.
    pub(crate) fn print(self, line: &str) -> Result<(), ClientError> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(ClientError::Stdout)
    }
}

fn say(what: &dyn Display) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(io::stderr().lock(), "knockclient: {what}");
}
