//! The folder that the store lives in: whose it is, that we are alone in it, and where a damaged
//! database goes. Knows the outside of the database only.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::error::{StoreError, StoreNotice};
use crate::left_behind::Session;

/// The database.
const DATABASE: &str = "knockdaemon.db";
/// Locked while a daemon works here; holds the number of its process, and its session.
const LOCK: &str = "lock";
/// What SQLite puts beside a database.
const COMPANIONS: [&str; 3] = [LOG, "-shm", "-journal"];
/// The companion that new rows are written to first.
const LOG: &str = "-wal";
/// Damaged databases that are kept. Each of them was lost to a fault that somebody should look at.
const MAX_ASIDE: u32 = 99;
/// Every SQLite 3 file begins so.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A folder that no other daemon works in while this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: Lock,
}

#[derive(Debug)]
struct Lock {
    file: File,
    /// Whether a daemon has been here before.
    used: bool,
    session_before: Option<Session>,
}

/// Device and inode of the database, and of its log, which has the newest part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity([(u64, u64); 2]);

/// Closing the file would not do: a child of ours that is just being started holds it open too,
/// until it runs its program.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Folder {
    /// Makes it where it is missing.
    pub(super) fn enter(path: &Path) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(failed(path, "find the folder"))?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(failed(&path, "make the folder"))?;
        let metadata = fs::metadata(&path).map_err(failed(&path, "look at the folder"))?;
        refuse_writable(&path, &metadata)?;
        let lock = lock(&path)?;
        // The folder's own name has to be durable before anything in it is.
        for folder in [path.parent(), Some(&path)].into_iter().flatten() {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(Self { path, lock })
    }

    pub(super) fn session_before(&self) -> Option<Session> {
        self.lock.session_before.clone()
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Which files the open database is in. Looks at their names only: to open and close one would
    /// drop SQLite's locks on it.
    pub(super) fn identity(&self) -> Result<Identity, StoreError> {
        let database = self.database();
        let of = |path: &Path| match fs::symlink_metadata(path) {
            Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Gone { path: path.to_owned() })
            }
            Err(error) => Err(failed(path, "look at")(error)),
        };
        Ok(Identity([of(&database)?, of(&with_suffix(&database, LOG))?]))
    }

    /// Makes the database where it is missing, readable for nobody else. An `Err` inside tells why
    /// SQLite need not even look at it.
    pub(super) fn look_at_database(
        &self,
        notices: &mut Vec<StoreNotice>,
    ) -> Result<Result<(), String>, StoreError> {
        let path = self.database();
        let file = open_private(&path)?;
        let metadata = file.metadata().map_err(failed(&path, "look at"))?;
        refuse_writable(&path, &metadata)?;
        if metadata.mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))
                .map_err(failed(&path, "narrow the permissions of"))?;
            notices.push(StoreNotice::Narrowed { path: path.clone() });
        }
        if !metadata.is_file() {
            return Ok(Err("it is no file".to_owned()));
        }
        if metadata.len() == 0 {
            if self.lock.used {
                notices.push(StoreNotice::Vanished { path });
            }
            return Ok(Ok(()));
        }
        let mut head = [0; 20];
        let read = (&file).read_exact(&mut head);
        Ok(match (read, head) {
            (Err(error), _) => Err(format!("its head cannot be read: {error}")),
            (Ok(()), head) if !head.starts_with(MAGIC) => Err("it is no database".to_owned()),
            // Versions for writing and reading. SQLite opens a file with an unknown version for
            // writing, and then refuses every write.
            (Ok(()), [.., 2, 2]) => Ok(()),
            (Ok(()), _) => Err("it is not in the form that this program writes".to_owned()),
        })
    }

    /// Moves the database and what belongs to it out of the way.
    pub(super) fn set_aside(&self, what: String) -> Result<StoreNotice, StoreError> {
        let from = self.database();
        let to = (1..=MAX_ASIDE)
            .map(|number| self.path.join(format!("{DATABASE}.damaged-{number}")))
            .find(|to| fs::symlink_metadata(to).is_err())
            .ok_or_else(|| StoreError::TooManySetAside { dir: self.path.clone() })?;
        // The companions first: left beside a new database, a log would be read into it.
        for companion in COMPANIONS {
            let [from, to] = [&from, &to].map(|path| with_suffix(path, companion));
            match fs::rename(&from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&from, "move away")(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&from, &to).map_err(failed(&from, "move away"))?;
        Ok(StoreNotice::SetAside { from, to, what })
    }
}

fn lock(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join(LOCK);
    let mut file = open_private(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let (pid, _) = words_in(file);
            return Err(StoreError::InUse { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&path, "lock")(error)),
    }
    let used = file.metadata().is_ok_and(|metadata| metadata.len() > 0);
    let (_, session_before) = words_in(&file);
    // On a full disk the lock holds all the same.
    let _ = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| {
        let session = Session::own().map(|session| format!(" {session}")).unwrap_or_default();
        writeln!(file, "{}{session}", std::process::id())
    });
    Ok(Lock { file, used, session_before })
}

/// The number of a process, and its session.
fn words_in(lock: impl Read) -> (Option<u32>, Option<Session>) {
    let mut text = String::new();
    let _ = lock.take(128).read_to_string(&mut text);
    let mut words = text.split_ascii_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok());
    let session = words.next().zip(words.next());
    (pid, session.and_then(|(number, boot)| Session::parse(number, boot)))
}

/// Opens a file of ours, or makes it for nobody else to read. Follows no link that somebody laid.
fn open_private(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(failed(path, "open"))
}

/// The agenda holds commands that will be run with our rights.
fn refuse_writable(path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    let refused = |why| Err(StoreError::Writable { path: path.to_owned(), why });
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != 0 && owner != geteuid().as_raw() {
        return refused(format!("belongs to user {owner}"));
    }
    if mode & 0o022 != 0 {
        return refused(format!("can be written by others (mode {mode:04o})"));
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn failed<'a>(path: &'a Path, doing: &'static str) -> impl Fn(io::Error) -> StoreError + 'a {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull => StoreError::NoRoom { path: path.to_owned() },
        _ => StoreError::Folder { path: path.to_owned(), doing, source },
    }
}
