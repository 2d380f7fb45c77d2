//! Why there is no control socket.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is none. The daemon runs without it: a port must close whether or not anybody can ask.
#[derive(Debug)]
pub(crate) enum ControlError {
    /// Another daemon answers there.
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// Something else than a socket has the name.
    NoSocket {
        /// Which.
        path: PathBuf,
    },
    /// A stranger has made the file that is to be locked, and it cannot be removed.
    Stranger {
        /// That file.
        lock: PathBuf,
        /// Whose it is.
        user: u32,
        /// Why it stays.
        error: io::Error,
    },
    /// The group is not known.
    Group(knock_actions::GroupError),
    /// The system refused.
    Failed {
        /// Which file.
        path: PathBuf,
        /// What was tried with it.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

impl ControlError {
    pub(crate) fn failed(
        path: &Path,
        what: &'static str,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Failed { path, what, error }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "give this daemon a 'controlsocket' of its own",
            Self::NoSocket { .. } => "move it away, or name another 'controlsocket'",
            Self::Stranger { .. } => {
                "remove it, and name a 'controlsocket' in a folder that nobody else may write to"
            }
            Self::Group(error) => error.help(),
            Self::Failed { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                "name a 'controlsocket' in a folder that the daemon's user may write to, and a \
                 'controlgroup' that it is in"
            }
            Self::Failed { .. } => "name another 'controlsocket'",
        }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { path } => {
                write!(f, "another daemon answers at {}", path.display())
            }
            Self::NoSocket { path } => write!(f, "{} is no socket", path.display()),
            Self::Stranger { lock, user, error } => write!(
                f,
                "{} is of user {user}, who keeps the socket from us, and cannot be removed: {error}",
                lock.display()
            ),
            Self::Group(error) => {
                write!(f, "{error}, so nobody but root and the daemon's own user may ask")
            }
            Self::Failed { path, what, error } => {
                write!(f, "cannot {what} {}: {error}", path.display())
            }
        }?;
        write!(f, "; {}", self.help())
    }
}
