//! What becomes of an order after a try: struck out, given up, or tried again.
//! Decides only; the engine turns it into changes.

use std::time::Duration;

use crate::order::{Order, Outcome};

/// A rule that was to be put in at once is tried so often, some quarter of an hour. Later it would
/// surprise whoever knocked, who has long knocked again.
pub(crate) const TRIES_OF_A_RULE: u32 = 20;
/// So often any other command. Nobody knows what a further try of it does.
const TRIES_OF_A_PROGRAM: u32 = 5;
/// The pause before the second try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What becomes of an order after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The world is as it wants it; struck out.
    Done,
    /// It failed for the last time, or no time is left before what follows it; struck out.
    GivenUp {
        /// How often it was tried.
        tries: u32,
    },
    /// It failed, but a later knock has brought the same closing, which does for both; struck out.
    Replaced,
    /// at(1) did not take it: it waits in the agenda, and is run from there.
    KeptHere,
    /// It failed and stays in the agenda.
    Again {
        /// How long until the next try.
        after: Duration,
        /// How often it was tried so far.
        tries: u32,
    },
}

/// What this outcome means for this order.
pub(crate) fn fate(order: &Order, outcome: &Outcome) -> Fate {
    let tries = order.attempts.saturating_add(1);
    if order.hand_over.is_some() {
        return match outcome {
            Outcome::Done
            | Outcome::AlreadySo
            | Outcome::HandedOver { .. }
            | Outcome::Counted { .. } => Fate::Done,
            // Not tried again: until that has an end, nothing of the knock would be done.
            Outcome::Failed { .. } | Outcome::NotBegun { .. } | Outcome::TimedOut { .. } => {
                Fate::KeptHere
            }
        };
    }
    match most_tries(order, outcome) {
        Most::Enough => Fate::Done,
        Most::Times(most) if tries >= most => Fate::GivenUp { tries },
        Most::Times(_) | Most::ForEver => Fate::Again { after: pause_after(tries), tries },
    }
}

/// Whether this try is the one after which `onfailure` is run. A rule that takes back is tried for
/// ever, and so counts as failed once when any other rule would be given up; its tries go on.
pub(crate) fn has_failed(order: &Order, fate: Fate) -> bool {
    match fate {
        Fate::GivenUp { .. } => true,
        Fate::Again { tries, .. } => order.is_delayed_rule() && tries == TRIES_OF_A_RULE,
        Fate::Done | Fate::Replaced | Fate::KeptHere => false,
    }
}

enum Most {
    Enough,
    Times(u32),
    ForEver,
}

fn most_tries(order: &Order, outcome: &Outcome) -> Most {
    let helps = match outcome {
        Outcome::Done
        | Outcome::AlreadySo
        | Outcome::HandedOver { .. }
        | Outcome::Counted { .. } => return Most::Enough,
        Outcome::Failed { again, .. } => *again,
        Outcome::NotBegun { .. } => true,
        // A rule is put in once however often it is asked for; a program has done nobody knows what.
        Outcome::TimedOut { .. } => order.is_rule(),
    };
    // What has a delay takes back what was done at once: given up, it would leave a port open.
    match (order.is_rule(), order.is_delayed()) {
        (true, true) => Most::ForEver,
        (true, false) if helps => Most::Times(TRIES_OF_A_RULE),
        (false, takes_back) if takes_back || helps => Most::Times(TRIES_OF_A_PROGRAM),
        (_, _) => Most::Times(1),
    }
}

pub(crate) fn pause_after(tries: u32) -> Duration {
    let doubled = 1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}
