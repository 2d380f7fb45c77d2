//! Why the store cannot be opened or written, and what it has to tell when it can.
//! Sentences for the admin; deciding what follows is the caller's business.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store cannot be opened, or a change not be made durable.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder or a file in it cannot be made or used.
    Folder {
        /// Which.
        path: PathBuf,
        /// What was tried, as in "cannot …".
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Others could put commands of theirs into the agenda.
    Writable {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another daemon works with this folder.
    InUse {
        /// The folder.
        dir: PathBuf,
        /// That daemon's process, if it told.
        pid: Option<u32>,
    },
    /// A newer version of this program has written it.
    Newer {
        /// The database.
        path: PathBuf,
        /// The version of its tables.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The disk is full.
    NoRoom {
        /// The database.
        path: PathBuf,
    },
    /// It was damaged while in use.
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It was removed while in use, or another file stands in its place.
    Gone {
        /// The database.
        path: PathBuf,
    },
    /// There have been so many damaged ones that no name is left for another.
    TooManySetAside {
        /// The folder.
        dir: PathBuf,
    },
    /// The database cannot be read or written for another reason.
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, doing, source } => write!(
                f,
                "cannot {doing} {}: {source}; let the daemon's user own a writable folder, or set \
                 'statedir' to another",
                path.display()
            ),
            Self::Writable { path, why } => write!(
                f,
                "{} {why}: others could write commands into the agenda; 'chown' it to the \
                 daemon's user and 'chmod go-w' it",
                path.display()
            ),
            Self::InUse { dir, pid } => {
                write!(f, "another knockdaemon")?;
                if let Some(pid) = pid {
                    write!(f, " (process {pid})")?;
                }
                write!(f, " works with {}; stop it, or give each its own 'statedir'", dir.display())
            }
            Self::Newer { path, found, known } => write!(
                f,
                "{} was written by a newer knockdaemon (tables of version {found}, this one knows \
                 {known}); run that one, or move the file away to start with an empty agenda",
                path.display()
            ),
            Self::NoRoom { path } => {
                write!(f, "no room left on the disk of {}; free some", path.display())
            }
            Self::Damaged { path, what } => write!(
                f,
                "{} was damaged while in use ({what}); restart the daemon, which sets it aside",
                path.display()
            ),
            Self::Gone { path } => write!(
                f,
                "{} was removed or replaced while in use, and what is written now would be lost at \
                 the next start; restart the daemon",
                path.display()
            ),
            Self::TooManySetAside { dir } => write!(
                f,
                "{} is full of damaged stores; look at them, and at the disk, and move them away",
                dir.display()
            ),
            Self::Database { path, source } => write!(f, "cannot use {}: {source}", path.display()),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Folder { source, .. } => Some(source),
            Self::Database { source, .. } => Some(source.as_ref()),
            Self::Writable { .. }
            | Self::InUse { .. }
            | Self::Newer { .. }
            | Self::NoRoom { .. }
            | Self::Damaged { .. }
            | Self::Gone { .. }
            | Self::TooManySetAside { .. } => None,
        }
    }
}

/// What the admin should be told about a store that was opened all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreNotice {
    /// It was damaged, and an empty one stands in its place: nothing of it is believed.
    SetAside {
        /// Where it was.
        from: PathBuf,
        /// Where it is now.
        to: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// There is none, or one of no bytes, although a daemon has worked here before.
    Vanished {
        /// Where it should be.
        path: PathBuf,
    },
    /// It could be read by others, and no longer can.
    Narrowed {
        /// The database.
        path: PathBuf,
    },
}

impl fmt::Display for StoreNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { from, to, what } => write!(
                f,
                "{} is damaged ({what}) and was moved to {}; the agenda starts empty, so look \
                 whether the firewall still has rules that it would have removed; knocks that \
                 were accepted before could be sent again, so change the key if somebody may \
                 have seen them",
                from.display(),
                to.display()
            ),
            Self::Vanished { path } => write!(
                f,
                "{} is gone, though a knockdaemon has worked here before; the agenda starts empty, \
                 so look whether the firewall still has rules that it would have removed; knocks \
                 that were accepted before could be sent again, so change the key if somebody may \
                 have seen them",
                path.display()
            ),
            Self::Narrowed { path } => {
                write!(f, "{} could be read by others; it no longer can", path.display())
            }
        }
    }
}

/// What went wrong inside the database, before it is known where it is.
#[derive(Debug)]
pub(super) enum Fault {
    /// What stands in it is not what was written.
    Damage(String),
    /// It is fine, but a newer program's.
    Newer(i64),
    NoRoom,
    Other(rusqlite::Error),
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Damage(what) => StoreError::Damaged { path, what },
            Self::Newer(found) => StoreError::Newer { path, found, known: super::schema::VERSION },
            Self::NoRoom => StoreError::NoRoom { path },
            Self::Other(source) => StoreError::Database { path, source: Box::new(source) },
        }
    }
}

/// Every statement of ours is right for tables of ours. So what is not the surroundings' fault is
/// damage, also where SQLite calls it bad SQL: the name of a column may be what was hit.
impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoRoom,
            Some(
                ErrorCode::PermissionDenied
                | ErrorCode::OperationAborted
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::OperationInterrupted
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::ApiMisuse,
            ) => Self::Other(error),
            _ => Self::Damage(error.to_string()),
        }
    }
}
