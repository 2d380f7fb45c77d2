//! Exit codes: the numbers of `sysexits(3)`, so that scripts and units can tell failures apart.

use std::process::ExitCode;

/// How a run of the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Ok,
    /// `check` found mistakes, `explain` no knock, a sample of a logformat does not hold, or the running
    /// daemon refused.
    Problems,
    /// The command line was wrong (`EX_USAGE`).
    Usage,
    /// No daemon runs that could be asked (`EX_UNAVAILABLE`).
    NotRunning,
    /// The running daemon did not answer (`EX_TEMPFAIL`).
    NoAnswer,
    /// A log, a device, the store, the firewall or an output could not be read or written (`EX_IOERR`).
    Input,
    /// Something is not permitted (`EX_NOPERM`).
    Permission,
    /// The configuration is missing or wrong (`EX_CONFIG`).
    Config,
}

impl Exit {
    /// This, unless all went well: then the other.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == Self::Ok { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Problems => 1,
            Exit::Usage => 64,
            Exit::NotRunning => 69,
            Exit::Input => 74,
            Exit::NoAnswer => 75,
            Exit::Permission => 77,
            Exit::Config => 78,
        })
    }
}

/// The list in `--help` and in the manual.
pub(crate) const TABLE: &str = "\
Exit status:
   0  success
   1  check found mistakes, explain no knock, a sample of formats failed, or the daemon refused
  64  the command line is wrong
  69  no daemon runs that could be asked
  74  a log, a device, the state folder, the firewall or an output cannot be read or written
  75  the running daemon did not answer
  77  a permission is missing
  78  the configuration is missing or wrong, or cannot be converted";
