//! From an accepted knock to the world: durable first, then run, then struck out.
//! Decides nothing; the engine says what is due.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use knock_actions::{Gate, Host, LeftBehind, Pool, Store, StoreError};
use knock_config::DaemonSettings;
use knock_engine::{Accepted, Change, EndedBy, Engine, LeaseNews, Ledger, Now};

use crate::{lease_words, shown};

use super::RunError;
use super::announce;
use super::durable::Durable;
use super::event::Event;
use super::statefile::StateCopy;
use crate::cli::firewall::of_choice;

/// Orders that may run side by side; those of one client never do. So many that programs which wait
/// for a quarter of an hour, as old templates do, hold up nobody else's closing; the rest waits in
/// the agenda.
const AT_ONCE: usize = 256;

/// How knocks are answered.
pub(crate) enum Respond {
    /// Said only.
    DryRun,
    /// Kept on disk and run by workers.
    Real(Box<Real>),
}

/// What it takes to answer for real.
pub(crate) struct Real {
    /// The agenda and the state variable on disk.
    durable: Durable,
    /// The state variable for people to read.
    copy: StateCopy,
    /// Who runs the orders.
    pool: Pool,
    /// Where leases are opened and closed.
    gate: Gate,
    /// Orders handed to the pool that it has not reported yet.
    running: usize,
}

/// How far `hand_out` came.
pub(crate) enum Response {
    /// Everything that is due is with a worker.
    AllHandedOut,
    /// No worker can take another order.
    WorkersBusy,
}

impl Respond {
    /// Opens the store, starts the workers; returns what the store remembers.
    pub(crate) fn start(
        settings: &DaemonSettings,
        inbox: SyncSender<Event>,
    ) -> Result<(Self, Ledger), RunError> {
        let (store, mut ledger, notices) =
            Store::open(&settings.statedir).map_err(RunError::Store)?;
        for notice in notices {
            tracing::error!("{notice}");
        }
        let left_behind = Arc::new(LeftBehind::by(store.session_before(), announce::left_behind));
        let mut durable = Durable::new(store);
        let copy = StateCopy::start(settings.statefile.clone(), &mut durable, &mut ledger);
        let gate = Gate::of_daemon(of_choice(settings.firewall));
        let its_gate = gate.clone();
        let host = move || Host::new(its_gate.clone(), Arc::clone(&left_behind));
        let pool = Pool::start(AT_ONCE, host, move |id, outcome| {
            // A closed inbox: the daemon has stopped, and the order runs again at the next start.
            let _gone = inbox.send(Event::Finished(id, outcome));
        })
        .map_err(RunError::System)?;
        Ok((Self::Real(Box::new(Real { durable, copy, pool, gate, running: 0 })), ledger))
    }

    /// Has the readable copy of the state variable written, if knocks have changed it since.
    pub(crate) fn write_statefile(&mut self, engine: &Engine) {
        if let Self::Real(real) = self {
            real.copy.write(engine.ledger().memory(), real.durable.generation());
        }
    }

    /// Another file for the copy, or none.
    pub(crate) fn move_statefile(&mut self, path: Option<PathBuf>) {
        if let Self::Real(real) = self {
            real.copy.move_to(path);
        }
    }

    /// Where leases are opened and closed, if they are.
    pub(crate) fn gate(&self) -> Option<&Gate> {
        match self {
            Self::DryRun => None,
            Self::Real(real) => Some(&real.gate),
        }
    }

    /// Ends the answering. The copy gets so long for its last words; the store comes first.
    pub(crate) fn close(self, engine: &Engine, limit: Duration) {
        let Self::Real(real) = self else { return };
        let generation = real.durable.generation();
        if let Err((changes, error)) = real.durable.close() {
            tracing::error!(
                changes,
                "what was done cannot be kept on disk, and runs again: {error}"
            );
        }
        real.copy.close(engine.ledger().memory(), generation, limit);
    }

    /// Orders that a worker has.
    pub(crate) fn running(&self) -> usize {
        match self {
            Self::DryRun => 0,
            Self::Real(real) => real.running,
        }
    }

    /// Makes a knock durable, lets the engine know of it, and hands out what is due at once: a log that
    /// is slow to take its lines keeps nobody waiting. A knock that cannot be made durable
    /// is refused: a port whose closing is not on disk must not open.
    pub(crate) fn accept(&mut self, engine: &mut Engine, accepted: &Accepted, now: &Now) {
        let client = accepted.client;
        if let Self::Real(real) = self {
            if let Err(error) = real.durable.append(&accepted.changes) {
                tracing::error!(%client, "knock refused, it cannot be kept on disk: {error}");
                return self.refuse(engine, accepted, now);
            }
            engine.commit(&accepted.changes);
            real.copy.note(&accepted.changes);
        } else {
            engine.commit(&accepted.remembered());
        }
        // Workers that are busy are asked again in the loop's next turn.
        let _response = self.hand_out(engine, now);
        self.tell(accepted);
    }

