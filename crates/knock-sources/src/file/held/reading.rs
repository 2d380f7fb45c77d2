//! Reads an open file on from where it stands, and sees when it is no longer what was read: emptied, cut,
//! written anew. Which file stands at the path is the follower's business.

use std::{io, ops::ControlFlow, path::Path};

use rustix::{fs::SeekFrom, io::Errno};

use super::{HEAD, Held, TAIL, fill, identity, open};
use crate::{
    Origin,
    file::again::Remains,
    lines::{Cutter, WINDOW},
};

/// What reading a file brought up besides lines.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::file) enum Event {
    /// It was emptied and is read from its beginning.
    Truncated,
    /// It was cut or written anew, with old lines in it; reading goes on behind them.
    Rewritten,
    /// A line of so many bytes was skipped.
    LineTooLong(u64),
}

/// Takes what reading gives.
pub(in crate::file) trait Taker {
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
    /// Hands over the whole lines up to byte `end`. What is written behind it meanwhile is left for
    /// the next time, so that no writer keeps us here. Tells whether there was anything.
    pub(in crate::file) fn read(
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
    pub(super) fn changed(&mut self, seen: &[u8]) -> io::Result<Option<bool>> {
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

/// The last bytes of the first `end`, as many as are compared.
fn last(seen: &[u8], end: usize) -> Vec<u8> {
    seen.get(end.saturating_sub(TAIL)..end).unwrap_or_default().to_vec()
}
