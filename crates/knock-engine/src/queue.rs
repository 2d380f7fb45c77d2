//! The queue of one client: the last few hits, oldest first.
//! Knows nothing of ciphers; `Codec` judges whether they spell a knock.
//!
//! One ring of small entries serves twice: its newest `filled` entries are the window that may
//! spell a knock, and its newest [`REPEATS`] are what a repeated packet is recognised by. So the
//! window can be emptied while the packets that filled it are still known.

use std::time::Duration;

use crate::plan::Plan;

/// A packet is compared with so many hits of its client before it.
pub(crate) const REPEATS: usize = 16;

/// The same packet later than this is a new knock. Each repeat counts from the one before: a SYN
/// is sent again after 1, 2, 4, 8 seconds.
pub(crate) const REPEAT_WITHIN: Duration = Duration::from_secs(10);

/// The most slots that a window may have; far above what the smallest span and longest shape need.
pub(crate) const MAX_SLOTS: usize = 4096;

/// Milliseconds of uptime, wrapping after 49.7 days. Ages are told by [`Stamp::since`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(u32);

/// One hit, as small as may be: a flood stores millions of them.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    symbol: u16,
    /// 0 where the log does not tell it; no packet comes from port 0.
    source_port: u16,
    at: Stamp,
}

/// What the queue made of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// One of the last packets, sent again.
    Repeated,
    /// The window has so many hits now.
    Filled(usize),
}

/// The hits of one client.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    cells: Cells,
    /// Where the oldest entry is.
    start: u16,
    /// How many cells are in use.
    used: u16,
    /// How many of them, counted from the newest, are the window.
    filled: u16,
}

/// Most forged addresses send one packet or two, and cost no allocation.
#[derive(Debug)]
enum Cells {
    Few([Entry; 2]),
    Many(Box<[Entry]>),
}

/// What all queues have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Hits that a knock has.
    pub(crate) slots: usize,
    /// Age of the newest hit at which the window is forgotten, in milliseconds.
    pub(crate) timeout: Option<u32>,
}

impl Limits {
    pub(crate) fn of(plan: &Plan) -> Self {
        Self::new(plan.codec.slots(), plan.queue.timeout)
    }

    fn new(slots: usize, timeout: Option<Duration>) -> Self {
        // A stamp cannot tell ages beyond 24 days. A window that old is kept: what it holds slides
        // out like any other junk.
        let millis = timeout.and_then(|t| i32::try_from(t.as_millis()).ok());
        Self { slots: slots.clamp(1, MAX_SLOTS), timeout: millis.map(i32::unsigned_abs) }
    }

    fn capacity(self) -> usize {
        self.slots.max(REPEATS)
    }
}

impl Queue {
    /// Takes a hit in.
    pub(crate) fn push(
        &mut self,
        symbol: u16,
        source_port: Option<u16>,
        at: Stamp,
        limits: Limits,
    ) -> Pushed {
        let entry = Entry { symbol, source_port: source_port.unwrap_or(0), at };
        if let Some(earlier) = self.same_packet(entry) {
            earlier.at = at;
            return Pushed::Repeated;
        }
        if let (Some(timeout), Some(newest)) = (limits.timeout, self.newest())
            && at.since(newest) > timeout
        {
            self.filled = 0;
        }
        self.append(entry, limits.capacity());
        self.filled = (self.filled + 1).min(to_u16(limits.slots));
        Pushed::Filled(usize::from(self.filled))
    }

    /// The window's symbols, oldest first.
    pub(crate) fn window(&self) -> impl Iterator<Item = u16> + '_ {
        self.last(usize::from(self.filled)).map(|entry| entry.symbol)
    }

    /// After a refusal: the oldest slot goes.
    pub(crate) fn slide(&mut self) {
        self.filled = self.filled.saturating_sub(1);
    }

    /// After a knock: the window is empty, the memory of repeats stays.
    pub(crate) fn empty(&mut self) {
        self.filled = 0;
    }

    fn newest(&self) -> Option<Stamp> {
        self.last(1).next().map(|entry| entry.at)
    }

    fn same_packet(&mut self, entry: Entry) -> Option<&mut Entry> {
        if entry.source_port == 0 {
            return None;
        }
        let (start, used) = (usize::from(self.start), usize::from(self.used));
        let (newer, older) = self.cells.as_mut_slice().split_at_mut_checked(start)?;
        let recent = older.iter_mut().chain(newer).take(used).skip(used.saturating_sub(REPEATS));
        let mut recent = recent.filter(|earlier| {
            earlier.source_port == entry.source_port
                && earlier.symbol == entry.symbol
                && u128::from(entry.at.since(earlier.at)) <= REPEAT_WITHIN.as_millis()
        });
        recent.next()
    }

    fn append(&mut self, entry: Entry, most: usize) {
        let mut capacity = self.cells.as_slice().len();
        if usize::from(self.used) == capacity && capacity < most {
            capacity = (capacity * 2).min(most);
            let mut cells = Vec::with_capacity(capacity);
            cells.extend(self.last(usize::from(self.used)));
            cells.resize(capacity, Entry::default());
            self.cells = Cells::Many(cells.into_boxed_slice());
            self.start = 0;
        }
        // A division would cost more than all the rest.
        let wrapped = |place: usize| if place < capacity { place } else { place - capacity };
        let end = wrapped(usize::from(self.start) + usize::from(self.used));
        if let Some(cell) = self.cells.as_mut_slice().get_mut(end) {
            *cell = entry;
        }
        if usize::from(self.used) < capacity {
            self.used += 1;
        } else {
            self.start = to_u16(wrapped(usize::from(self.start) + 1));
        }
    }

    /// The newest `count` entries, oldest of them first.
    fn last(&self, count: usize) -> impl Iterator<Item = Entry> + '_ {
        let cells = self.cells.as_slice();
        let skipped = usize::from(self.start) + usize::from(self.used).saturating_sub(count);
        cells.iter().chain(cells).skip(skipped).take(count.min(usize::from(self.used))).copied()
    }
}

impl Stamp {
    pub(crate) fn of(uptime: Duration) -> Self {
        let wrapped = uptime.as_millis() % (u128::from(u32::MAX) + 1);
        Self(u32::try_from(wrapped).unwrap_or_default())
    }

    /// Milliseconds from `earlier` to this; none where the clock ran backwards, as it may between
    /// the lines of a log.
    fn since(self, earlier: Self) -> u32 {
        let age = self.0.wrapping_sub(earlier.0);
        if i32::try_from(age).is_ok() { age } else { 0 }
    }
}

impl Cells {
    fn as_slice(&self) -> &[Entry] {
        match self {
            Self::Few(cells) => cells,
            Self::Many(cells) => cells,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Entry] {
        match self {
            Self::Few(cells) => cells,
            Self::Many(cells) => cells,
        }
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self::Few([Entry::default(); 2])
    }
}

/// Counts of slots, which [`MAX_SLOTS`] keeps far below.
fn to_u16(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
