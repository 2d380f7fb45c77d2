//! The readable copy of the state variable: one file beside the store, for people.
//!
//! Writes it whole or not at all, and takes nothing of anybody's away: what it cannot believe, or did
//! not write, is moved aside. Which of file and store is right is the caller's business.

mod text;

use std::error::Error;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use knock_rules::Memory;
use rustix::fs::OFlags;
use rustix::process::geteuid;

/// A file larger than this is none of ours: the state variable has an end too.
const MAX_FILE: u64 = 128 * 1024 * 1024;
/// Files moved aside that are kept. Each of them is something that somebody should look at.
const MAX_ASIDE: u32 = 99;

/// The file, and what it looked like when we last read or wrote it.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    known: Option<Stamp>,
}

/// What was found in place of the file.
#[derive(Debug)]
pub enum FoundState {
    /// There is none.
    Nothing,
    /// It is as a daemon wrote it.
    Written {
        /// How often the variable had been changed then.
        generation: u64,
        /// What it holds.
        memory: Memory,
    },
    /// Somebody has written or edited it.
    Edited {
        /// How often the variable had been changed before, as far as it says.
        generation: u64,
        /// What it holds.
        memory: Memory,
    },
    /// It could not be believed, and was moved aside.
    Damaged(MovedAside),
}

/// A file that was in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedAside {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is now.
    pub to: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for MovedAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, what } = self;
        write!(f, "the statefile {} {what}; it was moved to {}", from.display(), to.display())
    }
}

/// Why the file cannot be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateFileError {
    /// The system does not let us.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, as in "cannot …".
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It is a link, a folder or a device.
    NoFile {
        /// What is named so.
        path: PathBuf,
    },
    /// No name is left to move another one aside.
    TooManyAside {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for StateFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, doing, source } => {
                write!(f, "cannot {doing} the statefile {}: {source}", path.display())
            }
            Self::NoFile { path } => write!(
                f,
                "the statefile {} is a link, a folder or a device; name a plain file",
                path.display()
            ),
            Self::TooManyAside { path } => write!(
                f,
                "too many files were moved aside from {}; look at them, and move them away",
                path.display()
            ),
        }
    }
}

impl Error for StateFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::NoFile { .. } | Self::TooManyAside { .. } => None,
        }
    }
}

impl StateFile {
    /// A file of which nothing is read: what stands there is not ours.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, known: None }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file, if there is one. What cannot be believed is moved aside.
    ///
    /// # Errors
    /// When it cannot be read or moved. It must not be written then: it would be lost.
    pub fn read(&mut self) -> Result<FoundState, StateFileError> {
        let no_link = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(no_link.bits().cast_signed())
            .open(&self.path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(FoundState::Nothing);
            }
            Err(_) if self.path.is_symlink() => return Err(self.no_file()),
            Err(error) => return Err(self.failed("read")(error)),
        };
        let metadata = file.metadata().map_err(self.failed("look at"))?;
        if !metadata.is_file() {
            return Err(self.no_file());
        }
        if let Some(why) = writable(&metadata) {
            return self.damaged(why);
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(self.failed("read"))?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_FILE) {
            return self.damaged("is damaged (it is far too large)".to_owned());
        }
        match text::read(&bytes) {
            Err(why) => self.damaged(format!("is damaged ({why})")),
            Ok(text::Read { memory, generation, sealed }) => {
                self.known = Some(Stamp::of(&metadata));
                Ok(if sealed {
                    FoundState::Written { generation, memory }
                } else {
                    FoundState::Edited { generation, memory }
                })
            }
        }
    }

    /// Writes the file. On return it is on the disk, and whoever reads it finds all of it or all of
    /// what was there before. One that somebody else has put there meanwhile is moved aside first.
    ///
    /// # Errors
    /// When it cannot; the file is what it was then.
    pub fn write(
        &mut self,
        memory: &Memory,
        generation: u64,
    ) -> Result<Option<MovedAside>, StateFileError> {
        let new = self.beside(".new");
        let written = self.write_new(&new, &text::write(memory, generation));
        let finished = written.and_then(|file| {
            let foreign = self.is_foreign()?;
            let aside = foreign
                .then(|| self.move_aside("edited", "was changed by somebody else".to_owned()))
                .transpose()?;
            fs::rename(&new, &self.path).map_err(self.failed("replace"))?;
            // The name has to be durable too.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))
                .and_then(|folder| folder.sync_all())
                .map_err(self.failed("keep"))?;
            Ok((file.metadata().map_err(self.failed("look at"))?, aside))
        });
        match finished {
            Ok((metadata, aside)) => {
                self.known = Some(Stamp::of(&metadata));
                Ok(aside)
            }
            Err(error) => {
                // Half a file helps nobody, and takes room that is missing perhaps.
                let _ = fs::remove_file(&new);
                Err(error)
            }
        }
    }

    fn write_new(&self, path: &Path, text: &str) -> Result<File, StateFileError> {
        // One that a crash has left.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(self.failed("write")(error));
            }
            Ok(()) | Err(_) => {}
        }
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = opened.map_err(self.failed("write"))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(self.failed("write"))?;
        Ok(file)
    }

    /// Whether something stands there that we neither wrote nor read.
    fn is_foreign(&self) -> Result<bool, StateFileError> {
        match fs::symlink_metadata(&self.path) {
            Ok(metadata) if !metadata.is_file() => Err(self.no_file()),
            Ok(metadata) => Ok(self.known != Some(Stamp::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed("look at")(error)),
        }
    }

    fn damaged(&self, what: String) -> Result<FoundState, StateFileError> {
        self.move_aside("damaged", what).map(FoundState::Damaged)
    }

    fn move_aside(&self, suffix: &str, what: String) -> Result<MovedAside, StateFileError> {
        let to = (1..=MAX_ASIDE)
            .map(|number| self.beside(&format!(".{suffix}-{number}")))
            .find(|to| fs::symlink_metadata(to).is_err())
            .ok_or_else(|| StateFileError::TooManyAside { path: self.path.clone() })?;
        fs::rename(&self.path, &to).map_err(self.failed("move away"))?;
        Ok(MovedAside { from: self.path.clone(), to, what })
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    }

    fn no_file(&self) -> StateFileError {
        StateFileError::NoFile { path: self.path.clone() }
    }

    fn failed(&self, doing: &'static str) -> impl Fn(io::Error) -> StateFileError + 'static {
        let path = self.path.clone();
        move |source| StateFileError::Io { path: path.clone(), doing, source }
    }
}

/// What stands in it decides who gets in, so it must not be anybody's to write.
fn writable(metadata: &fs::Metadata) -> Option<String> {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != 0 && owner != geteuid().as_raw() {
        Some(format!("belongs to user {owner}, and is not believed"))
    } else if mode & 0o022 != 0 {
        Some(format!("can be written by others (mode {mode:04o}), and is not believed"))
    } else {
        None
    }
}

/// Tells one state of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests;
