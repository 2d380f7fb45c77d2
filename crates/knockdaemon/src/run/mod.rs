//! The story of the daemon, from top to bottom.
//!
//! Sources read lines or packets and send hits to one inbox. The loop takes each hit to the engine; an accepted
//! knock becomes changes and orders. The changes go to disk, then the orders to the workers, and
//! what a worker did comes back to the same inbox to be struck out. The loop waits in one place.

mod answered;
mod asked;
mod clock;
mod clock_watch;
mod durable;
mod event;
mod extract;
mod failures;
mod lag;
mod leases_asked;
mod rate;
mod reconcile;
mod reread;
mod respond;
mod service;
mod signals;
mod silence;
mod source_state;
mod statefile;
mod status;
mod summary;
pub(crate) mod tell;
mod threads;
mod trail;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, SystemTime};

use knock_config::{ControlSettings, DaemonSettings};
use knock_engine::{
    Change, ClockNews, Engine, Lease, Ledger, Machine, Now, OrderId, Outcome, Verdict,
};
use knock_sources::{Cursor, Notice, SourceError};
use signal_hook::consts::SIGHUP;

pub(crate) use clock::{Clock, local_time};
pub(crate) use extract::{Tests, captured, lines_of};
pub(crate) use signals::listen;
pub(crate) use threads::sources;

use crate::cli::firewall::of_choice;
use event::{Arrived, Event};
use extract::SharedTests;
use failures::Failures;
use reconcile::Reconciling;
use reread::Rereading;
use respond::{Respond, Response};
use service::{Service, Told};
use silence::{Counted, Silence};
use source_state::{SourceState, Trouble};
use summary::Summary;
use threads::{Readers, Wanted};

/// Room in the inbox, in events (a block of hits, a finished order, a signal).
const INBOX: usize = 256;

/// With work in the agenda the loop looks at the clocks at least so often, should the kernel not tell
/// that one was set.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// At the end, running orders get this long to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Also when those took all of that, the copy of the state gets this long.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Whether knocks are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Orders run.
    Respond,
    /// `-test`: what would run is said, and nothing is kept on disk.
    DryRun,
}

/// Reads the configuration anew and reports its problems.
pub(crate) type Reread = Arc<dyn Fn() -> NewSettings + Send + Sync>;

/// A configuration that was read while the daemon runs.
#[derive(Debug)]
pub(crate) struct NewSettings {
    /// None when it has errors.
    pub(crate) settings: Option<DaemonSettings>,
    /// What is wrong with it, with places.
    pub(crate) report: String,
}

/// Why the daemon could not start, or had to end.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum RunError {
    /// The state folder is not usable.
    Store(knock_actions::StoreError),
    /// A thread or a signal handler could not be set up.
    System(std::io::Error),
    /// No source could begin to read.
    NoSource(String, SourceError),
}

impl RunError {
    /// Whether a missing permission is the reason.
    #[must_use]
    pub(crate) fn is_permission(&self) -> bool {
        match self {
            Self::Store(error) => std::error::Error::source(error)
                .and_then(|source| source.downcast_ref::<std::io::Error>())
                .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied),
            Self::System(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
            Self::NoSource(_, error) => error.is_permission(),
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::System(error) => write!(f, "the system refused a thread or a signal: {error}"),
            Self::NoSource(name, error) => {
                write!(f, "nothing left to read: {name}: {error}")
            }
        }
    }
}

