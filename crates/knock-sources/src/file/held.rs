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

use memchr::{memmem, memrchr};
use rustix::fs::OFlags;

use crate::{
    Origin, Place,
    lines::{Cutter, WINDOW},
    place::{BEFORE, TELLING},
};

/// Bytes at a file's beginning by which it is recognised. A log line has a time in it, so two logs
/// that agree on so many bytes are one log.
pub(super) const HEAD: usize = 1024;

/// Bytes before the place that reading has come to, by which it is seen that they are still there.
const TAIL: usize = 256;

/// What is read at once: what is compared, and what is new.
pub(super) const ROOM: usize = TAIL + WINDOW;

/// Bytes at a file's end that are searched for a place that has moved.
const SEARCHED: u64 = 64 << 20;

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
    fn lines(&mut self, block: &[u8], at: &Origin) -> ControlFlow<()>;
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
            tail: Vec::new(),
            known_to: 0,
            backlog_to: 0,
            is_overtaken: false,
            after_hole: false,
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

    /// Whether the bytes before this place stand before it here.
    pub(super) fn has(&self, place: &Place) -> io::Result<bool> {
        let length = place.before.len();
        let Some(from) = place.offset.checked_sub(length as u64) else { return Ok(false) };
        let mut mine = vec![0; length];
        Ok(fill(&self.file, from, &mut mine)? == length
            && mine == place.before
            && self.size()? >= place.offset)
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
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
        self.remember_tail()
    }

    fn remember_tail(&mut self) -> io::Result<()> {
        let from = self.at.saturating_sub(TAIL as u64);
        let mut tail = vec![0; usize::try_from(self.at - from).unwrap_or(TAIL)];
        let got = fill(&self.file, from, &mut tail)?;
        tail.truncate(got);
        self.tail = tail;
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
        let (at, tail) = (other.at, other.tail.clone());
        self.begin_behind(at, &tail, room)
    }

    /// Begins reading behind these bytes, which once ended at byte `at`; at the end if they are not
    /// to be found. The last of several places counts: what is read must not be read again.
    fn begin_behind(&mut self, at: u64, tail: &[u8], room: &mut [u8]) -> io::Result<()> {
        let size = self.size()?;
        let place = Place { file: self.file_id(), offset: at, before: tail.to_vec() };
        if self.has(&place)? {
            return self.begin_before(at, room);
        }
        let mut end = size;
        while tail.len() >= TELLING && size - end < SEARCHED && end >= tail.len() as u64 {
            let from = end.saturating_sub(room.len() as u64);
            let length = usize::try_from(end - from).unwrap_or(room.len());
            let got = fill(&self.file, from, room.get_mut(..length).unwrap_or_default())?;
            let seen = room.get(..got).unwrap_or_default();
            if let Some(found) = memmem::rfind(seen, tail) {
                return self.begin_before(from + (found + tail.len()) as u64, room);
            }
            if from == 0 {
                break;
            }
            // It may lie across the border.
            end = from + tail.len() as u64 - 1;
        }
        self.begin_before(size, room)
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
            let tail = self.tail.len();
            let from = self.at - tail as u64;
            let got = fill(&self.file, from, room.get_mut(..tail + want).unwrap_or_default())?;
            let seen = room.get(..got).unwrap_or_default();
            // Asked only now: if it is still the same, then what was just read belongs to it.
            if let Some(event) = self.changed(seen.get(..tail).unwrap_or(seen))? {
                match event {
                    Event::Rewritten => {
                        let (at, tail) = (self.at, std::mem::take(&mut self.tail));
                        self.begin_behind(at, &tail, room)?;
                    }
                    _ => self.emptied(),
                }
                end = self.size()?;
                taker.event(event);
                any = true;
                continue;
            }
            let window = seen.get(tail..).unwrap_or_default();
            if self.after_hole && !window.is_empty() {
                let nuls = window.iter().take_while(|byte| **byte == 0).count();
                self.after_hole = nuls == window.len();
                if nuls > 0 {
                    self.at += nuls as u64;
                    self.tail = last(seen, tail + nuls);
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
            let origin = Origin {
                file: self.file_id(),
                begins: self.at + cut.lines.start as u64,
                known_to: self.known_to,
                backlog_to: self.backlog_to,
                is_overtaken: self.is_overtaken,
            };
            self.at += cut.used as u64;
            self.tail = last(seen, tail + cut.used);
            if let Some(lines) = window.get(cut.lines).filter(|lines| !lines.is_empty())
                && taker.lines(lines, &origin).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// A writer that does not append (a shell's `>`) goes on at its old offset after a truncation;
    /// then a hole of NULs stands before its next line and is no part of it.
    fn emptied(&mut self) {
        (self.at, self.begun) = (0, 0);
        (self.known_to, self.backlog_to) = (0, 0);
        self.tail.clear();
        self.cutter = Cutter::default();
        self.head.clear();
        self.after_hole = true;
    }

    /// Whether it is no longer what was read, as far as length, first bytes and those before `at`
    /// tell; `seen` are the last ones as they stand there now.
    fn changed(&mut self, seen: &[u8]) -> io::Result<Option<Event>> {
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
        Ok(match size < self.at || seen != self.tail {
            true if self.head.len() == HEAD => Some(Event::Rewritten),
            true => Some(Event::Truncated),
            false => None,
        })
    }
}

/// The last bytes of the first `end`, as many as are compared.
fn last(seen: &[u8], end: usize) -> Vec<u8> {
    seen.get(end.saturating_sub(TAIL)..end).unwrap_or_default().to_vec()
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
