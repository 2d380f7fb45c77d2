//! The command behind `--`: takes the client's place, so its exit status is the client's.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::args::KEY_VARIABLE;
use crate::error::ClientError;

/// Comes back only if the command cannot be run.
pub(crate) fn replace_with(command: Vec<OsString>) -> ClientError {
    let mut words = command.into_iter();
    let program = words.next().unwrap_or_default();
    // The key is nobody else's business.
    let error = Command::new(&program).args(words).env_remove(KEY_VARIABLE).exec();
    ClientError::Command { program: program.to_string_lossy().into_owned(), error }
}
