//! The threads that read: one for each source, started and stopped by the loop.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use knock_config::{DaemonSettings, RunMode};
use knock_sources::{
    CaptureSource, FileSource, KmsgSource, NflogSource, Source, SourceError, Start, StdinSource,
    Stop,
};

use super::event::Event;
use super::extract::{SharedTests, ToLoop};

/// What a source reads; two settings that name the same ones need no restart of the threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Follow a log file.
    File(PathBuf, Duration),
    /// The kernel's own log.
    Kmsg,
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
            RunMode::File => settings
                .logfiles
                .iter()
                .map(|path| Self::File(path.clone(), settings.fileinterval))
                .collect(),
            RunMode::Kmsg => vec![Self::Kmsg],
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

    fn open(&self) -> Box<dyn Source> {
        match self {
            Self::File(path, interval) => {
                Box::new(FileSource::new(path.clone(), *interval, Start::AtEnd))
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

struct Reader {
    id: usize,
    wanted: Wanted,
    stop: Stop,
}

/// The reading threads.
pub(crate) struct Readers {
    readers: Vec<Reader>,
    next_id: usize,
    tests: SharedTests,
    inbox: SyncSender<Event>,
}

impl Readers {
    /// None yet; they will extract with `tests` and report to `inbox`.
    pub(crate) fn new(tests: SharedTests, inbox: SyncSender<Event>) -> Self {
        Self { readers: Vec::new(), next_id: 0, tests, inbox }
    }

    /// Makes the running sources the wanted ones. Those that stay are not touched, so that a reload
    /// loses no line.
    ///
    /// # Errors
    /// When the system refuses a thread; the old sources then go on.
    pub(crate) fn set(&mut self, wanted: &[Wanted]) -> io::Result<()> {
        for one in wanted {
            if !self.readers.iter().any(|reader| reader.wanted == *one) {
                self.start(one.clone())?;
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
        self.readers.retain(|reader| reader.id != id);
        self.readers.len() < before
    }

    /// Whether there is nothing left to read.
    pub(crate) fn all_ended(&self) -> bool {
        self.readers.is_empty()
    }

    /// Tells all of them to end.
    pub(crate) fn stop_all(&mut self) {
        stop_all(std::mem::take(&mut self.readers));
    }

    fn start(&mut self, wanted: Wanted) -> io::Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        let stop = Stop::new()?;
        let (inbox, tests) = (self.inbox.clone(), self.tests.clone());
        let (its_stop, its_wish) = (stop.clone(), wanted.clone());
        thread::Builder::new().name(format!("source {id}")).spawn(move || {
            let mut source = its_wish.open();
            let name = source.name();
            let mut intake = ToLoop::new(name.clone(), tests, inbox.clone());
            // A source that panics must not end in silence: the daemon would run on and read nothing.
            let result = catch_unwind(AssertUnwindSafe(|| source.run(&mut intake, &its_stop)))
                .unwrap_or_else(|_| {
                    let error =
                        io::Error::other("the reader panicked; this is a fault of the program");
                    Err(SourceError::Read { from: name.clone(), error })
                });
            // A closed inbox means that the loop has ended and asks no more.
            let _gone = inbox.send(Event::SourceEnded(id, name, result));
        })?;
        self.readers.push(Reader { id, wanted, stop });
        Ok(())
    }
}

fn stop_all(readers: Vec<Reader>) {
    for reader in &readers {
        reader.stop.set();
    }
    // Not joined: a source may be waiting for room in the inbox, which only the loop empties. It
    // ends at its next look at the flag, or when the inbox closes.
}
