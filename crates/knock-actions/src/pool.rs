//! The threads that run orders, and the bounded queue before them.
//! Knows nothing of time or sequence: what it gets is due, and no two orders of a client at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use knock_engine::{Order, OrderId, Outcome};
use knock_rules::Command;

use crate::runner::Runner;

/// Orders that wait in the queue for each worker. Short on purpose: what does not fit is safer in
/// the durable agenda, where a restart finds it.
const QUEUED_PER_WORKER: usize = 4;

/// Threads that run orders. Once it is dropped they work the queue off and end by themselves.
#[derive(Debug)]
pub struct Pool {
    orders: SyncSender<Order>,
}

impl Pool {
    /// Starts `workers` threads (at least one), each with a runner of its own. `done` is called in
    /// the worker's thread; if it blocks, the worker does.
    ///
    /// # Errors
    /// When the system does not give all these threads.
    pub fn start<R: Runner + 'static>(
        workers: usize,
        make_runner: impl Fn() -> R,
        done: impl Fn(OrderId, Outcome) + Send + Clone + 'static,
    ) -> std::io::Result<Self> {
        let workers = workers.max(1);
        let (orders, inbox) = sync_channel(workers * QUEUED_PER_WORKER);
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 1..=workers {
            let worker =
                Worker { inbox: Arc::clone(&inbox), runner: make_runner(), done: done.clone() };
            thread::Builder::new().name(format!("worker-{number}")).spawn(|| worker.work())?;
        }
        Ok(Self { orders })
    }

    /// Puts an order into the queue; never waits.
    ///
    /// # Errors
    /// The order itself, when the queue is full: put it back into the agenda.
    #[allow(clippy::result_large_err, reason = "the order goes back where it came from, unboxed")]
    pub fn try_send(&self, order: Order) -> Result<(), Order> {
        self.orders.try_send(order).map_err(|refused| match refused {
            TrySendError::Full(order) | TrySendError::Disconnected(order) => order,
        })
    }
}

struct Worker<R, D> {
    inbox: Arc<Mutex<Receiver<Order>>>,
    runner: R,
    done: D,
}

impl<R: Runner, D: Fn(OrderId, Outcome)> Worker<R, D> {
    fn work(mut self) {
        while let Some(order) = self.next() {
            let id = order.id;
            let outcome = self.run(&order);
            (self.done)(id, outcome);
        }
    }

    /// The idle workers wait for this lock, and the one that has it waits for an order.
    fn next(&self) -> Option<Order> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.recv().ok()
    }

    /// A runner that panics must not take its worker along: a closing may be next in the queue.
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
    use std::sync::mpsc::{Sender, channel};
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
            let gate = || Gate { began: began.clone(), open: Arc::clone(&open) };
            Self { pool: Pool::start(workers, gate, done).unwrap(), begun, opener, told }
        }
    }

    fn numbered(number: u8) -> Order {
        order(number, shell("true"))
    }

    #[test]
    fn orders_are_run_and_told_also_those_of_a_pool_that_is_gone() {
        let Gated { pool, begun, opener, told } = Gated::start(1);
        pool.try_send(numbered(1)).unwrap();
        pool.try_send(numbered(2)).unwrap();
        drop(pool);
        for (number, outcome) in [(1, Outcome::TimedOut), (2, Outcome::Done)] {
            assert_eq!(begun.recv_timeout(LONG), Ok(numbered(number)));
            opener.send(outcome.clone()).unwrap();
            assert_eq!(told.recv_timeout(LONG), Ok((OrderId(number.into()), outcome)));
        }
        assert!(begun.recv_timeout(LONG).is_err(), "the worker ends");
    }

    #[test]
    fn a_full_queue_gives_the_order_back() {
        let Gated { pool, begun, opener, told: _told } = Gated::start(2);
        for number in [1, 2] {
            pool.try_send(numbered(number)).unwrap();
            assert_eq!(begun.recv_timeout(LONG), Ok(numbered(number)));
        }
        for number in 3..3 + 2 * QUEUED_PER_WORKER {
            pool.try_send(numbered(number.try_into().unwrap())).unwrap();
        }
        assert_eq!(pool.try_send(numbered(99)), Err(numbered(99)));
        opener.send(Outcome::Done).unwrap();
        assert_eq!(begun.recv_timeout(LONG), Ok(numbered(3)));
        assert_eq!(pool.try_send(numbered(99)), Ok(()));
        for _ in 0..3 + 2 * QUEUED_PER_WORKER {
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
        let pool = Pool::start(1, || Faulty, done).unwrap();
        let rule = Command::Iptables { family: Family::V4, args: Vec::new() };
        for order in [order(1, rule), numbered(1), numbered(2)] {
            pool.try_send(order).unwrap();
        }
        let told: Vec<Outcome> = (0..3).map(|_| told.recv_timeout(LONG).unwrap()).collect();
        assert!(matches!(told[0], Outcome::Failed { again: true, .. }));
        assert!(matches!(told[1], Outcome::Failed { again: false, .. }));
        assert_eq!(told[2], Outcome::Done);
    }
}
