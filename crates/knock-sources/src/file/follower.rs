//! Follows a path by looking at it: each `look` finds out what happened since the one before.
//! Knows no events and no clock; something else decides when to look.

mod telling;

use std::{
    fs,
    io::{self, ErrorKind},
    ops::ControlFlow,
    os::fd::RawFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use self::telling::Telling;
use super::{
    family::{self, Family, MOST_FILES, Newcomers, NoNewcomers, newcomers},
    held::{Held, Identity, ROOM, identity},
    past::{CLOCK_TICK, Moment, Past},
    resume::{self, Search},
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

    /// Looks for the place where an earlier run stopped, if there is one to look for, and begins
    /// there. Gives the file back that stands at the path if it did not.
    fn resume(&mut self, current: io::Result<Option<Held>>) -> io::Result<Option<Held>> {
        let current = match current {
            Ok(current) => current,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(cursor) = &self.cursor else { return Ok(current) };
        match resume::find(cursor, &self.path, current, &mut self.room)? {
            Search::Found(files) => {
                let path = self.path.clone();
                let from = files.first().map_or(0, Held::at);
                let files_before = files.len().saturating_sub(1);
                self.resumed = Some(Notice::Resumed { path, from, files_before });
                self.held = files;
                self.cursor = None;
                Ok(None)
            }
            // Nothing stands at the path yet, and what will may have it.
            Search::Nowhere(None) => Ok(None),
            Search::Nowhere(current) => {
                self.resumed = Some(Notice::NotResumed { path: self.path.clone() });
                self.cursor = None;
                Ok(current)
            }
        }
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

    /// Finds out which file stands at the path, and takes it and its missed predecessors in. Tells
    /// whether lines had to be read for that.
    fn look_at_path(
        &mut self,
        now: Moment,
        intake: &mut dyn Intake,
        stop: &Stop,
    ) -> ControlFlow<(), bool> {
        let nothing = ControlFlow::Continue(false);
        self.unsettled = false;
        for attempt in 1..=TRIES {
            let there = match fs::metadata(&self.path) {
                Ok(meta) if meta.is_file() => identity(&meta),
                Ok(_) => {
                    self.wait(WaitReason::NotAFile, now, intake);
                    return nothing;
                }
                Err(error) => {
                    self.absent(error, now, intake);
                    return nothing;
                }
            };
            if let Some(place) = self.held.iter().position(|file| file.id == there) {
                if place + 1 < self.held.len() {
                    // A file that was rotated away was put back.
                    let file = self.held.remove(place);
                    self.held.push(file);
                    self.count_quiet_from(now);
                    self.listed = None;
                }
                self.present();
                return nothing;
            }
            let next = match Held::open(&self.path) {
                Ok(Some(file)) => file,
                Ok(None) => {
                    self.wait(WaitReason::NotAFile, now, intake);
                    return nothing;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    self.absent(error, now, intake);
                    return nothing;
                }
            };
            let mut family = Family::of(&self.path);
            if let Some(error) = family.shortage() {
                self.trouble_at_path(error, intake);
                return nothing;
            }
            let between = match newcomers(&family, &self.family, &self.held, &next) {
                // Rotated once more while the folder was being read: `next` is one of those between.
                Ok(_) if attempt < TRIES && stands_at(&self.path) != Some(next.id) => continue,
                Ok(_) if family.has_renamed(&next) => break,
                Ok(between) => between,
                Err(NoNewcomers::Moved) => continue,
                Err(NoNewcomers::Refused(error)) => {
                    self.trouble_at_path(error, intake);
                    return nothing;
                }
            };
            let family = family.after(&self.family);
            let before = std::mem::replace(&mut self.family, family);
            self.listed = None;
            // What comes may be a copy of it, so it must be known where its last line is.
            let is_copied = self.held.last().is_some_and(Held::is_deleted);
            let any = is_copied && self.read_all(now, intake, stop)?;
            let Newcomers { files, unread } = between;
            if let Err(error) = self.take_in(files, next, now, intake) {
                // What came between is still to be found.
                self.family = before;
                self.trouble_at_path(error, intake);
            } else {
                for (path, error) in unread {
                    intake.notice(Notice::GivenUp { path, error });
                }
            }
            return ControlFlow::Continue(any);
        }
        // Taken now, those that have other names by now would be missed.
        self.unsettled = true;
        nothing
    }

    fn take_in(
        &mut self,
        mut between: Vec<Held>,
        mut next: Held,
        now: Moment,
        intake: &mut dyn Intake,
    ) -> io::Result<()> {
        if self.cursor.is_some() && self.held.is_empty() {
            next = match self.resume(Ok(Some(next)))? {
                Some(next) => next,
                None => {
                    self.tell_beginning(intake);
                    self.count_quiet_from(now);
                    self.present();
                    return Ok(());
                }
            };
        }
        between.retain(|file| self.past.known_bytes(file, now) == 0);
        let mut kept = Vec::new();
        let Self { held, room, .. } = self;
        // Copied and truncated, and then rotated.
        if let Some(last) = held.last().filter(|last| last.is_emptied().unwrap_or(false)) {
            for mut file in std::mem::take(&mut between) {
                let is_kept = file.begin_as_kept(last, room).unwrap_or(false);
                let to = if is_kept { &mut kept } else { &mut between };
                to.push(file);
            }
        }
        let begin = |file: &mut Held, known, room: &mut [u8]| -> io::Result<bool> {
            // Of a copy that was copied again, the last one is where reading stood.
            for original in held.iter().rev().filter(|_| known == 0) {
                if file.begin_as_copy_of(original, room)? {
                    return Ok(true);
                }
            }
            file.begin_before(known, room)?;
            Ok(false)
        };
        // Copied and deleted is one more way to rotate; most of the copy's lines have been read.
        // Somebody may write to it all the same.
        let between_begun = between.iter_mut().try_for_each(|file| {
            for original in held.iter() {
                if let Some(at) = file.copied_from(original)? {
                    return file.begin_before(at, room);
                }
            }
            begin(file, 0, room).map(drop)
        });
        let mut known = self.past.known_bytes(&next, now);
        if matches!(self.resumed, Some(Notice::NotResumed { .. })) {
            // All of it came after the place; what was there at the start came before the start.
            next.backlog_to = known.min(next.size().unwrap_or(known));
            known = 0;
        }
        between_begun?;
        let is_copied = begin(&mut next, known, room)?;
        let path = self.path.clone();
        let from = next.at();
        // After trouble it was opened again only to read on.
        if is_copied {
            intake.notice(Notice::Rewritten { path });
        } else if self.held.is_empty() || self.said.is_some() {
            intake.begins_at(next.place());
            if self.read_trouble.is_none() {
                let following = Notice::Following { path, from };
                intake.notice(self.resumed.take().unwrap_or(following));
            }
        } else {
            intake.notice(Notice::Rotated { path, between: between.len() });
        }
        if let Some(last) = self.held.pop() {
            self.held.append(&mut kept);
            self.held.push(last);
        }
        between.push(next);
        self.make_room(&mut between, intake);
        self.held.append(&mut between);
        self.count_quiet_from(now);
        self.present();
        Ok(())
    }

    /// Keeps the number of open files within bounds, giving up the oldest.
    fn make_room(&mut self, coming: &mut Vec<Held>, intake: &mut dyn Intake) {
        let surplus = (self.held.len() + coming.len()).saturating_sub(MOST_FILES);
        // What is held has been read as far as it went at the last look; what comes has not.
        let read = surplus.min(self.held.len());
        for file in self.held.drain(..read) {
            self.past.closed(&file);
        }
        let unread = surplus - read;
        if unread > 0 {
            coming.drain(..unread);
            intake.notice(Notice::TooManyRotations { path: self.path.clone(), files: unread });
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

    /// Learns of copies that somebody makes beside the log, so that the next rotation does not take
    /// them for files that came and went.
    fn list_siblings(&mut self, now: Moment) {
        let Some(file) = self.held.last().filter(|_| self.gone_since.is_none()) else { return };
        let changed = self.family.folder_changed();
        if changed.is_some() && changed == self.listed {
            return;
        }
        let mut family = Family::of(&self.path);
        if family.shortage().is_some() {
            return;
        }
        // Only if no rotation came between: else one of them may be a file that we must still read,
        // or have lines that we have not.
        let is_there = stands_at(&self.path) == Some(file.id) && !family.has_renamed(file);
        if is_there && file.is_as_read() {
            // The folder's time ticks: what came since may have the same.
            let is_settled = changed.is_some_and(|time| time + CLOCK_TICK < now.wall);
            self.family = family.after(&self.family);
            self.listed = changed.filter(|_| is_settled);
        }
    }

    fn present(&mut self) {
        (self.said, self.gone_since, self.path_trouble) = (None, None, None);
    }

    fn absent(&mut self, error: io::Error, now: Moment, intake: &mut dyn Intake) {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory if self.held.is_empty() => {
                self.wait(WaitReason::Missing, now, intake);
            }
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                self.path_trouble = None;
                let since = *self.gone_since.get_or_insert(now.uptime);
                if now.uptime.saturating_sub(since) >= GONE {
                    self.wait(WaitReason::Gone, now, intake);
                }
            }
            ErrorKind::PermissionDenied => self.wait(WaitReason::Forbidden, now, intake),
            _ => self.trouble_at_path(error, intake),
        }
    }

    fn wait(&mut self, why: WaitReason, now: Moment, intake: &mut dyn Intake) {
        self.path_trouble = None;
        self.gone_since.get_or_insert(now.uptime);
        if self.said != Some(why) {
            self.said = Some(why);
            intake.notice(Notice::Waiting { path: self.path.clone(), why });
        }
    }

    fn trouble_at_path(&mut self, error: io::Error, intake: &mut dyn Intake) {
        if self.path_trouble.replace(fault(&error)) != Some(fault(&error)) {
            intake.notice(Notice::Trouble { path: self.path.clone(), error });
        }
    }

    fn trouble_in_reading(&mut self, error: io::Error, intake: &mut dyn Intake) {
        if self.read_trouble.replace(fault(&error)) != Some(fault(&error)) {
            intake.notice(Notice::Trouble { path: self.path.clone(), error });
        }
    }
}

fn fault(error: &io::Error) -> Fault {
    (error.kind(), error.raw_os_error())
}

fn stands_at(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|meta| identity(&meta))
}

#[cfg(test)]
mod tests;
