//! The small language of actions: conditions, delays, state, templates.
//!
//! Closed and typed: names are checked when the config is read, values are numbers and addresses,
//! and nothing from a knock is ever evaluated as code. Runs nothing, reads no clock.

#![forbid(unsafe_code)]

mod command;
mod condition;
mod delay;
mod error;
mod memory;
mod names;
mod scope;
mod state;
mod template;
mod value;

pub use command::{Command, Family};
pub use condition::Condition;
pub use delay::{Delay, MAX_DELAY};
pub use error::{EvalError, RuleError};
pub use memory::{MAX_ENTRIES, MAX_KEY, MAX_KEYS, MAX_TEXT, Memory, MemoryChange, MemoryValue};
pub use names::Names;
pub use scope::{LocalTime, Scope, environment};
pub use state::StateUpdate;
pub use template::{Template, TemplateKind, deletes_rule, unfilled};
