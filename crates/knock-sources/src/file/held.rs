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
use rustix::{
    fs::{OFlags, SeekFrom},
    io::Errno,
};

use super::again::Remains;
use crate::{
    Origin, Place,
    lines::{Cutter, WINDOW},
    place::{BEFORE, TELLING},
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

/// What reading a file brought up besides lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It was emptied and is read from its beginning.
    Truncated,
    /// It was cut or written anew, with old lines in it; reading goes on behind them.
    Rewritten,
    /// A line of so many bytes was skipped.
    LineTooLong(u64),
}

/// Takes what reading gives.
pub(super) trait Taker {
    fn lines(&mut self, block: &[u8], at: &Origin) -> ControlFlow<()>;
    fn event(&mut self, event: Event);
    /// Whether nobody wants more.
    fn is_stopped(&self) -> bool;
    /// The descriptor has come to lead to another file; `false` if this one is nowhere.
    fn find_again(&self, file: &mut Held) -> bool;
    /// This file has been emptied: what it had behind its place may be in a copy.
    fn emptied(&mut self, file: &Held, room: &mut [u8]) -> io::Result<ControlFlow<()>>;
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

    /// Whether it has lost what was read of it.
    pub(super) fn is_emptied(&self) -> io::Result<bool> {
        Ok(!self.keeps(self)?)
    }

