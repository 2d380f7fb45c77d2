//! The story of the daemon, from top to bottom.
//!
//! Sources read lines or packets and send hits to one inbox. The loop takes each hit to the engine; an accepted
//! knock becomes changes and orders. The changes go to disk, then the orders to the workers, and
//! what a worker did comes back to the same inbox to be struck out. The loop waits in one place.

mod announce;
mod answered;
mod asked;
mod clock;
mod clock_watch;
mod durable;
mod error;
mod event;
mod extract;
mod failures;
mod hits;
mod lag;
mod leases_asked;
mod listening;
mod outcome;
mod rate;
mod reconcile;
mod reload;
mod reread;
mod respond;
mod service;
mod signals;
mod silence;
mod source_state;
mod statefile;
mod status;
mod stop;
mod summary;
pub(crate) mod tell;
mod threads;
mod trail;

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, SystemTime};

use knock_config::DaemonSettings;
use knock_engine::{Engine, Ledger, Machine, Now, OrderId, Outcome};
use knock_sources::{Cursor, SourceError};
use signal_hook::consts::SIGHUP;

pub(crate) use clock::{Clock, local_time};
pub(crate) use error::RunError;
pub(crate) use extract::{Tests, captured, lines_of};
pub(crate) use reread::{NewSettings, Reread};
pub(crate) use signals::listen;
pub(crate) use threads::sources;

use event::Event;
use extract::SharedTests;
use failures::Failures;
use listening::Listening;
use reconcile::Reconciling;
use reload::Reloads;
use reread::Rereading;
use respond::{Respond, Response};
use service::{Service, Told};
use silence::{Counted, Silence};
use summary::Summary;
use threads::{Readers, Wanted};

/// Room in the inbox, in events (a block of hits, a finished order, a signal).
const INBOX: usize = 256;

/// With work in the agenda the loop looks at the clocks at least so often, should the kernel not tell
/// that one was set.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Whether knocks are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Orders run.
    Respond,
    /// `-test`: what would run is said, and nothing is kept on disk.
    DryRun,
}

/// Follows the log and answers knocks until a signal stops it.
///
/// # Errors
/// When the state folder cannot be used, or no source can be read.
pub(crate) fn run(
    settings: DaemonSettings,
    reread: Reread,
    mode: Mode,
    config: PathBuf,
) -> Result<(), RunError> {
    let clock = Clock::new();
    let (to_inbox, inbox) = mpsc::sync_channel(INBOX);
    let wanted = Wanted::by(&settings);
    let tests = SharedTests::new(&settings);

    let (respond, ledger) = match mode {
        Mode::Respond => Respond::start(&settings, to_inbox.clone())?,
        Mode::DryRun => (Respond::DryRun, Ledger::new()),
    };
    let listening = Listening::start(settings.control, mode, to_inbox.clone());
    let mut readers = Readers::new(settings.fileinterval, tests.clone(), to_inbox.clone(), clock);
    let rereading = Rereading::new(reread, to_inbox.clone());
    let signals = signals::listen(to_inbox.clone(), of_signal).map_err(RunError::System)?;
    clock_watch::start(to_inbox.clone());
    let kept = |name: &str| settings.resume.and_then(|_| kept_place(&ledger, name));
    readers.set(&wanted, &kept).map_err(RunError::System)?;
    tracing::info!(config = %config.display(), slots = settings.plan.codec.slots(), "knockdaemon is running");

    let engine = Engine::new(settings.plan, ledger);
    let mut daemon = Daemon {
        clock,
        reconciling: Reconciling::new(&engine, clock.uptime(), to_inbox.clone()),
        machine: Machine { boot: clock::boot_id(), up: Duration::ZERO },
        mode,
        config,
        started: clock.now().wall,
        began: clock.uptime(),
        reloaded: None,
        listening,
        reloads: Reloads::default(),
        service: Service::new(Told::by_environment(), clock.now().uptime),
        failures: Failures::default(),
        is_news: true,
        engine,
        statedir: settings.statedir,
        resume: settings.resume,
        respond,
        readers,
        tests,
        rereading,
        summary: Summary::default(),
        silence: Silence::new(settings.silence, clock.uptime()),
        to_inbox,
        failure: None,
    };
    let now = daemon.now();
    announce::agenda(daemon.engine.ledger(), &now);
    let result = daemon.turn_until_stopped(&inbox);
    daemon.service.stopping(clock.now().uptime);
    signals.close();
    daemon.listening.close();
    daemon.stop(&inbox);
    result
}

