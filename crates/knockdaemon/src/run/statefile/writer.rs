//! The thread that writes the state file. It has a slot for one state of the variable, the latest:
//! however slow the disk is, whoever gives it another does not wait.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use knock_actions::{MovedAside, StateFile, StateFileError};
use knock_rules::Memory;

/// What came of writing one.
type Written = Result<Option<MovedAside>, StateFileError>;

/// Gives states to the thread. Once it is dropped, the thread writes what it has and ends.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    next: Option<(Memory, u64)>,
    writing: bool,
    /// Whether the last try failed, which is said once.
    failing: bool,
    closed: bool,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system does not give one.
    pub(super) fn start(mut file: StateFile) -> io::Result<Self> {
        Self::start_with(move |memory, generation| file.write(memory, generation))
    }

    fn start_with(
        mut write: impl FnMut(&Memory, u64) -> Written + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        thread::Builder::new().name("statefile".to_owned()).spawn(move || {
            while let Some((memory, generation)) = its.next() {
                let written = write(&memory, generation);
                tell(written, &its);
            }
        })?;
        Ok(Self { shared })
    }

    /// To be written next, in place of what still waits for that.
    pub(super) fn give(&self, memory: Memory, generation: u64) {
        self.shared.lock().next = Some((memory, generation));
        self.shared.changed.notify_all();
    }

    /// Whether the file could not be written the last time.
    pub(super) fn is_failing(&self) -> bool {
        self.shared.lock().failing
    }

    /// Waits until nothing is left to write, for so long at most; says whether that is so.
    pub(super) fn settle(&self, limit: Duration) -> bool {
        let busy = |slot: &mut Slot| slot.next.is_some() || slot.writing;
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), limit, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Writer {
    /// What was given is written first.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest state, waited for; `None` when there will be none.
    fn next(&self) -> Option<(Memory, u64)> {
        let idle = |slot: &mut Slot| slot.next.is_none() && !slot.closed;
        let slot = self.changed.wait_while(self.lock(), idle);
        let mut slot = slot.unwrap_or_else(PoisonError::into_inner);
        let next = slot.next.take()?;
        slot.writing = true;
        Some(next)
    }

    fn written(&self, failing: bool) {
        let mut slot = self.lock();
        slot.writing = false;
        slot.failing = failing;
        self.changed.notify_all();
    }
}

/// A state that could not be written is not tried again before the next comes: a full disk would be
/// asked for ever.
fn tell(written: Written, shared: &Shared) {
    let was_failing = shared.lock().failing;
    let failing = written.is_err();
    match written {
        Ok(moved) => {
            if let Some(moved) = moved {
                tracing::warn!("{moved}; while the daemon runs, changes in it are not taken over");
            }
            if was_failing {
                tracing::info!("the statefile could be written again");
            }
        }
        Err(error) if !was_failing => {
            tracing::error!("{error}; knocks are answered, and the state is kept in statedir");
        }
        Err(_) => {}
    }
    // Only now: behind this the program may end.
    shared.written(failing);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A disk that takes as long as the test wants, and tells what it was given.
    fn slow() -> (Writer, Receiver<u64>, Sender<()>) {
        let (begin, begun) = channel();
        let (go_on, gate) = channel();
        let writer = Writer::start_with(move |_, generation| {
            begin.send(generation).unwrap();
            gate.recv_timeout(LONG).unwrap();
            Ok(None)
        });
        (writer.unwrap(), begun, go_on)
    }

    #[test]
    fn while_the_disk_hangs_nobody_waits_and_the_latest_is_kept() {
        let (writer, begun, go_on) = slow();
        writer.give(Memory::new(), 1);
        assert_eq!(begun.recv_timeout(LONG), Ok(1));
        for generation in 2..=4 {
            writer.give(Memory::new(), generation);
        }
        assert!(!writer.settle(Duration::from_millis(1)));
        go_on.send(()).unwrap();
        assert_eq!(begun.recv_timeout(LONG), Ok(4));
        assert!(!writer.settle(Duration::from_millis(1)));
        go_on.send(()).unwrap();
        assert!(writer.settle(LONG));
    }

    #[test]
    fn what_was_given_is_written_before_the_thread_ends() {
        let (writer, begun, go_on) = slow();
        writer.give(Memory::new(), 1);
        assert_eq!(begun.recv_timeout(LONG), Ok(1));
        writer.give(Memory::new(), 2);
        drop(writer);
        go_on.send(()).unwrap();
        assert_eq!(begun.recv_timeout(LONG), Ok(2));
        go_on.send(()).unwrap();
        assert_eq!(begun.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }
}
