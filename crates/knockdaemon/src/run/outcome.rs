//! How an order ended, and what becomes of it, in words: for the log, and for who asks how the daemon is.

use knock_engine::{Fate, Finished, Order, Outcome};

use super::clock::minute_of;

/// What went wrong; `None` if nothing did.
pub(crate) fn why(finished: &Finished, outcome: &Outcome) -> Option<String> {
    match outcome {
        // Nothing had to be done.
        Outcome::NotBegun { .. } if finished.fate == Fate::Done => None,
        outcome => outcome.why_not(),
    }
}

/// What becomes of an order that failed.
pub(crate) fn fate(finished: &Finished) -> String {
    let fate = match finished.fate {
        Fate::Again { after, tries: 1 } => format!("tried again in {} s", after.as_secs()),
        Fate::Again { after, tries } => {
            format!("tried {tries} times, tried again in {} s", after.as_secs())
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

/// Says how an order ended. `may_repeat` is asked before another try that failed is told.
pub(crate) fn tell(finished: &Finished, outcome: &Outcome, may_repeat: impl FnOnce() -> bool) {
    let Order { client, template, command, .. } = &finished.order;
    let Some(why) = why(finished, outcome) else {
        return match outcome {
            Outcome::Counted { connections } => {
                tracing::debug!(%client, connections, "asked: {command}");
            }
            Outcome::AlreadySo => tracing::info!(%client, template, "already so: {command}"),
            Outcome::HandedOver { job } => {
                let at = finished.order.hand_over.map(minute_of).unwrap_or_default();
                tracing::info!(%client, template, "job {job} at {at}: {command}");
            }
            Outcome::NotBegun { .. } => {
                tracing::info!(%client, template, "it was never opened: {command}");
            }
            _ => tracing::info!(%client, template, "done: {command}"),
        };
    };
    let fate = fate(finished);
    match finished.fate {
        Fate::Again { tries, .. } if tries > 1 && !may_repeat() => {}
        Fate::Again { .. } | Fate::Replaced | Fate::Done => {
            tracing::warn!(%client, template, "failed: {command}: {why}; {fate}");
        }
        Fate::KeptHere | Fate::GivenUp { .. } => {
            tracing::error!(%client, template, "failed: {command}: {why}; {fate}");
        }
    }
}
