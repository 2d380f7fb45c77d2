//! The real runner: shell, programs and the firewall of this host.
//! Chooses the way by the command's kind, and puts endings into the words of an outcome.

use std::ffi::OsStr;
use std::io;

use knock_engine::{Order, Outcome};
use knock_rules::Command;

use crate::iptables::Firewall;
use crate::process::{self, Ended, Ending, status_text};
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
        Err(error) => {
            let why = format!("cannot run '{}': {error}", program.escape_debug());
            Outcome::Failed { why, again: is_shortage(&error) }
        }
    }
}

/// Too many processes or files, or too little memory: that passes.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    error.raw_os_error().is_some_and(|raw| shortages.contains(&Errno::from_raw_os_error(raw)))
}

#[cfg(test)]
mod tests;
