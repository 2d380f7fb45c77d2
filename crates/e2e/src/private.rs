//! A part of this machine with mounts and a network of its own: what is changed in /etc, /run and the
//! spool of at(1) there, nobody else sees. And a real atd in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::process::{Running, in_network_of};
use crate::{LabError, Result, tool};

/// Empty spools as Debian's package makes them.
const SET_UP: &str = "set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/spool/cron
cd /var/spool/cron
mkdir -m 1770 atjobs atspool
touch atjobs/.SEQ
chmod 600 atjobs/.SEQ
chown -R daemon:daemon atjobs atspool
echo ready
exec sleep infinity";

/// The namespaces; they go when this is dropped.
pub struct Private {
    holder: Running,
}

impl Private {
    /// Makes them.
    ///
    /// # Errors
    /// When a right or a tool is missing.
    pub fn new() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(LabError("mounts of one's own need root: run `sudo make test`".into()));
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "sh", "-c", SET_UP]);
        let holder = Running::spawn("holder", &mut command)?;
        holder.await_line("ready")?;
        Ok(Self { holder })
    }

    /// The words that run a program in there.
    #[must_use]
    pub fn enter(&self) -> Vec<String> {
        let pid = self.holder.pid().as_raw_nonzero().to_string();
        ["nsenter", "--mount", "--net", "-t", &pid, "--"].map(str::to_owned).to_vec()
    }

    /// Runs a tool in there.
    ///
    /// # Errors
    /// As [`tool`].
    pub fn on(&self, line: &str) -> Result<String> {
        tool(&format!("{} {line}", self.enter().join(" ")))
    }

    /// Whether a program of this name runs in there now.
    #[must_use]
    pub fn runs(&self, program: &str) -> bool {
        !in_network_of(self.holder.pid(), &[program]).is_empty()
    }

    /// A script in this folder stands where one of the firewall's programs was; it can run the real one
    /// as `REAL`.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn stand_in(&self, program: &str, folder: &Path, script: &str) -> Result<()> {
        let (path, real) = (folder.join(program), folder.join(format!("real-{program}")));
        self.on(&format!("cp -L /usr/sbin/{program} {}", real.display()))?;
        // One file has many names, and goes by the one that it is run under.
        let real = format!("exec -a \"${{0##*/}}\" {}", real.display());
        fs::write(&path, format!("#!/bin/bash\n{}\n", script.replace("REAL", &real)))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        self.on(&format!("mount --bind {} /usr/sbin/{program}", path.display())).map(drop)
    }

    /// The real one stands there again.
    ///
    /// # Errors
    /// When nothing stood in for it.
    pub fn take_away(&self, program: &str) -> Result<()> {
        self.on(&format!("umount -l /usr/sbin/{program}")).map(drop)
    }

    /// Starts atd, which then looks at the spool in there.
    ///
    /// # Errors
    /// When it does not begin to work.
    pub fn atd(&self) -> Result<Running> {
        let mut command = Command::new("nsenter");
        command.args(self.enter().iter().skip(1)).args(["atd", "-f"]);
        let atd = Running::spawn("atd", &mut command)?;
        let ready = crate::process::await_until(crate::process::PATIENCE, || {
            self.on("cat /run/atd.pid").is_ok_and(|pid| !pid.trim().is_empty())
        });
        ready.then_some(atd).ok_or_else(|| LabError("atd does not start".into()))
    }

    /// The files of the jobs that wait.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn jobs(&self) -> Result<Vec<PathBuf>> {
        let mut jobs = Vec::new();
        for entry in fs::read_dir(self.seen_from_here("/var/spool/cron/atjobs"))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')) {
                jobs.push(path);
            }
        }
        Ok(jobs)
    }

    /// Makes a job due: its file's name ends in its time, in minutes since 1970.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn bring_forward(&self, job: &std::path::Path, atd: &Running) -> Result<()> {
        let name = job.file_name().unwrap_or_default().to_string_lossy();
        let number = name.get(..6).unwrap_or_default();
        fs::rename(job, job.with_file_name(format!("{number}00000001")))?;
        atd.signal(Signal::HUP)
    }

    /// The path by which a file in there is seen from outside.
    #[must_use]
    pub fn seen_from_here(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.holder.pid().as_raw_nonzero()))
    }
}
