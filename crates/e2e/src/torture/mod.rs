//! The daemon killed again and again while it opens and closes: what holds then, always. Real rules in
//! a real firewall, SIGKILL at random moments, and after it a comparison of what is in the kernel with
//! what is on disk.
//!
//! The knocks come as lines in a log, from many clients at once, also while nobody reads it.

mod calm;
mod ground;
mod knocker;
mod leases;
mod members;
mod others;
mod snapshot;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use knock_firewall::Kind;
use rustix::process::Signal;

use crate::firewall::Backend;
use crate::loggen::Random;
use crate::process::{Running, await_until, interrupted};
use crate::{LabError, Result, programs};
use ground::Ground;
use knocker::Knocker;
use snapshot::Snapshot;

/// After so many kills there is a calm in which everything has to close, and not before its time.
const CALM: u32 = 25;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Ordeal {
    /// How often the daemon is killed.
    pub kills: u32,
    /// For the same again, as far as a machine does the same again.
    pub seed: u64,
    /// Which of the kernel's rule engines has the rules of templates.
    pub backend: Backend,
    /// What holds the leases beside them.
    pub kind: Kind,
}

/// What was seen; all was well.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Kills.
    pub kills: u32,
    /// Knocks, all of them answered, none twice.
    pub knocks: u64,
    /// Comparisons of the rules with the agenda, with the daemon dead.
    pub comparisons: u32,
    /// Rules that were seen in those.
    pub rules: u64,
    /// Leases that the kernel held in those.
    pub leases: u64,
    /// Kills after which an iptables of the dead daemon still ran.
    pub left_running: u32,
    /// Closings that were waited for, with the daemon alive.
    pub closings: u32,
    /// Leases whose end was waited for, with the daemon alive.
    pub ended: u32,
    /// Leases that the kernel ended while the daemon was dead.
    pub ended_by_kernel: u32,
    /// The latest of those that the daemon closed, from its time or from the daemon's start.
    pub latest: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} knocks, each answered once; {} comparisons with {} rules and {} leases in \
             the kernel: none without a closing on disk, none twice, none closed early; {} kills left \
             a program of the firewall running; {} closings of rules and {} of leases waited for, the \
             latest after {} ms; {} leases ended by the kernel with the daemon dead; nothing open at \
             the end, and nothing of others touched",
            self.kills,
            self.knocks,
            self.comparisons,
            self.rules,
            self.leases,
            self.left_running,
            self.closings,
            self.ended,
            self.latest.as_millis(),
            self.ended_by_kernel
        )
    }
}

/// Does it.
///
/// # Errors
/// With what did not hold, in words, or when the harness could not do its part.
pub fn run(ordeal: Ordeal, mut tell: impl FnMut(&Report)) -> Result<Report> {
    let mut trial = Trial::new(ordeal)?;
    trial.begin()?;
    let mut rounds: u32 = 0;
    while trial.report.kills < ordeal.kills {
        if interrupted().load(Ordering::Relaxed) {
            return Err(LabError("interrupted".into()));
        }
        trial.round()?;
        rounds += 1;
        if rounds.is_multiple_of(CALM) {
            trial.calm()?;
            tell(&trial.report);
        }
    }
    if !rounds.is_multiple_of(CALM) {
        trial.calm()?;
    }
    trial.end()?;
    Ok(trial.report)
}

struct Trial {
    // Before the ground it stands on.
    daemon: Option<Running>,
    knocker: Knocker,
    ground: Ground,
    random: Random,
    /// Clients of which an order was given up: their rule need not be there.
    given_up: BTreeSet<IpAddr>,
    /// Clients whose lease could not be opened, since the last calm: it need not be on disk.
    not_opened: BTreeSet<IpAddr>,
    /// What the last daemon that died has said.
    last_words: Vec<String>,
    /// What stood in the firewall before the daemon came.
    foreign: String,
    report: Report,
}

impl Trial {
    fn new(ordeal: Ordeal) -> Result<Self> {
        let ground = Ground::new(ordeal.backend, ordeal.kind)?;
        let foreign = ground.foreign()?;
        let mut random = Random(ordeal.seed.wrapping_mul(2) | 1);
        let knocker = Knocker::start(ground.path("messages"), random.below(u64::MAX))?;
        Ok(Self {
            daemon: None,
            knocker,
            ground,
            random,
            given_up: BTreeSet::new(),
            not_opened: BTreeSet::new(),
            last_words: Vec::new(),
            foreign,
            report: Report::default(),
        })
    }

