//! A journal of the test's own, which systemd-journal-remote writes in journald's place, and the real
//! journalctl that reads it. Entries are of this run of the machine, for `-k` shows no others.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::process::{PATIENCE, await_until};
use crate::{LabError, Result};

/// A journal and its writer, which ends with it.
pub struct Journal {
    folder: PathBuf,
    writer: Child,
}

/// The way into a journal.
pub struct Entries {
    pipe: ChildStdin,
    boot: String,
}

impl Journal {
    /// In this folder, with one entry, and the way into it. A `bin/journalctl` beside it reads this journal.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn within(folder: &Path) -> Result<(Self, Entries)> {
        let journal = folder.join("journal");
        fs::create_dir(&journal)?;
        let mut writer = Command::new("/lib/systemd/systemd-journal-remote")
            .arg(format!("--output={}", journal.join("system.journal").display()))
            .args(["--split-mode=none", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = writer.stdin.take().ok_or_else(|| LabError("no way to the writer".into()))?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let mut entries = Entries { pipe, boot: boot.trim().replace('-', "") };
        let it = Self { folder: folder.to_owned(), writer };
        entries.write(Duration::from_secs(1), "the machine has started")?;
        if !it.await_shown("the machine has started") {
            return Err(LabError("journalctl does not show what was written".into()));
        }
        fs::create_dir(folder.join("bin"))?;
        let program = folder.join("bin/journalctl");
        let directory = it.directory();
        fs::write(&program, format!("#!/bin/sh\nexec /usr/bin/journalctl {directory} \"$@\"\n"))?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        Ok((it, entries))
    }

    /// Waits until journalctl shows this.
    #[must_use]
    pub fn await_shown(&self, text: &str) -> bool {
        await_until(PATIENCE, || {
            let mut show = Command::new("/usr/bin/journalctl");
            show.arg(self.directory()).args(["-k", "-o", "cat"]);
            show.output().is_ok_and(|shown| String::from_utf8_lossy(&shown.stdout).contains(text))
        })
    }

    /// The PATH on which journalctl is the one that reads this journal.
    #[must_use]
    pub fn path(&self) -> String {
        let usual = std::env::var("PATH").unwrap_or_default();
        format!("{}:{usual}", self.folder.join("bin").display())
    }

    /// The option with which journalctl reads it.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("--directory={}", self.folder.join("journal").display())
    }
}

impl Entries {
    /// Writes what the kernel says now, or said so long ago.
    ///
    /// # Errors
    /// When the writer has gone.
    pub fn write_of(&mut self, ago: Duration, message: &str) -> Result<()> {
        let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
        self.write(now.saturating_sub(ago), message)
    }

    /// Writes what the kernel said when the machine had run for so long.
    ///
    /// # Errors
    /// When the writer has gone.
    pub fn write(&mut self, uptime: Duration, message: &str) -> Result<()> {
        let micros = uptime.as_micros();
        let since = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        let ago = since(ClockId::Monotonic).saturating_sub(uptime);
        let date = since(ClockId::Realtime).saturating_sub(ago).as_micros();
        write!(
            self.pipe,
            "__REALTIME_TIMESTAMP={date}\n__MONOTONIC_TIMESTAMP={micros}\n_BOOT_ID={}\n\
             _TRANSPORT=kernel\n_SOURCE_MONOTONIC_TIMESTAMP={micros}\nMESSAGE={message}\n\n",
            self.boot
        )?;
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _gone = self.writer.kill();
        let _gone = self.writer.wait();
    }
}
