//! A change of the state variable, as `state = state(IP,visits)++` asks for it. Computes the
//! change; whoever keeps the [`crate::Memory`] applies it.

use crate::error::{EvalError, RuleError};
use crate::eval::{concatenate, evaluate, path};
use crate::memory::{MemoryChange, MemoryValue};
use crate::names::Names;
use crate::parser::{How, Update, parse_updates};
use crate::scope::Scope;
use crate::value::Value;

/// One assignment to the state variable, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct StateUpdate {
    update: Update,
}

impl StateUpdate {
    /// Reads one, or several with `;` between them: `state(keys)++`, `--`, `=`, `+=`, `-=` or `.=`.
    /// Setting an entry to `undef` removes it.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, names: &Names) -> Result<Vec<Self>, Vec<RuleError>> {
        let updates = parse_updates(text, names)?;
        Ok(updates.into_iter().map(|update| Self { update }).collect())
    }

    /// What it changes after this knock. It changes nothing by itself: where one knock makes
    /// several updates, apply each to the scope's memory before asking the next.
    ///
    /// # Errors
    /// When it has no result for these values, or the state variable would outgrow its limits.
    pub fn apply(&self, scope: &Scope<'_>) -> Result<MemoryChange, EvalError> {
        let path = path(&self.update.keys, scope)?;
        let old = match scope.memory.get(&path) {
            None => Value::Undefined,
            Some(MemoryValue::Number(number)) => Value::Number(*number),
            Some(MemoryValue::Text(text)) => Value::Text(text.clone()),
        };
        let given = evaluate(&self.update.value, scope)?;
        let new = match self.update.how {
            How::Set => given,
            How::Add => Value::Number(old.to_number()? + given.to_number()?),
            How::Subtract => Value::Number(old.to_number()? - given.to_number()?),
            How::Append => concatenate(old, given)?,
        };
        let value = match new {
            Value::Undefined => None,
            Value::Number(number) => Some(MemoryValue::Number(number)),
            Value::Address(address) => Some(MemoryValue::Text(address.to_string())),
            Value::Text(text) => Some(MemoryValue::Text(text)),
        };
        let change = MemoryChange { path, value };
        scope.memory.bytes_after(&change)?;
        Ok(change)
    }
}

#[cfg(test)]
mod tests;
