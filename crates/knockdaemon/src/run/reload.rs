//! A reload, from the word to its answer: what was read beside the loop takes the place of what was in force,
//! and who asked is told when the firewall was compared with the leases, too.

use std::time::Duration;

use knock_config::DaemonSettings;

use crate::cli::firewall::of_choice;
use crate::control::protocol::{Answer, Code, Firewall, Refused, Reloaded};
use crate::control::server::Reply;

use super::Daemon;
use super::reread::NewSettings;
use super::silence::Silence;
use super::threads::Wanted;

/// How long who asked waits for the comparison; the answer then says that it goes on.
const COMPARED_WITHIN: Duration = Duration::from_secs(30);

/// Those who want to know what came of a reload that is in force. As many as there are connections.
#[derive(Debug, Default)]
pub(super) struct Reloads(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    replies: Vec<Reply>,
    answer: Reloaded,
    /// For this look at the firewall.
    look: u64,
    /// By uptime.
    until: Duration,
}

impl Reloads {
    /// When the first of them is answered in any case.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.0.iter().map(|waiting| waiting.until).min()
    }
}

impl Daemon {
    /// Reads the configuration beside the loop; who asked is answered when it is in force, or not.
    pub(super) fn start_reload(&mut self, reply: Option<Reply>) {
        // Whoever sends SIGHUP may have mended what was in its way.
        self.listening.try_again();
        if self.rereading.start(reply) {
            self.service.reloading(self.clock.now().uptime, self.clock.monotonic());
        }
    }

    /// It has been read.
    pub(super) fn reread(&mut self, read: NewSettings) {
        let taken = self.take_over(read);
        let replies = self.rereading.ended();
        match taken {
            Ok((answer, look)) => self.answer_when_compared(replies, answer, look),
            Err(refused) => {
                for reply in replies {
                    reply.send(Answer::Refused(refused.clone()));
                }
            }
        }
        // Else another reading has begun, and is not over.
        if self.rereading.is_idle() {
            self.service.reloaded(self.clock.now().uptime);
        }
    }

    /// Answers those whose comparison is over, or has taken too long.
    pub(super) fn answer_reloads(&mut self, uptime: Duration) {
        let is_over =
            |one: &mut Waiting| self.reconciling.has_looked(one.look) || one.until <= uptime;
        let over: Vec<Waiting> = self.reloads.0.extract_if(.., is_over).collect();
        for Waiting { replies, answer, .. } in over {
            let answer = Reloaded { firewall: self.firewall(), ..answer };
            for reply in replies {
                reply.send(Answer::Reloaded(answer.clone()));
            }
        }
    }

    fn answer_when_compared(&mut self, replies: Vec<Reply>, answer: Reloaded, look: Option<u64>) {
        if !replies.is_empty() {
            let look = look.filter(|_| self.respond.gate().is_some()).unwrap_or_default();
            let until = self.clock.uptime() + COMPARED_WITHIN;
            self.reloads.0.push(Waiting { replies, answer, look, until });
        }
    }

    /// What there is to answer, and for which look at the firewall that waits.
    fn take_over(&mut self, read: NewSettings) -> Result<(Reloaded, Option<u64>), Refused> {
        let config = self.config.display().to_string();
        let (settings, report) = match read {
            NewSettings::Read { settings, report } => (*settings, report),
            NewSettings::Mistaken { report } => {
                tracing::error!(
                    "the new configuration has mistakes; the running one stays. `knockdaemon check` shows them"
                );
                let message = format!("{config} has mistakes; the running configuration stays");
                return Err(Refused { code: Code::Config, message, report });
            }
            NewSettings::Unreadable { why } => {
                let message = format!("{why}; the running configuration stays");
                tracing::error!("{message}");
                return Err(Refused::new(Code::Unreadable, message));
            }
        };
        // Without a way that works nothing could be closed any more, either.
        let needs_it = settings.plan.actions.iter().any(|action| action.lease.is_some())
            || self.engine.leases().next().is_some();
        if let Some(gate) = self.respond.gate()
            && needs_it
            && let Err(error) = gate.probe(of_choice(settings.firewall))
        {
            let message = format!(
                "{config}: 'firewall' cannot be what it is there; the running configuration stays: \
                 {error}"
            );
            tracing::error!("{message}");
            return Err(Refused { code: Code::Config, message, report });
        }
        let look = self.put_in_force(settings);
        self.reloaded = Some(self.clock.now().wall);
        Ok((Reloaded { config, report, firewall: Firewall::default() }, look))
    }

    fn put_in_force(&mut self, settings: DaemonSettings) -> Option<u64> {
        if settings.control != *self.listening.settings() {
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
        let look = self.reconciling.look_now(&self.engine, self.clock.uptime());
        tracing::info!("configuration reloaded; queues, agenda and leases are kept");
        look
    }
}