/// What the loop works with.
struct Daemon {
    clock: Clock,
    machine: Machine,
    mode: Mode,
    config: PathBuf,
    started: SystemTime,
    began: Duration,
    /// When the configuration was read again.
    reloaded: Option<SystemTime>,
    listening: Listening,
    reloads: Reloads,
    service: Service,
    failures: Failures,
    /// Whether systemd's line on how things are may be out of date.
    is_news: bool,
    engine: Engine,
    statedir: PathBuf,
    /// With `resume`: how far back a restart begins.
    resume: Option<Duration>,
    respond: Respond,
    readers: Readers,
    tests: SharedTests,
    rereading: Rereading,
    /// When the firewall is compared with the leases.
    reconciling: Reconciling,
    summary: Summary,
    silence: Silence,
    to_inbox: SyncSender<Event>,
    /// Why the last source ended, if it did not simply come to its end.
    failure: Option<RunError>,
}

/// Whether the loop goes on after an event.
enum Next {
    Turn,
    Stop,
}

impl Daemon {
    fn turn_until_stopped(&mut self, inbox: &Receiver<Event>) -> Result<(), RunError> {
        loop {
            let now = self.now();
            self.respond.catch_up(now.uptime);
            for (source, notice) in self.summary.due(now.uptime) {
                announce::notice(&source, &notice);
            }
            if let Some(count) = self.summary.tries_due(now.uptime) {
                tracing::warn!(
                    count,
                    "so many more tries have failed within a minute, and are made again; see \
                     'knockdaemon leases' and 'status'"
                );
            }
            self.listen_for_silence(now.uptime);
            let response = self.respond.hand_out(&mut self.engine, &now);
            if let Some(gate) = self.respond.gate() {
                self.reconciling.turn(&self.engine, gate, now.uptime);
            }
            self.answer_reloads(now.uptime);
            self.respond.write_statefile(&self.engine);
            self.tell_service(now.uptime);
            // With nothing left to read it still stays until what is open has been closed.
            if self.readers.all_ended() && !self.engine.has_ends_to_come() {
                return self.failure.take().map_or(Ok(()), Err);
            }
            let event = match self.wait(inbox, &response, &now) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            match self.take(event) {
                Next::Turn => {}
                Next::Stop => return Ok(()),
            }
        }
    }

    /// The one place where the loop waits. The wall clock is not read again: set since this turn began,
    /// it would not fit the deadlines any more.
    fn wait(
        &self,
        inbox: &Receiver<Event>,
        last: &Response,
        now: &Now,
    ) -> Result<Event, RecvTimeoutError> {
        let uptime = self.clock.uptime();
        let spent = uptime.saturating_sub(now.uptime);
        let due = match last {
            // All workers are busy: one of them will report, and that is the time to go on.
            Response::WorkersBusy => None,
            Response::AllHandedOut => self.engine.next_due(),
        };
        let due = due.map(|due| due.duration_since(now.wall).unwrap_or_default());
        let due = due.map(|due| due.saturating_sub(spent).min(LONGEST_WAIT));
        let words = [
            self.summary.next_due(),
            self.silence.next_due(),
            self.respond.next_catch_up(),
            self.service.next_due(),
            self.reloads.next_due(),
            self.respond.gate().and_then(|_| self.reconciling.next_due()),
        ];
        let words = words.into_iter().flatten().map(|word| word.saturating_sub(uptime));
        match due.into_iter().chain(words).min() {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => inbox.recv_timeout(wait),
        }
    }

