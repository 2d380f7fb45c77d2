//! The rotated siblings of a log (`kern.log.1`, `kern.log-20260101`), to find those that came and
//! went between two looks. Does not know gzip: what is compressed already is not read.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::io::Errno;

use super::{
    held::{Held, Identity, identity},
    watch::MOST_LINKS,
};

/// Most files that are followed together: the current one and those rotated away unread.
pub(super) const MOST_FILES: usize = 256;

/// Siblings that are remembered though they were not listed again.
const MOST_KNOWN: usize = 1024;

/// Listings of a folder until two agree.
const TRIES: usize = 16;

/// A sibling as it was listed.
#[derive(Debug)]
struct Sibling {
    id: Identity,
    born: Option<SystemTime>,
    owner: u32,
    path: PathBuf,
    order: NumberedName,
}

impl Sibling {
    /// Whether both are one file, whatever its name was each time.
    fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.born == other.born
    }
}

/// The numbers in a name, compared as numbers: length without leading zeros, then digits.
type NumberedName = Vec<(usize, Vec<u8>)>;

/// Files that stood at the path between two looks.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    /// Oldest first.
    pub(super) files: Vec<Held>,
    /// Those of them that cannot be opened, whose lines are lost.
    pub(super) unread: Vec<(PathBuf, io::Error)>,
}

/// Why the newcomers cannot be told.
#[derive(Debug)]
pub(super) enum NoNewcomers {
    /// Names changed while they were being used.
    Moved,
    /// There is no descriptor or no memory for another file.
    Refused(io::Error),
}

/// The rotated siblings of one file.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// Where the file really is: rotation happens at the end of the symlinks.
    real: Option<PathBuf>,
    siblings: Vec<Sibling>,
    /// Why they could not be listed, where that may pass.
    shortage: Option<io::Error>,
}

impl Family {
    /// Lists the siblings of the file that `path` leads to, or would if it were there.
    pub(super) fn of(path: &Path) -> Self {
        let real = real_path(path);
        let list = || match real.as_deref().map(list) {
            Some(Ok(siblings)) => (siblings, None),
            Some(Err(error)) => (Vec::new(), Some(error).filter(is_shortage)),
            None => (Vec::new(), None),
        };
        let (mut siblings, mut shortage) = list();
        // Reading a folder in which names are being shifted can miss one that is there all the time.
        for _ in 0..TRIES {
            let again;
            (again, shortage) = list();
            let same = again.iter().all(|one| siblings.iter().any(|other| one.is(other)));
            let is_whole = same && again.len() == siblings.len();
            siblings = again;
            if is_whole {
                break;
            }
        }
        Self { real, siblings, shortage }
    }

    /// Why it is not known who belongs to it, where that may pass.
    pub(super) fn shortage(&mut self) -> Option<io::Error> {
        self.shortage.take()
    }

    /// Lists the siblings and opens all that can be, under the names that they have then.
    pub(super) fn opened(path: &Path) -> Vec<Held> {
        for _ in 0..TRIES {
            if let Some(all) = Self::of(path).open() {
                return all;
            }
        }
        Vec::new()
    }

    /// None if one has gone to another name since it was listed.
    fn open(&self) -> Option<Vec<Held>> {
        let mut all = Vec::new();
        for one in self.siblings.iter().take(MOST_FILES) {
            match Held::open(&one.path) {
                Ok(Some(file)) if file.id == one.id => all.push(file),
                Ok(_) => return None,
                Err(error) if error.kind() == ErrorKind::NotFound => return None,
                Err(_) => {}
            }
        }
        Some(all)
    }

    /// A sibling that was read need not be read again, whether it was listed or not.
    pub(super) fn learn(&mut self, file: &Held) {
        let (id, born, owner) = (file.id, file.born, file.owner);
        self.siblings.push(Sibling { id, born, owner, path: PathBuf::new(), order: Vec::new() });
    }

    /// Opens this file anew by the name that it has now, if it has one.
    pub(super) fn reopen(&self, file: &mut Held) {
        if let Some(one) = self.siblings.iter().find(|one| one.id == file.id) {
            file.reopen(&one.path);
        }
    }

    /// Takes the place of `before`, and knows what that knew: while names are being shifted a listing
    /// may miss one that is there all the time. Without a time of birth an inode says nothing later.
    pub(super) fn after(mut self, before: &Self) -> Self {
        let listed = self.siblings.len();
        for one in before.siblings.iter().filter(|one| one.born.is_some()).take(MOST_KNOWN) {
            if self.siblings.iter().take(listed).all(|other| !other.is(one)) {
                let (path, order) = (PathBuf::new(), Vec::new());
                self.siblings.push(Sibling { path, order, ..*one });
            }
        }
        self
    }

