//! A host as it was when the original ran on it: a configuration that names `/var/log/messages` and
//! `/sbin/iptables`, left as it is. The programs run in a mount namespace in which those folders are the
//! test's own, so that nothing of this machine is read or changed; no root is needed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::lab::{Host, Lab};
use crate::process::{PATIENCE, Running, await_until};
use crate::{LabError, Result, programs};

/// Puts the host's folders in their places and becomes the program. `$1` is the host's folder, `$2`
/// the PATH of the program.
const ENTER: &str = r#"set -e
mount --bind "$1/var/log" /var/log
mount --bind "$1/var/lib" /var/lib
for program in "$1"/sbin/knock*; do mount --bind "$3/${program##*/}" "$program"; done
[ -L /sbin ] || mount --rbind "$1/sbin" /sbin
for folder in /usr/sbin /usr/local/sbin; do mount --rbind "$1/sbin" "$folder"; done
PATH=$2; shift 3; exec "$@""#;

/// The same on a host of a lab, whose programs are this machine's.
const ENTER_LAB: &str = r#"set -e
mount --bind "$1/var/log" /var/log
mount --bind "$1/var/lib" /var/lib
shift; exec "$@""#;

/// Writes down its name and its arguments, each in brackets, and succeeds.
const STAND_IN: &str = r#"#!/bin/sh
line=${0##*/}
for word; do line="$line [$word]"; done
printf '%s\n' "$line" >> /var/log/ran
"#;

/// The daemon on the server of a lab, whose folders `var/log` and `var/lib` are the lab's.
///
/// # Errors
/// When it does not start.
pub fn daemon_in_lab(lab: &Lab, config: &Path) -> Result<Running> {
    for folder in ["var/log", "var/lib"] {
        fs::create_dir_all(lab.path(folder))?;
    }
    let mut command = Command::new("ip");
    // `ip netns exec` gives each program mounts of its own, so nobody else sees this.
    command
        .args(["netns", "exec", &lab.namespace(Host::Server), "/bin/sh", "-c", ENTER_LAB, "sh"])
        .arg(lab.path(""))
        .arg(programs::folder()?.join("knockdaemon"))
        .arg("-conf")
        .arg(config)
        .env_remove("JOURNAL_STREAM");
    let daemon = Running::spawn("knockdaemon", &mut command)?;
    daemon.await_line("following")?;
    Ok(daemon)
}

/// The folders and files of the host.
pub struct OldHost {
    folder: TempDir,
    path: String,
}

impl OldHost {
    /// A host with these programs in `/sbin` and `/usr/local/sbin`, and no others there. They do
    /// nothing but write down how they were called; see [`Self::ran`].
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn new(stand_ins: &[&str]) -> Result<Self> {
        let host = Self {
            folder: tempfile::Builder::new().prefix("knockdaemon-old-").tempdir()?,
            path: "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        };
        for folder in ["var/log", "var/lib", "sbin", "etc"] {
            fs::create_dir_all(host.at(folder))?;
        }
        for program in ["knockdaemon", "knockclient"] {
            fs::write(host.at("sbin").join(program), "")?;
        }
        for name in stand_ins {
            host.program(name, STAND_IN)?;
        }
        fs::write(host.at("var/log/ran"), "")?;
        Ok(host)
    }

    /// The same host, where programs find nothing outside of `/sbin`.
    #[must_use]
    pub fn with_bare_path(mut self) -> Self {
        "/sbin".clone_into(&mut self.path);
        self
    }

    /// Puts a program of one's own into `/sbin`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn program(&self, name: &str, text: &str) -> Result<()> {
        let program = self.at("sbin").join(name);
        fs::write(&program, text)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Where a file of the host is on this machine; no slash at the beginning.
    #[must_use]
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Copies a file into the host's `etc`, for its owner alone; returns where it is.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn install(&self, file: &Path) -> Result<PathBuf> {
        let name = file.file_name().unwrap_or_default();
        let copy = self.at("etc").join(name);
        fs::copy(file, &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600))?;
        Ok(copy)
    }

    /// The daemon as the original was started, once it follows its log.
    ///
    /// # Errors
    /// When it does not start.
    pub fn daemon(&self, config: &Path, environment: &[(&str, &str)]) -> Result<Running> {
        let mut command = self.enter("knockdaemon")?;
        command.arg("-conf").arg(config).envs(environment.iter().copied());
        let daemon = Running::spawn("knockdaemon", &mut command)?;
        daemon.await_line("following")?;
        Ok(daemon)
    }

    /// A program in `/sbin` with these arguments, run to its end in the host's `etc`.
    ///
    /// # Errors
    /// When it cannot be started. How it ended is in the output.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.enter(program)?;
        command.args(arguments).current_dir(self.at("etc")).output().map_err(LabError::from)
    }

    /// A knock by a client that writes the firewall's lines into the log of its configuration.
    ///
    /// # Errors
    /// When the client reports a failure.
    pub fn knock(&self, config: &Path, arguments: &[&str]) -> Result<()> {
        let config = config.display().to_string();
        let all = [&["-logtofile", "-conf", &config], arguments].concat();
        let output = self.run("knockclient", &all)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(LabError(format!("knockclient: {}: {said}", output.status)))
    }

    /// What the stand-ins were called with so far, in order: `iptables [-I] [INPUT] …`.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn ran(&self) -> Result<Vec<String>> {
        Ok(fs::read_to_string(self.at("var/log/ran"))?.lines().map(ToOwned::to_owned).collect())
    }

    /// Waits until so many calls of stand-ins are on record, and returns all that are.
    ///
    /// # Errors
    /// When they do not come.
    pub fn await_ran(&self, count: usize) -> Result<Vec<String>> {
        let mut ran = Vec::new();
        await_until(PATIENCE, || {
            ran = self.ran().unwrap_or_default();
            ran.len() >= count
        });
        if ran.len() < count {
            return Err(LabError(format!("{count} commands expected, there ran: {ran:#?}")));
        }
        Ok(ran)
    }

    fn enter(&self, program: &str) -> Result<Command> {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", ENTER, "sh"])
            .arg(self.folder.path())
            .arg(&self.path)
            .arg(programs::folder()?)
            .arg(format!("/usr/sbin/{program}"))
            .env("HOME", self.at("etc"))
            .env_remove("JOURNAL_STREAM");
        Ok(command)
    }
}
