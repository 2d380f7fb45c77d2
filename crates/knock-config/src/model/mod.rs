//! The model: what a file means, whichever syntax it was written in.
//!
//! Reads the tree by hand, with `keys` as its table, and collects every mistake on the way. Runs
//! nothing and opens only the files that the configuration names.

mod actions;
mod client;
mod control;
mod daemon;
mod ethfilters;
mod firewall;
mod formats;
mod leases;
mod machine;
mod meaning;
mod section;
mod setting;
mod sources;
mod templates;
pub(crate) mod values;
mod wire;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use client::{ClientSettings, read_client};
pub use control::{ControlSettings, find_control};
pub use daemon::{DaemonSettings, read_daemon};
pub use firewall::FirewallChoice;
pub use formats::{find_format, known_formats, read_format};
pub use machine::{AskForPlace, AskForUser, Machine, Objection};
pub use setting::Setting;
pub use sources::{CaptureSettings, NflogSettings, RunMode};
pub use wire::{IvChoice, WireSettings, parse_mac};

pub(crate) use meaning::{Meaning, Role};

/// How strictly to read, and where to look for what a file names.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Use a key although others can read its file.
    pub insecure: bool,
    /// Hold a legacy file to what YAML is held to: what is a warning there only so that an old file
    /// starts, such as an unknown key, is an error.
    pub strict: bool,
    /// Where logformats are looked for, after the file itself and the folder `logformats` beside
    /// it, and before those built in.
    pub format_dirs: Vec<PathBuf>,
    /// The machine that the file is for.
    pub machine: Machine,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            insecure: false,
            machine: Machine::default(),
            strict: false,
            format_dirs: vec![
                PathBuf::from("/etc/knockdaemon/logformats"),
                // Where `make install` puts them, and where a distribution does.
                PathBuf::from("/usr/local/share/knockdaemon/logformats"),
                PathBuf::from("/usr/share/knockdaemon/logformats"),
            ],
        }
    }
}
