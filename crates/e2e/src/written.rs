//! A daemon that follows a log which the test writes: for what happens behind the knock, where no
//! packet is needed. Makes no namespaces of its own.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::Running;
use crate::{LabError, Result, programs, tool};

/// Who knocks.
pub const CLIENT: &str = "198.51.100.7";

/// A folder with a configuration, a log and whatever the actions leave there.
pub struct WrittenLog {
    folder: TempDir,
    source_port: u16,
}

impl WrittenLog {
    /// With these actions and further keys. `FOLDER` stands for the folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(actions: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("knockdaemon-e2e-").tempdir()?;
        let written = Self { folder, source_port: 40_000 };
        fs::write(written.path("messages"), "")?;
        let path = |name: &str| written.path(name).display().to_string();
        let config = format!(
            "logfile = {}\nstatedir = {}\nkey = open sesame\n{}\n",
            path("messages"),
            path("state"),
            actions.replace("FOLDER", &written.folder.path().display().to_string())
        );
        fs::write(written.config(), config)?;
        fs::set_permissions(written.config(), Permissions::from_mode(0o600))?;
        Ok(written)
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("knockdaemon.conf")
    }

    /// Starts the daemon: the words go before it, as `nsenter` wants.
    ///
    /// # Errors
    /// When it does not begin to follow the log.
    pub fn daemon(&self, before: &[String], options: &[&str]) -> Result<Running> {
        let program = programs::folder()?.join("knockdaemon");
        let mut command = match before.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.arg("-conf").arg(self.config()).args(options).env("E2E_SECRET", "secret");
        let daemon = Running::spawn("knockdaemon", &mut command)?;
        daemon.await_line("following")?;
        Ok(daemon)
    }

    /// Starts the daemon as a user who is not root, with these capabilities as under systemd with
    /// `AmbientCapabilities=`. What commands leave for the test goes to `FOLDER/out`.
    ///
    /// # Errors
    /// When there is no such user, or as [`daemon`](Self::daemon).
    pub fn daemon_as(
        &self,
        user: &str,
        capabilities: &[&str],
        before: &[String],
        options: &[&str],
    ) -> Result<Running> {
        fs::create_dir(self.path("out"))?;
        // The target folder may be where only root can read.
        let copy = self.path("knockdaemon").display().to_string();
        fs::copy(programs::folder()?.join("knockdaemon"), &copy)?;
        for name in ["", "out", "messages", "knockdaemon.conf"] {
            tool(&format!("chown {user} {}", self.path(name).display()))?;
        }
        fs::set_permissions(self.path(""), Permissions::from_mode(0o755))?;
        fs::set_permissions(self.path("out"), Permissions::from_mode(0o777))?;
        let held: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
        let become_user = [
            "setpriv".to_owned(),
            format!("--reuid={user}"),
            "--clear-groups".to_owned(),
            format!("--inh-caps=-all{held}"),
            format!("--ambient-caps=-all{held}"),
        ];
        let options = options.iter().map(|&option| option.to_owned());
        // The program's own path comes behind these words, and is not wanted.
        let instead = ["sh", "-c", "shift; exec \"$0\" \"$@\"", &copy].map(str::to_owned);
        let words = before.iter().cloned().chain(become_user).chain(options).chain(instead);
        self.daemon(&words.collect::<Vec<_>>(), &[])
    }

    /// The kernel's lines for a knock of [`CLIENT`] for port 22, in the log.
    ///
    /// # Errors
    /// When the client does not tell the ports.
    pub fn knock(&mut self, time: u8) -> Result<()> {
        let lines = self.lines(time, "Nov 21 03:22:42")?;
        self.write(&lines)
    }

    /// Appends lines to the log.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn write(&self, lines: &[String]) -> Result<()> {
        let mut log = OpenOptions::new().append(true).create(true).open(self.path("messages"))?;
        lines.iter().try_for_each(|line| writeln!(log, "{line}"))?;
        Ok(())
    }

    /// The lines of a knock as the kernel writes them, stamped so.
    ///
    /// # Errors
    /// When the client does not tell the ports.
    pub fn lines(&mut self, time: u8, stamp: &str) -> Result<Vec<String>> {
        let output = Command::new(programs::folder()?.join("knockclient"))
            .args(["-test", "-quiet", "-remote", "192.0.2.1", "-key", "open sesame"])
            .args(["-client", CLIENT, "-port", "22", "-time", &time.to_string()])
            .env("HOME", self.folder.path())
            .output()?;
        if !output.status.success() {
            return Err(LabError(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let ports = String::from_utf8_lossy(&output.stdout);
        let lines = ports.trim().split(',').map(|port| {
            self.source_port += 1;
            format!(
                "{stamp} vm kernel: portknock IN=eth0 OUT= MAC= SRC={CLIENT} DST=192.0.2.1 LEN=60 \
                 TOS=0x00 PREC=0x00 TTL=64 ID=58454 DF PROTO=TCP SPT={} DPT={port} WINDOW=64240 \
                 RES=0x00 SYN URGP=0 ",
                self.source_port
            )
        });
        Ok(lines.collect())
    }
}