    /// Whether the file that seems to stand at the path has one of these names instead: what a name
    /// leads to is cached where others write.
    pub(super) fn has_renamed(&self, file: &Held) -> bool {
        file.has_one_name() && self.siblings.iter().any(|one| one.id == file.id)
    }

    fn knows(&self, file: &Held) -> bool {
        self.siblings.iter().any(|one| one.id == file.id && one.born == file.born)
    }

    pub(super) fn folder_owner(&self) -> Option<u32> {
        fs::metadata(self.real.as_deref()?.parent()?).ok().map(|meta| meta.uid())
    }

    /// When a name in the folder last changed.
    pub(super) fn folder_changed(&self) -> Option<SystemTime> {
        fs::metadata(self.real.as_deref()?.parent()?).ok()?.modified().ok()
    }
}

/// Where a file is, or will be: its own symlinks may lead to what is not there yet.
fn real_path(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if let Ok(real) = fs::canonicalize(&path) {
            return Some(real);
        }
        let folder = fs::canonicalize(path.parent()?).ok()?;
        match fs::read_link(&path) {
            Ok(target) => path = folder.join(target),
            Err(_) => return Some(folder.join(path.file_name()?)),
        }
    }
    None
}

fn list(real: &Path) -> io::Result<Vec<Sibling>> {
    let (Some(base), Some(folder)) = (real.file_name(), real.parent()) else {
        return Ok(Vec::new());
    };
    let base = base.as_bytes();
    let found = fs::read_dir(folder)?.flatten().filter_map(|entry| {
        let order = rotated_suffix(base, entry.file_name().as_bytes()).map(numbers)?;
        let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let (id, born, owner) = (identity(&meta), meta.created().ok(), meta.uid());
        Some(Sibling { id, born, owner, path: entry.path(), order })
    });
    Ok(found.collect())
}

/// Opens the siblings in `listed` that are neither `known` nor `held` nor `next`: they stood at the
/// path between two looks. Oldest first. None if the path has come to lead somewhere else, since
/// nothing is known of the siblings there; `Err` if one has gone to another name since it was listed.
pub(super) fn newcomers(
    listed: &Family,
    known: &Family,
    held: &[Held],
    next: &Held,
) -> Result<Newcomers, NoNewcomers> {
    if listed.real != known.real {
        return Ok(Newcomers::default());
    }
    let (listed, known) = (&listed.siblings, &known.siblings);
    let owner = held.last().unwrap_or(next).owner;
    let is_old = |sibling: &Sibling| {
        known.iter().any(|one| one.is(sibling)) || held.iter().any(|one| one.id == sibling.id)
    };
    let old: Vec<&NumberedName> =
        listed.iter().filter(|one| is_old(one)).map(|one| &one.order).collect();
    let new = listed.iter().filter(|one| !is_old(one) && one.id != next.id);
    let (mut opened, mut unread) = (Vec::new(), Vec::new());
    for one in new {
        match Held::open(&one.path) {
            // Opened by name, which may be another file's by now.
            Ok(Some(file)) if file.id == one.id => opened.push((one, file)),
            Ok(_) => return Err(NoNewcomers::Moved),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(NoNewcomers::Moved),
            Err(error) if is_shortage(&error) => return Err(NoNewcomers::Refused(error)),
            Err(error) if one.owner == owner => unread.push((one.path.clone(), error)),
            Err(_) => {}
        }
    }
    let mut found: Vec<(NumberedName, Held)> = opened
        .into_iter()
        // Who can write beside the log but not into it does not get in this way.
        .filter(|(_, file)| file.owner == owner)
        .map(|(one, file)| (one.order.clone(), file))
        .collect();
    // All that were there before are older than all that are new; which way the names count shows
    // from that. Only then ask the clock, whose ticks are longer than a fast rotation.
    // A copy of what was emptied came before the emptied file got its name.
    let emptied = held.last().filter(|last| last.is_emptied().unwrap_or(false));
    let is_copy = |file: &Held| emptied.is_some_and(|last| file.keeps(last).unwrap_or(false));
    let names = || found.iter().filter(|(_, file)| !is_copy(file)).map(|(order, _)| order);
    let (least, most) = (names().min(), names().max());
    let counts_up =
        !old.is_empty() && old.iter().all(|one| least.is_some_and(|least| *one < least));
    let counts_down = !old.is_empty() && old.iter().all(|one| most.is_some_and(|most| *one > most));
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    if counts_up {
        found.reverse();
    } else if !counts_down {
        found.sort_by_key(|(_, file)| (file.modified(), file.born));
    }
    Ok(Newcomers { files: found.into_iter().map(|(_, file)| file).collect(), unread })
}

