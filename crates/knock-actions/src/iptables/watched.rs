//! A time limit around work that has none: the `iptables` crate waits for its program for ever.
//! Knows of the work only that the programs it waits for may be killed.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use knock_engine::Outcome;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::gettid;

use crate::deadline::Deadline;

/// How often a program that was killed is looked for again: the work may have been about to start
/// the next one.
const KILL_TRIES: u32 = 20;
/// How long the work may take to notice that its program is gone.
const KILL_PAUSE: Duration = Duration::from_millis(50);

/// Asked by the work before each program it starts.
#[derive(Clone, Debug, Default)]
pub(super) struct GoOn {
    stopped: Arc<AtomicBool>,
}

impl GoOn {
    /// Whether there is somebody who waits for the next step.
    pub(super) fn is_wanted(&self) -> bool {
        !self.stopped.load(Ordering::SeqCst)
    }
}

/// Does `work` in a thread of its own. After the deadline the programs that it waits for are
/// killed; a thread that hangs even then is left behind with whatever it holds.
pub(super) fn watched(
    deadline: Deadline,
    work: impl FnOnce(&GoOn) -> Outcome + Send + 'static,
) -> Outcome {
    let go_on = GoOn::default();
    let (tell, told) = channel();
    let (tell_thread, thread_told) = channel();
    let its_go_on = go_on.clone();
    let thread = thread::Builder::new().name("iptables".to_owned()).spawn(move || {
        let _ = tell_thread.send(gettid());
        let _ = tell.send(work(&its_go_on));
    });
    if let Err(error) = thread {
        return Outcome::Failed { why: format!("cannot start a thread: {error}"), again: true };
    }
    match told.recv_timeout(deadline.left()) {
        Ok(outcome) => return outcome,
        Err(RecvTimeoutError::Disconnected) => return fault(),
        Err(RecvTimeoutError::Timeout) => go_on.stopped.store(true, Ordering::SeqCst),
    }
    let Ok(thread) = thread_told.recv() else { return fault() };
    for _ in 0..KILL_TRIES {
        kill_children(thread);
        match told.recv_timeout(KILL_PAUSE) {
            // It got there after all, and the agenda should know.
            Ok(outcome @ (Outcome::Done | Outcome::AlreadySo)) => return outcome,
            Ok(_) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    deadline.missed()
}

fn fault() -> Outcome {
    Outcome::Failed {
        why: "a fault of this program in the firewall's thread".to_owned(),
        again: true,
    }
}

/// Kills the programs that one thread of ours has started.
fn kill_children(thread: Pid) {
    let children = || {
        let path = format!("/proc/self/task/{}/children", thread.as_raw_pid());
        let listed = fs::read_to_string(path).unwrap_or_default();
        listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    };
    for raw in children() {
        let Some(pid) = Pid::from_raw(raw) else { continue };
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // Between the look and the opening the number may have gone to a stranger; if it is still
        // listed, the descriptor is for a child of ours.
        if children().contains(&raw) {
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        }
    }
}
