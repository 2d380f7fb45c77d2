//! Places in a log file that are found again after a restart, and what is known of the lines at one.
//! Keeps nothing: whoever reads keeps the trail. Where to go on is a `cursor`.

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

#[cfg(test)]
mod tests {
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
}
