//! Follows a path by looking at it: each `look` finds out what happened since the one before.
//! Knows no events and no clock; something else decides when to look.

mod coming;
mod telling;
mod trouble;

use std::{
    fs,
    io::ErrorKind,
    ops::ControlFlow,
    os::fd::RawFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use self::telling::Telling;
use super::{
    family::{self, Family},
    held::{Held, Identity, ROOM, identity},
    past::{Moment, Past},
};
use crate::{FileCursor, Intake, Notice, Start, Stop, WaitReason};

/// A file that was rotated away is watched for late lines until it has been quiet for so long while
/// its successor is being written.
const LATE_LINES: Duration = Duration::from_secs(60);

/// So many files rotated away are watched for late lines; of a quick series only the last.
const LATE_FILES: usize = 3;

/// A rotation may leave the path empty for a moment; after so long it is worth a word.
const GONE: Duration = Duration::from_secs(10);

/// How often to try again after an error that no event will announce the end of.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// Rotations that may happen while one look is going on before it is put off.
const TRIES: usize = 32;

/// For so long.
const AFTER_SHIFTS: Duration = Duration::from_millis(20);

/// An error, as far as two of them are the same trouble.
type Fault = (ErrorKind, Option<i32>);

/// Follows a path.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    /// Oldest first; the last one stood at the path most recently.
    held: Vec<Held>,
    past: Past,
    /// Rotated siblings that were there when the path last stood still.
    family: Family,
    /// When their folder had last changed then.
    listed: Option<SystemTime>,
    /// What was said about there being no file, so that it is said once.
    said: Option<WaitReason>,
    gone_since: Option<Duration>,
    /// What went wrong at the path last, and what at reading, so that it is said once.
    path_trouble: Option<Fault>,
    read_trouble: Option<Fault>,
    /// Names changed faster than they could be listed: the look is to be taken again soon.
    unsettled: bool,
    /// Where an earlier run stopped, until it has been looked for.
    cursor: Option<FileCursor>,
    /// How that went, until it is told.
    resumed: Option<Notice>,
    room: Vec<u8>,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looked {
    /// Lines, or a truncation.
    pub(super) news: bool,
    /// Other files than before are held: events must be asked for anew, and then another look taken.
    pub(super) shifted: bool,
}

impl Follower {
    /// Remembers what is there now. The lines come with the first look.
    pub(super) fn begin(
        path: PathBuf,
        start: Start,
        cursor: Option<FileCursor>,
        now: Moment,
    ) -> Self {
        let past = Past::begin(&path, start, now);
        let family = Family::of(&path);
        let (listed, said, gone_since, resumed) = (None, None, None, None);
        let (held, room, unsettled) = (Vec::new(), vec![0; ROOM], false);
        let (path_trouble, read_trouble) = (None, None);
        let mut it = Self {
            path,
            held,
            past,
            family,
            listed,
            said,
            gone_since,
            path_trouble,
            read_trouble,
            unsettled,
            cursor,
            resumed,
            room,
        };
        // What goes wrong here goes wrong in the first look too, and is told there.
        let Some(file) = it.resume(Held::open(&it.path)).ok().flatten() else { return it };
        let mut file = file;
        // The place where the last run stopped is nowhere: all that stands here came after it.
        let end = if start == Start::AtEnd && it.resumed.is_none() { u64::MAX } else { 0 };
        if file.begin_before(end, &mut it.room).is_ok() {
            if it.resumed.is_some() {
                file.backlog_to = file.size().unwrap_or(u64::MAX);
            }
            it.held.push(file);
        }
        it
    }

    /// Tells where the file that is there is read from, if there is one.
    pub(super) fn tell_beginning(&mut self, intake: &mut dyn Intake) {
        if let Some(first) = self.held.first() {
            intake.begins_at(first.place());
            let from = self.held.last().map_or(0, Held::at);
            let following = Notice::Following { path: self.path.clone(), from };
            intake.notice(self.resumed.take().unwrap_or(following));
        }
    }

    /// Looks once, and hands over all whole lines that are there by now. `Break` when the intake
    /// broke off or `stop` was set meanwhile.
    pub(super) fn look(
        &mut self,
        now: Moment,
        intake: &mut dyn Intake,
        stop: &Stop,
    ) -> ControlFlow<(), Looked> {
        let before = self.what_is_held();
        self.open_turned();
        let last_lines = self.look_at_path(now, intake, stop)?;
        let news = self.read_all(now, intake, stop)? || last_lines;
        self.list_siblings(now);
        self.let_go(now, intake);
        ControlFlow::Continue(Looked { news, shifted: before != self.what_is_held() })
    }

    /// How long nothing needs to be looked at unless an event comes.
    pub(super) fn rest(&self, now: Moment) -> Option<Duration> {
        let left = |since: Duration, time| (since + time).saturating_sub(now.uptime);
        let gone = self.gone_since.filter(|_| self.said.is_none()).map(|since| left(since, GONE));
        let late = self.late().map(|file| left(file.quiet_since, LATE_LINES)).min();
        let late = late.filter(|_| self.held.last().is_some_and(Held::has_news));
        let is_troubled = self.path_trouble.is_some() || self.read_trouble.is_some();
        let trouble = is_troubled.then_some(AFTER_TROUBLE);
        let soon = self.unsettled.then_some(AFTER_SHIFTS);
        [gone, late, trouble, soon].into_iter().flatten().min()
    }

    /// Descriptors of the files held that are not, or may not be, under their old name.
    pub(super) fn apart(&self) -> Vec<RawFd> {
        let gone = self.gone_since.and(self.held.last());
        self.late().chain(gone).map(Held::descriptor).collect()
    }

    fn what_is_held(&self) -> (Vec<Identity>, bool) {
        (self.held.iter().map(|file| file.id).collect(), self.gone_since.is_some())
    }

    fn late(&self) -> impl Iterator<Item = &Held> {
        self.held.split_last().into_iter().flat_map(|(_, late)| late)
    }

    /// Opens files anew whose descriptors have come to lead to others, under the names that they have.
    fn open_turned(&mut self) {
        for place in (0..self.held.len()).rev() {
            let turned = self.held.get_mut(place).filter(|file| file.is_turned());
            if turned.is_some_and(|file| !family::find_again(&self.path, file)) {
                self.past.closed(&self.held.remove(place));
            }
        }
    }

    /// Files changed places: whoever is not the last has from now on to bring late lines.
    fn count_quiet_from(&mut self, now: Moment) {
        for file in &mut self.held {
            file.quiet_since = now.uptime;
        }
    }

    /// Reads all files, oldest first. The sizes are taken newest first: whatever a writer wrote into
    /// an old file before it went on in a newer one is then within the old one's size.
    fn read_all(
        &mut self,
        now: Moment,
        intake: &mut dyn Intake,
        stop: &Stop,
    ) -> ControlFlow<(), bool> {
        let mut ends: Vec<u64> =
            self.held.iter().rev().map(|file| file.size().unwrap_or(u64::MAX)).collect();
        let mut is_overtaken = false;
        for file in self.held.iter_mut().rev() {
            file.is_overtaken = is_overtaken;
            is_overtaken |= file.has_been_read();
        }
        let (mut news, mut failed) = (false, Vec::new());
        let (count, mut copies) = (self.held.len(), Vec::new());
        for place in 0..count {
            let end = ends.pop().unwrap_or(u64::MAX);
            let mut file = self.held.remove(place);
            let mut taker = Telling {
                path: &self.path,
                others: &self.held,
                family: &self.family,
                copies: &mut copies,
                intake,
                stop,
            };
            let read = file.read(end, &mut self.room, &mut taker);
            if let Ok(ControlFlow::Continue(true)) = read {
                news = true;
                file.quiet_since = now.uptime;
            }
            file.note(read.as_ref().err());
            self.held.insert(place, file);
            match read {
                Ok(ControlFlow::Continue(_)) => {}
                Ok(ControlFlow::Break(())) => return ControlFlow::Break(()),
                Err(error) => failed.push((place, error)),
            }
        }
        copies.iter().for_each(|copy| self.family.learn(copy));
        if failed.is_empty() && !self.held.is_empty() {
            self.read_trouble = None;
        }
        // Opened again at the same byte, which is what a stale NFS handle needs: by the path, or by
        // the name that rotation gave it.
        for (place, error) in failed.into_iter().rev() {
            if place + 1 == count {
                self.past.closed(&self.held.remove(place));
            } else if let Some(file) = self.held.get_mut(place) {
                Family::of(&self.path).reopen(file);
            }
            self.trouble_in_reading(error, intake);
        }
        ControlFlow::Continue(news)
    }

    /// Closes files that were rotated away and bring nothing any more.
    fn let_go(&mut self, now: Moment, intake: &mut dyn Intake) {
        // As long as nobody writes to the newest file, its writer may still be in the old one.
        if !self.held.last().is_some_and(Held::has_news) {
            return;
        }
        let late = self.held.len() - 1;
        let mut place = 0;
        let (past, path) = (&mut self.past, &self.path);
        self.held.retain(|file| {
            place += 1;
            let is_quiet = now.uptime.saturating_sub(file.quiet_since) >= LATE_LINES;
            let has_failed = file.failure().is_some();
            if place > late || !(is_quiet || (place + LATE_FILES <= late && !has_failed)) {
                return true;
            }
            past.closed(file);
            if let Some(error) = file.failure() {
                intake.notice(Notice::GivenUp { path: path.clone(), error });
            } else if file.torn() > 0 {
                intake.notice(Notice::Torn { path: path.clone(), bytes: file.torn() });
            }
            false
        });
    }
}

fn stands_at(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|meta| identity(&meta))
}

#[cfg(test)]
mod tests;
