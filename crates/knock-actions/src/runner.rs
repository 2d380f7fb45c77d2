//! What can carry out an order. Not when, and not which: that comes from the engine.

use knock_engine::{Order, Outcome};

/// Carries out one order after the other.
pub trait Runner: Send {
    /// Carries out `order` and tells what came of it. Returns not much later than the order's
    /// timeout, whatever the command does.
    fn run(&mut self, order: &Order) -> Outcome;
}
