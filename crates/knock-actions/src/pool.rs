//! The threads that run orders, and the bounded queue before them.
//! Knows nothing of time or sequence: what it gets is due, and no two orders of a client at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use knock_engine::{Order, OrderId, Outcome};

use crate::deadline::Deadline;
use crate::runner::Runner;

/// Most threads of a pool. More would only wait for the firewall's lock together.
const MAX_WORKERS: usize = 16;
/// Orders that wait in the queue for each worker. Short on purpose: what does not fit is safer in
/// the durable agenda, where `status` shows it.
const QUEUED_PER_WORKER: usize = 4;

/// Threads that run orders.
///
/// Dropping it without [`Pool::finish`] lets the threads work the queue off and end by themselves.
#[derive(Debug)]
pub struct Pool {
    orders: SyncSender<Order>,
    shared: Arc<Shared>,
    /// Ends when the last worker has: nothing is ever sent.
    all_gone: Receiver<()>,
}

/// What [`Pool::finish`] left behind. All of it is still in the agenda and runs at the next start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftover {
    /// Orders in the queue that no worker had begun.
    pub not_begun: usize,
    /// Workers that were still at an order when the grace was over.
    pub still_running: usize,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    queued: AtomicUsize,
    running: AtomicUsize,
}

impl Pool {
    /// Starts `workers` threads (at least one), each with a runner of its own. `done` is called in
    /// the worker's thread; if it blocks, the worker does.
    ///
    /// # Errors
    /// When the system gives not even one thread.
    pub fn start(
        workers: usize,
        make_runner: impl Fn() -> Box<dyn Runner>,
        done: impl Fn(OrderId, Outcome) + Send + Clone + 'static,
    ) -> std::io::Result<Self> {
        let workers = workers.clamp(1, MAX_WORKERS);
        let (orders, inbox) = sync_channel(workers * QUEUED_PER_WORKER);
        let inbox = Arc::new(Mutex::new(inbox));
        let shared = Arc::new(Shared::default());
        let (alive, all_gone) = channel();
        for number in 1..=workers {
            let worker = Worker {
                inbox: Arc::clone(&inbox),
                shared: Arc::clone(&shared),
                runner: make_runner(),
                done: done.clone(),
                _alive: alive.clone(),
            };
            thread::Builder::new().name(format!("worker-{number}")).spawn(|| worker.work())?;
        }
        Ok(Self { orders, shared, all_gone })
    }

    /// Puts an order into the queue; never waits.
    ///
    /// # Errors
    /// The order itself, when the queue is full: put it back into the agenda.
    #[allow(clippy::result_large_err, reason = "the order goes back where it came from, unboxed")]
    pub fn try_send(&self, order: Order) -> Result<(), Order> {
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        self.orders.try_send(order).map_err(|refused| {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            match refused {
                TrySendError::Full(order) | TrySendError::Disconnected(order) => order,
            }
        })
    }

    /// Begins no order any more and waits for those that run, `grace` at most. What is left is not
    /// lost: it was durable before it came here, and nothing has struck it out.
    #[must_use = "what is left behind should be told"]
    pub fn finish(self, grace: Duration) -> Leftover {
        let Self { orders, shared, all_gone } = self;
        shared.stopping.store(true, Ordering::Relaxed);
        drop(orders);
        let deadline = Deadline::after(grace);
        let _ = all_gone.recv_timeout(deadline.left());
        Leftover {
            not_begun: shared.queued.load(Ordering::Relaxed),
            still_running: shared.running.load(Ordering::Relaxed),
        }
    }
}

struct Worker<D> {
    inbox: Arc<Mutex<Receiver<Order>>>,
    shared: Arc<Shared>,
    runner: Box<dyn Runner>,
    done: D,
    _alive: Sender<()>,
}

