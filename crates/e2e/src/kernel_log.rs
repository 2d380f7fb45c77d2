//! The kernel's log: letting namespaces write to it, and the programs that carry it to a file.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{FlockOperation, flock};

use crate::lab::Lab;
use crate::process::{PATIENCE, Running, await_until};
use crate::{LabError, Result};

pub(crate) const SWITCH: &str = "/proc/sys/net/netfilter/nf_log_all_netns";
/// Holds the value that the switch had; empty once it has been put back.
pub(crate) const LOCK: &str = "/run/knockdaemon-e2e-log";

/// Lets the LOG target of namespaces reach the kernel's log. The last one to be dropped on this
/// machine puts the old value back.
pub struct LogFromNamespaces {
    lock: File,
}

impl LogFromNamespaces {
    /// Switches it on.
    ///
    /// # Errors
    /// When the kernel has no such switch, or we may not set it.
    pub fn switch_on() -> Result<Self> {
        let lock = File::options().create(true).append(true).open(LOCK)?;
        // Whoever gets it exclusively is the first: the old value is worth keeping, unless an earlier
        // run ended without having put its own back.
        let kept = lock.metadata()?.len() > 0;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && !kept {
            let old = fs::read_to_string(SWITCH).map_err(|error| {
                LabError(format!("{SWITCH}: {error}; the kernel cannot log from namespaces"))
            })?;
            (&lock).write_all(old.trim().as_bytes())?;
        }
        flock(&lock, FlockOperation::LockShared).map_err(std::io::Error::from)?;
        fs::write(SWITCH, "1")
            .map_err(|error| LabError(format!("cannot set {SWITCH}: {error}; root is needed")))?;
        Ok(Self { lock })
    }
}

impl Drop for LogFromNamespaces {
    fn drop(&mut self) {
        if flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_ok()
            && let Ok(old) = fs::read_to_string(LOCK)
        {
            let restored = fs::write(SWITCH, old);
            let _read_only = restored.and_then(|()| self.lock.set_len(0));
        }
    }
}

/// A private rsyslog that writes the kernel's messages to a file, and nothing else.
pub struct Rsyslog {
    /// The log.
    pub log: PathBuf,
    _process: Running,
}

impl Rsyslog {
    /// Starts it and waits until it has caught up with the kernel, so that what is in the file from
    /// now on has happened from now on.
    ///
    /// # Errors
    /// When rsyslog is missing, or a marker does not come through.
    pub fn start(lab: &Lab) -> Result<Self> {
        Self::start_into(lab, lab.path("kern.log"))
    }

    /// The same with a log of the caller's choice.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_into(lab: &Lab, log: PathBuf) -> Result<Self> {
        let config = lab.write(
            "rsyslog.conf",
            &format!(
                "module(load=\"imkmsg\")\n\
                 global(workDirectory=\"{}\")\n\
                 action(type=\"omfile\" file=\"{}\")\n",
                lab.path("").display(),
                log.display()
            ),
        )?;
        let start = || {
            let mut command = Command::new("rsyslogd");
            command.arg("-n").arg("-f").arg(&config).arg("-i").arg(lab.path("rsyslog.pid"));
            let process = Running::spawn("rsyslogd", &mut command)?;
            await_marker(lab, &log).map(|()| process)
        };
        // Seen once: an rsyslogd that runs and reads nothing. It is not what is tested here.
        let process = start().or_else(|_| start())?;
        Ok(Self { log, _process: process })
    }
}

/// `dmesg --follow-new` with its output in a file: a log file on a machine without a syslog daemon.
pub struct Dmesg {
    /// The log.
    pub log: PathBuf,
    _process: Running,
}

impl Dmesg {
    /// Starts it and waits until it follows.
    ///
    /// # Errors
    /// When dmesg is missing or too old for `--follow-new` (util-linux 2.37 has it).
    pub fn start(lab: &Lab) -> Result<Self> {
        let log = lab.path("kern.log");
        let mut command = Command::new("dmesg");
        command.arg("--follow-new").stdout(Stdio::from(File::create(&log)?));
        let process = Running::spawn_with_output("dmesg", &mut command)?;
        await_marker(lab, &log)?;
        Ok(Self { log, _process: process })
    }
}

/// Writes markers into the kernel's log until one comes out of the file. More than one, since a
/// reader that starts at the end may come after the first. Those of an earlier reader do not count: the
/// kernel still has them, with all that was logged then, and the file may have them too.
fn await_marker(lab: &Lab, log: &Path) -> Result<()> {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let nth = STARTED.fetch_add(1, Ordering::Relaxed);
    let server = lab.namespace(crate::lab::Host::Server);
    let marker = format!("knockdaemon-e2e marker {nth} of {server} in {}.", lab.path("").display());
    let seen = await_until(PATIENCE, || {
        let _full = fs::write("/dev/kmsg", format!("{marker}\n"));
        fs::read(log).is_ok_and(|text| String::from_utf8_lossy(&text).contains(&marker))
    });
    if seen {
        Ok(())
    } else {
        Err(LabError(format!("no kernel message arrives in {}", log.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs root: sudo make test"]
    fn a_reader_that_is_started_again_has_the_past_behind_it() {
        let lab = Lab::new().unwrap();
        let past = format!("past of {}", lab.path("").display());
        let present = past.replace("past", "present");
        let text = |log: &Path| String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
        let comes = |log: &Path, line: &str| {
            // Without the newline the kernel waits for the rest.
            fs::write("/dev/kmsg", format!("{line}\n")).unwrap();
            assert!(await_until(PATIENCE, || text(log).contains(line)), "{line}");
        };
        comes(&Rsyslog::start(&lab).unwrap().log, &past);
        let again = Rsyslog::start(&lab).unwrap();
        let caught_up = text(&again.log).len();
        comes(&again.log, &present);
        assert!(!text(&again.log)[caught_up..].contains(&past));
    }
}
