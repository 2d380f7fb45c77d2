//! The other end of the control socket: asks the running daemon and waits for what it says.
//! Decides nothing and prints nothing.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::exit::Exit;

use super::frame::{FrameError, Line};
use super::protocol::{Answer, MAX_ANSWER, Request};

/// How long an answer may take: longer than the daemon itself waits for its loop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A reload asks for users, who may stand in a directory that does not answer.
const PATIENCE_RELOAD: Duration = Duration::from_secs(90);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// Nobody is there.
    NotRunning {
        /// Where.
        socket: PathBuf,
    },
    /// The file's mode says no.
    NotPermitted {
        /// Of which socket.
        socket: PathBuf,
    },
    /// The socket cannot be used.
    Socket {
        /// Which.
        socket: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The daemon did not answer.
    Unanswered(FrameError),
    /// It answered something that is none.
    NotUnderstood(serde_json::Error),
}

impl AskError {
    /// How it ends the program.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NotRunning { .. } => Exit::NotRunning,
            Self::NotPermitted { .. } => Exit::Permission,
            Self::Socket { .. } => Exit::Input,
            Self::Unanswered(_) | Self::NotUnderstood(_) => Exit::NoAnswer,
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning { socket } => write!(
                f,
                "no daemon answers at {}\nhelp: start it with 'systemctl start knockdaemon' or \
                 'knockdaemon run'; if one runs with another configuration, name that (-conf FILE) or \
                 its socket (--socket PATH)",
                socket.display()
            ),
            Self::NotPermitted { socket } => write!(
                f,
                "you may not use {}\nhelp: do it as root, or join the group that the socket belongs to \
                 ('controlgroup', else the daemon's own): usermod -aG GROUP YOU, and log in again",
                socket.display()
            ),
            Self::Socket { socket, error } => {
                write!(f, "cannot use the control socket {}: {error}", socket.display())
            }
            Self::Unanswered(error) => write!(
                f,
                "the daemon did not answer: {error}\nhelp: its log tells what it is busy with"
            ),
            Self::NotUnderstood(error) => write!(
                f,
                "the daemon's answer cannot be read: {error}\nhelp: is it of another version? Restart \
                 it after an upgrade"
            ),
        }
    }
}

/// Asks, and waits for the answer.
pub(crate) fn ask(socket: &Path, request: &Request) -> Result<Answer, AskError> {
    let stream = connect(socket)?;
    let patience = match request {
        Request::Reload {} => PATIENCE_RELOAD,
        _ => PATIENCE,
    };
    let line = Line::within(&stream, patience);
    let request = serde_json::to_vec(request).map_err(AskError::NotUnderstood)?;
    // A daemon that refuses at once has closed its end before it has read; its answer is there.
    let written = line.write(&request);
    let answer = line.read(MAX_ANSWER).map_err(|error| match written {
        Err(error) => AskError::Unanswered(error),
        Ok(()) => AskError::Unanswered(error),
    })?;
    serde_json::from_slice(&answer).map_err(AskError::NotUnderstood)
}

fn connect(socket: &Path) -> Result<UnixStream, AskError> {
    let path = || socket.to_owned();
    UnixStream::connect(socket).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            AskError::NotRunning { socket: path() }
        }
        io::ErrorKind::PermissionDenied => AskError::NotPermitted { socket: path() },
        _ => AskError::Socket { socket: path(), error },
    })
}
