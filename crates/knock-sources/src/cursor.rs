//! Where to go on after a restart, and its text. Keeps nothing: whoever stores keeps the text.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use crate::{EntryPlace, FileId, Place, Taken};

/// Where to go on after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In a log file.
    File(FileCursor),
    /// In systemd's journal.
    Journal(JournalCursor),
}

/// Where to go on in a log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCursor {
    /// Reading begins here: far enough back that a knock which was under way is read again.
    pub from: Place,
    /// Where there are too few bytes before that to know it by: a later place in the same file, up to
    /// which it was read.
    pub seen: Option<Place>,
    /// How far the lines of each file were dealt with that come behind `from`.
    pub done: Vec<Place>,
}

/// Where to go on in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalCursor {
    /// Reading begins behind this entry: far enough back that a knock which was under way is read again.
    pub from: EntryPlace,
    /// How far the entries were dealt with that come behind it.
    pub done: Option<Taken>,
}

impl Cursor {
    /// The place in a file, if it is one.
    #[must_use]
    pub fn in_file(self) -> Option<FileCursor> {
        match self {
            Self::File(cursor) => Some(cursor),
            Self::Journal(_) => None,
        }
    }

    /// The place in the journal, if it is one.
    #[must_use]
    pub fn in_journal(self) -> Option<JournalCursor> {
        match self {
            Self::Journal(cursor) => Some(cursor),
            Self::File(_) => None,
        }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.device, self.inode)
    }
}

/// `DEVICE:INODE OFFSET HEX`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = String::with_capacity(2 * self.before.len());
        for byte in &self.before {
            write!(hex, "{byte:02x}")?;
        }
        write!(f, "{} {} {hex}", self.file, self.offset)
    }
}

/// `MICROSECONDS.TIE`.
impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.micros, self.tie)
    }
}

/// `BOOT MICROSECONDS.TIE NAME`.
impl fmt::Display for EntryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x} {} {}", self.boot, self.taken, self.name)
    }
}

/// `file from PLACE seen PLACE done PLACE`, with any number of `done` and maybe without `seen`, or
/// `journal from PLACE done TAKEN`; in one line for whoever looks into the store.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(FileCursor { from, seen, done }) => {
                write!(f, "file from {from}")?;
                seen.iter().try_for_each(|seen| write!(f, " seen {seen}"))?;
                done.iter().try_for_each(|done| write!(f, " done {done}"))
            }
            Self::Journal(JournalCursor { from, done }) => {
                write!(f, "journal from {from}")?;
                done.iter().try_for_each(|done| write!(f, " done {done}"))
            }
        }
    }
}

/// The text of a cursor is not one that this version wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCursor;

impl fmt::Display for NoCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stored place is not one that this version can read")
    }
}

impl std::error::Error for NoCursor {}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (kind, rest) = text.split_once(" from ").ok_or(NoCursor)?;
        let mut words = rest.split(' ');
        match kind {
            "file" => file(&mut words).map(Self::File),
            "journal" => journal(&mut words).map(Self::Journal),
            _ => None,
        }
        .ok_or(NoCursor)
    }
}

fn file<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<FileCursor> {
    let from = place(words)?;
    let (mut seen, mut done) = (None, Vec::new());
    while let Some(word) = words.next() {
        match word {
            "seen" if seen.is_none() && done.is_empty() => seen = Some(place(words)?),
            "done" => done.push(place(words)?),
            _ => return None,
        }
    }
    Some(FileCursor { from, seen, done })
}

fn journal<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<JournalCursor> {
    let boot = u128::from_str_radix(words.next()?, 16).ok()?;
    let taken = taken(words.next()?)?;
    let name = words.next().filter(|name| !name.is_empty())?.to_owned();
    let done = match words.next() {
        Some("done") => Some(self::taken(words.next()?)?),
        Some(_) => return None,
        None => None,
    };
    let is_all = words.next().is_none();
    is_all.then_some(JournalCursor { from: EntryPlace { boot, name, taken }, done })
}

fn taken(text: &str) -> Option<Taken> {
    let (micros, tie) = text.split_once('.')?;
    Some(Taken { micros: micros.parse().ok()?, tie: tie.parse().ok()? })
}

fn place<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Place> {
    let (file, offset) = (file_id(words.next()?)?, words.next()?.parse().ok()?);
    let digits = words.next()?.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok());
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then_some(())?;
    let before = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, one| sum * 16 + one));
    Some(Place { file, offset, before: before.collect() })
}

fn file_id(text: &str) -> Option<FileId> {
    let (device, inode) = text.split_once(':')?;
    Some(FileId { device: device.parse().ok()?, inode: inode.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::place::BEFORE;

    #[test]
    fn other_texts_are_no_cursors() {
        for text in [
            "",
            "file from 1:2 3",
            "file from 1:2 3 0",
            "file from 1:2 3 zz",
            "file from 1 3 00",
            "file from 1:2 -3 00",
            "file from 1:2 3 00 done 1:2 4",
            "file from 1:2 3 00 then 1:2 4 00",
            "kmsg from 1:2 3 00",
            "journal from 1 2.3",
            "journal from 1 2.3 ",
            "journal from 1 2 s=1",
            "journal from x 2.3 s=1",
            "journal from 1 2.3 s=1 done",
            "journal from 1 2.3 s=1 done 2.3 4",
            "journal from 1 2.3 s=1 seen 2.3",
            "file from 1:2 3 00 seen 1:2 4 00 seen 1:2 5 00",
            "file from 1:2 3 00 done 1:2 4 00 seen 1:2 5 00",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_survives_as_text(
            device: u64,
            inode: u64,
            offset: u64,
            before in prop::collection::vec(any::<u8>(), 0..=BEFORE),
            is_seen: bool,
            done in prop::collection::vec((any::<u64>(), any::<u64>(), any::<Vec<u8>>()), 0..4),
        ) {
            let file = FileId { device, inode };
            let done = done.into_iter().map(|(inode, offset, before)| {
                Place { file: FileId { device, inode }, offset, before }
            });
            let done = done.collect();
            let seen = is_seen.then(|| Place { file, offset: 7, before: before.clone() });
            let cursor = FileCursor { from: Place { file, offset, before }, seen, done };
            let cursor = Cursor::File(cursor);
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn one_of_the_journal_too(
            boot in any::<u128>(),
            name in "[!-~]{1,120}",
            (micros, tie) in any::<(u64, u32)>(),
            done in any::<Option<(u64, u32)>>(),
        ) {
            let from = EntryPlace { boot, name, taken: Taken { micros, tie } };
            let done = done.map(|(micros, tie)| Taken { micros, tie });
            let cursor = Cursor::Journal(JournalCursor { from, done });
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_text_is_a_cursor_or_not(text in ".{0,80}") {
            let _ = text.parse::<Cursor>();
        }
    }
}
