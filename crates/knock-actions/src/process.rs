//! One program from its start to its end: own process group, own environment, a time limit that
//! holds, and the end of what it said. Knows nothing of orders.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use crate::deadline::Deadline;
use crate::output::{CAPTURE, Tail};

/// Where programs without a slash in their name are looked for; behind the daemon's own, which may
/// come from a user's shell and lacks the sbin folders under cron.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long a program may tidy up between SIGTERM and SIGKILL.
const KILL_GRACE: Duration = Duration::from_secs(2);
/// Most bytes read after a program's end, or what is kept of it if that is more, so that a child of its that writes on does not hold us.
const DRAIN: usize = 1024 * 1024;

/// How a program ended, and the end of what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) how: Ending,
    pub(crate) stdout: Tail,
    pub(crate) stderr: Tail,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// By itself.
    Exited(ExitStatus),
    /// It was ended, and its process group with it.
    TimedOut,
}

/// Why nothing is known of a program's end.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It was not started; nothing has been done.
    NotStarted(io::Error),
    /// It was started, and could not be watched.
    OutOfSight(io::Error),
    /// It took too long, and the system does not let us end it: it runs as somebody else.
    NotOursToEnd(io::Error),
}

impl From<io::Error> for Trouble {
    /// Of everything that is done once it runs.
    fn from(error: io::Error) -> Self {
        Self::OutOfSight(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) | Self::OutOfSight(error) => error.fmt(f),
            Self::NotOursToEnd(error) => write!(
                f,
                "it took too long, and goes on: it has changed its user, and this process may \
                 not end it without CAP_KILL ({error})"
            ),
        }
    }
}

/// Runs `program` for `limit` at most. Its children live on after its own end, as with `sh -c 'x &'`,
/// but what they say then is not listened to; after a time-out they are ended too.
///
/// # Errors
/// When it cannot be started or watched.
pub(crate) fn run<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
    environment: &[(String, String)],
    limit: Duration,
) -> Result<Ended, Trouble> {
    let command = in_own_world(program.as_ref());
    run_watched(command, args, environment, limit, Stdio::null(), ExitNotice::of)
}

/// The same for a command of the configuration: it has the environment and the folder that this
/// process was started with, as the original's had.
pub(crate) fn run_where_we_are<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
    environment: &[(String, String)],
    limit: Duration,
) -> Result<Ended, Trouble> {
    let mut command = Command::new(program);
    command.env(
        "PATH",
        match std::env::var_os("PATH") {
            Some(mut path) if !path.is_empty() => {
                path.push(":");
                path.push(PATH);
                path
            }
            _ => PATH.into(),
        },
    );
    // What systemd hands to the daemon is for the daemon alone.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"] {
        command.env_remove(name);
    }
    // These names are the knock's, whoever else may have set one.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"KNOCK_") {
            command.env_remove(name);
        }
    }
    run_watched(command, args, environment, limit, Stdio::null(), ExitNotice::of)
}

/// A file that is on no disk: a pipe would make us wait for a program that does not read.
pub(crate) fn in_memory(text: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create("knockdaemon-input", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// A command that nothing of this process's surroundings disturbs.
fn in_own_world(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).env("LANG", "C").current_dir("/");
    command
}

/// The same for a program that reads `input`.
///
/// # Errors
/// When it cannot be started or watched.
pub(crate) fn run_fed<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
    environment: &[(String, String)],
    limit: Duration,
    input: File,
) -> Result<Ended, Trouble> {
    let command = in_own_world(program.as_ref());
    run_watched(command, args, environment, limit, input.into(), ExitNotice::of)
}

/// The same, and up to `most` bytes of each of its outputs are kept.
///
/// # Errors
/// When it cannot be started or watched.
pub(crate) fn run_heard<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
    limit: Duration,
    input: Stdio,
    most: usize,
) -> Result<Ended, Trouble> {
    let command = in_own_world(program.as_ref());
    run_hearing(command, args, &[], limit, input, most, ExitNotice::of)
}

fn run_watched<A: AsRef<OsStr>>(
    command: Command,
    args: impl IntoIterator<Item = A>,
    environment: &[(String, String)],
    limit: Duration,
    input: Stdio,
    exit_notice: impl FnOnce(Pid) -> io::Result<ExitNotice>,
) -> Result<Ended, Trouble> {
    run_hearing(command, args, environment, limit, input, CAPTURE, exit_notice)
}

fn run_hearing<A: AsRef<OsStr>>(
    mut command: Command,
    args: impl IntoIterator<Item = A>,
    environment: &[(String, String)],
    limit: Duration,
    input: Stdio,
    most: usize,
    exit_notice: impl FnOnce(Pid) -> io::Result<ExitNotice>,
) -> Result<Ended, Trouble> {
    let deadline = Deadline::after(limit);
    let mut child = command
        .args(args)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .process_group(0)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Trouble::NotStarted)?;
    let pid = Pid::from_child(&child);
    let ending = watch(&mut child, pid, deadline, most, exit_notice);
    if ending.is_err() {
        let _ = kill_process_group(pid, Signal::KILL);
        leave_to_reaper(child);
    }
    ending
}