    pub(super) fn has_one_name(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 1)
    }

    /// Whether its first bytes are enough to tell it from any other log.
    pub(super) fn has_telling_head(&self) -> bool {
        // A hole of NULs is like every other.
        self.head.len() == HEAD && self.head.iter().any(|byte| *byte != 0)
    }

    /// Begins reading where `other` was read to, if this is a copy that outlived it: `other` has no
    /// name any more, and its last lines are in this one, or the same first bytes, and then reading
    /// begins at the end. As long as `other` has a name, equal bytes are only lines that are alike.
    pub(super) fn begin_as_copy_of(&mut self, other: &Self, room: &mut [u8]) -> io::Result<bool> {
        let is_alike = self.has_telling_head() && self.head == other.head;
        if !other.is_deleted() {
            return Ok(false);
        }
        let at = match self.find_again(other.at, &other.tail, room)? {
            Some(at) => at,
            None if is_alike && other.at == 0 => 0,
            None if is_alike => self.size()?,
            None => return Ok(false),
        };
        self.begin_before(at, room)?;
        Ok(true)
    }

    /// How long it is, if all that it has stands at the beginning of `other`, too.
    pub(super) fn copied_from(&self, other: &Self) -> io::Result<Option<u64>> {
        let at = self.size()?;
        let from = at.saturating_sub(TAIL as u64);
        let mut before = vec![0; usize::try_from(at - from).unwrap_or(TAIL)];
        let got = fill(&self.file, from, &mut before)?;
        before.truncate(got);
        let place = Place { file: other.file_id(), offset: at, before };
        let is_same = other.head.starts_with(&self.head) && other.has(&place)?;
        Ok((is_same && Remains::new(place.before, at).is_telling()).then_some(at))
    }

    /// Where these bytes end here, which once ended at byte `at`.
    fn find_again(&self, at: u64, tail: &[u8], room: &mut [u8]) -> io::Result<Option<u64>> {
        let place = Place { file: self.file_id(), offset: at, before: tail.to_vec() };
        if at > 0 && self.head.len() == HEAD && self.has(&place)? {
            return Ok(Some(at));
        }
        Remains::new(place.before, at).find(&self.file, self.size()?, room)
    }

    /// Whether it has what `original` had before the place that was read to.
    pub(super) fn keeps(&self, original: &Self) -> io::Result<bool> {
        let before = original.tail.clone();
        self.has(&Place { file: self.file_id(), offset: original.at, before })
    }

    /// Begins reading where a copy of `original` has what that was read to; `false` if it has not.
    pub(super) fn begin_as_kept(&mut self, original: &Self, room: &mut [u8]) -> io::Result<bool> {
        let keeps = self.keeps(original)?;
        if keeps {
            self.begin_before(original.at, room)?;
        }
        Ok(keeps)
    }

    /// Whether enough was read of it to know its place in another file.
    pub(super) fn has_telling_place(&self) -> bool {
        self.tail.len() >= TELLING
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
        self.seen = end;
        let time = self.modified();
        let mut is_fresh = std::mem::replace(&mut self.seen_time, time) == time;
        loop {
            let want = usize::try_from(end.saturating_sub(self.at)).unwrap_or(WINDOW).min(WINDOW);
            let tail = self.tail.len();
            let from = self.at - tail as u64;
            let got = fill(&self.file, from, room.get_mut(..tail + want).unwrap_or_default())?;
            let seen = room.get(..got).unwrap_or_default();
            // Asked only now: if it is still the same, then what was just read belongs to it.
            if self.is_turned() {
                if !taker.find_again(self) {
                    return Ok(ControlFlow::Continue(any));
                }
                end = self.size()?;
                self.seen = end;
                continue;
            }
            if let Some(is_same_log) = self.changed(seen.get(..tail).unwrap_or(seen))? {
                if self.rewritten(is_same_log, room)? {
                    taker.event(Event::Rewritten);
                } else {
                    if taker.emptied(self, room)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    self.emptied();
                    taker.event(Event::Truncated);
                }
                end = self.size()?;
                self.seen = end;
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
                    if self.after_hole {
                        self.skip_hole(end);
                    }
                    if taker.is_stopped() {
                        return Ok(ControlFlow::Break(()));
                    }
                    continue;
                }
            }
            if !window.is_empty() && !self.former.is_empty() {
                let former = std::mem::take(&mut self.former);
                if let Some(at) = former.find(&self.file, end, room)? {
                    self.begin_before(at, room)?;
                    taker.event(Event::Rewritten);
                }
                continue;
            }
            let cut = self.cutter.cut(window);
            if let Some(bytes) = cut.too_long {
                taker.event(Event::LineTooLong(bytes));
            }
            if cut.used == 0 {
                // Written to, and nothing new: a cache of a network's file system may be stale, which
                // it is not for who opens the file.
                if !any && !std::mem::replace(&mut is_fresh, true) && self.open_anew() {
                    continue;
                }
                return Ok(ControlFlow::Continue(any));
            }
            any = true;
            if self.cutter.is_skipping() && taker.is_stopped() {
                return Ok(ControlFlow::Break(()));
            }
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

    /// Goes to the end of the hole that reading is in, if the file system tells it: who seeks may make
    /// one of any size.
    fn skip_hole(&mut self, end: u64) {
        let data = match rustix::fs::seek(&self.file, SeekFrom::Data(self.at)) {
            Ok(data) => data.min(end),
            // Nothing but a hole up to the file's end.
            Err(Errno::NXIO) => end,
            Err(_) => return,
        };
        // What is compared with must be whole.
        if data >= self.at + TAIL as u64 {
            (self.at, self.tail) = (data, vec![0; TAIL]);
        }
    }

    fn open_anew(&mut self) -> bool {
        let opened = open(Path::new(&format!("/proc/self/fd/{}", self.descriptor())));
        let same =
            opened.ok().filter(|file| file.metadata().is_ok_and(|meta| identity(&meta) == self.id));
        same.is_some_and(|file| {
            self.file = file;
            true
        })
    }

    /// Goes on behind what was read, if that is still in it, or if it is the same log without it.
    fn rewritten(&mut self, is_same_log: bool, room: &mut [u8]) -> io::Result<bool> {
        let before = self.at;
        let at = match self.find_again(before, &self.tail, room)? {
            Some(at) => at,
            None if is_same_log && before > 0 => self.size()?,
            None => return Ok(false),
        };
        self.head.clear();
        self.cutter = Cutter::default();
        self.begin_before(at, room)?;
        // Whatever was behind the place is there as before.
        for old_to in [&mut self.known_to, &mut self.backlog_to] {
            *old_to = self.at + old_to.saturating_sub(before);
        }
        Ok(true)
    }

    /// A writer that does not append (a shell's `>`) goes on at its old offset after a truncation;
    /// then a hole of NULs stands before its next line and is no part of it.
    fn emptied(&mut self) {
        if self.at > 0 {
            self.former = Remains::new(std::mem::take(&mut self.tail), self.at);
        }
        (self.at, self.begun) = (0, 0);
        (self.known_to, self.backlog_to) = (0, 0);
        self.cutter = Cutter::default();
        self.head.clear();
        self.after_hole = true;
    }

    /// Whether it is no longer what was read, as far as length, first bytes and those before `at`
    /// tell; `seen` are the last ones as they stand there now. Then, whether the first bytes say that
    /// it is the same log all the same.
    fn changed(&mut self, seen: &[u8]) -> io::Result<Option<bool>> {
        let size = self.size()?;
        let mut now = [0; HEAD];
        let got = fill(&self.file, 0, &mut now)?;
        let now = &now[..got];
        if !now.starts_with(&self.head) {
            return Ok(Some(false));
        }
        if now.len() > self.head.len() {
            self.head = now.to_vec();
        }
        let is_changed = size < self.at || seen != self.tail;
        Ok(is_changed.then(|| self.has_telling_head()))
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

/// The last bytes of the first `end`, as many as are compared.
fn last(seen: &[u8], end: usize) -> Vec<u8> {
    seen.get(end.saturating_sub(TAIL)..end).unwrap_or_default().to_vec()
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
