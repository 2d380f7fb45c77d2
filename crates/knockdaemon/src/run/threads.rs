//! The threads that read: one for each source, started and stopped by the loop.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use knock_config::{DaemonSettings, RunMode};
use knock_sources::{
    CaptureSource, Cursor, FifoSource, FileSource, JournalSource, KmsgSource, NflogSource, Pace,
    Source, SourceError, Start, StdinSource, Stop,
};

use super::clock::Clock;
use super::event::Event;
use super::extract::{SharedTests, ToLoop};
use super::source_state::SourceState;
use super::trail::{Reached, Trail};

/// Between two attempts to read from a source that has failed: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Files of one source of which it is remembered how far they were dealt with; those that were
/// rotated away within maxlag are meant.
const MOST_FILES: usize = 16;

/// What a source reads; two settings that name the same ones need no restart of the threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Follow a log file.
    File(PathBuf),
    /// The kernel's own log.
    Kmsg,
    /// The kernel's lines in systemd's journal.
    Journal,
    /// Standard input.
    Stdin,
    /// What rules of the firewall send to a group. Which rules are meant is judged behind the
    /// source, since a group cannot be taken a second time before it is let go.
    Nflog {
        /// The group.
        group: u16,
    },
    /// What comes in by a network interface.
    Capture {
        /// Its name.
        interface: String,
        /// Bytes of each packet.
        snapshot: usize,
        /// An expression for libpcap that spares us what no ethfilter matches.
        filter: Option<String>,
    },
}

impl Wanted {
    /// The sources that the settings ask for.
    pub(crate) fn by(settings: &DaemonSettings) -> Vec<Self> {
        settings.runmodes.iter().flat_map(|mode| Self::of_mode(*mode, settings)).collect()
    }

    fn of_mode(mode: RunMode, settings: &DaemonSettings) -> Vec<Self> {
        match mode {
            RunMode::File => {
                each_file_once(&settings.logfiles).map(|path| Self::File(path.clone())).collect()
            }
            RunMode::Kmsg => vec![Self::Kmsg],
            RunMode::Journal => vec![Self::Journal],
            RunMode::Stdin => vec![Self::Stdin],
            RunMode::Nflog => {
                settings.nflog.iter().map(|nflog| Self::Nflog { group: nflog.group }).collect()
            }
            RunMode::Network => settings
                .capture
                .iter()
                .map(|capture| Self::Capture {
                    interface: capture.interface.clone(),
                    snapshot: capture.snapshotsize,
                    filter: settings.ethfilters.capture_filter(Some(settings.plan.codec.span())),
                })
                .collect(),
        }
    }

    /// The name under which the place in it is kept, if one can be.
    fn keeps_place(&self) -> Option<String> {
        match self {
            Self::File(path) => Some(path.display().to_string()),
            Self::Journal => Some(JournalSource::new().name()),
            Self::Kmsg | Self::Stdin | Self::Nflog { .. } | Self::Capture { .. } => None,
        }
    }

    fn open(&self, pace: &Pace, cursor: Option<Cursor>) -> Box<dyn Source> {
        match self {
            Self::File(path) if FifoSource::stands_at(path) => {
                Box::new(FifoSource::new(path.clone()))
            }
            Self::File(path) => {
                let source = FileSource::new(path.clone(), pace.clone(), Start::AtEnd);
                Box::new(source.resuming(cursor.and_then(Cursor::in_file)))
            }
            Self::Journal => {
                let cursor = cursor.and_then(Cursor::in_journal);
                Box::new(JournalSource::new().resuming(cursor))
            }
            Self::Kmsg => Box::new(KmsgSource::new(Start::AtEnd)),
            Self::Stdin => Box::new(StdinSource::new()),
            Self::Nflog { group } => Box::new(NflogSource::new(*group)),
            Self::Capture { interface, snapshot, filter } => {
                Box::new(CaptureSource::new(interface.clone(), *snapshot, filter.clone()))
            }
        }
    }
}

/// What the settings ask for, opened, each from its end on; for who looks on beside the daemon.
pub(crate) fn sources(settings: &DaemonSettings) -> Vec<Box<dyn Source>> {
    let pace = Pace::from(settings.fileinterval);
    Wanted::by(settings).iter().map(|wanted| wanted.open(&pace, None)).collect()
}

