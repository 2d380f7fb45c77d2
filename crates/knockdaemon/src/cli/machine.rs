//! What a configuration needs of this machine, asked here and now: users, and at(1).
//!
//! Whoever only looks at a file may do so with fewer rights than the daemon will have.

use knock_actions::{AccountError, can_hand_over, can_run_as};
use knock_config::{Machine, Objection, Severity};

/// What a configuration is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be looked at.
    Look,
    /// To be acted on by this process.
    Run,
}

/// How to ask this machine.
pub(crate) fn for_purpose(purpose: Purpose) -> Machine {
    let mut machine = Machine::default();
    machine.user = match purpose {
        Purpose::Look => |user| user_objection(user, Severity::Warning),
        Purpose::Run => |user| user_objection(user, Severity::Error),
    };
    machine.at = at_objection;
    machine
}

/// `rights` is how bad it is that this process has too few.
fn user_objection(user: &str, rights: Severity) -> Option<Objection> {
    let error = can_run_as(user).err()?;
    let severity = match error {
        AccountError::NotPermitted { .. } => rights,
        _ => Severity::Error,
    };
    Some(Objection { severity, message: error.to_string(), help: error.help().to_owned() })
}

/// No error: what at(1) does not take, the agenda keeps.
fn at_objection() -> Option<Objection> {
    let error = can_hand_over().err()?;
    Some(Objection {
        severity: Severity::Warning,
        message: format!("{error}, so delayed actions stay in the agenda"),
        help: error.help().to_owned(),
    })
}
