//! The firewall's programs, run as all programs are here: with a limit, in a group of their own, and
//! with nothing of our environment.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use knock_firewall::{Ran, ToolError};

use crate::process::{self, Ended, Ending, PATH, Trouble};

/// Most bytes of a list of rules: some hundred thousand of them.
const LONGEST_LIST: usize = 64 * 1024 * 1024;

/// This host's programs.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostTools;

impl knock_firewall::Tools for HostTools {
    fn has(&self, program: &str) -> bool {
        let can_be_run = |path: &Path| {
            path.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
        };
        PATH.split(':').any(|folder| can_be_run(&Path::new(folder).join(program)))
    }

    fn run(
        &self,
        program: &str,
        args: &[&str],
        input: &str,
        limit: Duration,
    ) -> Result<Ran, ToolError> {
        let not_run = |error: io::Error| ToolError::NotRun(error.to_string());
        let input = match input {
            "" => Stdio::null(),
            text => process::in_memory(text).map_err(not_run)?.into(),
        };
        match process::run_heard(program, args, limit, input, LONGEST_LIST) {
            Ok(Ended { how: Ending::TimedOut, .. }) => Err(ToolError::TimedOut),
            Ok(Ended { how: Ending::Exited(status), stdout, stderr }) => {
                let too_long =
                    || ToolError::NotRun(format!("it said more than {LONGEST_LIST} bytes"));
                Ok(Ran {
                    status: status.code(),
                    stdout: stdout.whole().ok_or_else(too_long)?,
                    stderr: stderr.whole().ok_or_else(too_long)?,
                })
            }
            Err(Trouble::NotStarted(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(ToolError::Missing)
            }
            Err(error) => Err(ToolError::NotRun(error.to_string())),
        }
    }
}
