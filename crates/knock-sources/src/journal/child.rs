//! journalctl as a child process: its output to read, its complaints to remember, and its end in any
//! case. What it prints is not looked at.

use std::{
    io::{self, ErrorKind, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::{
    SourceError, Stop,
    wait::{Woken, wait, wait_either},
};

/// As much of its complaints is kept.
const COMPLAINTS: usize = 1024;

/// A running journalctl. Dropped, it is killed and gone.
pub(super) struct Journalctl {
    child: Child,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    complaints: Vec<u8>,
}

impl Journalctl {
    /// Starts it.
    pub(super) fn start(program: &Path, arguments: &[String]) -> Result<Self, SourceError> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // An interrupt from the terminal is for us; we end it when we are ready.
            .process_group(0)
            .spawn()
            .map_err(SourceError::JournalMissing)?;
        // Both were asked for two lines above.
        let (Some(stdout), stderr) = (child.stdout.take(), child.stderr.take()) else {
            return Err(SourceError::JournalMissing(ErrorKind::BrokenPipe.into()));
        };
        let it = Self { child, stdout, stderr, complaints: Vec::new() };
        let unblocked = unblock(it.stdout.as_fd())
            .and_then(|()| it.stderr.as_ref().map_or(Ok(()), |stderr| unblock(stderr.as_fd())));
        unblocked.map_err(|error| SourceError::Wait(error.into()))?;
        Ok(it)
    }

    /// Blocks until there is output, or the stop is set.
    pub(super) fn ready(&mut self, stop: &Stop) -> Result<Woken, SourceError> {
        let Some(stderr) = &self.stderr else {
            return wait(self.stdout.as_fd(), stop, None);
        };
        let woken = wait_either(self.stdout.as_fd(), stderr.as_fd(), stop, None)?;
        self.hear();
        Ok(woken)
    }

    /// Takes in what it complains of now; whether there was anything. The first words say what is wrong;
    /// those behind them are heard and dropped.
    fn hear(&mut self) -> bool {
        let Some(stderr) = &mut self.stderr else { return false };
        let mut room = [0; COMPLAINTS];
        match stderr.read(&mut room) {
            Ok(length @ 1..) => {
                let left = COMPLAINTS - self.complaints.len();
                let heard = room.get(..length.min(left)).unwrap_or_default();
                self.complaints.extend_from_slice(heard);
                true
            }
            Ok(_) => {
                self.stderr = None;
                false
            }
            Err(_) => false,
        }
    }

    /// Waits for its end, which has begun when its output ended, and tells of it.
    pub(super) fn end(mut self) -> (io::Result<ExitStatus>, String) {
        // It may have closed its output and live on.
        let ended = match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) | Err(_) => self.child.wait(),
        };
        while self.complaints.len() < COMPLAINTS && self.hear() {}
        let words = String::from_utf8_lossy(&self.complaints);
        let words: Vec<&str> = words.split_whitespace().collect();
        (ended, words.join(" "))
    }
}

impl Read for &mut Journalctl {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.stdout.read(room)
    }
}

impl Drop for Journalctl {
    fn drop(&mut self) {
        // Fails for one that has ended, which `wait` then knows.
        let _ended = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn unblock(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)
}
