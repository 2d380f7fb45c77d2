//! What has come to the path since the last look: which files, in which order, and where each of them
//! begins. Reads no lines, but for those of a file that another one replaces.

use std::{
    fs,
    io::{self, ErrorKind},
    ops::ControlFlow,
};

use super::{Follower, TRIES, stands_at};
use crate::{
    Intake, Notice, Stop, WaitReason,
    file::{
        family::{Family, MOST_FILES, Newcomers, NoNewcomers, newcomers},
        held::{Held, identity},
        past::{CLOCK_TICK, Moment},
        resume::{self, Search},
    },
};

impl Follower {
    /// Looks for the place where an earlier run stopped, if there is one to look for, and begins
    /// there. Gives the file back that stands at the path if it did not.
    pub(super) fn resume(&mut self, current: io::Result<Option<Held>>) -> io::Result<Option<Held>> {
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

    /// Finds out which file stands at the path, and takes it and its missed predecessors in. Tells
    /// whether lines had to be read for that.
    pub(super) fn look_at_path(
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

    pub(super) fn take_in(
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
    pub(super) fn make_room(&mut self, coming: &mut Vec<Held>, intake: &mut dyn Intake) {
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

    /// Learns of copies that somebody makes beside the log, so that the next rotation does not take
    /// them for files that came and went.
    pub(super) fn list_siblings(&mut self, now: Moment) {
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
}
