//! The way to end a source that is blocked: a flag, and a descriptor that every wait includes.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{EventfdFlags, eventfd};

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
    use crate::wait::{Woken, wait};

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
}
