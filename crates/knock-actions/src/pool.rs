//! The threads that run orders, as many as there are orders to run at once, within a bound.
//! Knows nothing of time or sequence: what it gets is due, and no two orders of a client at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use knock_engine::{Order, OrderId, Outcome};
use knock_rules::Command;

use crate::runner::Runner;

/// Threads that run orders. Once it is dropped they work off what they have and end by themselves.
pub struct Pool {
    shared: Arc<Shared>,
    most: usize,
    spawn: Box<dyn Fn(Arc<Shared>) -> std::io::Result<()> + Send>,
}

impl Pool {
    /// Starts one thread; up to `most` more come when all others are at work, and then stay. An
    /// order that waits in its program for an hour so keeps no other from running. Each thread has
    /// a runner of its own. `done` is called in the worker's thread; if it blocks, the worker does.
    ///
    /// # Errors
    /// When the system does not give the first thread.
    pub fn start<R: Runner + 'static>(
        most: usize,
        make_runner: impl Fn() -> R + Send + 'static,
        done: impl Fn(OrderId, Outcome) + Send + Clone + 'static,
    ) -> std::io::Result<Self> {
        let spawn = move |shared| {
            let worker = Worker { shared, runner: make_runner(), done: done.clone() };
            thread::Builder::new().name("worker".to_owned()).spawn(|| worker.work()).map(|_| ())
        };
        let pool =
            Self { shared: Arc::new(Shared::default()), most: most.max(1), spawn: Box::new(spawn) };
        (pool.spawn)(Arc::clone(&pool.shared))?;
        pool.shared.lock().threads = 1;
        Ok(pool)
    }

    /// Gives an order to a worker; never waits.
    ///
    /// # Errors
    /// The order itself, when all workers are at work and there may be no more of them: put it back
    /// into the agenda, where a restart finds it.
    #[allow(clippy::result_large_err, reason = "the order goes back where it came from, unboxed")]
    pub fn try_send(&self, order: Order) -> Result<(), Order> {
        let mut state = self.shared.lock();
        if state.working + state.orders.len() >= state.threads {
            if state.threads >= self.most || (self.spawn)(Arc::clone(&self.shared)).is_err() {
                return Err(order);
            }
            state.threads += 1;
        }
        state.orders.push_back(order);
        self.shared.news.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.news.notify_all();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("most", &self.most).finish_non_exhaustive()
    }
}

/// What the pool and its workers share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    /// Never more than there are idle workers.
    orders: VecDeque<Order>,
    threads: usize,
    working: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next order, waited for; `None` when there will be none.
    fn next(&self) -> Option<Order> {
        let mut state = self.lock();
        loop {
            if let Some(order) = state.orders.pop_front() {
                state.working += 1;
                return Some(order);
            }
            if state.closed {
                return None;
            }
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Worker<R, D> {
    shared: Arc<Shared>,
    runner: R,
    done: D,
}

impl<R: Runner, D: Fn(OrderId, Outcome)> Worker<R, D> {
    fn work(mut self) {
        while let Some(order) = self.shared.next() {
            let id = order.id;
            let outcome = self.run(&order);
            // Before the report: whoever hears of it may give the next order at once.
            self.shared.lock().working -= 1;
            (self.done)(id, outcome);
        }
    }

    /// A runner that panics must not take its worker along: a closing may be next.
    fn run(&mut self, order: &Order) -> Outcome {
        catch_unwind(AssertUnwindSafe(|| self.runner.run(order))).unwrap_or_else(|_| {
            Outcome::Failed {
                why: "a fault of this program while running the command".to_owned(),
                // How far a program got nobody knows; a rule is put in once whatever happened.
                again: matches!(order.command, Command::Iptables { .. }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use knock_rules::Family;

    use super::*;
    use crate::testing::{order, shell};

    const LONG: Duration = Duration::from_secs(60);

    /// Tells which order it began, and ends as the test says, when the test says so.
    struct Gate {
        began: Sender<Order>,
        open: Arc<Mutex<Receiver<Outcome>>>,
    }

    impl Runner for Gate {
        fn run(&mut self, order: &Order) -> Outcome {
            self.began.send(order.clone()).unwrap();
            let open = self.open.lock().unwrap();
            open.recv_timeout(LONG).expect("nobody opened the gate")
        }
    }

    struct Gated {
        pool: Pool,
        begun: Receiver<Order>,
        opener: Sender<Outcome>,
        told: Receiver<(OrderId, Outcome)>,
    }

    impl Gated {
        fn start(workers: usize) -> Self {
            let (began, begun) = channel();
            let (opener, open) = channel();
            let open = Arc::new(Mutex::new(open));
            let (done, told) = channel();
            let done = move |id, outcome| done.send((id, outcome)).unwrap();
            let gate = move || Gate { began: began.clone(), open: Arc::clone(&open) };
            Self { pool: Pool::start(workers, gate, done).unwrap(), begun, opener, told }
        }
    }

    fn numbered(number: u8) -> Order {
        order(number, shell("true"))
    }

    #[test]
    fn orders_are_run_and_told_also_those_of_a_pool_that_is_gone() {
        let Gated { pool, begun, opener, told } = Gated::start(2);
        pool.try_send(numbered(1)).unwrap();
        pool.try_send(numbered(2)).unwrap();
        drop(pool);
        let begun = [(); 2].map(|()| begun.recv_timeout(LONG).unwrap());
        assert!(begun.contains(&numbered(1)) && begun.contains(&numbered(2)));
        for _ in 0..2 {
            opener.send(Outcome::Done).unwrap();
        }
        let mut ended = [(); 2].map(|()| told.recv_timeout(LONG).unwrap().0);
        ended.sort();
        assert_eq!(ended, [OrderId(1), OrderId(2)]);
        assert!(told.recv_timeout(LONG).is_err(), "the workers end");
    }

    #[test]
    fn an_order_that_hangs_keeps_no_other_from_running_up_to_the_bound() {
        let Gated { pool, begun, opener, told } = Gated::start(9);
        for number in 1..=9 {
            pool.try_send(numbered(number)).unwrap();
            assert_eq!(begun.recv_timeout(LONG), Ok(numbered(number)));
        }
        assert_eq!(pool.try_send(numbered(99)), Err(numbered(99)));
        opener.send(Outcome::Done).unwrap();
        told.recv_timeout(LONG).unwrap();
        assert_eq!(pool.try_send(numbered(99)), Ok(()));
        assert_eq!(begun.recv_timeout(LONG), Ok(numbered(99)));
        for _ in 0..9 {
            // Without this the workers would wait for the test's gate.
            opener.send(Outcome::Done).unwrap();
        }
    }

    #[test]
    fn a_runner_that_panics_takes_nobody_along() {
        struct Faulty;
        impl Runner for Faulty {
            fn run(&mut self, order: &Order) -> Outcome {
                assert_ne!(order.client, numbered(1).client, "this panic is part of the test");
                Outcome::Done
            }
        }
        let (done, told) = channel();
        let done = move |_, outcome| done.send(outcome).unwrap();
        // One worker, which the first order's panic must leave alive for the others.
        let pool = Pool::start(1, || Faulty, done).unwrap();
        let rule = Command::Iptables { family: Family::V4, args: Vec::new() };
        let told = [order(1, rule), numbered(1), numbered(2)].map(|order| {
            pool.try_send(order).unwrap();
            told.recv_timeout(LONG).unwrap()
        });
        assert!(matches!(told[0], Outcome::Failed { again: true, .. }));
        assert!(matches!(told[1], Outcome::Failed { again: false, .. }));
        assert_eq!(told[2], Outcome::Done);
    }
}
