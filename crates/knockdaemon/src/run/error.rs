//! Why the daemon could not start, or had to end.

use std::fmt;

use knock_sources::SourceError;

/// Why the daemon could not start, or had to end.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum RunError {
    /// The state folder is not usable.
    Store(knock_actions::StoreError),
    /// A thread or a signal handler could not be set up.
    System(std::io::Error),
    /// No source could begin to read.
    NoSource(String, SourceError),
}

impl RunError {
    /// Whether a missing permission is the reason.
    #[must_use]
    pub(crate) fn is_permission(&self) -> bool {
        match self {
            Self::Store(error) => std::error::Error::source(error)
                .and_then(|source| source.downcast_ref::<std::io::Error>())
                .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied),
            Self::System(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
            Self::NoSource(_, error) => error.is_permission(),
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::System(error) => write!(f, "the system refused a thread or a signal: {error}"),
            Self::NoSource(name, error) => {
                write!(f, "nothing left to read: {name}: {error}")
            }
        }
    }
}

impl std::error::Error for RunError {}
