//! Places among the entries of the journal, and what is known of those in a block. The journal's own
//! names of entries are opaque; what is compared is when it took them.

use std::time::SystemTime;

use crate::Age;

/// When the journal took an entry, and so its place among all that this run of the machine brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// Microseconds since the machine started.
    pub micros: u64,
    /// How many entries before it were taken in the same one.
    pub tie: u32,
}

/// An entry of the journal that is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// The run of the machine, as the kernel calls it.
    pub boot: u128,
    /// What the journal calls the entry.
    pub name: String,
    /// When it was taken.
    pub taken: Taken,
}

/// The line of an entry in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryLine {
    /// Where it ends in the block, its newline included.
    pub end: usize,
    /// Its place in the journal.
    pub taken: Taken,
    /// The same by the wall clock.
    pub written: SystemTime,
}

/// What is known of a block of lines that were entries of the journal.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    /// Each line, in order.
    pub lines: &'a [EntryLine],
    /// The entry of the last line.
    pub last: &'a EntryPlace,
    /// Entries up to here were dealt with by an earlier run.
    pub known_to: Option<Taken>,
    /// Entries up to here stood there when this run began.
    pub backlog_to: Option<Taken>,
}

impl Entries<'_> {
    /// The line that ends at this byte of the block.
    #[must_use]
    pub fn line(&self, end: usize) -> Option<EntryLine> {
        let place = self.lines.binary_search_by_key(&end, |line| line.end).ok()?;
        self.lines.get(place).copied()
    }

    /// How new such a line is.
    #[must_use]
    pub fn age(&self, line: &EntryLine) -> Age {
        let taken = Some(line.taken);
        if taken <= self.known_to {
            Age::Known
        } else if taken <= self.backlog_to {
            Age::Backlog
        } else {
            Age::Live
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_or_old_by_when_its_entry_was_taken() {
        let taken = |micros, tie| Taken { micros, tie };
        let line = |end, micros, tie| EntryLine {
            end,
            taken: taken(micros, tie),
            written: SystemTime::UNIX_EPOCH,
        };
        let lines = [line(10, 5, 0), line(20, 5, 1), line(30, 7, 0), line(40, 7, 1)];
        let last = EntryPlace { boot: 1, name: "d".to_owned(), taken: taken(7, 1) };
        let ages = |known_to, backlog_to| {
            let entries = Entries { lines: &lines, last: &last, known_to, backlog_to };
            [10, 20, 30, 40].map(|end| entries.age(&entries.line(end).unwrap()))
        };
        use Age::{Backlog, Known, Live};
        assert_eq!(ages(Some(taken(5, 0)), Some(taken(7, 0))), [Known, Backlog, Backlog, Live]);
        assert_eq!(ages(None, Some(taken(5, 1))), [Backlog, Backlog, Live, Live]);
        assert_eq!(ages(None, None), [Live; 4]);
        let entries = Entries { lines: &lines, last: &last, known_to: None, backlog_to: None };
        assert_eq!(entries.line(25), None);
    }
}
