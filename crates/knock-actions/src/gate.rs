//! This host's firewall for all workers of this process: one socket, made when it is first needed.
//! A host without leases is fine without a firewall that we know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use knock_engine::Outcome;
use knock_firewall::{Did, Firewall, FirewallError, Keeper, Kind};
use knock_rules::Opening;

use crate::deadline::wall_clock;
use crate::tools::HostTools;

/// Where openings are made and closed. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    state: Arc<Mutex<State>>,
    /// Where this process says what is open, beside which there must be no other. Apart from the rest:
    /// to take it may be to wait for somebody.
    keeper: Option<Arc<Mutex<Option<Keeper>>>>,
}

#[derive(Debug)]
struct State {
    kind: Kind,
    made: Option<Arc<Firewall>>,
}

impl Gate {
    /// One that goes this way. Looks at nothing yet.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { state: Arc::new(Mutex::new(State { kind, made: None })), keeper: None }
    }

    /// The same for a daemon: from the first use on it is the only one of this network.
    #[must_use]
    pub fn of_daemon(kind: Kind) -> Self {
        Self { keeper: Some(Arc::default()), ..Self::new(kind) }
    }

    /// Goes another way from now on. What is open the old way is taken away when the static part of
    /// the new one is made.
    pub fn set_kind(&self, kind: Kind) {
        let mut state = lock(&self.state);
        if state.kind != kind {
            state.kind = kind;
            state.made = None;
        }
    }

    /// Whether openings can be made this way here. Changes nothing.
    ///
    /// # Errors
    /// The reason why not.
    pub fn probe(&self, kind: Kind) -> Result<(), FirewallError> {
        if lock(&self.state).kind == kind {
            return Ok(());
        }
        Firewall::new(kind, Box::new(HostTools), wall_clock).map(drop)
    }

    /// The firewall, chosen at the first call that succeeds.
    ///
    /// # Errors
    /// When this host has none that we know, or we may not change it. The next call asks again.
    pub fn firewall(&self) -> Result<Arc<Firewall>, FirewallError> {
        if let Some(firewall) = &lock(&self.state).made {
            return Ok(Arc::clone(firewall));
        }
        self.keep()?;
        let mut state = lock(&self.state);
        if let Some(firewall) = &state.made {
            return Ok(Arc::clone(firewall));
        }
        let firewall = Arc::new(Firewall::new(state.kind, Box::new(HostTools), wall_clock)?);
        state.made = Some(Arc::clone(&firewall));
        Ok(firewall)
    }

    /// For a look at all of it: the same, and whether this process is the only one that keeps leases is
    /// made sure of again, where it was not sure. What should be known of that comes with it.
    ///
    /// # Errors
    /// As [`firewall`](Self::firewall).
    pub fn for_a_look(&self) -> Result<(Arc<Firewall>, Option<String>), FirewallError> {
        let remark = self.keep().inspect_err(|_| lock(&self.state).made = None)?;
        Ok((self.firewall()?, remark))
    }

    /// Takes the right to keep leases, if it is not held yet. Why it is not sure, if it is not.
    fn keep(&self) -> Result<Option<String>, FirewallError> {
        let Some(keeper) = &self.keeper else { return Ok(None) };
        let mut keeper = lock(keeper);
        if keeper.as_ref().is_none_or(|keeper| keeper.remark().is_some()) {
            // Whoever has it by now has it alone.
            *keeper = None;
            *keeper = Some(Keeper::claim()?);
        }
        Ok(keeper.as_ref().and_then(Keeper::remark))
    }

    /// Until when the firewall is to hold it by itself; `None`: until it is closed.
    pub(crate) fn open(
        &self,
        opening: &Opening,
        until: Option<SystemTime>,
        limit: Duration,
    ) -> Outcome {
        self.through(|firewall| firewall.open(opening, until, limit))
    }

    pub(crate) fn close(&self, opening: &Opening, limit: Duration) -> Outcome {
        self.through(|firewall| firewall.close(opening, limit))
    }

    fn through(&self, work: impl Fn(&Firewall) -> Result<Did, FirewallError>) -> Outcome {
        match self.firewall() {
            Ok(firewall) => outcome(work(&firewall)),
            Err(error) => Outcome::NotBegun { why: error.to_string() },
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn outcome(result: Result<Did, FirewallError>) -> Outcome {
    match result {
        Ok(Did::Done) => Outcome::Done,
        Ok(Did::AlreadySo) => Outcome::AlreadySo,
        Err(error @ FirewallError::Over(_)) => {
            Outcome::Failed { why: error.to_string(), again: false }
        }
        // Whatever it is, it may pass: a module that is not loaded yet, a program that is installed
        // in a minute, one that hangs. Each says more than that the time was over.
        Err(error) => Outcome::Failed { why: error.to_string(), again: true },
    }
}
