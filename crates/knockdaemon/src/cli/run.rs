//! `run`: the daemon in the foreground.

use std::sync::Arc;

use crate::exit::Exit;
use crate::run::{self, Mode, RunError};

use super::args::Common;
use super::machine::Purpose;
use super::{load, output};

/// Reads the configuration, then follows the log until a signal comes.
pub(crate) fn run(common: &Common, dry: bool) -> Exit {
    let purpose = if dry { Purpose::Look } else { Purpose::Run };
    let (path, settings) = match load::settings(common, purpose) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let mode = if dry { Mode::DryRun } else { Mode::Respond };
    // The same file again, also when the search would now find another one.
    let again = Common { conf: Some(path.clone()), ..common.clone() };
    let reread = Arc::new(move || load::again(&again, purpose));
    match run::run(settings, reread, mode, path) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            output::error(&error.to_string());
            exit_for(&error)
        }
    }
}

fn exit_for(error: &RunError) -> Exit {
    if error.is_permission() { Exit::Permission } else { Exit::Input }
}
