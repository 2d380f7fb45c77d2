//! A runner for tests, of this crate and of others: keeps the orders it got and runs nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use knock_engine::{Order, Outcome};

use crate::runner::Runner;

/// Keeps each order that it got. Clones share what they keep, so that a test can look while a pool
/// works.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    orders: Vec<Order>,
    answers: VecDeque<Outcome>,
}

impl Recorder {
    /// Answers [`Outcome::Done`] to every order.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next order that has no answer yet gets this one.
    pub fn answer(&self, outcome: Outcome) {
        self.kept().answers.push_back(outcome);
    }

    /// The orders so far, oldest first.
    #[must_use]
    pub fn orders(&self) -> Vec<Order> {
        self.kept().orders.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runner for Recorder {
    fn run(&mut self, order: &Order) -> Outcome {
        let mut kept = self.kept();
        kept.orders.push(order.clone());
        kept.answers.pop_front().unwrap_or(Outcome::Done)
    }
}
