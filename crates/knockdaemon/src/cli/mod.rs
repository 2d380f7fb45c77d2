//! From arguments to one of the commands, and from its result to an exit status.

mod args;
mod check;
mod formats;
mod load;
pub mod manual;
mod output;
mod replay;
mod run;

use std::ffi::OsString;
use std::io::Write;
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
    let args: Vec<OsString> = args.into_iter().collect();
    let args = match argv::normalise(args.clone(), &known(&args)) {
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
        (_, true) => Volume::Debug,
        (true, false) => Volume::Quiet,
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
        Some(Command::Formats(args)) => formats::formats(&cli.common, &args),
    }
}

/// The options that may be written in the old style. What `-test` takes depends on the command.
fn known(args: &[OsString]) -> Vec<Known> {
    let mut words = args.iter().skip(1);
    let mut testing_formats = false;
    while let Some(word) = words.next() {
        // The value of -conf is no command, whatever it is called.
        if word.as_encoded_bytes().ends_with(b"-conf") || word == "-c" {
            words.next();
        }
        testing_formats |= word == "formats";
    }
    let test = if testing_formats { Takes::Value } else { Takes::Nothing };
    vec![
        Known::new("conf", Takes::Value).shorts(['c']),
        Known::new("debug", Takes::Nothing),
        Known::new("quiet", Takes::Nothing),
        Known::new("insecure", Takes::Nothing),
        Known::new("test", test),
        Known::new("man", Takes::Nothing),
        Known::new("json", Takes::Nothing),
        Known::new("help", Takes::Nothing).shorts(['h']),
        Known::new("version", Takes::Nothing).shorts(['V']),
    ]
}

fn usage(message: &str) -> Exit {
    output::error(&format!("{message}\nTry 'knockdaemon --help'."));
    Exit::Usage
}

/// Writes to standard output; a closed pipe ends the program's output, not the program.
fn say(text: &str) {
    let _closed = writeln!(std::io::stdout(), "{text}");
}
