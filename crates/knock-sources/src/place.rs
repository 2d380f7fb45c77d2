//! Places in a log that are found again after a restart, and what is known of the lines at one.
//! Keeps nothing: whoever reads keeps the trail, whoever stores keeps the text.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

/// Bytes before a place by which it is recognised. There is a time in every log line, so a line is as
/// good as a name.
pub(crate) const BEFORE: usize = 96;

/// Fewer bytes than this tell too little to find a place in a file that is another one.
pub(crate) const TELLING: usize = 24;

/// A file, as long as it exists: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The device that it is on.
    pub device: u64,
    /// Its number there. Used again for another file once this one is gone.
    pub inode: u64,
}

/// A place between two lines of a file, and what stood before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// How many bytes of it lie before the place.
    pub offset: u64,
    /// The last of those bytes: an inode that is used again, or a file that was emptied and grew
    /// again, has others.
    pub before: Vec<u8>,
}

/// Where a block of lines stands, and how much of its file is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: FileId,
    /// Where in it the block begins.
    pub begins: u64,
    /// Lines that end here or before were dealt with by an earlier run.
    pub known_to: u64,
    /// Lines that end here or before stood there when this run began.
    pub backlog_to: u64,
    /// Lines of a newer file have been handed over already: this one was rotated away, and somebody
    /// still writes to it. No place to go on from.
    pub is_overtaken: bool,
}

/// How new a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// An earlier run dealt with it; it is read again for what follows it.
    Known,
    /// Written before this run began, and not dealt with.
    Backlog,
    /// Written since.
    Live,
}

impl Place {
    /// Whether enough stands before it to know it by, in another file too.
    #[must_use]
    pub fn is_telling(&self) -> bool {
        self.before.len() >= TELLING
    }
}

impl Origin {
    /// How new the line is that ends at this byte of the block.
    #[must_use]
    pub fn age(&self, end: usize) -> Age {
        match self.begins + end as u64 {
            end if end <= self.known_to => Age::Known,
            end if end <= self.backlog_to => Age::Backlog,
            _ => Age::Live,
        }
    }

    /// The place behind the first `end` bytes of the block, which end a line.
    #[must_use]
    pub fn place(&self, block: &[u8], end: usize) -> Place {
        let before = block.get(end.saturating_sub(BEFORE)..end).unwrap_or_default().to_vec();
        Place { file: self.file, offset: self.begins + end as u64, before }
    }
}

/// Where to go on after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Reading begins here: far enough back that a knock which was under way is read again.
    pub from: Place,
    /// Where there are too few bytes before that to know it by: a later place in the same file, up to
    /// which it was read.
    pub seen: Option<Place>,
    /// How far the lines of each file were dealt with that come behind `from`.
    pub done: Vec<Place>,
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

/// `file from PLACE seen PLACE done PLACE`, with any number of `done` and maybe without `seen`, in one
/// line for whoever looks into the store.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file from {}", self.from)?;
        self.seen.iter().try_for_each(|seen| write!(f, " seen {seen}"))?;
        self.done.iter().try_for_each(|done| write!(f, " done {done}"))
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
        parse(text).ok_or(NoCursor)
    }
}

fn parse(text: &str) -> Option<Cursor> {
    let mut words = text.strip_prefix("file from ")?.split(' ');
    let from = place(&mut words)?;
    let (mut seen, mut done) = (None, Vec::new());
    while let Some(word) = words.next() {
        match word {
            "seen" if seen.is_none() && done.is_empty() => seen = Some(place(&mut words)?),
            "done" => done.push(place(&mut words)?),
            _ => return None,
        }
    }
    Some(Cursor { from, seen, done })
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

    #[test]
    fn a_line_is_known_or_old_by_where_it_ends() {
        let file = FileId { device: 1, inode: 2 };
        let origin =
            Origin { file, begins: 100, known_to: 104, backlog_to: 110, is_overtaken: false };
        let ages: Vec<Age> = [4, 5, 10, 11].map(|end| origin.age(end)).into();
        assert_eq!(ages, [Age::Known, Age::Backlog, Age::Backlog, Age::Live]);
        let place = origin.place(b"one\ntwo\n", 4);
        assert_eq!((place.offset, place.before.as_slice()), (104, &b"one\n"[..]));
    }

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
            let cursor = Cursor { from: Place { file, offset, before }, seen, done };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_text_is_a_cursor_or_not(text in ".{0,80}") {
            let _ = text.parse::<Cursor>();
        }
    }
}
