//! Finds the place that reading came to again in a file that was written anew: an editor took a line
//! out, a script cut the front off. Decides nothing about files; it compares bytes.

use std::{fs::File, io};

use memchr::memmem;

use super::held::fill;
use crate::place::TELLING;

/// Bytes at a file's end that are searched.
const SEARCHED: u64 = 64 << 20;

/// Lines that are searched for.
const MOST: usize = 8;

/// What was read last, and may be found elsewhere.
#[derive(Debug, Default)]
pub(super) struct Remains {
    tail: Vec<u8>,
    /// It begins with a whole line.
    is_whole: bool,
}

impl Remains {
    /// The last bytes before byte `at`.
    pub(super) fn new(tail: Vec<u8>, at: u64) -> Self {
        let is_whole = tail.len() as u64 == at;
        Self { tail, is_whole }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tail.is_empty()
    }

    /// The place in the first `size` bytes of `file` behind the newest line that is still there. The
    /// last of several counts: reading a line twice is worse than missing one that was moved.
    pub(super) fn find(&self, file: &File, size: u64, room: &mut [u8]) -> io::Result<Option<u64>> {
        let mut needles = self.needles();
        let mut best = None;
        let mut end = size;
        while !needles.is_empty() && size - end < SEARCHED {
            let from = end.saturating_sub(room.len() as u64);
            let length = usize::try_from(end - from).unwrap_or(room.len());
            let got = fill(file, from, room.get_mut(..length).unwrap_or_default())?;
            let seen = room.get(..got).unwrap_or_default();
            let found = needles.iter().enumerate().find_map(|(place, needle)| {
                Some((place, rfind(seen, needle, from == 0)? + needle.bytes.len()))
            });
            if let Some((place, behind)) = found {
                best = Some(from + behind as u64);
                // Further up, only a newer line would be better.
                needles.truncate(place);
            }
            if from == 0 {
                break;
            }
            // One may lie across the border, with a newline before it.
            end = from + self.tail.len() as u64 + 1;
        }
        Ok(best)
    }

    /// Newest first. A line that is short, or stands there twice, tells nothing; it goes with those
    /// before it.
    fn needles(&self) -> Vec<Needle<'_>> {
        let whole_from = match memchr::memchr(b'\n', &self.tail) {
            _ if self.is_whole => 0,
            Some(newline) => newline + 1,
            None => 0,
        };
        let whole = self.tail.get(whole_from..).unwrap_or_default();
        if whole.is_empty() {
            // In a single long line.
            let is_telling = self.tail.len() >= TELLING;
            let needle = Needle { bytes: &self.tail, begins_line: false };
            return if is_telling { vec![needle] } else { Vec::new() };
        }
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        let is_unique = |line: &[u8]| lines.iter().filter(|other| **other == line).count() == 1;
        let (mut found, mut end, mut begin) = (Vec::new(), whole.len(), whole.len());
        let mut any_unique = false;
        for line in lines.iter().rev() {
            begin -= line.len();
            any_unique |= is_unique(line);
            let bytes = whole.get(begin..end).unwrap_or_default();
            if any_unique && bytes.len() > TELLING && found.len() < MOST {
                found.push(Needle { bytes, begins_line: true });
                (end, any_unique) = (begin, false);
            }
        }
        found
    }

    /// Whether there is a line in it that says which file this is.
    pub(super) fn is_telling(&self) -> bool {
        !self.needles().is_empty()
    }
}

struct Needle<'a> {
    bytes: &'a [u8],
    begins_line: bool,
}

/// The last place of the needle; `is_start` when the bytes are a file's first.
fn rfind(seen: &[u8], needle: &Needle<'_>, is_start: bool) -> Option<usize> {
    memmem::rfind_iter(seen, needle.bytes).find(|&at| {
        !needle.begins_line
            || match at.checked_sub(1) {
                Some(before) => seen.get(before) == Some(&b'\n'),
                None => is_start,
            }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn line(number: usize) -> String {
        format!("2026-01-01T10:00:00 line {number}\n")
    }

    fn lines(numbers: impl IntoIterator<Item = usize>) -> String {
        numbers.into_iter().map(line).collect()
    }

    /// Where the file's rest begins, which is behind the place.
    fn check(tail: &str, at: usize, text: &str, rest: Option<&str>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let remains = Remains::new(tail.as_bytes().to_vec(), at as u64);
        // Small, so that it has to be filled again and again.
        let mut room = vec![0; tail.len() + 40];
        let got = remains.find(&file, text.len() as u64, &mut room).unwrap();
        let got = got.map(|at| &text[usize::try_from(at).unwrap()..]);
        assert_eq!(got, rest, "{tail:?} in {text:?}");
    }

    #[test]
    fn the_newest_line_that_is_left_counts() {
        let (tail, more) = (lines(10..15), lines(100..130));
        check(&tail, tail.len(), &(lines(3..15) + &more), Some(&more));
        check(&tail, tail.len(), &(lines([3, 11, 14]) + &more), Some(&more));
        check(&tail, tail.len(), &(lines([3, 11]) + &more), Some(&more));
        check(&tail, tail.len(), &more, None);
        check(&tail, tail.len(), "", None);
        // Moved to the front by somebody: all behind it has been read, too.
        check(&tail, tail.len(), &(lines([14, 3, 12]) + &more), Some(&(lines([3, 12]) + &more)));
    }

    #[test]
    fn parts_of_lines_and_lines_that_are_alike_tell_nothing() {
        // The tail begins within a line, the end of which others have as well.
        let tail = format!("{}{}", &line(10)[3..], line(11));
        check(&tail, 1000, &(line(10) + "x" + &line(11)), None);
        let same = "the same line again and again\n".repeat(5);
        check(&same, same.len(), &same, None);
        // Short ones go with the one before.
        let tail = line(10) + "\nok\n";
        check(&tail, tail.len(), &(line(9) + &tail + "\n\n"), Some("\n\n"));
        // Nothing but a part of a line that is longer than what is kept.
        let long = "0123456789".repeat(20) + "\n";
        check(&long, 1000, &format!("{long}more\n"), Some("more\n"));
    }
}