    fn take(&mut self, event: Event) -> Next {
        match event {
            Event::Hits(source, hits) => {
                let mut now = self.now();
                let read = now.uptime;
                for arrived in &hits {
                    let happened = read.saturating_sub(arrived.ago);
                    if self.hit(&now, happened, source, arrived) {
                        // The disk took its time, and what the next knock opens begins only then.
                        now = self.now();
                    }
                }
                self.summary.tell(now.uptime, || self.engine.counters());
            }
            Event::Finished(id, outcome) => self.finished(id, &outcome),
            Event::Held(answer) => {
                let now = self.now();
                self.reconciling.answer(&mut self.engine, &now, answer);
                self.listening.try_again();
            }
            Event::Notice(source, notice) => {
                self.is_news = true;
                let uptime = self.clock.now().uptime;
                if let Some(notice) = self.summary.hold_back(uptime, &source, notice) {
                    announce::notice(&source, &notice);
                }
            }
            Event::TooOld(source, hits, oldest) => {
                let uptime = self.clock.now().uptime;
                self.summary.too_old(uptime, &source, hits, oldest);
            }
            Event::SourceEnded(id, name) => self.source_ended(id, &name),
            Event::SourceFailed(id, name, error, pause) => {
                self.source_failed(id, name, error, pause);
            }
            Event::RulesCounted(counted) => {
                let uptime = self.clock.uptime();
                let (lines, _) = self.readers.read_so_far();
                if let Some(warning) = self.silence.answer(uptime, lines, counted) {
                    tracing::warn!("{warning}");
                }
            }
            // To wake was all: the next turn compares the clocks.
            Event::ClockSet => {}
            Event::Reload => self.start_reload(None),
            Event::Reread(read) => self.reread(*read),
            Event::Asked(asked) => self.asked(*asked),
            Event::Stop => return Next::Stop,
        }
        Next::Turn
    }

    /// This moment, for whatever goes by the wall clock: deadlines have moved with it if it was set.
    fn now(&mut self) -> Now {
        let (now, up) = self.clock.moment();
        if let Some(up) = up {
            self.machine.up = up;
            if let Some(news) = self.engine.keep_time(&now, &self.machine) {
                announce::clock_set(&news);
                self.respond.keep(&news.changes, "how the clock stands");
            }
        }
        now
    }

    fn listen_for_silence(&mut self, uptime: Duration) {
        let (lines, hits) = self.readers.read_so_far();
        if !self.silence.look(uptime, lines, hits) {
            return;
        }
        let inbox = self.to_inbox.clone();
        let ask = move || {
            // When the loop is gone nobody wants to know.
            let _gone = inbox.send(Event::RulesCounted(Counted::now()));
        };
        if let Err(error) = std::thread::Builder::new().name("silence".to_owned()).spawn(ask) {
            self.silence.not_asked();
            tracing::debug!("the firewall's counters are not asked for: {error}");
        }
    }

    fn source_ended(&mut self, id: usize, name: &str) {
        // Unless it was told to end by a reload.
        if self.readers.ended(id) {
            let waiting = self.engine.ledger().orders().count();
            tracing::info!(source = name, waiting, "end of input");
        }
    }

    fn source_failed(&mut self, id: usize, name: String, error: SourceError, pause: Duration) {
        self.is_news = true;
        let is_news = self.readers.failed(id, &error, self.clock.uptime() + pause);
        if self.readers.none_can_begin() {
            // A configuration that cannot work is told by ending. What worked once is waited for.
            tracing::error!(source = name, "{error}");
            self.readers.stop_all();
            self.failure = Some(RunError::NoSource(name, error));
        } else if is_news {
            tracing::error!(source = name, "{error}; it is tried again, at least once a minute");
        }
    }

    fn finished(&mut self, id: OrderId, outcome: &Outcome) {
        let now = self.now();
        let finished = self.engine.finished(&now, id, outcome);
        if let Some(finished) = &finished {
            self.failures.note(&now, finished, outcome);
            self.is_news = true;
            outcome::tell(finished, outcome, || self.summary.may_tell_try(now.uptime));
        }
        self.respond.strike_out(&finished.map_or(Vec::new(), |finished| finished.changes));
    }
}

/// A stop is clean; SIGHUP reads the configuration again.
fn of_signal(signal: i32) -> Event {
    if signal == SIGHUP { Event::Reload } else { Event::Stop }
}

/// Where a source of this name was read to.
fn kept_place(ledger: &Ledger, name: &str) -> Option<Cursor> {
    let place = ledger.place(name)?.parse();
    place.inspect_err(|error| tracing::error!(source = name, "{error}; it begins at the end")).ok()
}