    /// What is to be closed closes also if that cannot be kept.
    fn refuse(&mut self, engine: &mut Engine, accepted: &Accepted, now: &Now) {
        let closed = engine.refuse(accepted);
        if closed.is_empty() {
            return;
        }
        if !self.keep(&closed, "what that knock closes") {
            tracing::error!(
                "it is closed all the same; killed before the disk has room, the daemon would open it again"
            );
        }
        let _response = self.hand_out(engine, now);
        for change in closed {
            if let Change::Leased(lease) = change {
                lease_words::log(&LeaseNews::Ended { lease, why: EndedBy::CloseKnock });
            }
        }
    }

    fn tell(&self, accepted: &Accepted) {
        let client = accepted.client;
        tracing::info!(%client, "knock accepted: {}", accepted.knock);
        for (action, fault) in &accepted.faults {
            tracing::error!(%client, action, "cannot be evaluated: {fault}");
        }
        if let Some(why) = shown::why_nothing(accepted) {
            tracing::info!(%client, "nothing is done: {why}");
        }
        match self {
            Self::DryRun => {
                for order in &accepted.orders {
                    let delay = order.delay.as_secs();
                    let would = match order.hand_over {
                        Some(_) => "would hand to at(1)",
                        None => "would run",
                    };
                    tracing::info!(%client, template = order.template, delay_s = delay, "{would}: {}", order.command);
                }
                for news in &accepted.leases {
                    tracing::info!(%client, "would have done: {}", lease_words::news_text(news));
                }
            }
            Self::Real(_) => accepted.leases.iter().for_each(lease_words::log),
        }
    }

    /// Makes changes durable that nothing has been done about, now or later. `what` they tell. Returns
    /// whether they are.
    pub(crate) fn keep(&mut self, changes: &[Change], what: &str) -> bool {
        let Self::Real(real) = self else { return true };
        let kept = real.durable.append_sooner_or_later(changes);
        if let Err(error) = &kept {
            tracing::error!("{what} cannot be kept on disk: {error}");
        }
        kept.is_ok()
    }

    /// Tries to write what could not be written, if it is time.
    pub(crate) fn catch_up(&mut self, uptime: Duration) {
        let Self::Real(real) = self else { return };
        match real.durable.catch_up(uptime) {
            Some(Ok(changes)) => {
                tracing::info!(changes, "what could not be kept on disk now is");
            }
            Some(Err(error)) => tracing::debug!("still nothing can be kept on disk: {error}"),
            None => {}
        }
    }

    /// When that is to be tried.
    pub(crate) fn next_catch_up(&self) -> Option<Duration> {
        match self {
            Self::DryRun => None,
            Self::Real(real) => real.durable.next_catch_up(),
        }
    }

    /// Makes changes durable that something is to be done about; nothing is, if that fails.
    pub(crate) fn make_durable(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        match self {
            Self::DryRun => Ok(()),
            Self::Real(real) => real.durable.append(changes),
        }
    }

    /// What cannot be kept on disk at the moment, and why.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self {
            Self::DryRun => None,
            Self::Real(real) => real.durable.trouble(),
        }
    }

    /// Gives everything that is due to the workers, without waiting for one.
    pub(crate) fn hand_out(&mut self, engine: &mut Engine, now: &Now) -> Response {
        let Self::Real(real) = self else { return Response::AllHandedOut };
        let mut busy = false;
        for order in engine.due(now, AT_ONCE.saturating_sub(real.running)) {
            match real.pool.try_send(order) {
                Ok(()) => real.running += 1,
                Err(order) => {
                    engine.put_back(order.id);
                    busy = true;
                }
            }
        }
        if busy || real.running >= AT_ONCE { Response::WorkersBusy } else { Response::AllHandedOut }
    }

    /// A worker is done, and the engine has struck its order out: now the disk. When that fails it is
    /// made up for with the next write; after a crash before it, the order runs once more.
    pub(crate) fn strike_out(&mut self, changes: &[Change]) {
        let Self::Real(real) = self else { return };
        real.running = real.running.saturating_sub(1);
        if let Err(error) = real.durable.append_sooner_or_later(changes) {
            tracing::error!("what was done cannot be kept on disk: {error}");
        }
    }
}
