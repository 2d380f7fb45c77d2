//! The state variable: a nested map kept between knocks, flattened to paths.
//! Bounded in every direction; where it is stored is not its business.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::EvalError;

/// Most entries kept. Only accepted knocks make entries, but a plain sequence can be knocked from
/// forged addresses, so even their number needs an end.
pub const MAX_ENTRIES: usize = 100_000;
/// Most keys of one path: `state(a,b,c)` has three.
pub const MAX_KEYS: usize = 8;
/// Longest key, in bytes.
pub const MAX_KEY: usize = 256;
/// Longest text, in bytes.
pub const MAX_TEXT: usize = 4096;

/// Most bytes of all entries together, as we count them: keys, texts and something for the rest.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What one entry of the state variable holds.
#[derive(Clone, Debug, PartialEq)]
pub enum MemoryValue {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl fmt::Display for MemoryValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&crate::value::number_text(*number)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One entry set, or removed where the value is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryChange {
    /// The keys, outermost first.
    pub path: Vec<String>,
    /// The new value.
    pub value: Option<MemoryValue>,
}

/// The state variable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    entries: BTreeMap<Vec<String>, MemoryValue>,
    bytes: usize,
}

impl Memory {
    /// Without an entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value under these keys.
    #[must_use]
    pub fn get(&self, path: &[String]) -> Option<&MemoryValue> {
        self.entries.get(path)
    }

    /// Whether there is a value under these keys or deeper: what `defined(state(IP))` asks.
    #[must_use]
    pub fn has(&self, path: &[String]) -> bool {
        let from = (std::ops::Bound::Included(path), std::ops::Bound::Unbounded);
        let next = self.entries.range::<[String], _>(from).next();
        next.is_some_and(|(key, _)| key.starts_with(path))
    }

    /// Sets or removes one entry. A change beyond the limits (from a store that somebody edited)
    /// is left out and answered with `false`; [`crate::StateUpdate`] makes none.
    pub fn apply(&mut self, change: &MemoryChange) -> bool {
        let Ok(bytes) = self.bytes_after(change) else { return false };
        self.bytes = bytes;
        match &change.value {
            Some(value) => self.entries.insert(change.path.clone(), value.clone()),
            None => self.entries.remove(&change.path),
        };
        true
    }

    /// How many bytes there are after a change, where it keeps within the limits.
    pub(crate) fn bytes_after(&self, change: &MemoryChange) -> Result<usize, EvalError> {
        let old = self.entries.get(&change.path);
        let without = self.bytes - old.map_or(0, |value| cost(&change.path, value));
        let Some(value) = &change.value else { return Ok(without) };
        if matches!(value, MemoryValue::Text(text) if text.len() > MAX_TEXT) {
            return Err(EvalError::TextTooLong { limit: MAX_TEXT });
        }
        let keys = change.path.len();
        if keys == 0 || keys > MAX_KEYS || change.path.iter().any(|key| key.len() > MAX_KEY) {
            return Err(EvalError::KeyTooLong { limit: MAX_KEY });
        }
        let bytes = without + cost(&change.path, value);
        let entries = self.entries.len() + usize::from(old.is_none());
        if entries > MAX_ENTRIES || bytes > MAX_BYTES {
            return Err(EvalError::MemoryFull);
        }
        Ok(bytes)
    }

    /// All entries, ordered by their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&[String], &MemoryValue)> + '_ {
        self.entries.iter().map(|(path, value)| (path.as_slice(), value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn cost(path: &[String], value: &MemoryValue) -> usize {
    const EACH: usize = 32;
    let text = match value {
        MemoryValue::Number(_) => 0,
        MemoryValue::Text(text) => text.len(),
    };
    path.iter().map(|key| key.len() + EACH).sum::<usize>() + text + EACH
}
