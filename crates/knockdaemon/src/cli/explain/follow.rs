//! The live story: what the daemon reads is read beside it, until a signal comes. The queue begins
//! empty, whatever the daemon's holds.

use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use knock_config::{DaemonSettings, RunMode};
use knock_sources::{FifoSource, Intake, Notice, RawPacket, Source, SourceError, Stop};

use crate::cli::args::ExplainArgs;
use crate::cli::output;
use crate::exit::Exit;
use crate::run::{Clock, Tests, lines_of, listen, sources};

use super::packets::Sent;
use super::story::Story;
use super::teller::{Place, Teller};

/// Room for what was read and not yet told, in blocks.
const INBOX: usize = 64;

/// A knock that lacks a hit is told when nothing has come for so long.
const IDLE: Duration = Duration::from_secs(3);

/// What a source brings.
enum Event {
    /// Whole lines of the source of this number.
    Lines(usize, Vec<u8>),
    Packet(usize, Sent),
    Notice(Notice),
    Ended(String, Result<(), SourceError>),
    /// A signal came.
    Stop,
}

/// Follows until a signal comes or nothing is left to read.
pub(super) fn told(mut settings: DaemonSettings, args: &ExplainArgs) -> Result<Story, Exit> {
    if !args.logs.is_empty() {
        let is_stdin = |log: &PathBuf| log.as_os_str() == "-";
        let stdin = args.logs.iter().all(is_stdin);
        settings.runmodes = vec![if stdin { RunMode::Stdin } else { RunMode::File }];
        settings.logfiles.clone_from(&args.logs);
    }
    if let Some(pipe) = settings.logfiles.iter().find(|log| FifoSource::stands_at(log))
        && settings.runmodes.contains(&RunMode::File)
    {
        output::error(&format!(
            "{} is a named pipe, and what is read here would be lost to the daemon; `explain` can follow \
             a file, or read a copy of the lines from standard input",
            pipe.display()
        ));
        return Err(Exit::Input);
    }
    let (sources, tests) = (sources(&settings), Tests::of(&settings));
    let story = Story::new(settings, args.client, Teller::new(args.json));
    start(story, sources, &tests).map_err(|error| {
        output::error(&format!("the system refused a thread or a signal: {error}"));
        Exit::Input
    })?
}

fn start(
    story: Story,
    sources: Vec<Box<dyn Source>>,
    tests: &Tests,
) -> io::Result<Result<Story, Exit>> {
    let (to_inbox, inbox) = mpsc::sync_channel(INBOX);
    let names: Vec<String> = sources.iter().map(|source| source.name()).collect();
    let signals = listen(to_inbox.clone(), |_| Event::Stop)?;
    let stop = Stop::new()?;
    let mut readers = Vec::new();
    for (number, mut source) in sources.into_iter().enumerate() {
        let stop = stop.clone();
        let mut intake = ToStory { number, tests: tests.clone(), inbox: to_inbox.clone() };
        let reader = thread::Builder::new().name(format!("source {number}"));
        readers.push(reader.spawn(move || {
            // Who waits for its end must hear of one that panics, too.
            let result = catch_unwind(AssertUnwindSafe(|| source.run(&mut intake, &stop)));
            let result = result.unwrap_or_else(|_| Err(panicked(source.name())));
            // Nobody is left to tell when the story has ended.
            let _gone = intake.inbox.send(Event::Ended(source.name(), result));
        })?);
    }
    drop(to_inbox);
    let mut live = Live { story, clock: Clock::new(), left: names.len(), names };
    let ended = live.tell(&inbox);
    signals.close();
    // A source that waits for room in the inbox ends when that closes, the others by the stop. They are
    // waited for: one may have a program of its own to take down.
    stop.set();
    drop(inbox);
    for reader in readers {
        let _panicked = reader.join();
    }
    Ok(ended.map(|()| live.story))
}

fn panicked(from: String) -> SourceError {
    let error = io::Error::other("the reader panicked; this is a fault of the program");
    SourceError::Read { from, error }
}

struct Live {
    story: Story,
    clock: Clock,
    names: Vec<String>,
    /// Sources that have not ended.
    left: usize,
}

impl Live {
    fn tell(&mut self, inbox: &Receiver<Event>) -> Result<(), Exit> {
        loop {
            let event = if self.story.waits() {
                inbox.recv_timeout(IDLE)
            } else {
                inbox.recv().map_err(RecvTimeoutError::from)
            };
            match event {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Timeout) => self.story.pause(),
            }
            if self.left == 0 || self.story.show().is_break() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<(), Exit> {
        let now = self.clock.now();
        match event {
            Event::Lines(source, block) => {
                let place = self.place(source);
                for line in lines_of(&block) {
                    self.story.line(&|| place.clone(), line, &mut |_| now);
                }
            }
            Event::Packet(source, packet) => {
                let place = self.place(source);
                self.story.packet(&|| place.clone(), &packet, &mut |_| now);
            }
            Event::Notice(notice) if notice.is_warning() => tracing::warn!("{notice}"),
            Event::Notice(notice) => tracing::info!("{notice}"),
            Event::Ended(name, result) => {
                self.left -= 1;
                if let Err(error) = result {
                    output::error(&format!("{name}: {error}"));
                    if self.left == 0 {
                        let denied = error.is_permission();
                        return Err(if denied { Exit::Permission } else { Exit::Input });
                    }
                }
            }
            Event::Stop => {}
        }
        Ok(())
    }

    /// Which source it was, where there is more than one.
    fn place(&self, source: usize) -> Place {
        match self.names.get(source) {
            Some(name) if self.names.len() > 1 => Place::named("source", name),
            _ => Place::default(),
        }
    }
}

struct ToStory {
    number: usize,
    tests: Tests,
    inbox: SyncSender<Event>,
}

impl ToStory {
    fn send(&self, event: Event) -> ControlFlow<()> {
        match self.inbox.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Intake for ToStory {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        self.send(Event::Lines(self.number, block.to_vec()))
    }

    fn packet(&mut self, packet: &RawPacket<'_>) -> ControlFlow<()> {
        // Copying headers costs more than judging them.
        self.send(Event::Packet(self.number, Sent::of(packet, &self.tests)))
    }

    fn notice(&mut self, notice: Notice) {
        let _gone = self.send(Event::Notice(notice));
    }
}
