//! The real runner: shell, programs and the firewall of this host.
//! Chooses the way by the command's kind, and puts endings into the words of an outcome.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use knock_engine::{Order, Outcome};
use knock_firewall::Kind;
use knock_rules::Command;

use crate::account::{Account, AccountError};
use crate::at;
use crate::connections;
use crate::deadline::left_until;
use crate::gate::Gate;
use crate::iptables::Iptables;
use crate::left_behind::LeftBehind;
use crate::process::{self, Ended, Ending, Trouble, status_text};
use crate::runner::Runner;

/// Carries orders out on this machine, with the rights of this process.
#[derive(Debug)]
pub struct Host {
    iptables: Iptables,
    gate: Gate,
    left_behind: Arc<LeftBehind>,
}

impl Host {
    /// Looks at nothing yet: a host without iptables is fine as long as no order asks for it.
    #[must_use]
    pub fn new(gate: Gate, left_behind: Arc<LeftBehind>) -> Self {
        Self { iptables: Iptables::default(), gate, left_behind }
    }
}

impl Runner for Host {
    fn run(&mut self, order: &Order) -> Outcome {
        if let Some(minute) = order.hand_over {
            return at::hand_over(&mut self.iptables, order, minute);
        }
        // Before anything is worked out from the time.
        if self.waits_for_programs(&order.command) {
            self.left_behind.wait();
        }
        // What takes it back at that time is not to come before its end.
        let left = order.expires.map_or(Duration::MAX, left_until);
        if left.is_zero() {
            let why = "its time is over, and it is taken back".to_owned();
            return Outcome::Failed { why, again: false };
        }
        let limit = order.timeout.min(left);
        let words = match &order.command {
            Command::Iptables { family, args } => {
                return self.iptables.apply(*family, args, limit);
            }
            Command::Open { opening } => {
                return self.gate.open(opening, order.expires, order.timeout);
            }
            Command::Close { opening } => {
                return self.gate.close(opening, limit);
            }
            Command::CountConnections { opening } => return connections::count(opening),
            Command::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
            Command::Exec(words) => words.clone(),
        };
        match &order.user {
            None => outcome(&words, limit, |program, args| {
                process::run_where_we_are(program, args, &order.environment, limit)
            }),
            Some(user) => match as_user(user, words, order) {
                Ok((words, environment)) => outcome(&words, limit, |program, args| {
                    process::run(program, args, &environment, limit)
                }),
                Err(error) => Outcome::Failed {
                    why: error.to_string(),
                    again: matches!(error, AccountError::NotAsked { .. }),
                },
            },
        }
    }
}

impl Host {
    /// Whether a program that an earlier daemon left running may do the same again, or the contrary,
    /// behind this order. None does to the kernel's sets: no program is started for those.
    fn waits_for_programs(&self, command: &Command) -> bool {
        match command {
            Command::Iptables { .. } => true,
            Command::Open { .. } | Command::Close { .. } => {
                self.gate.firewall().is_ok_and(|firewall| firewall.kind() == Kind::Iptables)
            }
            Command::CountConnections { .. } | Command::Shell(_) | Command::Exec(_) => false,
        }
    }
}

type Environment = Vec<(String, String)>;

/// The words that run this command as that user, and what stands in its environment.
fn as_user(
    user: &str,
    words: Vec<String>,
    order: &Order,
) -> Result<(Vec<String>, Environment), AccountError> {
    let account = Account::find(user)?;
    let words = account.becoming()?.into_iter().chain(words).collect();
    let environment = account.environment().into_iter().chain(order.environment.clone());
    Ok((words, environment.collect()))
}

fn outcome(
    words: &[String],
    limit: Duration,
    run: impl FnOnce(&str, &[String]) -> Result<Ended, Trouble>,
) -> Outcome {
    let Some((program, args)) = words.split_first() else {
        return Outcome::Failed { why: "there is no program to run".to_owned(), again: false };
    };
    match run(program, args) {
        Ok(Ended { how: Ending::TimedOut, .. }) => Outcome::TimedOut { after: limit },
        Ok(Ended { how: Ending::Exited(status), .. }) if status.success() => Outcome::Done,
        Ok(Ended { how: Ending::Exited(status), stdout, stderr }) => {
            let status = status_text(status);
            // Many programs complain on the wrong channel.
            let why = match stderr.last_line().or_else(|| stdout.last_line()) {
                Some(line) => format!("{status}: {line}"),
                None => status,
            };
            Outcome::Failed { why, again: false }
        }
        Err(trouble @ Trouble::NotOursToEnd(_)) => {
            Outcome::Failed { why: trouble.to_string(), again: false }
        }
        Err(trouble) => {
            let why = format!("cannot run '{}': {trouble}", program.escape_debug());
            // Too little memory, a package that is being updated, a disk that is not there yet:
            // nothing has been done, and most of it passes. A text that can be no argument stays so.
            let again = matches!(&trouble, Trouble::NotStarted(error)
                if error.kind() != io::ErrorKind::InvalidInput);
            Outcome::Failed { why, again }
        }
    }
}

#[cfg(test)]
mod tests;