    /// With a first knock: from it on the daemon knows on disk how far it has read.
    fn begin(&mut self) -> Result<()> {
        self.start()?;
        self.daemon()?.await_line("following")?;
        self.read_all()?;
        self.knocker.go_on();
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        let mut command = self.ground.command(&programs::folder()?.join("knockdaemon"));
        command.arg("-conf").arg(self.ground.path("knockdaemon.conf"));
        self.daemon = Some(Running::spawn("knockdaemon", &mut command)?);
        Ok(())
    }

    /// From one start to the next.
    fn round(&mut self) -> Result<()> {
        let held = self.random.below(4) == 0;
        let lock = if held { Some(self.ground.lock()?) } else { None };
        self.await_moment()?;
        self.kill()?;
        if !self.ground.tools().is_empty() {
            self.report.left_running += 1;
        } else if lock.is_none() && self.random.below(4) != 0 {
            self.compare()?;
        }
        self.start()?;
        if lock.is_some() {
            self.pause(600);
        }
        Ok(())
    }

    /// Some moment in the life of a daemon.
    fn await_moment(&mut self) -> Result<()> {
        let said = match self.random.below(5) {
            0 => None,
            4 => Some("done: open"),
            1 => Some("following"),
            2 => Some("knock accepted"),
            _ => Some("done: iptables"),
        };
        if let Some(said) = said {
            // Not everything happens in each life.
            let daemon = self.daemon()?;
            await_until(Duration::from_secs(1), || {
                daemon.lines().iter().any(|line| line.contains(said))
            });
            self.pause(30);
        } else {
            self.pause(300);
        }
        Ok(())
    }

    /// A random time up to so many milliseconds.
    fn pause(&mut self, most: u64) {
        thread::sleep(Duration::from_micros(self.random.below(most * 1000)));
    }

    fn daemon(&self) -> Result<&Running> {
        self.daemon.as_ref().ok_or_else(|| LabError("there is no daemon".into()))
    }

    fn kill(&mut self) -> Result<()> {
        self.daemon()?.signal(Signal::KILL)?;
        self.report.kills += 1;
        self.bury()
    }

    /// Waits for its end and its last words.
    fn bury(&mut self) -> Result<()> {
        let Some(mut daemon) = self.daemon.take() else { return Ok(()) };
        daemon.await_end()?;
        daemon.await_last_words()?;
        self.last_words = daemon.lines();
        for line in &self.last_words {
            let is_fault = ["panicked", "damaged", "cannot be kept", "fault of this program"];
            if is_fault.iter().any(|word| line.contains(word)) {
                return Err(LabError(format!("the daemon said: {line}")));
            }
            if line.contains("given up") || line.contains("not tried again") {
                let client = line.split("client=").nth(1).and_then(|rest| rest.split(' ').next());
                let client = client.and_then(|client| client.parse::<IpAddr>().ok());
                self.given_up.extend(client);
                self.not_opened.extend(client.filter(|_| line.contains("open tcp port")));
            }
        }
        Ok(())
    }

    /// With the daemon and its tools dead: each rule has its closing on disk, none is there twice, and
    /// each that is to be there is.
    fn compare(&mut self) -> Result<Snapshot> {
        let snapshot = Snapshot::take(&self.ground)?;
        self.report.comparisons += 1;
        self.report.rules += snapshot.rules.values().map(|count| *count as u64).sum::<u64>();
        self.report.leases += snapshot.held.len() as u64;
        let mut wrong = snapshot.wrong(&self.given_up);
        wrong.extend(leases::wrong(&snapshot, self.ground.has_sets()));
        // Once given up is not given up for ever.
        self.given_up.retain(|client| snapshot.rules.contains_key(client));
        self.judged(&snapshot, &wrong)?;
        Ok(snapshot)
    }

    fn judged(&self, snapshot: &Snapshot, wrong: &[String]) -> Result<()> {
        if wrong.is_empty() {
            return Ok(());
        }
        let (kills, wrong) = (self.report.kills, wrong.join("; "));
        let said = self.last_words.join("\n");
        Err(LabError(format!(
            "after {kills} kills: {wrong}\n{snapshot}\nthe dead daemon said:\n{said}"
        )))
    }

    /// Waits until the daemon has read what was written so far: a knock behind it is answered.
    fn read_all(&mut self) -> Result<()> {
        let last = self.knocker.last_knock()?;
        // Orders of the one before may still be done, and told.
        self.daemon()?.await_line(&format!("knock accepted: IP={last} ")).map(drop)
    }
}

#[allow(clippy::disallowed_methods, reason = "compared with the deadlines of a real daemon")]
fn now() -> SystemTime {
    SystemTime::now()
}
