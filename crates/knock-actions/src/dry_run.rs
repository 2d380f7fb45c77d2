//! The runner of `-test`: tells what it would run, and runs nothing.

use knock_engine::{Order, Outcome};

use crate::runner::Runner;

/// Hands a sentence for each order to a callback; every order counts as done.
#[derive(Debug)]
pub struct DryRun<F> {
    say: F,
}

impl<F: FnMut(&str) + Send> DryRun<F> {
    /// Tells `say`, one line an order.
    pub fn new(say: F) -> Self {
        Self { say }
    }
}

impl<F: FnMut(&str) + Send> Runner for DryRun<F> {
    fn run(&mut self, order: &Order) -> Outcome {
        let Order { client, action, command, .. } = order;
        // A `Command` prints itself on one line, but the action's name is as the config has it.
        let action = action.escape_debug();
        (self.say)(&format!("would run for {client} (action {action}): {command}"));
        Outcome::Done
    }
}

#[cfg(test)]
mod tests {
    use knock_rules::Command;

    use super::*;
    use crate::testing::order;

    #[test]
    fn it_tells_and_does_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let witness = folder.path().join("made");
        let made = Command::Exec(vec!["/bin/mkdir".to_owned(), witness.display().to_string()]);
        let mut said = Vec::new();
        let outcome = DryRun::new(|line: &str| said.push(line.to_owned())).run(&order(7, made));
        assert_eq!(outcome, Outcome::Done);
        let expected =
            format!("would run for 192.0.2.7 (action open): /bin/mkdir {}", witness.display());
        assert_eq!(said, [expected]);
        assert!(!witness.exists());
    }
}