/// Two names of one file would make two hits of each line, and no knock.
fn each_file_once(paths: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    // Its path, its device and inode, and the name that it was given.
    type Seen<'a> = (PathBuf, Option<(u64, u64)>, &'a PathBuf);
    let mut seen: Vec<Seen<'_>> = Vec::new();
    paths.iter().filter(move |path| {
        let real = path.canonicalize().unwrap_or_else(|_| (*path).clone());
        // A hard link has a path of its own.
        let id = path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        let is_same = |file: &PathBuf, its: &Option<(u64, u64)>| {
            *file == real || id.is_some_and(|id| *its == Some(id))
        };
        if let Some((_, _, other)) = seen.iter().find(|(file, its, _)| is_same(file, its)) {
            if other != path {
                let (other, path) = (other.display(), path.display());
                tracing::warn!("{path} is the same file as {other}; it is followed once");
            }
            return false;
        }
        seen.push((real, id, path));
        true
    })
}

struct Reader {
    id: usize,
    wanted: Wanted,
    stop: Stop,
    state: Arc<SourceState>,
    trail: Trail,
    /// The last hit of each file that the loop dealt with, of a few files.
    done: VecDeque<Reached>,
}

/// The reading threads.
pub(crate) struct Readers {
    readers: Vec<Reader>,
    next_id: usize,
    /// Whether any source has ever been at work.
    begun: bool,
    /// How often files are looked at.
    pace: Pace,
    tests: SharedTests,
    inbox: SyncSender<Event>,
    clock: Clock,
}

impl Readers {
    /// None yet; they will extract with `tests` and report to `inbox`.
    pub(crate) fn new(
        pace: Duration,
        tests: SharedTests,
        inbox: SyncSender<Event>,
        clock: Clock,
    ) -> Self {
        let pace = Pace::from(pace);
        Self { readers: Vec::new(), next_id: 0, begun: false, pace, tests, inbox, clock }
    }

    /// Files are looked at so often from now on. Nothing is read anew for that.
    pub(crate) fn set_pace(&self, interval: Duration) {
        self.pace.set(interval);
    }

    /// Makes the running sources the wanted ones. Those that stay are not touched, so that a reload
    /// loses no line. The others begin at the place of their name that is kept, if one is.
    ///
    /// # Errors
    /// When the system refuses a thread; the old sources then go on.
    pub(crate) fn set(
        &mut self,
        wanted: &[Wanted],
        kept: &dyn Fn(&str) -> Option<Cursor>,
    ) -> io::Result<()> {
        let before = self.readers.len();
        for one in wanted {
            if !self.readers.iter().any(|reader| reader.wanted == *one) {
                let cursor = one.keeps_place().and_then(|name| kept(&name));
                if let Err(error) = self.start(one.clone(), cursor) {
                    stop_all(self.readers.split_off(before));
                    return Err(error);
                }
            }
        }
        let (keep, end) =
            self.readers.drain(..).partition(|reader| wanted.contains(&reader.wanted));
        self.readers = keep;
        stop_all(end);
        Ok(())
    }

    /// A source has ended. Returns whether it was one of those that are wanted.
    pub(crate) fn ended(&mut self, id: usize) -> bool {
        let before = self.readers.len();
        self.begun = true;
        self.readers.retain(|reader| reader.id != id);
        self.readers.len() < before
    }

    /// A source has failed. Returns whether that is news; not of one that is not wanted any more.
    pub(crate) fn failed(&mut self, id: usize, error: &SourceError, next_try: Duration) -> bool {
        self.begun |= self.readers.iter().any(|reader| reader.state.has_begun());
        let reader = self.readers.iter().find(|reader| reader.id == id);
        reader.is_some_and(|reader| reader.state.fail(error.to_string(), next_try))
    }

    /// Whether none has ever been at work and each has failed: then it is no passing trouble.
    pub(crate) fn none_can_begin(&self) -> bool {
        let failing = |reader: &Reader| reader.state.trouble_now().is_some();
        !self.begun && !self.readers.is_empty() && self.readers.iter().all(failing)
    }

    /// Whether each reads, or has failed and is tried again.
    pub(crate) fn have_begun(&self) -> bool {
        let begun = |state: &SourceState| state.has_begun() || state.trouble_now().is_some();
        self.states().all(begun)
    }

