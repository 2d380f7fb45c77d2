//! How long programs may take, and who may run them: one after the other, in the order of their asking.
//! The one place of this crate that reads a clock by itself; what is open until when is told by another.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::error::FirewallError;
use crate::lock;

/// How long something may still take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    each: Duration,
    /// `None`: no end to all of it together, or one so far away that the clock cannot tell it.
    end: Option<Instant>,
}

impl Limit {
    /// For each step on its own: one that hangs takes no time away from the next.
    pub(crate) fn of_each(each: Duration) -> Self {
        Self { each, end: None }
    }

    /// For all steps together, from now on.
    pub(crate) fn of_all(all: Duration) -> Self {
        Self { each: all, end: now().checked_add(all) }
    }

    /// What the next step may take.
    pub(crate) fn left(self) -> Duration {
        let left = self.end.map(|end| end.saturating_duration_since(now()));
        left.map_or(self.each, |left| left.min(self.each))
    }

    /// What it was at the beginning.
    pub(crate) fn whole(self) -> Duration {
        self.each
    }
}

/// A lock that can be waited for with a limit. Who asked first has it first: a look at all of it does not
/// have to wait until nobody knocks.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    queue: Mutex<Queue>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// The first one has the lane.
    tickets: VecDeque<u64>,
    next: u64,
}

/// Frees the lane when dropped.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    lane: &'a Lane,
    ticket: u64,
}

impl Lane {
    /// An error when it was not free within the limit.
    pub(crate) fn enter(&self, limit: Limit) -> Result<Pass<'_>, FirewallError> {
        let mut queue = lock(&self.queue);
        let ticket = queue.next;
        queue.next = queue.next.wrapping_add(1);
        queue.tickets.push_back(ticket);
        let pass = Pass { lane: self, ticket };
        let waits = |queue: &mut Queue| queue.tickets.front() != Some(&ticket);
        let waited = self.moved.wait_timeout_while(queue, limit.left(), waits);
        let (queue, waited) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(queue);
        if waited.timed_out() {
            return Err(FirewallError::Busy { after: limit.whole() });
        }
        Ok(pass)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        lock(&self.lane.queue).tickets.retain(|ticket| *ticket != self.ticket);
        self.lane.moved.notify_all();
    }
}

#[allow(clippy::disallowed_methods, reason = "a limit on a running program is no argument")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn one_at_a_time_in_turn_and_who_gives_up_is_in_nobodys_way() {
        let lane = Lane::default();
        let soon = || Limit::of_all(Duration::from_millis(1));
        let waiting = |count| {
            while lock(&lane.queue).tickets.len() != count {
                thread::yield_now();
            }
        };
        let first = lane.enter(soon()).unwrap();
        assert!(matches!(lane.enter(soon()), Err(FirewallError::Busy { .. })));
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for turn in 0..4 {
                let (lane, order) = (&lane, &order);
                scope.spawn(move || {
                    let _pass = lane.enter(Limit::of_all(LONG)).unwrap();
                    lock(order).push(turn);
                });
                waiting(2 + turn);
            }
            drop(first);
        });
        assert_eq!(*lock(&order), [0, 1, 2, 3]);
        assert!(lane.enter(soon()).is_ok());
    }

    #[test]
    fn what_is_left_of_all_gets_less_and_of_each_does_not() {
        let none = Limit::of_all(Duration::ZERO);
        assert_eq!(none.left(), Duration::ZERO);
        assert_eq!(Limit::of_each(LONG).left(), LONG);
        assert!(Limit::of_all(LONG).left() <= LONG);
        assert_eq!(Limit::of_all(Duration::MAX).left(), Duration::MAX);
    }
}
