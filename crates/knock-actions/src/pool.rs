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
