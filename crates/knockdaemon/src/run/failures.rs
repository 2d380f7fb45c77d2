//! The last orders that failed, for who asks how the daemon is. Bounded, and gone with the process: the
//! log has them all.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_engine::{Fate, Finished, Now, Outcome};

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
        let Some(why) = why(outcome) else { return };
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
            fate: fate(finished),
        });
    }

    /// The latest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.0.iter()
    }
}

/// What went wrong; `None` if nothing did.
pub(crate) fn why(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Done
        | Outcome::AlreadySo
        | Outcome::HandedOver { .. }
        | Outcome::Counted { .. } => None,
        Outcome::Failed { why, .. } => Some(why.clone()),
        Outcome::TimedOut { after } if after.as_secs() == 0 => {
            Some(format!("no end within {} ms", after.as_millis()))
        }
        Outcome::TimedOut { after } => Some(format!("no end within {} s", after.as_secs())),
    }
}

fn fate(finished: &Finished) -> String {
    let fate = match finished.fate {
        Fate::Again { after, tries } => {
            format!("tried {tries} times, again after {} s", after.as_secs())
        }
        Fate::KeptHere => "not handed to at(1), the agenda has it".to_owned(),
        Fate::Replaced => "left to the same closing of a later knock".to_owned(),
        Fate::GivenUp { tries: 1 } => "not tried again".to_owned(),
        Fate::GivenUp { tries } => format!("given up after {tries} tries"),
        Fate::Done => "done".to_owned(),
    };
    match &finished.follow_up {
        Some(onfailure) => format!("{fate}; onfailure: '{onfailure}' is run"),
        None => fate,
    }
}

/// The beginning of a text that others may make long.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
