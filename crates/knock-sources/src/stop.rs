//! The way to end a source that is blocked: a flag, and a descriptor that every wait includes.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::event::{EventfdFlags, eventfd};

use crate::wait::{Woken, wait};

/// Ends sources. Clones share one flag; once set it stays set.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    set: AtomicBool,
    // Written once and never read back, so it stays readable for each source that waits on it.
    bell: OwnedFd,
}

impl Stop {
    /// A stop that is not set.
    ///
    /// # Errors
    /// When the system gives no eventfd (out of descriptors).
    pub fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Inner { set: AtomicBool::new(false), bell })))
    }

    /// Ends every source that runs with it, also one that is blocked waiting.
    pub fn set(&self) {
        // The flag first: who is woken by the bell must find it set.
        if !self.0.set.swap(true, Ordering::SeqCst) {
            // Fails only if the counter is full, and then the bell rings already.
            let _ = rustix::io::write(&self.0.bell, &1u64.to_ne_bytes());
        }
    }

    /// Sleeps until it is set or the time is over; returns whether it is set.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        // Where there is no waiting, not to go on is the only way not to spin.
        !matches!(wait(self.as_fd(), self, Some(limit)), Ok(Woken::TimedOut))
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
    }
}

impl AsFd for Stop {
    /// Readable once it is set; for whoever waits with poll.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_in_one_clone_wakes_a_wait_on_another() {
        let stop = Stop::new().unwrap();
        let (input, _open) = std::io::pipe().unwrap();
        let other = stop.clone();
        let waiter = std::thread::spawn(move || wait(input.as_fd(), &other, None).unwrap());
        stop.set();
        assert_eq!(waiter.join().unwrap(), Woken::Stopped);
        stop.set();
        assert!(stop.is_set());
    }

    #[test]
    fn a_rest_ends_with_its_time_or_with_the_stop() {
        let stop = Stop::new().unwrap();
        assert!(!stop.wait(Duration::from_millis(1)));
        stop.set();
        assert!(stop.wait(Duration::from_secs(3600)));
    }
}
