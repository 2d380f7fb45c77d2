//! Finds the place of a cursor again after a restart, also in a file that was rotated away or copied
//! meanwhile. What is too old to be used is not decided here; it is read all the same.

use std::{io, path::Path};

use rustix::process::geteuid;

use super::{family::Family, held::Held};
use crate::{FileCursor, FileId, Place};

/// What came of the search.
pub(super) enum Search {
    /// These are to be read, oldest first; the place is in the first one.
    Found(Vec<Held>),
    /// It is nowhere. The file that stands at the path comes back.
    Nowhere(Option<Held>),
}

/// Looks for the place in the file that stands at the path, and in its rotated siblings. Those must
/// have the same owner: who can write beside the log but not into it does not get in this way. While
/// there is none at the path, they must belong to root, to us or to the folder's owner.
pub(super) fn find(
    cursor: &FileCursor,
    path: &Path,
    current: Option<Held>,
    room: &mut [u8],
) -> io::Result<Search> {
    let is_alike = |file: &Held| is_from(cursor, file);
    let is_it = |file: &Held| file.file_id() == cursor.from.file && is_alike(file);
    if current.as_ref().is_some_and(is_it) {
        return begin(cursor, cursor.from.offset, current.into_iter().collect(), room);
    }
    let mut siblings = Family::opened(path);
    let owners = match &current {
        Some(current) => vec![current.owner],
        None => {
            Family::of(path).folder_owner().into_iter().chain([0, geteuid().as_raw()]).collect()
        }
    };
    siblings.retain(|file| owners.contains(&file.owner));
    let found = siblings.iter().position(is_it);
    let found = match found {
        None if current.as_ref().is_some_and(is_alike) => {
            return begin(cursor, cursor.from.offset, current.into_iter().collect(), room);
        }
        None => siblings.iter().position(is_alike),
        found => found,
    };
    // The file with the place is gone; the one after it that has some lines of before is not.
    let (found, offset) = match found {
        Some(found) => (Some(found), cursor.from.offset),
        None => {
            let is_done =
                |place: &usize| siblings.get(*place).is_some_and(|file| has_done(cursor, file));
            let oldest =
                |place: &usize| siblings.get(*place).map(|file| (file.modified(), file.born));
            ((0..siblings.len()).filter(is_done).min_by_key(oldest), 0)
        }
    };
    let Some(found) = found else {
        let mut current = current;
        if let Some(file) = &mut current {
            file.known_to = known_to(cursor, file);
        }
        return Ok(Search::Nowhere(current));
    };
    let first = siblings.remove(found);
    siblings.retain(|file| is_younger(file, &first) && !is_copy(file, &first));
    siblings.retain(|file| current.as_ref().is_none_or(|current| file.id != current.id));
    siblings.sort_by_key(|file| (file.modified(), file.born));
    begin(cursor, offset, [first].into_iter().chain(siblings).chain(current).collect(), room)
}

/// Whether the place to begin at is in this file. With too few bytes before it, one further down has
/// to be there as well: an emptied file has its beginning still, and so has one that got its inode.
fn is_from(cursor: &FileCursor, file: &Held) -> bool {
    let from = &cursor.from;
    let in_it = cursor.done.iter().filter(|done| done.file == from.file);
    let last = cursor.seen.iter().chain(in_it).max_by_key(|place| place.offset);
    match last.filter(|last| !from.is_telling() && last.is_telling()) {
        Some(last) => stands_in(last, file) && file.has(from).unwrap_or(false),
        // Nothing was read of it; lines of another file say more.
        None if !from.is_telling() && cursor.done.iter().any(Place::is_telling) => false,
        None => stands_in(from, file),
    }
}

/// Whether lines are in it that were dealt with.
fn has_done(cursor: &FileCursor, file: &Held) -> bool {
    cursor.done.iter().any(|done| done.is_telling() && stands_in(done, file))
}

/// Whether the place is in this file, which may be a copy or come from a backup: another file with the
/// same lines in the same place.
fn stands_in(place: &Place, file: &Held) -> bool {
    let is_telling = place.is_telling() || file.file_id() == place.file;
    // What cannot be read has not got it.
    is_telling && file.has(place).unwrap_or(false)
}

/// Rotated away later. Who can write beside the log but not into it does not get in this way.
fn is_younger(file: &Held, first: &Held) -> bool {
    (file.modified(), file.born) > (first.modified(), first.born) && file.owner == first.owner
}

fn is_copy(file: &Held, first: &Held) -> bool {
    file.has_telling_head() && file.head() == first.head()
}

/// The first of them from this byte on, the others from their beginning.
fn begin(
    cursor: &FileCursor,
    offset: u64,
    mut files: Vec<Held>,
    room: &mut [u8],
) -> io::Result<Search> {
    for (place, file) in files.iter_mut().enumerate() {
        file.begin_before(if place == 0 { offset } else { 0 }, room)?;
        file.backlog_to = file.size()?;
        file.known_to = known_to(cursor, file);
    }
    Ok(Search::Found(files))
}

/// How far an earlier run has dealt with this file.
fn known_to(cursor: &FileCursor, file: &Held) -> u64 {
    let done = cursor.done.iter().filter(|done| stands_in(done, file)).map(|done| done.offset);
    done.max().unwrap_or(0)
}

impl Held {
    /// As the cursor names it.
    pub(super) fn file_id(&self) -> FileId {
        let (device, inode) = self.id;
        FileId { device, inode }
    }
}
