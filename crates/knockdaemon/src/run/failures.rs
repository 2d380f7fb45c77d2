//! The last orders that failed, for who asks how the daemon is. Bounded, and gone with the process: the
//! log has them all.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_engine::{Finished, Now, Outcome};

use super::outcome;

/// As many are kept.
const KEPT: usize = 32;

/// So much is kept of a command, and of what it said, in characters.
const TEXT: usize = 500;

/// An order that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) wall: SystemTime,
    pub(crate) uptime: Duration,
    pub(crate) client: IpAddr,
    pub(crate) template: String,
    pub(crate) command: String,
    pub(crate) why: String,
    pub(crate) fate: String,
}

/// The last of them.
#[derive(Debug, Default)]
pub(crate) struct Failures(VecDeque<Failure>);

impl Failures {
    /// Keeps what came of an order, if it failed.
    pub(crate) fn note(&mut self, now: &Now, finished: &Finished, outcome: &Outcome) {
        let Some(why) = outcome::why(finished, outcome) else { return };
        let order = &finished.order;
        if self.0.len() >= KEPT {
            self.0.pop_back();
        }
        self.0.push_front(Failure {
            wall: now.wall,
            uptime: now.uptime,
            client: order.client,
            template: order.template.clone(),
            command: cut(&order.command.to_string()),
            why: cut(&why),
            fate: outcome::fate(finished),
        });
    }

    /// The latest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.0.iter()
    }
}

/// The beginning of a text that others may make long.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
