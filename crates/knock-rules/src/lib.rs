//! The small language of actions: conditions, delays, state, templates.
//!
//! Closed and typed: names are checked when the config is read, values are numbers and addresses,
//! and nothing from a knock is ever evaluated as code. Runs nothing, reads no clock.

#![forbid(unsafe_code)]

mod ast;
mod check;
mod command;
mod condition;
mod delay;
mod error;
mod eval;
mod foreign;
mod keeping;
mod lease;
mod lexer;
mod limits;
mod memory;
mod names;
mod network;
mod opening;
mod parser;
mod pattern;
mod scope;
mod state;
mod template;
#[cfg(test)]
mod testing;
mod value;

pub use command::{Command, Family};
pub use condition::Condition;
pub use delay::{Delay, MAX_DELAY};
pub use error::{EvalError, RuleError};
pub use keeping::KEEPERS_GROUP;
pub use lease::{LeaseTime, PortNumber};
pub use limits::{MAX_COMPUTED, MAX_DEPTH, MAX_EXPRESSION, MAX_PATTERN, MAX_TEMPLATE};
pub use memory::{
    MAX_BYTES, MAX_ENTRIES, MAX_KEY, MAX_KEYS, MAX_TEXT, Memory, MemoryChange, MemoryValue,
};
pub use names::Names;
pub use network::{Network, NotANetwork};
pub use opening::{Held, NotAnOpening, Opening, Protocol};
pub use scope::{LocalTime, Scope, environment};
pub use state::StateUpdate;
pub use template::{
    Template, TemplateKind, Word, deletes_rule, split_words, unfilled, unset_variables,
};
