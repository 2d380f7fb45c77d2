//! A systemd that was really booted: it is process 1 of namespaces of its own, and runs the shipped unit
//! with the daemon of this tree. What it mounts and starts goes with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::process::{PATIENCE, Running, await_until};
use crate::{LabError, Result, programs};

/// The machine of that systemd: its own /etc and /run, no unit but ours, no network but its own.
const BOOT: &str = "set -e
mount --make-rprivate /
mount -t proc proc /proc
cp -a /etc \"$0/etc\"
mount -t tmpfs tmpfs /run
mount --bind \"$0/etc\" /etc
mount -t tmpfs tmpfs /var/lib
mount -t cgroup2 none /sys/fs/cgroup
rm -rf /etc/systemd/system/*
cp -r \"$0\"/units/* /etc/systemd/system/
mkdir -p /etc/knockdaemon /run/program
cp \"$0/knockdaemon\" \"$0/knockclient\" /run/program/
systemd-sysusers \"$0/sysusers.conf\"
ip link set lo up
exec env -i container=knockdaemon-e2e PATH=\"$PATH\" \
  /lib/systemd/systemd --unit=bare.target --log-target=console --show-status=0";

/// Nothing but systemd itself.
const TARGET: &str = "[Unit]
Description=Nothing
DefaultDependencies=no
AllowIsolate=yes
";

/// Without the rest of a machine there is nothing to come after, and no journal.
const DROP_IN: &str = "[Unit]
DefaultDependencies=no
[Service]
StandardOutput=append:/run/daemon.log
StandardError=append:/run/daemon.log
";

/// The machine; it ends when this is dropped.
pub struct Booted {
    machine: Running,
    first: String,
    _folder: TempDir,
}

impl Booted {
    /// Boots it. The unit is there and not started.
    ///
    /// # Errors
    /// When a right or a tool is missing.
    pub fn new() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(LabError("a systemd of one's own needs root: run `sudo make test`".into()));
        }
        let folder = tempfile::Builder::new().prefix("knockdaemon-e2e-").tempdir()?;
        let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../knockdaemon/dist");
        let units = folder.path().join("units");
        fs::create_dir_all(units.join("knockdaemon.service.d"))?;
        let unit = fs::read_to_string(dist.join("knockdaemon.service"))?;
        fs::write(units.join("knockdaemon.service"), unit.replace("@SBIN@", "/run/program"))?;
        fs::write(units.join("knockdaemon.service.d/bare.conf"), DROP_IN)?;
        fs::write(units.join("bare.target"), TARGET)?;
        fs::copy(dist.join("knockdaemon.sysusers"), folder.path().join("sysusers.conf"))?;
        for program in ["knockdaemon", "knockclient"] {
            // The target folder may be where the unit's user cannot look.
            fs::copy(programs::folder()?.join(program), folder.path().join(program))?;
        }
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup"]);
        command.args(["--net", "sh", "-c", BOOT]).arg(folder.path());
        let machine = Running::spawn("systemd", &mut command)?;
        let unshare = machine.pid().as_raw_nonzero();
        let mut first = String::new();
        let born = || {
            let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
            first = children.unwrap_or_default().trim().to_owned();
            !first.is_empty()
        };
        let is_born = await_until(PATIENCE, born);
        let booted = Self { machine, first, _folder: folder };
        let is_up = || {
            booted
                .on(&["systemctl", "is-active", "bare.target"])
                .is_ok_and(|output| output.status.success())
        };
        if is_born && await_until(PATIENCE, is_up) {
            return Ok(booted);
        }
        Err(LabError(format!("systemd does not boot:\n{}", booted.machine.lines().join("\n"))))
    }

    /// Runs a program in there.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn on(&self, words: &[&str]) -> Result<Output> {
        Command::new("nsenter")
            .args(["-t", &self.first, "-m", "-p", "-n", "-u", "-i", "-C", "--"])
            .args(words)
            .output()
            .map_err(LabError::from)
    }

    /// The same for one that succeeds; returns what it prints.
    ///
    /// # Errors
    /// When it does not succeed; with what it and the daemon said.
    pub fn done(&self, words: &[&str]) -> Result<String> {
        let output = self.on(words)?;
        let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
        if output.status.success() {
            return Ok(out.into_owned());
        }
        Err(LabError(format!("{words:?}: {}: {out}{err}\n{}", output.status, self.said())))
    }

    /// A path in there, as it is seen from here.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.first))
    }

    /// All that the daemon has said.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(self.path("/run/daemon.log")).unwrap_or_default()
    }

    /// A property of the service.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub fn property(&self, name: &str) -> Result<String> {
        let value = self.done(&["systemctl", "show", "-P", name, "knockdaemon"])?;
        Ok(value.trim().to_owned())
    }
}
