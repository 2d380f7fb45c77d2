//! One open log file: how far it has been read, and whether it is still what it was.
//! Knows nothing of its path; which file stands there is the follower's business.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    ops::ControlFlow,
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
    time::{Duration, SystemTime},
};

use memchr::memrchr;
use rustix::fs::OFlags;

use crate::lines::{Cutter, WINDOW};

/// Bytes at a file's beginning by which it is recognised. A log line has a time in it, so two logs
/// that agree on so many bytes are one log.
pub(super) const HEAD: usize = 1024;

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
    cutter: Cutter,
    /// Its first bytes as they were seen, at most [`HEAD`].
    head: Vec<u8>,
    /// A hole may stand before its first line; see `emptied`.
    after_hole: bool,
    /// Since when (uptime) it has brought nothing and been out of its place.
    pub(super) quiet_since: Duration,
}

/// What reading a file brought up besides lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It was emptied and is read from its beginning.
    Truncated,
    /// It was cut or written anew, with old lines in it; reading goes on at its end.
    Rewritten,
    /// A line of so many bytes was skipped.
    LineTooLong(u64),
}

/// Takes what reading gives.
pub(super) trait Taker {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()>;
    fn event(&mut self, event: Event);
}

impl Held {
    /// Opens what stands at `path`; `None` when that is not a regular file.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        // Non-blocking, because opening a pipe would wait for its writer.
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
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
            cutter: Cutter::default(),
            head: Vec::new(),
            after_hole: false,
            quiet_since: Duration::ZERO,
        };
        held.changed()?;
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

    pub(super) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Bytes at its end that are no whole line.
    pub(super) fn torn(&self) -> u64 {
        self.size().unwrap_or(self.at).saturating_sub(self.at)
    }

    /// Whether somebody has written to it since reading began.
    pub(super) fn has_news(&self) -> bool {
        self.at != self.begun || self.torn() > 0
    }

    /// Begins reading behind the last line that is complete within the first `end` bytes.
    pub(super) fn begin_before(&mut self, end: u64, room: &mut [u8]) -> io::Result<()> {
        let end = end.min(self.size()?);
        let from = end.saturating_sub(WINDOW as u64);
        let length = usize::try_from(end - from).unwrap_or(WINDOW);
        let got = fill(&self.file, from, room.get_mut(..length).unwrap_or_default())?;
        let seen = room.get(..got).unwrap_or_default();
        self.at = match memrchr(b'\n', seen) {
            Some(last) => from + last as u64 + 1,
            None if from == 0 => 0,
            None => {
                // In the middle of a line that is too long already.
                self.cutter.skip_from(got as u64);
                end
            }
        };
        self.begun = self.at;
        Ok(())
    }

    /// Whether it is a copy that outlived `other`: it begins with the same bytes, enough to tell, and
    /// `other` has no name any more. After a renaming it has one, and then equal bytes are only lines
    /// that are alike.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        self.head.len() == HEAD
            && self.head == other.head
            && other.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    /// Begins reading where `other`, the file that this one is a rewritten copy of, was read to; at
    /// the end if that place cannot be found again.
    pub(super) fn begin_as_copy_of(&mut self, other: &Self, room: &mut [u8]) -> io::Result<()> {
        let from = other.at.saturating_sub(HEAD as u64);
        let length = usize::try_from(other.at - from).unwrap_or(HEAD);
        let (mut mine, mut theirs) = ([0; HEAD], [0; HEAD]);
        let (mine, theirs) = (&mut mine[..length], &mut theirs[..length]);
        let both =
            fill(&self.file, from, mine)? == length && fill(&other.file, from, theirs)? == length;
        let end = if both && mine == theirs { other.at } else { self.size()? };
        self.begin_before(end, room)
    }

    /// Hands over the whole lines up to byte `end`. What is written behind it meanwhile is left for
    /// the next time, so that no writer keeps us here. Tells whether there was anything.
    pub(super) fn read(
        &mut self,
        mut end: u64,
        room: &mut [u8],
        taker: &mut dyn Taker,
    ) -> io::Result<ControlFlow<(), bool>> {
        let mut any = false;
        loop {
            let want = usize::try_from(end.saturating_sub(self.at)).unwrap_or(WINDOW).min(WINDOW);
            let got = fill(&self.file, self.at, room.get_mut(..want).unwrap_or_default())?;
            // Asked only now: if it is still the same, then what was just read belongs to it.
            if let Some(event) = self.changed()? {
                end = self.size()?;
                match event {
                    Event::Rewritten => self.begin_before(end, room)?,
                    _ => self.emptied(),
                }
                taker.event(event);
                any = true;
                continue;
            }
            let window = room.get(..got).unwrap_or_default();
            if self.after_hole && !window.is_empty() {
                let nuls = window.iter().take_while(|byte| **byte == 0).count();
                self.after_hole = nuls == window.len();
                if nuls > 0 {
                    self.at += nuls as u64;
                    continue;
                }
            }
            let cut = self.cutter.cut(window);
            if let Some(bytes) = cut.too_long {
                taker.event(Event::LineTooLong(bytes));
            }
            if cut.used == 0 {
                return Ok(ControlFlow::Continue(any));
            }
            any = true;
            self.at += cut.used as u64;
            if let Some(lines) = window.get(cut.lines).filter(|lines| !lines.is_empty())
                && taker.lines(lines).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// A writer that does not append (a shell's `>`) goes on at its old offset after a truncation;
    /// then a hole of NULs stands before its next line and is no part of it.
    fn emptied(&mut self) {
        (self.at, self.begun) = (0, 0);
        self.cutter = Cutter::default();
        self.head.clear();
        self.after_hole = true;
    }

    /// Whether it is no longer what was read, as far as length and first bytes tell. Emptied and
    /// filled again up to the same place with the same first [`HEAD`] bytes, it looks unchanged.
    fn changed(&mut self) -> io::Result<Option<Event>> {
        let size = self.size()?;
        let mut now = [0; HEAD];
        let got = fill(&self.file, 0, &mut now)?;
        let now = &now[..got];
        if !now.starts_with(&self.head) {
            return Ok(Some(Event::Truncated));
        }
        if now.len() > self.head.len() {
            self.head = now.to_vec();
        }
        Ok(match size < self.at {
            true if self.head.len() == HEAD => Some(Event::Rewritten),
            true => Some(Event::Truncated),
            false => None,
        })
    }
}

/// Reads until `room` is full or the file ends.
fn fill(file: &File, at: u64, room: &mut [u8]) -> io::Result<usize> {
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
