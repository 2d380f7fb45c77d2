//! How far a source was read, and how far back a restart has to begin so that a knock which was under
//! way is read again. Kept in memory; the loop stores it with an accepted knock and on a clean stop.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use knock_sources::{Cursor, FileId, Origin, Place};

/// The marks that a source leaves as it reads. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail(Arc<Mutex<Marks>>);

#[derive(Debug, Default)]
struct Marks {
    /// Oldest first; one is older than what is needed, the others are not.
    marks: VecDeque<Mark>,
    /// Bytes of lines handed over so far.
    passed: u64,
}

/// Everything before the place was read by then.
#[derive(Debug)]
struct Mark {
    uptime: Duration,
    place: Place,
    passed: u64,
}

/// The end of the line that a hit came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) file: FileId,
    offset: u64,
    passed: u64,
    /// The last bytes of the line, so many.
    before: [u8; BEFORE],
    length: usize,
}

/// Bytes by which it is seen that a line which was dealt with is still there; few, for each hit
/// carries them.
const BEFORE: usize = 64;

impl Reached {
    fn place(&self) -> Place {
        let before = self.before.get(..self.length).unwrap_or_default().to_vec();
        Place { file: self.file, offset: self.offset, before }
    }
}

impl Trail {
    /// Reading begins here, or begins here anew.
    pub(crate) fn begins_at(&self, uptime: Duration, place: Place) {
        let mut marks = self.marks();
        let passed = marks.passed;
        marks.marks.push_back(Mark { uptime, place, passed });
    }

    /// A block of lines was read. Marks are so far apart that `back` has few of them. Returns what
    /// to add to a byte's place in the block.
    pub(crate) fn read<'a>(
        &self,
        uptime: Duration,
        back: Duration,
        block: &'a [u8],
        at: &Origin,
    ) -> Lines<'a> {
        let mut marks = self.marks();
        let lines = Lines { origin: *at, block, passed: marks.passed };
        marks.passed += block.len() as u64;
        if at.is_overtaken {
            return lines;
        }
        let apart = (back / 64).max(Duration::from_secs(1));
        if marks.marks.back().is_none_or(|last| uptime.saturating_sub(last.uptime) >= apart) {
            let (place, passed) = (at.place(block, block.len()), marks.passed);
            marks.marks.push_back(Mark { uptime, place, passed });
        }
        let needed = uptime.saturating_sub(back);
        while marks.marks.get(1).is_some_and(|second| second.uptime < needed) {
            marks.marks.pop_front();
        }
        lines
    }

    /// Where a restart begins: behind the last mark that is older than `back`. Up to `done` all of
    /// each file was dealt with.
    pub(crate) fn cursor(
        &self,
        uptime: Duration,
        back: Duration,
        done: &[Reached],
    ) -> Option<Cursor> {
        let marks = self.marks();
        let needed = uptime.saturating_sub(back);
        let older = marks.marks.iter().rev().find(|mark| mark.uptime < needed);
        let from = older.or(marks.marks.front())?;
        let done = done.iter().filter(|done| done.passed > from.passed);
        let done = done.map(Reached::place).collect();
        Some(Cursor { from: from.place.clone(), done })
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A block's place in its file and in all that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a> {
    pub(crate) origin: Origin,
    block: &'a [u8],
    passed: u64,
}

impl Lines<'_> {
    /// The end of a line, given by its offset in the block.
    pub(crate) fn reached(&self, end: usize) -> Reached {
        let line = self.block.get(end.saturating_sub(BEFORE)..end).unwrap_or_default();
        let mut before = [0; BEFORE];
        before.iter_mut().zip(line).for_each(|(to, from)| *to = *from);
        let end = end as u64;
        Reached {
            file: self.origin.file,
            offset: self.origin.begins + end,
            passed: self.passed + end,
            before,
            length: line.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId { device: 1, inode: 2 };
    const BACK: Duration = Duration::from_secs(60);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_restart_begins_behind_the_last_mark_that_is_old_enough() {
        let trail = Trail::default();
        trail.begins_at(seconds(0), Place { file: FILE, offset: 1000, before: Vec::new() });
        let mut ends = Vec::new();
        for second in 0..200 {
            let begins = 1000 + second * 10;
            let origin =
                Origin { file: FILE, begins, known_to: 0, backlog_to: 0, is_overtaken: false };
            ends.push(trail.read(seconds(second), BACK, b"ten bytes\n", &origin).reached(10));
        }
        let cursor = |uptime, done| trail.cursor(seconds(uptime), BACK, &[done]).unwrap();
        let now = cursor(199, ends[150]);
        // What was read at second 138 is 61 seconds old.
        assert_eq!(now.from.offset, 1000 + 139 * 10);
        assert_eq!(now.from.before, b"ten bytes\n");
        let before = b"ten bytes\n".to_vec();
        assert_eq!(now.done, [Place { file: FILE, offset: 1000 + 151 * 10, before }]);
        // A knock long ago needs no mention, and a long pause leaves nothing to read again.
        assert_eq!(cursor(199, ends[100]).done, []);
        assert_eq!(
            cursor(100_000, ends[199]),
            Cursor { from: Place { offset: 1000 + 200 * 10, ..now.from }, done: Vec::new() }
        );
        assert!(trail.marks().marks.len() < 70, "{}", trail.marks().marks.len());
    }

    #[test]
    fn a_young_run_begins_where_it_began() {
        let trail = Trail::default();
        assert_eq!(trail.cursor(seconds(5), BACK, &[]), None);
        trail.begins_at(seconds(0), Place { file: FILE, offset: 7, before: Vec::new() });
        assert_eq!(trail.cursor(seconds(5), BACK, &[]).unwrap().from.offset, 7);
    }
}
