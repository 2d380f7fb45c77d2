//! The `knockclient` program; all of it is in the library, where the manual is made from too.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    knockclient::main_with(std::env::args_os())
}
