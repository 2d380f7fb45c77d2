//! How far a source was read, and how far back a restart has to begin so that a knock which was under
//! way is read again. Kept in memory; the loop stores it with an accepted knock and on a clean stop.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use knock_sources::{
    Cursor, Entries, EntryPlace, FileCursor, FileId, JournalCursor, Origin, Place, Taken,
};

/// The marks that a source leaves as it reads. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail(Arc<Mutex<Marks>>);

#[derive(Debug, Default)]
struct Marks {
    /// Oldest first; one is older than what is needed, the others are not.
    marks: VecDeque<Mark>,
    /// The newest place that a file can be known by, while the first mark is none.
    seen: Option<Place>,
    /// Bytes of lines handed over so far.
    passed: u64,
}

/// Everything before the place was read by then.
#[derive(Debug)]
struct Mark {
    uptime: Duration,
    at: At,
    passed: u64,
}

/// Where that is.
#[derive(Clone, Debug)]
enum At {
    Line(Place),
    Entry(EntryPlace),
}

/// Where the line ends that a hit came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// In a file.
    Line(LineEnd),
    /// It was an entry of the journal.
    Entry(Taken),
}

/// The end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineEnd {
    file: FileId,
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
    /// Whether both are in the same file, or in the journal.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Line(one), Self::Line(other)) => one.file == other.file,
            (Self::Entry(_), Self::Entry(_)) => true,
            (Self::Line(_), Self::Entry(_)) | (Self::Entry(_), Self::Line(_)) => false,
        }
    }
}

impl LineEnd {
    fn place(&self) -> Place {
        let before = self.before.get(..self.length).unwrap_or_default().to_vec();
        Place { file: self.file, offset: self.offset, before }
    }
}

impl Trail {
    /// Reading begins here, or begins here anew.
    pub(crate) fn begins_at(&self, uptime: Duration, place: Place) {
        self.marks().push(uptime, At::Line(place));
    }

    /// The journal is read behind this entry.
    pub(crate) fn begins_behind(&self, uptime: Duration, entry: EntryPlace) {
        self.marks().push(uptime, At::Entry(entry));
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
        let is_due = marks.is_due(uptime, back);
        // A restart may have to begin where there is nothing to know the file by.
        let needs_witness = marks
            .marks
            .front()
            .is_some_and(|first| matches!(&first.at, At::Line(place) if !place.is_telling()));
        if is_due || needs_witness {
            let place = at.place(block, block.len());
            if needs_witness && place.is_telling() {
                marks.seen = Some(place.clone());
            }
            if !is_due {
                return lines;
            }
            marks.push(uptime, At::Line(place));
        }
        marks.forget(uptime, back);
        lines
    }

