//! From arguments to one of the commands, and from its result to an exit status.

mod args;
mod ask;
mod check;
mod convert;
mod explain;
pub(crate) mod firewall;
mod formats;
mod input;
mod load;
mod machine;
pub mod manual;
mod output;
mod paint;
mod reading;
mod replay;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use knock_config::argv::{self, Known, Takes};

use crate::exit::Exit;
use crate::logging::{self, Volume};
use args::{Cli, Command};

/// The command line's definition, for parsing and for the manual page.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program with these arguments, the program's name first.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    dispatch(args).into()
}

fn dispatch(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args = match argv::normalise(args, &known()) {
        Ok(args) => args,
        Err(error) => return usage(&error.to_string()),
    };
    let cli = match command().try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; printing them may fail on a closed pipe.
            let _closed = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    if cli.man {
        return manual::show();
    }
    let volume = match (cli.common.quiet, cli.common.debug) {
        // As in the client: who asks for both wants silence.
        (true, _) => Volume::Quiet,
        (false, true) => Volume::Debug,
        (false, false) => Volume::Normal,
    };
    match cli.command {
        None => {
            logging::start(volume);
            run::run(&cli.common, cli.test)
        }
        Some(Command::Run(args)) => {
            logging::start(volume);
            run::run(&cli.common, cli.test || args.test)
        }
        Some(Command::Check) => check::check(&cli.common),
        Some(Command::Replay(args)) => {
            logging::start(volume);
            replay::replay(&cli.common, &args)
        }
        Some(Command::Explain(args)) => {
            logging::start(volume);
            explain::explain(&cli.common, &args)
        }
        Some(Command::Formats(args)) => formats::formats(&cli.common, &args),
        Some(Command::Firewall(args)) => firewall::run(&cli.common, args),
        Some(Command::Convert(args)) => convert::run(&cli.common, &args),
        Some(Command::Status(args)) => ask::status(&cli.common, &args),
        Some(Command::Leases(args)) => ask::leases(&cli.common, &args),
        Some(Command::Revoke(args)) => ask::revoke(&cli.common, &args),
        Some(Command::Extend(args)) => ask::extend(&cli.common, &args),
        Some(Command::Reload(args)) => ask::reload(&cli.common, &args),
    }
}

/// The options that may be written in the old style: those of the program, and those of the command
/// that is meant, which may give one of the same name (`-test`) another sense.
fn known() -> argv::Options {
    let mut command = command();
    command.build();
    let of = |command: &clap::Command| command.get_arguments().filter_map(option).collect();
    let commands = command.get_subcommands();
    argv::Options {
        own: of(&command),
        commands: commands.map(|command| (command.get_name().to_owned(), of(command))).collect(),
    }
}

/// The options that the original had: what was short enough for one of them still is.
const ORIGINAL: [&str; 5] = ["conf", "debug", "quiet", "test", "man"];

fn option(arg: &clap::Arg) -> Option<Known> {
    let takes = if arg.get_action().takes_values() { Takes::Value } else { Takes::Nothing };
    let long = arg.get_long()?;
    let known = Known::new(long, takes).shorts(arg.get_short());
    Some(if ORIGINAL.contains(&long) { known.of_the_original() } else { known })
}

fn usage(message: &str) -> Exit {
    output::error(&format!("{message}\nTry 'knockdaemon -h'."));
    Exit::Usage
}
