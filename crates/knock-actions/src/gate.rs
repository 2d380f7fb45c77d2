//! This host's firewall for all workers of this process: one socket, made when it is first needed.
//! A host without leases is fine without a firewall that we know.

use std::sync::{Arc, Mutex, PoisonError};
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
}

#[derive(Debug)]
struct State {
    kind: Kind,
    made: Option<Arc<Firewall>>,
    /// Whether this process says what is open, beside which there must be no other.
    keeps: bool,
    keeper: Option<Keeper>,
}

impl Gate {
    /// One that goes this way. Looks at nothing yet.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { state: Arc::new(Mutex::new(State { kind, made: None, keeps: false, keeper: None })) }
    }

    /// The same for a daemon: from the first use on it is the only one of this network.
    #[must_use]
    pub fn of_daemon(kind: Kind) -> Self {
        let state = State { kind, made: None, keeps: true, keeper: None };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Goes another way from now on. What is open the old way is taken away when the static part of
    /// the new one is made.
    pub fn set_kind(&self, kind: Kind) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.kind == kind {
            return Ok(());
        }
        drop(state);
        Firewall::new(kind, Box::new(HostTools), wall_clock).map(drop)
    }

    /// The firewall, chosen at the first call that succeeds.
    ///
    /// # Errors
    /// When this host has none that we know, or we may not change it. The next call asks again.
    pub fn firewall(&self) -> Result<Arc<Firewall>, FirewallError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(firewall) = &state.made {
            return Ok(Arc::clone(firewall));
        }
        if state.keeps && state.keeper.is_none() {
            state.keeper = Some(Keeper::claim()?);
        }
        let firewall = Arc::new(Firewall::new(state.kind, Box::new(HostTools), wall_clock)?);
        state.made = Some(Arc::clone(&firewall));
        Ok(firewall)
    }

    /// Until when the firewall is to hold it by itself; `None`: until it is closed.
    pub(crate) fn open(
        &self,
        opening: &Opening,
        until: Option<SystemTime>,
        limit: Duration,
    ) -> Outcome {
        outcome(self.firewall().and_then(|firewall| firewall.open(opening, until, limit)))
    }

    pub(crate) fn close(&self, opening: &Opening, limit: Duration) -> Outcome {
        outcome(self.firewall().and_then(|firewall| firewall.close(opening, limit)))
    }
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