    /// The loop has dealt with a hit of a source, up to here.
    pub(crate) fn dealt_with(&mut self, id: usize, reached: Reached) {
        if let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) {
            if let Some(last) = reader.done.back_mut().filter(|last| last.is_beside(&reached)) {
                *last = reached;
                return;
            }
            reader.done.retain(|done| !done.is_beside(&reached));
            if reader.done.len() >= MOST_FILES {
                reader.done.pop_front();
            }
            reader.done.push_back(reached);
        }
    }

    /// The names of the sources whose places can be kept, and where each would go on so that nothing
    /// of the time `back` is missed; of all, or of the one with this number.
    pub(crate) fn places(
        &self,
        id: Option<usize>,
        uptime: Duration,
        back: Duration,
    ) -> impl Iterator<Item = (String, Cursor)> + '_ {
        let asked = self.readers.iter().filter(move |reader| id.is_none_or(|id| reader.id == id));
        asked.filter_map(move |reader| {
            let done: Vec<Reached> = reader.done.iter().copied().collect();
            let cursor = reader.trail.cursor(uptime, back, &done)?;
            Some((reader.wanted.keeps_place()?, cursor))
        })
    }

    /// Whether there is nothing left to read.
    pub(crate) fn all_ended(&self) -> bool {
        self.readers.is_empty()
    }

    /// Lines and packets, and hits, of all of them.
    pub(crate) fn read_so_far(&self) -> (u64, u64) {
        let sum = |count: fn(&SourceState) -> u64| self.states().map(count).sum();
        (sum(SourceState::lines), sum(SourceState::hits))
    }

    /// How each source is doing.
    pub(crate) fn states(&self) -> impl Iterator<Item = &SourceState> {
        self.readers.iter().map(|reader| &*reader.state)
    }

    /// Tells all of them to end.
    pub(crate) fn stop_all(&mut self) {
        stop_all(std::mem::take(&mut self.readers));
    }

    fn start(&mut self, wanted: Wanted, cursor: Option<Cursor>) -> io::Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        let stop = Stop::new()?;
        let (inbox, tests) = (self.inbox.clone(), self.tests.clone());
        let (its_stop, its_wish, clock) = (stop.clone(), wanted.clone(), self.clock);
        let pace = self.pace.clone();
        let source = wanted.open(&pace, cursor);
        let state = Arc::new(SourceState::new(source.name()));
        let trail = Trail::default();
        let (its_state, its_trail) = (Arc::clone(&state), trail.clone());
        thread::Builder::new().name(format!("source {id}")).spawn(move || {
            let intake =
                || ToLoop::new(id, tests.clone(), inbox.clone(), &its_state, &its_trail, clock);
            let told = |event| inbox.send(event).is_ok();
            // The lines of before a failure are not read again.
            let open = || its_wish.open(&pace, None);
            read_until_stopped(source, open, &its_stop, id, clock, intake, told);
        })?;
        self.readers.push(Reader { id, wanted, stop, state, trail, done: VecDeque::new() });
        Ok(())
    }
}

/// Reads, and after a failure reads again, ever more rarely, until the input ends or nobody wants it.
/// `tell` returns whether anybody listens.
fn read_until_stopped(
    mut source: Box<dyn Source>,
    anew: impl Fn() -> Box<dyn Source>,
    stop: &Stop,
    id: usize,
    clock: Clock,
    intake: impl Fn() -> ToLoop,
    tell: impl Fn(Event) -> bool,
) {
    let name = source.name();
    let mut pause = FIRST_PAUSE;
    loop {
        let began = clock.uptime();
        let mut intake = intake();
        // A source that panics must not end in silence: the daemon would run on and read nothing.
        let result = catch_unwind(AssertUnwindSafe(|| source.run(&mut intake, stop)));
        let error = match result {
            Ok(Ok(())) => {
                tell(Event::SourceEnded(id, name));
                return;
            }
            Ok(Err(error)) => error,
            Err(_) => {
                source = anew();
                let error = io::Error::other("the reader panicked; this is a fault of the program");
                SourceError::Read { from: name.clone(), error }
            }
        };
        if clock.uptime().saturating_sub(began) > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        if !tell(Event::SourceFailed(id, name.clone(), error, pause)) || stop.wait(pause) {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn stop_all(readers: Vec<Reader>) {
    for reader in &readers {
        reader.stop.set();
    }
    // Not joined: a source may be waiting for room in the inbox, which only the loop empties. It
    // ends at its next look at the flag, or when the inbox closes.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_two_names_is_followed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "").unwrap();
        std::fs::write(path("b"), "").unwrap();
        std::os::unix::fs::symlink("a", path("link")).unwrap();
        std::fs::hard_link(path("b"), path("hard")).unwrap();
        let all = ["a", "link", "b", "hard", "a", "none", "none"].map(path);
        let want = ["a", "b", "none"].map(path);
        assert!(each_file_once(&all).eq(want.iter()));
    }
}
