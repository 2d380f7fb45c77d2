//! Comments and blank lines, and which entry each of them stands by.
//!
//! Knows neither syntax: whoever reads one tells what stands where. Nothing here changes what a file means.

use std::collections::HashMap;
use std::sync::Arc;

use crate::place::Spot;

/// Something between the entries of a file.
#[derive(Debug, Clone)]
pub(crate) enum Remark {
    /// An empty line.
    Blank,
    /// What stands behind `#`, to the end of the line.
    Hash(Spot),
    /// A line of a comment of another kind, or of text that the reader lost: blanks around it mean nothing.
    Text(Spot),
    /// From here on it is the text of this included file.
    Included(Spot),
    /// That included file ends.
    EndOfIncluded(Spot),
}

/// What stands around one entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    /// On lines of their own before it.
    pub(crate) before: Vec<Remark>,
    /// Behind it, on its line.
    pub(crate) beside: Vec<Remark>,
    /// Inside of it, behind the last of its entries.
    pub(crate) end: Vec<Remark>,
    /// On lines of their own behind all of it, but rather its own than the next one's.
    pub(crate) after: Vec<Remark>,
}

/// All remarks of a file and of what it includes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remarks {
    of: HashMap<Anchor, Notes>,
    /// Behind the last entry of the file.
    pub(crate) end: Vec<Remark>,
}

/// An entry, told from others by where its key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Anchor {
    file: usize,
    at: usize,
}

impl Anchor {
    fn of(spot: &Spot) -> Self {
        Anchor { file: Arc::as_ptr(&spot.file).addr(), at: spot.bytes.start }
    }
}

impl Remarks {
    /// The notes of the entry whose key stands here, to add to them.
    pub(crate) fn of(&mut self, key: &Spot) -> &mut Notes {
        self.of.entry(Anchor::of(key)).or_default()
    }

    /// The notes of the entry whose key stands here. They are there once: what has been taken is not left over.
    pub(crate) fn take(&mut self, key: &Spot) -> Notes {
        self.of.remove(&Anchor::of(key)).unwrap_or_default()
    }

    /// What nobody took, in the order of the file.
    pub(crate) fn left_over(&mut self) -> Vec<Remark> {
        let mut notes: Vec<(Anchor, Notes)> = self.of.drain().collect();
        notes.sort_by_key(|(anchor, _)| (anchor.file, anchor.at));
        let lists = |notes: Notes| [notes.before, notes.beside, notes.end, notes.after].concat();
        notes.into_iter().flat_map(|(_, notes)| lists(notes)).collect()
    }
}
