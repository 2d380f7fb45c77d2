//! One open log file: how far it has been read, and whether it is still what it was.
//! Knows nothing of its path; which file stands there is the follower's business.

mod compared;
mod reading;

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::fs::OFlags;

pub(super) use self::reading::{Event, Taker};
use super::again::Remains;
use crate::{
    Place,
    lines::{Cutter, WINDOW},
    place::BEFORE,
};

/// Bytes at a file's beginning by which it is recognised. A log line has a time in it, so two logs
/// that agree on so many bytes are one log.
pub(super) const HEAD: usize = 1024;

/// Bytes before the place that reading has come to, by which it is seen that they are still there.
/// Some lines, so that one of them is found again when an editor took another one out.
const TAIL: usize = 1024;

/// What is read at once: what is compared, and what is new.
pub(super) const ROOM: usize = TAIL + WINDOW;

/// Device and inode: no two files that are open or have a name share it.
pub(super) type Identity = (u64, u64);

pub(super) fn identity(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino())
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Held {
    file: File,
    pub(super) id: Identity,
    /// When it was made, where the file system knows. Inodes are used again, together with this not.
    pub(super) born: Option<SystemTime>,
    pub(super) owner: u32,
    /// First byte that has not been handed over. It begins a line, unless one is being skipped.
    at: u64,
    /// Where it was when reading began.
    begun: u64,
    /// How long it was when it was last read.
    seen: u64,
    /// Its time then.
    seen_time: Option<SystemTime>,
    cutter: Cutter,
    /// Its first bytes as they were seen, at most [`HEAD`].
    head: Vec<u8>,
    /// The bytes before `at` as they were read, at most [`TAIL`].
    tail: Vec<u8>,
    /// Lines up to here were dealt with by an earlier run.
    pub(super) known_to: u64,
    /// Lines up to here stood there when this run began.
    pub(super) backlog_to: u64,
    /// A newer file has been read from.
    pub(super) is_overtaken: bool,
    /// A hole may stand before its first line; see `emptied`.
    after_hole: bool,
    /// Why the last attempt to read it failed, if it did.
    failure: Option<io::Error>,
    /// What was read last before it was emptied: who emptied it may write that anew.
    former: Remains,
    /// Since when (uptime) it has brought nothing and been out of its place.
    pub(super) quiet_since: Duration,
}

impl Held {
    /// Opens what stands at `path`; `None` when that is not a regular file.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(None);
        }
        let mut held = Self {
            file,
            id: identity(&meta),
            born: meta.created().ok(),
            owner: meta.uid(),
            at: 0,
            begun: 0,
            seen: 0,
            seen_time: None,
            cutter: Cutter::default(),
            head: Vec::new(),
            tail: Vec::new(),
            known_to: 0,
            backlog_to: 0,
            is_overtaken: false,
            after_hole: false,
            failure: None,
            former: Remains::default(),
            quiet_since: Duration::ZERO,
        };
        held.changed(&[])?;
        Ok(Some(held))
    }

    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.file.metadata().ok()?.modified().ok()
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Where reading stands.
    pub(super) fn place(&self) -> Place {
        let before = self.tail.get(self.tail.len().saturating_sub(BEFORE)..).unwrap_or_default();
        Place { file: self.file_id(), offset: self.at, before: before.to_vec() }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// From now on reading it fails, until it is opened anew.
    #[cfg(test)]
    pub(super) fn spoil(&mut self, path: &Path) {
        self.file = OpenOptions::new().append(true).open(path).unwrap();
    }

    /// Takes another handle of the same file, by this name of it; what was read stays read.
    pub(super) fn reopen(&mut self, path: &Path) {
        if let Ok(Some(again)) = Self::open(path)
            && (again.id, again.born) == (self.id, self.born)
        {
            self.file = again.file;
        }
    }

    /// How reading it went.
    pub(super) fn note(&mut self, failure: Option<&io::Error>) {
        self.failure = failure.map(same);
    }

    /// Why it cannot be read to its end, if it cannot.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failure.as_ref().map(same)
    }

    /// Bytes at its end that are no whole line.
    pub(super) fn torn(&self) -> u64 {
        self.size().unwrap_or(self.at).saturating_sub(self.at)
    }

    /// Whether lines of it have been handed over.
    pub(super) fn has_been_read(&self) -> bool {
        self.at != self.begun
    }

    /// Whether somebody has written to it since reading began.
    pub(super) fn has_news(&self) -> bool {
        self.has_been_read() || self.torn() > 0
    }

    /// Whether it has no name any more.
    pub(super) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    /// Whether the descriptor leads to another file than the one that was opened. So it is where a
    /// server finds files by their names, as most of FUSE's do, and somebody else has renamed this one.
    pub(super) fn is_turned(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| identity(&meta) != self.id)
    }

    /// Goes on in another descriptor of the same file; `false` if it is none.
    pub(super) fn go_on_in(&mut self, other: Self) -> bool {
        let is_same = other.id == self.id && other.keeps(self).unwrap_or(false);
        if is_same {
            self.file = other.file;
        }
        is_same
    }

    /// Whether it is as long as it was when it was read.
    pub(super) fn is_as_read(&self) -> bool {
        self.size().is_ok_and(|size| size == self.seen)
    }

    pub(super) fn has_one_name(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 1)
    }
}

fn same(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn open(path: &Path) -> io::Result<File> {
    // Non-blocking, because opening a pipe would wait for its writer.
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads until `room` is full or the file ends.
pub(super) fn fill(file: &File, at: u64, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