/// Anything but `Ok` leaves the child to the caller.
fn watch(
    child: &mut Child,
    pid: Pid,
    deadline: Deadline,
    most: usize,
    exit_notice: impl FnOnce(Pid) -> io::Result<ExitNotice>,
) -> Result<Ended, Trouble> {
    let exit = exit_notice(pid)?;
    let mut said = Said {
        stdout: Listened::to(child.stdout.take().map(OwnedFd::from), most)?,
        stderr: Listened::to(child.stderr.take().map(OwnedFd::from), most)?,
    };
    let ended_itself = said.listen_until_exit(&exit, deadline)?;
    if !ended_itself {
        end(pid, Signal::TERM)?;
        said.listen_until_exit(&exit, Deadline::after(KILL_GRACE))?;
        // Also when the leader heeded the first signal: its children may not have. The group's
        // number is not used again before the leader is waited for.
        end(pid, Signal::KILL)?;
        said.listen_until_exit(&exit, Deadline::after(KILL_GRACE))?;
    }
    let how = match child.try_wait()? {
        Some(status) if ended_itself => Ending::Exited(status),
        Some(_) => Ending::TimedOut,
        None => return Err(io::Error::other("the process cannot be killed").into()),
    };
    said.drain();
    Ok(Ended { how, stdout: said.stdout.tail, stderr: said.stderr.tail })
}

/// Signals a group of which nobody is left, perhaps; only what we may not signal is trouble.
fn end(group: Pid, signal: Signal) -> Result<(), Trouble> {
    match kill_process_group(group, signal) {
        Err(error @ Errno::PERM) => Err(Trouble::NotOursToEnd(error.into())),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A process that SIGKILL does not end (a dead network disk) must not hold a worker, nor become a
/// zombie once it ends after all.
fn leave_to_reaper(mut child: Child) {
    let reaper = thread::Builder::new().name("reaper".to_owned());
    let _ = reaper.spawn(move || child.wait());
}

/// A descriptor that becomes readable when a process has ended, before it is waited for.
struct ExitNotice(OwnedFd);

impl ExitNotice {
    fn of(pid: Pid) -> io::Result<Self> {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self(pidfd)),
            // Kernels before 5.3 do not know it, and some sandboxes forbid it.
            Err(_) => Self::by_thread(pid),
        }
    }

    fn by_thread(pid: Pid) -> io::Result<Self> {
        let (notice, held) = io::pipe()?;
        thread::Builder::new().name("waiter".to_owned()).spawn(move || {
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), ended) {}
            drop(held);
        })?;
        Ok(Self(notice.into()))
    }
}

/// Both outputs of a program.
struct Said {
    stdout: Listened,
    stderr: Listened,
}

impl Said {
    /// Whether the program ended before the deadline. Reads all the time, so that it never waits
    /// for us.
    fn listen_until_exit(&mut self, exit: &ExitNotice, deadline: Deadline) -> io::Result<bool> {
        loop {
            let mut watched = vec![PollFd::new(&exit.0, PollFlags::IN)];
            for pipe in [&self.stdout, &self.stderr].into_iter().filter_map(|it| it.pipe.as_ref()) {
                watched.push(PollFd::new(pipe, PollFlags::IN));
            }
            // Without a limit that the kernel understands, the wait has none.
            let left = Timespec::try_from(deadline.left()).ok();
            match poll(&mut watched, left.as_ref()) {
                Ok(0) if deadline.has_passed() => return Ok(false),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if watched.first().is_some_and(|exit| !exit.revents().is_empty()) {
                return Ok(true);
            }
            if deadline.has_passed() {
                return Ok(false);
            }
            self.stdout.read();
            self.stderr.read();
        }
    }

    fn drain(&mut self) {
        for output in [&mut self.stdout, &mut self.stderr] {
            let mut left = DRAIN.max(output.tail.most());
            while let Some(read @ 1..) = output.read() {
                left = left.saturating_sub(read);
                if left == 0 {
                    break;
                }
            }
        }
    }
}

/// One output of a program: a pipe that we never wait for.
struct Listened {
    pipe: Option<File>,
    tail: Tail,
}

impl Listened {
    fn to(pipe: Option<OwnedFd>, most: usize) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            ioctl_fionbio(pipe.as_fd(), true)?;
        }
        Ok(Self { pipe: pipe.map(File::from), tail: Tail::of(most) })
    }

    /// How much there was to read just now; a pipe that is closed or broken is let go.
    fn read(&mut self) -> Option<usize> {
        let mut block = [0; 16 * 1024];
        match self.pipe.as_mut()?.read(&mut block) {
            Ok(read @ 1..) => {
                self.tail.push(block.get(..read)?);
                Some(read)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Ok(_) | Err(_) => {
                self.pipe = None;
                None
            }
        }
    }
}

/// How a program ended, in two words: `exit 4`, `killed by signal 9`.
pub(crate) fn status_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests;
