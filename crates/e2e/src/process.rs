//! A running program whose words can be awaited and which ends with the test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::guardian::{self, Charge};
use crate::{LabError, Result};

/// How long a test waits for something that must happen. Generous: only a failing test waits it out.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How soon a wait notices that the user has interrupted it.
const BLINK: Duration = Duration::from_millis(100);

/// Set by a program that uses the harness when it is told to stop: all waits then end at once, and
/// the usual way out takes everything down.
#[must_use]
pub fn interrupted() -> &'static Arc<AtomicBool> {
    static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
    &INTERRUPTED
}

/// What a program wrote to standard error, and to standard output if that is piped.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Condvar,
    /// How many of its outputs are open.
    open: AtomicUsize,
}

/// A program that runs in the background.
pub struct Running {
    name: String,
    child: Child,
    said: Arc<Said>,
}

impl Running {
    /// Starts it, and keeps what it writes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        command.stdout(Stdio::piped());
        Self::spawn_with_output(name, command)
    }

    /// Starts it with the standard output that the caller has set.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_with_output(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| LabError(format!("cannot start {name}: {error}")))?;
        guardian::guard(&Charge::Group(child.id()));
        let said = Arc::new(Said::default());
        if let Some(stderr) = child.stderr.take() {
            keep(stderr, Arc::clone(&said));
        }
        if let Some(stdout) = child.stdout.take() {
            keep(stdout, Arc::clone(&said));
        }
        Ok(Self { name: name.to_owned(), child, said })
    }

    /// Waits until a line contains `text`, and returns that line.
    ///
    /// # Errors
    /// When it has not come after [`PATIENCE`]; the text holds what was said instead.
    pub fn await_line(&self, text: &str) -> Result<String> {
        self.await_lines(text, 1).and_then(|mut lines| {
            lines.pop().ok_or_else(|| LabError(format!("{}: no line", self.name)))
        })
    }

    /// Waits until `count` lines contain `text`, and returns them.
    ///
    /// # Errors
    /// When they have not come after [`PATIENCE`].
    pub fn await_lines(&self, text: &str, count: usize) -> Result<Vec<String>> {
        let deadline = now() + PATIENCE;
        let mut lines = self.said.lines();
        loop {
            let found: Vec<String> =
                lines.iter().filter(|line| line.contains(text)).cloned().collect();
            if found.len() >= count {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() || interrupted().load(Ordering::Relaxed) {
                return Err(LabError(format!(
                    "{} did not say '{text}' ({count} times); it said:\n{}",
                    self.name,
                    lines.join("\n")
                )));
            }
            lines = self
                .said
                .more
                .wait_timeout(lines, left.min(BLINK))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// All that was said so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.said.lines().clone()
    }

    /// Sends a signal to the program itself.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid(), signal).map_err(|error| LabError(error.to_string()))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended after [`PATIENCE`].
    pub fn await_end(&mut self) -> Result<ExitStatus> {
        let mut ended = None;
        await_until(PATIENCE, || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some()
        });
        ended.ok_or_else(|| LabError(format!("{} does not end", self.name)))
    }

    /// After its end: waits until everything that it said is in [`lines`](Self::lines).
    ///
    /// # Errors
    /// When somebody else still holds its outputs.
    pub fn await_last_words(&self) -> Result<()> {
        let heard = await_until(PATIENCE, || self.said.open.load(Ordering::SeqCst) == 0);
        heard.then_some(()).ok_or_else(|| LabError(format!("{} goes on talking", self.name)))
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = kill_process_group(self.pid(), Signal::KILL);
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        guardian::release(&Charge::Group(self.child.id()));
    }
}

impl Said {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(stream: impl std::io::Read + Send + 'static, said: Arc<Said>) {
    said.open.fetch_add(1, Ordering::SeqCst);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(std::result::Result::ok) {
            said.lines().push(line);
            said.more.notify_all();
        }
        said.open.fetch_sub(1, Ordering::SeqCst);
    });
}

/// The processes in the network of this one that run a program whose name begins so.
pub(crate) fn in_network_of(holder: Pid, names: &[&str]) -> Vec<u32> {
    let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let ours = network(&holder.as_raw_nonzero().to_string());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(pid) = name.parse() else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let program = first.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let is_one = names.iter().any(|name| program.starts_with(name.as_bytes()));
        if is_one && network(&name) == ours {
            found.push(pid);
        }
    }
    found
}

/// Looks again and again until `seen` is true or the time is up; returns whether it was. For things
/// that offer no event to wait for: a rule in the kernel, a line in somebody else's file.
pub fn await_until(limit: Duration, mut seen: impl FnMut() -> bool) -> bool {
    let deadline = now() + limit;
    loop {
        if seen() {
            return true;
        }
        if now() >= deadline || interrupted().load(Ordering::Relaxed) {
            return false;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's deadline is real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
