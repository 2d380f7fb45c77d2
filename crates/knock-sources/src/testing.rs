//! An intake that keeps what it gets, for tests. Not for the daemon: it grows without bound.

use std::{
    ops::ControlFlow,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{Age, Entries, EntryLine, EntryPlace, Intake, Notice, Origin, Place, RawPacket};

/// Keeps lines, packets and notices. Clones share what was kept, so that one is given to the source's thread
/// and another asks what has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected(Arc<(Mutex<Kept>, Condvar)>);

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<Vec<u8>>,
    /// Of those lines whose place is known.
    ages: Vec<Age>,
    place: Option<Place>,
    /// Of those that were entries of the journal.
    entries: Vec<EntryLine>,
    entry: Option<EntryPlace>,
    packets: Vec<Packet>,
    notices: Vec<Notice>,
    /// Breaks off once so many lines or packets are there.
    enough: Option<usize>,
}

/// A packet that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Its link type.
    pub(crate) link: i32,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// When it was captured.
    pub(crate) time: Option<SystemTime>,
    /// The prefix and the interface, where a rule chose it.
    pub(crate) rule: Option<(String, String)>,
}

/// How long a wait takes at most before the test fails. Only a failing test waits it out; a machine
/// that is busy with other tests may be slow.
const DEADLINE: Duration = Duration::from_secs(60);

impl Collected {
    /// Nothing kept yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Breaks the source off as soon as so many lines or packets are there.
    #[must_use]
    pub(crate) fn breaking_after(enough: usize) -> Self {
        let it = Self::new();
        it.kept().enough = Some(enough);
        it
    }

    /// The lines so far, without their newlines, as text.
    #[must_use]
    pub(crate) fn lines(&self) -> Vec<String> {
        self.kept().lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// The lines so far, without their newlines, as they came.
    #[must_use]
    pub(crate) fn raw_lines(&self) -> Vec<Vec<u8>> {
        self.kept().lines.clone()
    }

    /// How new the lines were that came from a place.
    #[must_use]
    pub(crate) fn ages(&self) -> Vec<Age> {
        self.kept().ages.clone()
    }

    /// The place behind the last line that came, or where the source began.
    #[must_use]
    pub(crate) fn place(&self) -> Option<Place> {
        self.kept().place.clone()
    }

    /// The entry of the last line that came, or behind which the source began.
    #[must_use]
    pub(crate) fn entry(&self) -> Option<EntryPlace> {
        self.kept().entry.clone()
    }

    /// What is known of the entries that came.
    #[must_use]
    pub(crate) fn entries(&self) -> Vec<EntryLine> {
        self.kept().entries.clone()
    }

    /// The packets so far.
    #[must_use]
    pub(crate) fn packets(&self) -> Vec<Packet> {
        self.kept().packets.clone()
    }

    /// What the notices so far say.
    #[must_use]
    pub(crate) fn notices(&self) -> Vec<String> {
        self.kept().notices.iter().map(ToString::to_string).collect()
    }

    /// Waits until there are `count` lines, and returns all that are there by then.
    ///
    /// # Panics
    /// When they do not come in time.
    #[must_use]
    pub(crate) fn await_lines(&self, count: usize) -> Vec<String> {
        self.wait_until(&format!("{count} lines"), |kept| kept.lines.len() >= count);
        self.lines()
    }

    /// Waits until there are `count` packets.
    ///
    /// # Panics
    /// When they do not come in time.
    pub(crate) fn await_packets(&self, count: usize) {
        self.wait_until(&format!("{count} packets"), |kept| kept.packets.len() >= count);
    }

    /// Waits until a notice says `text` somewhere.
    ///
    /// # Panics
    /// When none comes in time.
    pub(crate) fn await_notice(&self, text: &str) {
        self.await_notices(text, 1);
    }

    /// Waits until `count` notices have said `text` somewhere.
    ///
    /// # Panics
    /// When they do not come in time.
    pub(crate) fn await_notices(&self, text: &str, count: usize) {
        let says = |notice: &&Notice| notice.to_string().contains(text);
        self.wait_until(&format!("{count} notices with '{text}'"), |kept| {
            kept.notices.iter().filter(says).count() >= count
        });
    }

    fn wait_until(&self, what: &str, there: impl Fn(&Kept) -> bool) {
        let (_, news) = &*self.0;
        let (kept, waited) = news
            .wait_timeout_while(self.kept(), DEADLINE, |kept| !there(kept))
            .unwrap_or_else(PoisonError::into_inner);
        let lines = kept.lines.len();
        assert!(!waited.timed_out(), "{what} did not come; {lines} lines, {:?}", kept.notices);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A test that panicked elsewhere must not hide its own message behind this one.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intake for Collected {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        let mut kept = self.kept();
        assert_eq!(block.last(), Some(&b'\n'), "a block ends with a newline");
        let whole = block.split_inclusive(|byte| *byte == b'\n');
        kept.lines.extend(whole.map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec()));
        let enough = kept.enough.is_some_and(|enough| kept.lines.len() >= enough);
        drop(kept);
        self.0.1.notify_all();
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn lines_at(&mut self, block: &[u8], at: &Origin) -> ControlFlow<()> {
        let mut kept = self.kept();
        kept.ages.extend(memchr::memchr_iter(b'\n', block).map(|end| at.age(end + 1)));
        if !at.is_overtaken {
            kept.place = Some(at.place(block, block.len()));
        }
        drop(kept);
        self.lines(block)
    }

    fn begins_at(&mut self, place: Place) {
        self.kept().place = Some(place);
    }

    fn entries(&mut self, block: &[u8], of: &Entries<'_>) -> ControlFlow<()> {
        let mut kept = self.kept();
        let ends: Vec<usize> = memchr::memchr_iter(b'\n', block).map(|end| end + 1).collect();
        assert!(ends.iter().eq(of.lines.iter().map(|line| &line.end)), "each line is known");
        kept.ages.extend(of.lines.iter().map(|line| of.age(line)));
        kept.entries.extend(of.lines);
        kept.entry = Some(of.last.clone());
        drop(kept);
        self.lines(block)
    }

    fn begins_behind(&mut self, entry: &EntryPlace) {
        self.kept().entry = Some(entry.clone());
    }

    fn packet(&mut self, packet: &RawPacket<'_>) -> ControlFlow<()> {
        let mut kept = self.kept();
        let RawPacket { link, bytes, time, rule } = *packet;
        let rule = rule.map(|rule| {
            (String::from_utf8_lossy(rule.prefix).into_owned(), rule.interface.to_owned())
        });
        kept.packets.push(Packet { link, bytes: bytes.to_vec(), time, rule });
        let enough = kept.enough.is_some_and(|enough| kept.packets.len() >= enough);
        drop(kept);
        self.0.1.notify_all();
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn notice(&mut self, notice: Notice) {
        self.kept().notices.push(notice);
        self.0.1.notify_all();
    }
}
