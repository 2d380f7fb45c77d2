//! What is remembered of files that are not open: what was there at the start, and where reading of
//! a closed one ended. Decides at which byte a file begins that comes to the path.

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use super::held::{Held, Identity, identity};
use crate::Start;

/// Files that are remembered; the one remembered longest is forgotten first.
const MOST: usize = 4096;

/// Clocks that differ by less were not set; the one that stamps files ticks 100 times a second or more.
pub(super) const CLOCK_TICK: Duration = Duration::from_secs(1);

/// A point in time, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Goes evenly.
    pub(super) uptime: Duration,
    /// What file times are made of; somebody may set it.
    pub(super) wall: SystemTime,
}

/// Files of the past.
#[derive(Debug)]
pub(super) struct Past {
    start: Start,
    began: Moment,
    files: VecDeque<Remembered>,
}

#[derive(Debug)]
struct Remembered {
    id: Identity,
    know_by: KnowBy,
    /// Bytes of it that are not news.
    upto: u64,
}

/// How to tell a file from another one with the same inode that came later.
#[derive(Debug)]
enum KnowBy {
    /// Seen in a folder at the start.
    Birth(SystemTime),
    /// It was read; these were its first bytes.
    Head(Vec<u8>),
}

impl Past {
    /// Looks round in the folders of `path`, so that what is there now is not taken for new later.
    pub(super) fn begin(path: &Path, start: Start, began: Moment) -> Self {
        let mut past = Self { start, began, files: VecDeque::new() };
        let real = fs::canonicalize(path).ok();
        let behind_links = real.as_deref().and_then(Path::parent);
        let folders = path.parent().into_iter().chain(behind_links);
        for entry in folders.flat_map(fs::read_dir).flatten().flatten().take(MOST) {
            if let Ok(meta) = entry.metadata()
                && let Ok(born) = meta.created()
                && meta.is_file()
            {
                past.add(identity(&meta), KnowBy::Birth(born), meta.len());
            }
        }
        past
    }

    /// Remembers how far a file was read that is being closed.
    pub(super) fn closed(&mut self, file: &Held) {
        self.add(file.id, KnowBy::Head(file.head().to_vec()), file.at());
    }

    /// How many bytes of `file` are not news; the file has just come to the path.
    pub(super) fn known_bytes(&self, file: &Held, now: Moment) -> u64 {
        let same = |one: &&Remembered| {
            one.id == file.id
                && match &one.know_by {
                    KnowBy::Birth(born) => file.born == Some(*born),
                    KnowBy::Head(head) => !head.is_empty() && file.head().starts_with(head),
                }
        };
        let found = self.files.iter().rev().find(same);
        match (found.map(|one| &one.know_by), self.start) {
            (Some(KnowBy::Head(_)), _) | (Some(KnowBy::Birth(_)), Start::AtEnd) => {
                found.map_or(0, |one| one.upto)
            }
            (_, Start::AtBeginning) => 0,
            (None, Start::AtEnd) if self.is_older_than_us(file, now) => u64::MAX,
            (None, Start::AtEnd) => 0,
        }
    }

    /// Whether the file was there before us, in some folder that was not looked into.
    fn is_older_than_us(&self, file: &Held, now: Moment) -> bool {
        // If the clock was set back since, then files made now have times from before the start;
        // how long we have been running says what the start is called by today's clock.
        let running = now.uptime.saturating_sub(self.began.uptime);
        let by_now = now.wall.checked_sub(running).unwrap_or(now.wall);
        let was_set_back = by_now + CLOCK_TICK < self.began.wall;
        let began = if was_set_back { by_now } else { self.began.wall };
        file.born.or(file.modified()).is_some_and(|time| time < began)
    }

    fn add(&mut self, id: Identity, know_by: KnowBy, upto: u64) {
        if self.files.len() >= MOST {
            self.files.pop_front();
        }
        self.files.push_back(Remembered { id, know_by, upto });
    }
}
