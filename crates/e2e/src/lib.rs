//! The harness of the end-to-end tests: two hosts in namespaces of their own, a real firewall that
//! really logs, a service behind it, and the two programs as a user would start them.
//!
//! Nothing here is a mock. All traffic stays inside namespaces that a [`lab::Lab`] makes and takes down.

#![forbid(unsafe_code)]

pub mod bench;
pub mod booted;
pub mod firewall;
mod guardian;
pub mod held;
pub mod journal;
pub mod kept;
pub mod kernel_log;
pub mod lab;
pub mod loggen;
pub mod managed;
pub mod oldhost;
pub mod private;
pub mod probe;
pub mod process;
pub mod programs;
pub mod storm;
pub mod torture;
pub mod written;

use std::fmt;
use std::process::Command;

/// What went wrong in the harness, and what to do about it.
#[derive(Debug)]
pub struct LabError(pub String);

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LabError {}

impl From<std::io::Error> for LabError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What the harness's functions return.
pub type Result<T> = std::result::Result<T, LabError>;

/// Runs a tool to its end and returns what it printed; its failure is an error with its words.
///
/// # Errors
/// When the tool is missing or exits with another status than 0.
pub fn tool(line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    let output = Command::new(name).args(words).output().map_err(|error| {
        LabError(format!(
            "cannot run {name}: {error}; `.ci/install-tools` installs what the tests need"
        ))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(LabError(format!("`{line}`: {}: {}", output.status, said.trim())))
}
