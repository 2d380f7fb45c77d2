//! How a source is doing: what it has read, and what is in its way. Written by its thread, read by
//! the loop; both may look at any time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use knock_sources::Notice;

use super::rate::Rate;

/// The state of one source. Counters go up only; times are uptimes.
#[derive(Debug)]
pub(crate) struct SourceState {
    name: String,
    begun: AtomicBool,
    lines: AtomicU64,
    hits: AtomicU64,
    /// Milliseconds of uptime, and one more, of the last line or packet; 0 before the first.
    last: AtomicU64,
    rate: Mutex<Rate>,
    is_waiting: AtomicBool,
    /// What for.
    waiting: Mutex<Option<String>>,
    trouble: Mutex<Option<Trouble>>,
}

/// Why a source does not read at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What it said last.
    pub(crate) error: String,
    /// How often it has failed in a row.
    pub(crate) failures: u32,
    /// When it is tried again.
    pub(crate) next_try: Duration,
}

impl SourceState {
    /// Of a source that has not begun.
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            begun: AtomicBool::new(false),
            lines: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            last: AtomicU64::new(0),
            rate: Mutex::default(),
            is_waiting: AtomicBool::new(false),
            waiting: Mutex::default(),
            trouble: Mutex::new(None),
        }
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The source has something to tell, so it is at work.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
        *self.trouble() = None;
    }

    /// The same, and what it told says whether there is anything to read.
    pub(crate) fn hear(&self, notice: &Notice) {
        self.begin();
        match notice {
            Notice::Waiting { .. }
            | Notice::NoJournal
            | Notice::InterfaceAway { .. }
            | Notice::CaptureTrouble { .. }
            | Notice::Trouble { .. } => self.wait_for(Some(notice.to_string())),
            Notice::Following { .. }
            | Notice::Resumed { .. }
            | Notice::NotResumed { .. }
            | Notice::Started { .. }
            | Notice::WentOn { .. }
            | Notice::PlaceLost { .. }
            | Notice::InterfaceBack { .. } => self.wait_for(None),
            _ => {}
        }
    }

    /// What it waits for before there is anything to read.
    pub(crate) fn waits_for(&self) -> Option<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait_for(&self, what: Option<String>) {
        self.is_waiting.store(what.is_some(), Ordering::Relaxed);
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Whether it has ever been at work.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// So many lines or packets came, and were so many hits.
    pub(crate) fn count(&self, uptime: Duration, lines: u64, hits: usize) {
        if self.is_waiting.load(Ordering::Relaxed) {
            self.wait_for(None);
        }
        self.lines.fetch_add(lines, Ordering::Relaxed);
        self.hits.fetch_add(hits as u64, Ordering::Relaxed);
        let millis = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis.saturating_add(1), Ordering::Relaxed);
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).count(uptime, lines);
    }

    /// Lines or packets a second, over the last minute.
    pub(crate) fn rate(&self, uptime: Duration) -> f64 {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).per_second(uptime)
    }

    /// It has failed and will be tried again. Returns whether that is news: the first failure in a
    /// row, or another one than before.
    pub(crate) fn fail(&self, error: String, next_try: Duration) -> bool {
        let mut trouble = self.trouble();
        let (is_news, before) = match &*trouble {
            Some(before) => (before.error != error, before.failures),
            None => (true, 0),
        };
        *trouble = Some(Trouble { error, failures: before.saturating_add(1), next_try });
        is_news
    }

    /// What is in its way, if anything is.
    pub(crate) fn trouble_now(&self) -> Option<Trouble> {
        self.trouble().clone()
    }

    /// Lines or packets so far.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Hits so far.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// When the last line or packet came.
    pub(crate) fn last(&self) -> Option<Duration> {
        let millis = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(millis))
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_news_once_in_a_row() {
        let state = SourceState::new("a log".to_owned());
        let at = Duration::from_secs;
        assert!(state.fail("gone".to_owned(), at(1)));
        assert!(!state.fail("gone".to_owned(), at(3)));
        assert!(state.fail("forbidden".to_owned(), at(7)));
        let trouble = state.trouble_now().unwrap();
        assert_eq!((trouble.failures, trouble.next_try), (3, at(7)));
        assert!(!state.has_begun());
        state.begin();
        assert!(state.has_begun() && state.trouble_now().is_none());
        assert!(state.fail("forbidden".to_owned(), at(9)), "it had been at work since");
    }

    #[test]
    fn it_tells_what_was_read() {
        let state = SourceState::new("a log".to_owned());
        assert_eq!(state.last(), None);
        state.count(Duration::ZERO, 3, 1);
        assert_eq!(state.last(), Some(Duration::ZERO));
        state.count(Duration::from_millis(1500), 4, 0);
        let read = (state.lines(), state.hits(), state.last());
        assert_eq!(read, (7, 1, Some(Duration::from_millis(1500))));
    }
}
