//! One at a time at this host's firewall, for all workers of this process.
//! Other programs are kept out by the xtables lock, which iptables takes itself, once a call.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::deadline::Deadline;

/// A look and the insertion after it are two calls: two workers in turn could both look, and then
/// both insert.
pub(super) static LANE: Lane = Lane { taken: Mutex::new(false), freed: Condvar::new() };

/// A lock that can be waited for with a limit, and whose holder may be another thread than the one
/// that took it.
#[derive(Debug)]
pub(super) struct Lane {
    taken: Mutex<bool>,
    freed: Condvar,
}

/// Frees the lane when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    lane: &'static Lane,
}

impl Lane {
    /// `None` when it was not free before the deadline.
    pub(super) fn enter(&'static self, deadline: Deadline) -> Option<Pass> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, waited) = self
            .freed
            .wait_timeout_while(taken, deadline.left(), |taken| *taken)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        *taken = true;
        Some(Pass { lane: self })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        *self.lane.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.lane.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_at_a_time_whatever_thread_leaves() {
        static LANE: Lane = Lane { taken: Mutex::new(false), freed: Condvar::new() };
        let soon = || Deadline::after(Duration::from_millis(1));
        let late = || Deadline::after(Duration::from_secs(60));
        let pass = LANE.enter(soon()).expect("it is free");
        assert!(LANE.enter(soon()).is_none());
        let waiting = thread::spawn(move || LANE.enter(late()).is_some());
        thread::spawn(move || drop(pass)).join().unwrap();
        assert!(waiting.join().unwrap());
        assert!(LANE.enter(soon()).is_some());
    }
}
