//! Where in which file something stands, and how an offset inside a value finds its way back there.
//!
//! Knows nothing of either syntax; they say which bytes of a file spell which bytes of a value.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::{Zeroize as _, Zeroizing};

use crate::syntax::MAX_FILE;

/// The byte order mark that some editors put in front of UTF-8 text. It is not a character of the first line.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// A config file as it was read: its name and its bytes, which are wiped when it goes, since a key may
/// be among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The name, as it is shown in messages.
    pub path: PathBuf,
    /// The bytes.
    pub text: Vec<u8>,
}

impl SourceText {
    /// A text under a name.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        SourceText { path: path.into(), text: text.into() }
    }

    /// Reads a file, of a too large one only so much that [`parse`](crate::parse) can tell.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = open_regular(path)?;
        let len = file.metadata()?.len().saturating_add(1).min(limit());
        Self::fill(path, file, len)
    }

    /// Reads what has no name, such as standard input, under the one given; as much as of a file.
    pub fn reading(path: impl Into<PathBuf>, from: impl Read) -> io::Result<Self> {
        Self::fill(path, from, limit())
    }

    fn fill(path: impl Into<PathBuf>, from: impl Read, room: u64) -> io::Result<Self> {
        // All the room at once: a text that moves while it grows leaves copies behind, which nobody wipes.
        let mut text = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
        from.take(limit()).read_to_end(&mut text)?;
        Ok(SourceText::new(path, text))
    }
}

/// So much more than a file may have that its reader can tell.
fn limit() -> u64 {
    u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1)
}

impl Drop for SourceText {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

/// Opens a file to read it. Looks before it opens: a pipe or a device would block or never end.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    let what = if kind.is_dir() { "a folder" } else { "a pipe or a device" };
    Err(io::Error::other(format!("it is {what}, not a regular file")))
}

/// A place that an editor can jump to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// How many characters of that line are meant, at least 1.
    pub len: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A file with its line starts, shared by all spots in it.
#[derive(Debug)]
pub(crate) struct SourceFile {
    path: Arc<Path>,
    text: Zeroizing<Vec<u8>>,
    lines: Vec<usize>,
}

impl SourceFile {
    pub(crate) fn new(source: &SourceText) -> Arc<Self> {
        let newlines = source.text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let lines = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Arc::new(SourceFile {
            path: Arc::from(source.path.as_path()),
            text: source.text.clone().into(),
            lines,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Start and bytes of a line (from 0), without its newline and without a byte order mark.
    fn line(&self, line: usize) -> (usize, &[u8]) {
        let mut start = self.lines.get(line).copied().unwrap_or(self.text.len());
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        if line == 0 && self.text.starts_with(BOM) {
            start = BOM.len();
        }
        (start, self.text.get(start..end).unwrap_or_default())
    }

    fn place(&self, range: &Range<usize>) -> Place {
        let line = self.lines.partition_point(|start| *start <= range.start).saturating_sub(1);
        let (start, text) = self.line(line);
        // Counted from the line's start, both times: a stretch that begins or ends inside a character, or inside bytes
        // that are none, must not make the line longer than it is shown.
        let characters_to = |offset: usize| {
            let before = text.get(..offset.saturating_sub(start).min(text.len()));
            count_characters(before.unwrap_or_default())
        };
        let before = characters_to(range.start);
        let len = characters_to(range.end).saturating_sub(before).max(1);
        Place { file: self.path.clone(), line: line + 1, column: before + 1, len }
    }
}

/// As many as there are to see, with one U+FFFD for each stretch that is not UTF-8.
fn count_characters(text: &[u8]) -> usize {
    let count = |chunk: std::str::Utf8Chunk<'_>| {
        chunk.valid().chars().count() + usize::from(!chunk.invalid().is_empty())
    };
    text.utf8_chunks().map(count).sum()
}

/// Some bytes of a file. Lines and columns are counted only when somebody asks.
#[derive(Debug, Clone)]
pub struct Spot {
    pub(crate) file: Arc<SourceFile>,
    pub(crate) bytes: Range<usize>,
}

impl Spot {
    /// File, line and column.
    pub fn place(&self) -> Place {
        self.file.place(&self.bytes)
    }

    /// Are its bytes UTF-8?
    pub(crate) fn is_utf8(&self) -> bool {
        let bytes = self.file.text().get(self.bytes.clone()).unwrap_or_default();
        std::str::from_utf8(bytes).is_ok()
    }
}

/// One stretch of a value that stands in the file just as it is in the value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    value: usize,
    file: usize,
}

/// Which bytes of a file spell which bytes of a value.
///
/// Quotes, escapes, joined lines and indentation are the gaps between two runs.
#[derive(Debug, Clone)]
pub(crate) struct Spelling {
    file: Arc<SourceFile>,
    runs: Vec<Run>,
    /// Where the value as a whole ends in the file.
    end: usize,
}

impl Spelling {
    /// The spelling of a value of which nothing is known but where it stands as a whole.
    pub(crate) fn new(spot: Spot) -> Self {
        let runs = vec![Run { value: 0, file: spot.bytes.start }];
        Spelling { file: spot.file, runs, end: spot.bytes.end }
    }

    /// From the file's offset of each byte of the value, in order.
    pub(crate) fn of_bytes(
        file: Arc<SourceFile>,
        offsets: impl IntoIterator<Item = usize>,
        end: usize,
    ) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for (value, file) in offsets.into_iter().enumerate() {
            let goes_on = runs
                .last()
                .is_some_and(|run| file.checked_sub(run.file) == Some(value - run.value));
            if !goes_on {
                runs.push(Run { value, file });
            }
        }
        if runs.is_empty() {
            runs.push(Run { value: 0, file: end });
        }
        Spelling { file, runs, end }
    }

    /// The whole value.
    pub(crate) fn spot(&self) -> Spot {
        let start = self.runs.first().map_or(self.end, |run| run.file);
        Spot { file: self.file.clone(), bytes: start..self.end.max(start) }
    }

    /// A part of the value.
    pub(crate) fn spot_of(&self, range: &Range<usize>) -> Spot {
        let start = self.offset(range.start);
        // The end is found through the last byte, else a range that ends at a joint would reach into the next line.
        let end = match range.end.checked_sub(1) {
            Some(last) if last >= range.start => self.offset(last) + 1,
            Some(_) | None => start,
        };
        Spot { file: self.file.clone(), bytes: start..end.max(start) }
    }

    fn offset(&self, value: usize) -> usize {
        let index = self.runs.partition_point(|run| run.value <= value).saturating_sub(1);
        self.runs.get(index).map_or(self.end, |run| run.file + (value - run.value)).min(self.end)
    }
}
