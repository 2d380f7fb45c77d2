//! Where reading of an open file begins: at its own end, or where another one that had the same lines was
//! read to. Hands no lines over.

use std::io;

use memchr::memrchr;

use super::{HEAD, Held, TAIL, fill};
use crate::{Place, file::again::Remains, lines::WINDOW, place::TELLING};

impl Held {
    /// Whether the bytes before this place stand before it here.
    pub(in crate::file) fn has(&self, place: &Place) -> io::Result<bool> {
        let length = place.before.len();
        let Some(from) = place.offset.checked_sub(length as u64) else { return Ok(false) };
        let mut mine = vec![0; length];
        Ok(fill(&self.file, from, &mut mine)? == length
            && mine == place.before
            && self.size()? >= place.offset)
    }

    /// Begins reading behind the last line that is complete within the first `end` bytes.
    pub(in crate::file) fn begin_before(&mut self, end: u64, room: &mut [u8]) -> io::Result<()> {
        let end = end.min(self.size()?);
        let from = end.saturating_sub(WINDOW as u64);
        let length = usize::try_from(end - from).unwrap_or(WINDOW);
        let got = fill(&self.file, from, room.get_mut(..length).unwrap_or_default())?;
        let seen = room.get(..got).unwrap_or_default();
        self.at = match memrchr(b'\n', seen) {
            Some(last) => from + last as u64 + 1,
            None if from == 0 => 0,
            None => {
                // In the middle of a line that is too long already.
                self.cutter.skip_from(got as u64);
                end
            }
        };
        self.begun = self.at;
        self.remember_tail()
    }

    pub(super) fn remember_tail(&mut self) -> io::Result<()> {
        let from = self.at.saturating_sub(TAIL as u64);
        let mut tail = vec![0; usize::try_from(self.at - from).unwrap_or(TAIL)];
        let got = fill(&self.file, from, &mut tail)?;
        tail.truncate(got);
        self.tail = tail;
        Ok(())
    }

    /// Whether it has lost what was read of it.
    pub(in crate::file) fn is_emptied(&self) -> io::Result<bool> {
        Ok(!self.keeps(self)?)
    }

    /// Whether its first bytes are enough to tell it from any other log.
    pub(in crate::file) fn has_telling_head(&self) -> bool {
        // A hole of NULs is like every other.
        self.head.len() == HEAD && self.head.iter().any(|byte| *byte != 0)
    }

    /// Begins reading where `other` was read to, if this is a copy that outlived it: `other` has no
    /// name any more, and its last lines are in this one, or the same first bytes, and then reading
    /// begins at the end. As long as `other` has a name, equal bytes are only lines that are alike.
    pub(in crate::file) fn begin_as_copy_of(
        &mut self,
        other: &Self,
        room: &mut [u8],
    ) -> io::Result<bool> {
        let is_alike = self.has_telling_head() && self.head == other.head;
        if !other.is_deleted() {
            return Ok(false);
        }
        let at = match self.find_again(other.at, &other.tail, room)? {
            Some(at) => at,
            None if is_alike && other.at == 0 => 0,
            None if is_alike => self.size()?,
            None => return Ok(false),
        };
        self.begin_before(at, room)?;
        Ok(true)
    }

    /// How long it is, if all that it has stands at the beginning of `other`, too.
    pub(in crate::file) fn copied_from(&self, other: &Self) -> io::Result<Option<u64>> {
        let at = self.size()?;
        let from = at.saturating_sub(TAIL as u64);
        let mut before = vec![0; usize::try_from(at - from).unwrap_or(TAIL)];
        let got = fill(&self.file, from, &mut before)?;
        before.truncate(got);
        let place = Place { file: other.file_id(), offset: at, before };
        let is_same = other.head.starts_with(&self.head) && other.has(&place)?;
        Ok((is_same && Remains::new(place.before, at).is_telling()).then_some(at))
    }

    /// Where these bytes end here, which once ended at byte `at`.
    pub(super) fn find_again(
        &self,
        at: u64,
        tail: &[u8],
        room: &mut [u8],
    ) -> io::Result<Option<u64>> {
        let place = Place { file: self.file_id(), offset: at, before: tail.to_vec() };
        if at > 0 && self.head.len() == HEAD && self.has(&place)? {
            return Ok(Some(at));
        }
        Remains::new(place.before, at).find(&self.file, self.size()?, room)
    }

    /// Whether it has what `original` had before the place that was read to.
    pub(in crate::file) fn keeps(&self, original: &Self) -> io::Result<bool> {
        let before = original.tail.clone();
        self.has(&Place { file: self.file_id(), offset: original.at, before })
    }

    /// Begins reading where a copy of `original` has what that was read to; `false` if it has not.
    pub(in crate::file) fn begin_as_kept(
        &mut self,
        original: &Self,
        room: &mut [u8],
    ) -> io::Result<bool> {
        let keeps = self.keeps(original)?;
        if keeps {
            self.begin_before(original.at, room)?;
        }
        Ok(keeps)
    }

    /// Whether enough was read of it to know its place in another file.
    pub(in crate::file) fn has_telling_place(&self) -> bool {
        self.tail.len() >= TELLING
    }
}
