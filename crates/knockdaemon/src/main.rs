//! The `knockdaemon` program. Everything is in the library; this only hands over the arguments.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    knockdaemon::main_with(std::env::args_os())
}