/// Finds the name that a file has now, and opens it anew by that; `false` if it has none.
pub(super) fn find_again(path: &Path, file: &mut Held) -> bool {
    let itself = Family::opened(path).into_iter().find(|sibling| sibling.id == file.id);
    itself.is_some_and(|itself| file.go_on_in(itself))
}

/// Whether it is no fault of the file.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    shortages.iter().any(|one| error.raw_os_error() == Some(one.raw_os_error()))
}

/// Opens the copies of `file`, which was emptied, where their new lines begin: the first has what was
/// written between the last look and the copying, the others nothing that it has not.
pub(super) fn copies(
    path: &Path,
    file: &Held,
    known: &Family,
    others: &[Held],
    room: &mut [u8],
) -> io::Result<Vec<Held>> {
    let mut copies = Vec::new();
    if file.at() == 0 {
        return Ok(copies);
    }
    for mut copy in Family::opened(path) {
        let is_other = copy.id != file.id && others.iter().all(|other| other.id != copy.id);
        if is_other
            && copy.owner == file.owner
            && (file.has_telling_place() || !known.knows(&copy))
            && copy.begin_as_kept(file, room)?
        {
            copies.push(copy);
        }
    }
    copies.sort_by_key(|copy| std::cmp::Reverse(copy.size().unwrap_or_default()));
    for copy in copies.iter_mut().skip(1) {
        copy.begin_before(u64::MAX, room)?;
    }
    Ok(copies)
}

/// What rotation put into `name`, if it made it from `base`: `kern.log` → `kern.log.1`,
/// `kern.log-20260101`, `kern.log.old`, and `kern-20260101.log`.
fn rotated_suffix<'a>(base: &[u8], name: &'a [u8]) -> Option<&'a [u8]> {
    let is_number = |rest: &&[u8]| {
        matches!(rest, [b'.' | b'-' | b'_', first, more @ ..]
            if first.is_ascii_digit() && more.iter().all(|byte| is_date_byte(*byte)))
    };
    let behind = name.strip_prefix(base).filter(|rest| is_number(rest) || *rest == b".old");
    behind.or_else(|| {
        let dot = memchr::memrchr(b'.', base).filter(|dot| *dot > 0)?;
        let (stem, extension) = base.split_at_checked(dot)?;
        name.strip_prefix(stem)?.strip_suffix(extension).filter(is_number)
    })
}

fn is_date_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'T' | b'Z')
}

fn numbers(suffix: &[u8]) -> NumberedName {
    let runs = suffix.split(|byte| !byte.is_ascii_digit()).filter(|run| !run.is_empty());
    runs.map(|run| {
        let zeros = run.iter().take_while(|byte| **byte == b'0').count();
        (run.len() - zeros, run.get(zeros..).unwrap_or_default().to_vec())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rotation_makes() {
        for (base, name, want) in [
            ("kern.log", "kern.log.1", true),
            ("kern.log", "kern.log-20260101", true),
            ("kern.log", "kern.log.2026-01-01T10:00:00Z", true),
            ("kern.log", "kern.log.old", true),
            ("kern.log", "kern-20260101.log", true),
            ("kern.log", "kern.1.log", true),
            ("messages", "messages.0", true),
            (".log", ".log.1", true),
            ("kern.log", "kern.log", false),
            ("kern.log", "kern.log.1.gz", false),
            ("kern.log", "kern.log.new", false),
            ("kern.log", "kern.log.", false),
            ("kern.log", "kernel.log", false),
            ("kern.log", "auth.log.1", false),
            ("kern.log", "kern.log.1~", false),
        ] {
            let got = rotated_suffix(base.as_bytes(), name.as_bytes()).is_some();
            assert_eq!(got, want, "{base} {name}");
        }
        assert!(numbers(b".10") > numbers(b".9"));
        assert!(numbers(b"-20260101.2") > numbers(b"-20260101.1"));
        assert_eq!(numbers(b".007"), numbers(b".7"));
    }
}
