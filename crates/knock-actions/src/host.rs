//! The real runner: shell, programs and the firewall of this host.
//! Chooses the way by the command's kind, and puts endings into the words of an outcome.

use std::ffi::OsStr;
use std::io;

use knock_engine::{Order, Outcome};
use knock_rules::Command;

use crate::iptables::Firewall;
use crate::process::{self, Ended, Ending, Trouble, status_text};
use crate::runner::Runner;

/// Carries orders out on this machine, with the rights of this process.
#[derive(Debug, Default)]
pub struct Host {
    firewall: Firewall,
}

impl Host {
    /// Looks at nothing yet: a host without iptables is fine as long as no order asks for it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Runner for Host {
    fn run(&mut self, order: &Order) -> Outcome {
        match &order.command {
            Command::Shell(text) => run_program("/bin/sh", ["-c", text], order),
            Command::Exec(words) => match words.split_first() {
                Some((program, args)) => run_program(program, args, order),
                None => {
                    Outcome::Failed { why: "there is no program to run".to_owned(), again: false }
                }
            },
            Command::Iptables { family, args } => self.firewall.apply(*family, args, order.timeout),
        }
    }
}

fn run_program<A: AsRef<OsStr>>(
    program: &str,
    args: impl IntoIterator<Item = A>,
    order: &Order,
) -> Outcome {
    match process::run(program, args, &order.environment, order.timeout) {
        Ok(Ended { how: Ending::TimedOut, .. }) => Outcome::TimedOut,
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
