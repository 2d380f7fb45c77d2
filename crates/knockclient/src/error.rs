//! Why the client could not do what it was asked to, in words that tell the way out, and the exit
//! code for each.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use knock_formats::RenderError;
use knock_wire::{EncodeError, Field};

/// Exit codes, after sysexits.h. `--help` lists them too.
pub(crate) mod exit {
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 64;
    /// The remote host is unknown, or there is no way to it.
    pub(crate) const UNAVAILABLE: u8 = 69;
    /// Something that the system owes us failed.
    pub(crate) const OS: u8 = 71;
    /// A file could not be written.
    pub(crate) const IO: u8 = 74;
    /// The port did not open in time.
    pub(crate) const TIMED_OUT: u8 = 75;
    /// This host does not let us.
    pub(crate) const NO_PERMISSION: u8 = 77;
    /// The config file is wrong or missing.
    pub(crate) const CONFIG: u8 = 78;
    /// The command behind `--` cannot be run; as shells have it.
    pub(crate) const CANNOT_RUN: u8 = 126;
    /// The command behind `--` does not exist; as shells have it.
    pub(crate) const NOT_FOUND: u8 = 127;
}

/// Why the client gives up.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum ClientError {
    /// The file named with `-conf`, or one that was found, cannot be read.
    ConfigUnreadable { path: PathBuf, error: io::Error },
    /// The config has mistakes, which were reported one by one.
    Config { mistakes: usize, path: Option<PathBuf> },
    /// Nobody to knock at.
    NoRemote,
    /// A field without a value.
    NoFlag { field: Field },
    /// `logtofile` without a file.
    NoLogfile,
    /// The fields do not make a knock.
    Knock(EncodeError),
    /// The name of the host has no address.
    UnknownHost { host: String, error: io::Error },
    /// It has one, but not of the family that is asked for.
    NoAddress { host: String, family: &'static str },
    /// No way to the host.
    NoRoute { to: std::net::IpAddr, error: io::Error },
    /// The kernel would not send a packet.
    Send { port: u16, place: usize, of: usize, error: io::Error },
    /// The port that shall open cannot be probed.
    Probe { port: u16, error: io::Error },
    /// The port did not open.
    StillClosed { port: u16, tries: u32, each: Duration },
    /// The log cannot be appended to.
    Log { path: PathBuf, error: io::Error },
    /// The logformat has no line for this hit.
    Render(RenderError),
    /// No random bytes.
    NoRandomness(io::Error),
    /// Stdout is closed or full.
    Stdout(io::Error),
    /// The command behind `--`.
    Command { program: String, error: io::Error },
}

impl ClientError {
    /// The program's exit code for it.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::NoRemote | Self::NoFlag { .. } | Self::NoLogfile | Self::Knock(_) => exit::USAGE,
            Self::ConfigUnreadable { .. } | Self::Render(_) => exit::CONFIG,
            // Without a file all mistakes are the command line's.
            Self::Config { path: None, .. } => exit::USAGE,
            Self::Config { path: Some(_), .. } => exit::CONFIG,
            Self::UnknownHost { .. } | Self::NoAddress { .. } | Self::NoRoute { .. } => {
                exit::UNAVAILABLE
            }
            Self::Send { error, .. } | Self::Probe { error, .. } => match error.kind() {
                io::ErrorKind::PermissionDenied => exit::NO_PERMISSION,
                _ => exit::OS,
            },
            Self::StillClosed { .. } => exit::TIMED_OUT,
            Self::Log { .. } | Self::Stdout(_) => exit::IO,
            Self::NoRandomness(_) => exit::OS,
            Self::Command { error, .. } => match error.kind() {
                io::ErrorKind::NotFound => exit::NOT_FOUND,
                _ => exit::CANNOT_RUN,
            },
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigUnreadable { path, error } => {
                write!(f, "cannot read the config file {}: {error}", path.display())
            }
            Self::Config { mistakes, path } => {
                let s = if *mistakes == 1 { "" } else { "s" };
                match path {
                    Some(path) => write!(f, "{mistakes} mistake{s} in {}", path.display())?,
                    None => write!(f, "{mistakes} mistake{s} on the command line")?,
                }
                f.write_str("; nothing was sent")
            }
            Self::NoRemote => f.write_str(
                "no host to knock at; give one with -remote HOST, or 'remote' in the config file",
            ),
            Self::NoFlag { field } => {
                let option = field.to_string().to_lowercase();
                write!(
                    f,
                    "the knock format has a field {field}, and no value was given for it; give one \
                     with -{option} N, or '{option}' in the config file"
                )
            }
            Self::NoLogfile => f.write_str(
                "-logtofile needs a file to append to; give one with -logfile FILE, or 'logfile' in \
                 the config file",
            ),
            Self::Knock(error) => write!(f, "{error}"),
            Self::UnknownHost { host, error } => {
                write!(f, "cannot find the host '{host}': {error}; check the name, or give its address")
            }
            Self::NoAddress { host, family } => write!(
                f,
                "the host '{host}' has no {family} address; leave -4 or -6 out, or knock at another name"
            ),
            Self::NoRoute { to, error } => write!(
                f,
                "no way to {to}: {error}; check this host's network, or choose the other family with \
                 -4 or -6"
            ),
            Self::Send { port, place, of, error }
                if error.kind() == io::ErrorKind::PermissionDenied =>
            {
                write!(
                    f,
                    "packet {place} of {of}, to port {port}, was not let out: {error}; a firewall on \
                     this host forbids it, so the knock is not complete"
                )
            }
            Self::Send { port, place, of, error } => write!(
                f,
                "packet {place} of {of}, to port {port}, was not sent: {error}; the knock is not \
                 complete, try again"
            ),
            Self::Probe { port, error } => write!(f, "cannot probe port {port}: {error}"),
            Self::StillClosed { port, tries, each } => {
                let s = if *tries == 1 { "" } else { "s" };
                write!(
                    f,
                    "port {port} did not open after {tries} knock{s}, each given {each:?}; check key, \
                     portspan and clock of both sides, or allow more with --tries and --timeout"
                )
            }
            Self::Log { path, error } => {
                write!(f, "cannot append to the log {}: {error}", path.display())
            }
            Self::Render(error) => write!(f, "{error}"),
            Self::NoRandomness(error) => write!(f, "cannot read /dev/urandom: {error}"),
            Self::Stdout(error) => write!(f, "cannot write to stdout: {error}"),
            Self::Command { program, error } => {
                write!(f, "the knock is done, but '{program}' cannot be run: {error}")
            }
        }
    }
}

impl std::error::Error for ClientError {}