    /// The same of entries of the journal.
    pub(crate) fn read_entries(&self, uptime: Duration, back: Duration, of: &Entries<'_>) {
        let mut marks = self.marks();
        if marks.is_due(uptime, back) {
            marks.push(uptime, At::Entry(of.last.clone()));
        }
        marks.forget(uptime, back);
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
        let lines = |reached: &Reached| match reached {
            Reached::Line(line) => Some(*line),
            Reached::Entry(_) => None,
        };
        let place = match &from.at {
            At::Line(place) => place.clone(),
            At::Entry(entry) => {
                let entries = done.iter().filter_map(|reached| match reached {
                    Reached::Entry(taken) => Some(*taken),
                    Reached::Line(_) => None,
                });
                let done = entries.max().filter(|done| *done > entry.taken);
                return Some(Cursor::Journal(JournalCursor { from: entry.clone(), done }));
            }
        };
        let done = done.iter().filter_map(lines).filter(|done| done.passed > from.passed);
        let done = done.map(|line| line.place()).collect();
        let is_witness = |seen: &&Place| seen.is_telling() && seen.file == place.file;
        let marked = marks.marks.iter().rev().filter_map(|mark| match &mark.at {
            At::Line(place) => Some(place),
            At::Entry(_) => None,
        });
        let mut places = marks.seen.iter().chain(marked);
        let seen = places.find(is_witness).filter(|_| !place.is_telling()).cloned();
        Some(Cursor::File(FileCursor { from: place, seen, done }))
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    fn push(&mut self, uptime: Duration, at: At) {
        let passed = self.passed;
        self.marks.push_back(Mark { uptime, at, passed });
    }

    /// Whether the last one is so far away that there have to be only a few.
    fn is_due(&self, uptime: Duration, back: Duration) -> bool {
        let apart = (back / 64).max(Duration::from_secs(1));
        self.marks.back().is_none_or(|last| uptime.saturating_sub(last.uptime) >= apart)
    }

    /// Lets go of those before the last one that is old enough.
    fn forget(&mut self, uptime: Duration, back: Duration) {
        let needed = uptime.saturating_sub(back);
        while self.marks.get(1).is_some_and(|second| second.uptime < needed) {
            self.marks.pop_front();
        }
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
        Reached::Line(LineEnd {
            file: self.origin.file,
            offset: self.origin.begins + end,
            passed: self.passed + end,
            before,
            length: line.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId { device: 1, inode: 2 };
    const BACK: Duration = Duration::from_secs(60);

    fn in_file(cursor: Option<Cursor>) -> FileCursor {
        cursor.unwrap().in_file().unwrap()
    }

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
        let cursor = |uptime, done| in_file(trail.cursor(seconds(uptime), BACK, &[done]));
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
            FileCursor {
                from: Place { offset: 1000 + 200 * 10, ..now.from },
                seen: None,
                done: Vec::new()
            }
        );
        assert!(trail.marks().marks.len() < 70, "{}", trail.marks().marks.len());
    }

    #[test]
    fn a_place_that_tells_nothing_has_a_witness() {
        let trail = Trail::default();
        trail.begins_at(seconds(0), Place { file: FILE, offset: 0, before: Vec::new() });
        let read = |begins, block: &[u8]| {
            let origin =
                Origin { file: FILE, begins, known_to: 0, backlog_to: 0, is_overtaken: false };
            let _lines = trail.read(seconds(0), BACK, block, &origin);
            in_file(trail.cursor(seconds(0), BACK, &[])).seen.map(|seen| seen.offset)
        };
        assert_eq!(read(0, b"short\n"), None);
        assert_eq!(read(6, b"a line that is as long as lines are\n"), Some(42));
        assert_eq!(read(42, b"short\n"), Some(42));
        assert_eq!(trail.marks().marks.len(), 1);
    }

    #[test]
    fn a_young_run_begins_where_it_began() {
        let trail = Trail::default();
        assert_eq!(trail.cursor(seconds(5), BACK, &[]), None);
        trail.begins_at(seconds(0), Place { file: FILE, offset: 7, before: Vec::new() });
        assert_eq!(in_file(trail.cursor(seconds(5), BACK, &[])).from.offset, 7);
    }

    #[test]
    fn of_the_journal_it_keeps_the_names_of_entries() {
        let trail = Trail::default();
        let entry = |second: u64| EntryPlace {
            boot: 7,
            name: format!("entry {second}"),
            taken: Taken { micros: second * 1_000_000, tie: 0 },
        };
        trail.begins_behind(seconds(0), entry(0));
        for second in 1..200 {
            let last = entry(second);
            let of = Entries { lines: &[], last: &last, known_to: None, backlog_to: None };
            trail.read_entries(seconds(second), BACK, &of);
        }
        let cursor = |done: u64| {
            let done = [Reached::Entry(entry(done).taken)];
            trail.cursor(seconds(199), BACK, &done).unwrap().in_journal().unwrap()
        };
        let now = cursor(150);
        // What was read at second 138 is 61 seconds old.
        assert_eq!((now.from, now.done), (entry(138), Some(entry(150).taken)));
        assert_eq!(cursor(100).done, None, "before all that is read again");
        assert!(trail.marks().marks.len() < 70, "{}", trail.marks().marks.len());
    }
}