impl std::error::Error for RunError {}

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
    let control = asked::listen(&settings.control, mode, &to_inbox);
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
        control: settings.control,
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
    tell_agenda(daemon.engine.ledger(), &now);
    let result = daemon.turn_until_stopped(&inbox);
    daemon.service.stopping(clock.now().uptime);
    signals.close();
    drop(control);
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
    control: ControlSettings,
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
                tell_notice(&source, &notice);
            }
            self.listen_for_silence(now.uptime);
            let response = self.respond.hand_out(&mut self.engine, &now);
            if let Some(gate) = self.respond.gate() {
                self.reconciling.turn(&self.engine, gate, now.uptime);
            }
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
                let now = self.now();
                for arrived in &hits {
                    self.hit(&now, source, arrived);
                }
                self.summary.tell(now.uptime, || self.engine.counters());
            }
            Event::Finished(id, outcome) => self.finished(id, &outcome),
            Event::Held(answer) => {
                let now = self.now();
                self.reconciling.answer(&mut self.engine, &now, answer);
            }
            Event::Notice(source, notice) => {
                self.is_news = true;
                let uptime = self.clock.now().uptime;
                if let Some(notice) = self.summary.hold_back(uptime, &source, notice) {
                    tell_notice(&source, &notice);
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
                tell_clock(&news);
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

    fn hit(&mut self, now: &Now, source: usize, arrived: &Arrived) {
        let Arrived { hit, ago, written, reached, .. } = arrived;
        if let Some(reached) = reached {
            self.readers.dealt_with(source, *reached);
        }
        if answered::is_of_the_past(self.engine.ledger(), arrived) {
            return;
        }
        // Queues forget by when it happened, not by when we came to read it.
        let then = Now { uptime: now.uptime.saturating_sub(*ago), ..*now };
        let verdict = self.engine.hit(&then, hit);
        if answered::is_known(self.engine.ledger(), arrived) {
            return;
        }
        tell::verdict(&self.engine, hit, &verdict);
        if let Verdict::Accepted(mut accepted) = verdict {
            self.is_news = true;
            accepted.changes.extend(self.places(Some(source)));
            let kept = self.resume.zip(*written);
            accepted.changes.extend(
                kept.and_then(|(back, written)| {
                    answered::change(now.wall, back, hit.client, written)
                }),
            );
            self.respond.accept(&mut self.engine, &accepted);
        }
    }

    /// How far the sources, or one of them, were read, if it is to be kept.
    fn places(&self, source: Option<usize>) -> Vec<Change> {
        let Some(back) = self.resume else { return Vec::new() };
        let places = self.readers.places(source, self.clock.now().uptime, back);
        places.map(|(source, at)| Change::ReadTo { source, place: at.to_string() }).collect()
    }

    fn finished(&mut self, id: OrderId, outcome: &Outcome) {
        let now = self.now();
        let finished = self.engine.finished(&now, id, outcome);
        if let Some(finished) = &finished {
            self.failures.note(&now, finished, outcome);
            self.is_news = true;
            respond::tell_outcome(finished, outcome);
        }
        self.respond.strike_out(&finished.map_or(Vec::new(), |finished| finished.changes));
    }

    fn reload(&mut self, settings: DaemonSettings) {
        if settings.control != self.control {
            tracing::warn!("a new controlsocket or controlgroup is taken at the next start only");
        }
        if settings.statedir != self.statedir {
            tracing::warn!("a new statedir is taken at the next start only");
        }
        self.readers.set_pace(settings.fileinterval);
        // Nothing says how much of a new source an old one has read.
        match self.readers.set(&Wanted::by(&settings), &|_| None) {
            Ok(()) => self.failure = None,
            Err(error) => tracing::error!("could not start a source: {error}; the old ones go on"),
        }
        self.tests.replace(&settings);
        self.resume = settings.resume;
        self.silence = Silence::new(settings.silence, self.clock.uptime());
        self.respond.move_statefile(settings.statefile);
        self.engine.replace_plan(settings.plan);
        if let Some(gate) = self.respond.gate() {
            gate.set_kind(of_choice(settings.firewall));
        }
        self.reconciling.look_now(&self.engine, self.clock.uptime());
        tracing::info!("configuration reloaded; queues, agenda and leases are kept");
    }

    /// Lets running orders finish and strikes them out; what waits stays in the agenda on disk.
    fn stop(mut self, inbox: &Receiver<Event>) {
        for source in self.readers.states() {
            tell_source(source, self.clock.uptime());
        }
        let places = self.places(None);
        self.respond.keep(&places, "how far the log was read");
        self.readers.stop_all();
        let deadline = self.clock.now().uptime + GRACE;
        while self.respond.running() > 0 {
            let left = deadline.saturating_sub(self.clock.now().uptime);
            if left.is_zero() {
                tracing::warn!("an order is still running; it runs again after the next start");
                break;
            }
            // Hits that come now are not answered: their orders could not run any more.
            if let Ok(Event::Finished(id, outcome)) = inbox.recv_timeout(left) {
                self.finished(id, &outcome);
            }
        }
        let left = deadline.saturating_sub(self.clock.now().uptime);
        self.respond.close(&self.engine, left.max(LAST_WRITE));
        let waiting = self.engine.ledger().orders().count();
        let leases = self.engine.leases().count();
        tracing::info!(
            waiting,
            leases,
            "stopped; what waits in the agenda runs after the next start"
        );
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

fn tell_agenda(ledger: &Ledger, now: &Now) {
    let overdue = ledger.orders().filter(|order| order.due <= now.wall).count();
    let waiting = ledger.orders().count();
    if waiting > 0 {
        tracing::info!(waiting, overdue, "agenda taken up; what is overdue runs now");
    }
    let over =
        |lease: &&Lease| !lease.is_wanted() || lease.until.is_some_and(|until| until <= now.wall);
    let (leases, overdue) = (ledger.leases().count(), ledger.leases().filter(over).count());
    if leases > 0 {
        tracing::info!(leases, overdue, "leases taken up; what is overdue is closed now");
    }
}

fn tell_clock(news: &ClockNews) {
    let moved = news.moved;
    match news.step {
        Some(step) => tracing::warn!(
            moved,
            "the clock was set {step}; what waits comes when it would have come"
        ),
        None if moved > 0 => tracing::warn!(
            moved,
            "the machine was started anew and its clock stands before what the agenda knows; nothing \
             waits longer from now on than it was meant to"
        ),
        None => {}
    }
}

fn tell_source(state: &SourceState, uptime: Duration) {
    let (source, read, hits) = (state.name(), state.lines(), state.hits());
    match (state.trouble_now(), state.last()) {
        (Some(trouble), _) => {
            let Trouble { error, failures, next_try } = trouble;
            let next_try = next_try.saturating_sub(uptime).as_secs();
            tracing::info!(source, read, hits, failures, next_try, "not readable: {error}");
        }
        (None, Some(last)) => {
            let seconds_ago = uptime.saturating_sub(last).as_secs();
            tracing::info!(
                source,
                read,
                hits,
                seconds_ago,
                "read so many lines or packets, the last one so long ago"
            );
        }
        (None, None) => tracing::info!(source, "read nothing"),
    }
}

fn tell_notice(source: &str, notice: &Notice) {
    if notice.is_warning() {
        tracing::warn!(source, "{notice}");
    } else {
        tracing::info!(source, "{notice}");
    }
}