impl<D: Fn(OrderId, Outcome)> Worker<D> {
    fn work(mut self) {
        while let Some(order) = self.next() {
            let id = order.id;
            let outcome = self.run(&order);
            (self.done)(id, outcome);
            self.shared.running.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The idle workers wait for this lock, and the one that has it waits for an order.
    fn next(&self) -> Option<Order> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let order = inbox.recv().ok()?;
        if self.shared.stopping.load(Ordering::Relaxed) {
            return None;
        }
        self.shared.running.fetch_add(1, Ordering::Relaxed);
        self.shared.queued.fetch_sub(1, Ordering::Relaxed);
        Some(order)
    }

    /// A runner that panics must not take its worker along: a closing may be next in the queue.
    fn run(&mut self, order: &Order) -> Outcome {
        catch_unwind(AssertUnwindSafe(|| self.runner.run(order))).unwrap_or_else(|_| {
            Outcome::Failed {
                why: "a fault of this program while running the command".to_owned(),
                again: true,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

    use knock_rules::Command;

    use super::*;
    use crate::recorder::Recorder;
    use crate::testing::order;

    const LONG: Duration = Duration::from_secs(60);

    /// Runs an order when the test lets it.
    struct Gate {
        began: SyncSender<OrderId>,
        open: Arc<Mutex<Receiver<()>>>,
    }

    impl Runner for Gate {
        fn run(&mut self, order: &Order) -> Outcome {
            self.began.send(order.id).unwrap();
            let opened = self.open.lock().unwrap().recv_timeout(LONG);
            assert!(opened.is_ok(), "nobody opened the gate");
            Outcome::Done
        }
    }

    fn numbered(number: u8) -> Order {
        order(number, Command::Exec(Vec::new()))
    }

    #[test]
    fn orders_are_run_and_told() {
        let recorder = Recorder::new();
        recorder.answer(Outcome::TimedOut);
        let (done, finished) = channel();
        let done = move |id, outcome| done.send((id, outcome)).unwrap();
        let runner = recorder.clone();
        let pool = Pool::start(1, || Box::new(runner.clone()), done).unwrap();
        pool.try_send(numbered(1)).unwrap();
        pool.try_send(numbered(2)).unwrap();
        let told: Vec<_> = finished.iter().take(2).collect();
        assert_eq!(told, [(OrderId(1), Outcome::TimedOut), (OrderId(2), Outcome::Done)]);
        assert_eq!(recorder.orders(), [numbered(1), numbered(2)]);
        assert_eq!(pool.finish(LONG), Leftover::default());
    }

    #[test]
    fn a_full_queue_gives_the_order_back() {
        let (began, begun) = sync_channel(100);
        let (opener, open) = channel();
        let open = Arc::new(Mutex::new(open));
        let gate = || -> Box<dyn Runner> {
            Box::new(Gate { began: began.clone(), open: Arc::clone(&open) })
        };
        let pool = Pool::start(2, gate, |_, _| {}).unwrap();
        for number in [1, 2] {
            pool.try_send(numbered(number)).unwrap();
            assert_eq!(begun.recv_timeout(LONG), Ok(OrderId(number.into())));
        }
        for number in 3..3 + 2 * QUEUED_PER_WORKER {
            pool.try_send(numbered(number.try_into().unwrap())).unwrap();
        }
        assert_eq!(pool.try_send(numbered(99)), Err(numbered(99)));
        // One that hangs is not waited for, and what was not begun is not begun any more.
        opener.send(()).unwrap();
        begun.recv_timeout(LONG).unwrap();
        let left = pool.finish(Duration::ZERO);
        assert_eq!(left, Leftover { not_begun: 2 * QUEUED_PER_WORKER - 1, still_running: 2 });
        opener.send(()).unwrap();
        opener.send(()).unwrap();
    }

    #[test]
    fn a_runner_that_panics_takes_nobody_along() {
        struct Faulty;
        impl Runner for Faulty {
            fn run(&mut self, order: &Order) -> Outcome {
                assert_ne!(order.id, OrderId(1), "this panic is part of the test");
                Outcome::Done
            }
        }
        let (done, finished) = channel();
        let done = move |id, outcome| done.send((id, outcome)).unwrap();
        let pool = Pool::start(1, || Box::new(Faulty), done).unwrap();
        pool.try_send(numbered(1)).unwrap();
        pool.try_send(numbered(2)).unwrap();
        let told: Vec<_> = finished.iter().take(2).collect();
        assert!(matches!(told[0], (OrderId(1), Outcome::Failed { again: true, .. })));
        assert_eq!(told[1], (OrderId(2), Outcome::Done));
    }
}
