//! The threads that run orders, as many as there are orders to run at once, within a bound.
//! Knows nothing of time or sequence: what it gets is due, and no two orders of a client at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use knock_engine::{Order, OrderId, Outcome};
use knock_rules::Command;

use crate::runner::Runner;

/// After a burst nobody needs hundreds of threads; but the next knock comes soon, perhaps.
const IDLE: Duration = Duration::from_secs(60);

/// Threads that run orders. Once it is dropped they work off what they have and end by themselves.
pub struct Pool {
    shared: Arc<Shared>,
    most: usize,
    spawn: Box<dyn Fn(Arc<Shared>) -> std::io::Result<()> + Send>,
}

impl Pool {
    /// Starts one thread, which stays; others, `most` with it, come when all are at work, and go
    /// when there was nothing to do for a while. An order that waits in its program for an hour so
    /// keeps no other from running. Each thread has
    /// a runner of its own. `done` is called in the worker's thread; if it blocks, the worker does.
    ///
    /// # Errors
    /// When the system does not give the first thread.
    pub fn start<R: Runner + 'static>(
        most: usize,
        make_runner: impl Fn() -> R + Send + 'static,
        done: impl Fn(OrderId, Outcome) + Send + Clone + 'static,
    ) -> std::io::Result<Self> {
        Self::start_idling(most, IDLE, make_runner, done)
    }

    fn start_idling<R: Runner + 'static>(
        most: usize,
        idle: Duration,
        make_runner: impl Fn() -> R + Send + 'static,
        done: impl Fn(OrderId, Outcome) + Send + Clone + 'static,
    ) -> std::io::Result<Self> {
        let spawn = move |shared| {
            let worker = Worker { shared, runner: make_runner(), done: done.clone() };
            thread::Builder::new().name("worker".to_owned()).spawn(|| worker.work()).map(|_| ())
        };
        let shared = Arc::new(Shared { state: Mutex::default(), news: Condvar::new(), idle });
        let pool = Self { shared, most: most.max(1), spawn: Box::new(spawn) };
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
struct Shared {
    state: Mutex<State>,
    news: Condvar,
    /// How long a worker waits for an order before it goes.
    idle: Duration,
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

    /// The next order, waited for; `None` when the worker is to end.
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
            let (woken, waited) =
                self.news.wait_timeout(state, self.idle).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            // An order may have come in the last moment, and been meant for this one.
            if waited.timed_out() && state.orders.is_empty() && state.threads > 1 {
                state.threads -= 1;
                return None;
            }
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
                again: matches!(
                    order.command,
                    Command::Iptables { .. } | Command::Open { .. } | Command::Close { .. }
                ),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

    use knock_rules::Family;

    use super::*;
    use crate::testing::{order, shell};

    const LONG: Duration = Duration::from_secs(60);

    /// Tells which order it began, and ends as the test says, when the test says so.
    struct Turnstile {
        began: Sender<Order>,
        open: Arc<Mutex<Receiver<Outcome>>>,
    }

    impl Runner for Turnstile {
        fn run(&mut self, order: &Order) -> Outcome {
            self.began.send(order.clone()).unwrap();
            let open = self.open.lock().unwrap();
            open.recv_timeout(LONG).expect("nobody opened the turnstile")
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
            Self::idling(workers, IDLE)
        }

        fn idling(workers: usize, idle: Duration) -> Self {
            let (began, begun) = channel();
            let (opener, open) = channel();
            let open = Arc::new(Mutex::new(open));
            let (done, told) = channel();
            let done = move |id, outcome| done.send((id, outcome)).unwrap();
            let gate = move || Turnstile { began: began.clone(), open: Arc::clone(&open) };
            let pool = Pool::start_idling(workers, idle, gate, done).unwrap();
            Self { pool, begun, opener, told }
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
        let end = told.recv_timeout(LONG);
        assert_eq!(end, Err(RecvTimeoutError::Disconnected), "the workers end");
    }

    #[test]
    fn after_a_burst_one_worker_stays() {
        let Gated { pool, begun, opener, told } = Gated::idling(9, Duration::from_millis(1));
        for round in 1..=2 {
            for number in 1..=9 {
                pool.try_send(numbered(number)).unwrap();
            }
            for _ in 1..=9 {
                begun.recv_timeout(LONG).unwrap();
            }
            assert_eq!(pool.shared.lock().threads, 9, "round {round}");
            for _ in 1..=9 {
                opener.send(Outcome::Done).unwrap();
                told.recv_timeout(LONG).unwrap();
            }
            while pool.shared.lock().threads > 1 {
                std::thread::yield_now();
            }
        }
        // The last one does not go, however often its time is over.
        let (mut state, mut waits) = (pool.shared.lock(), 0);
        while waits < 20 {
            let idle = pool.shared.idle;
            state = pool.shared.news.wait_timeout(state, idle).unwrap().0;
            waits += 1;
        }
        assert_eq!(state.threads, 1);
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
