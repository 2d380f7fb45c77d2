//! The readable copy of the state variable beside the store: which of the two is right at the start,
//! and when the copy is written. Nobody waits for it or fails by it: the store has all.

mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use knock_actions::{FoundState, StateFile, StoreError};
use knock_engine::{Change, Ledger};
use knock_rules::{Memory, MemoryChange};

use self::writer::Writer;
use super::durable::Durable;

/// The copy, if there is to be one.
#[derive(Debug, Default)]
pub(crate) struct StateCopy {
    path: Option<PathBuf>,
    /// None also for a file that must be left alone.
    writer: Option<Writer>,
    /// Whether the store has what the writer was not given.
    behind: bool,
}

impl StateCopy {
    /// Reads the file and takes over into the store what the store does not have: what somebody has
    /// edited, and what an older or a new store has never seen. Where either fails, the file is left
    /// alone until the next start: closings wait in the agenda, and matter more than a copy.
    pub(crate) fn start(path: Option<PathBuf>, durable: &mut Durable, ledger: &mut Ledger) -> Self {
        let Some(path) = path else { return Self::default() };
        let mut file = StateFile::new(path.clone());
        let left_alone = Self { path: Some(path), ..Self::default() };
        let found = match file.read() {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(
                    "{error}; it is left alone, and the state is kept in statedir only"
                );
                return left_alone;
            }
        };
        let statefile = file.path().display().to_string();
        let stored = durable.generation();
        let mut take_over = |memory: &Memory, generation| {
            take_over(memory, generation, durable, ledger).inspect_err(|error| {
                tracing::error!(
                    statefile,
                    "what the statefile has cannot be taken over; it is left alone, and the state \
                     is what statedir has: {error}"
                );
            })
        };
        let mut behind = true;
        match found {
            FoundState::Nothing => {}
            FoundState::Damaged(moved) => {
                tracing::error!("{moved}; the state is what statedir has");
            }
            FoundState::Written { generation, memory } => {
                if generation > stored {
                    if take_over(&memory, generation).is_err() {
                        return left_alone;
                    }
                    tracing::warn!(
                        statefile,
                        entries = memory.len(),
                        "statedir knows less than the statefile, which is taken over"
                    );
                } else {
                    behind = generation != stored;
                }
            }
            FoundState::Edited { generation, memory } => {
                if take_over(&memory, generation).is_err() {
                    return left_alone;
                }
                tracing::info!(
                    statefile,
                    entries = memory.len(),
                    "the statefile was edited and is taken over"
                );
            }
        }
        Self { writer: writer(file), behind, ..left_alone }
    }

    /// After a reload: the state goes on into this file, and is not read from it.
    pub(crate) fn move_to(&mut self, path: Option<PathBuf>) {
        if self.path != path {
            let behind = path.is_some();
            let writer = path.clone().map(StateFile::new).and_then(writer);
            *self = Self { path, writer, behind };
        }
    }

    /// A knock has changed the state variable.
    pub(crate) fn note(&mut self, changes: &[Change]) {
        self.behind |= changes.iter().any(|change| matches!(change, Change::Remembered(_)));
    }

    /// Has the file written, if anything has changed since. Does not wait for it.
    pub(crate) fn write(&mut self, memory: &Memory, generation: u64) {
        if let Some(writer) = self.writer.as_ref().filter(|_| self.behind) {
            self.behind = false;
            writer.give(memory.clone(), generation);
        }
    }

    /// A last try, also where the one before failed. Waits for it, for so long at most.
    pub(crate) fn close(mut self, memory: &Memory, generation: u64, limit: Duration) {
        let Some(writer) = &self.writer else { return };
        self.behind |= writer.is_failing();
        self.write(memory, generation);
        if let (Some(writer), Some(path)) = (&self.writer, &self.path)
            && !writer.settle(limit)
        {
            tracing::warn!(
                statefile = %path.display(),
                "the statefile is still being written; what it lacks is in statedir"
            );
        }
    }
}

/// A copy that nobody can write is no reason not to run.
fn writer(file: StateFile) -> Option<Writer> {
    let path: &Path = file.path();
    let name = path.display().to_string();
    Writer::start(file)
        .inspect_err(|error| tracing::error!(statefile = name, "no thread to write it: {error}"))
        .ok()
}

/// Makes the state variable what the file says.
fn take_over(
    memory: &Memory,
    generation: u64,
    durable: &mut Durable,
    ledger: &mut Ledger,
) -> Result<(), StoreError> {
    let old = ledger.memory();
    let change =
        |path: &[String], value| Change::Remembered(MemoryChange { path: path.to_vec(), value });
    // All that goes makes room before anything comes: what would not fit on the way is left out.
    let gone = old.iter().filter(|(path, value)| memory.get(path) != Some(value));
    let mut changes: Vec<Change> = gone.map(|(path, _)| change(path, None)).collect();
    let new = memory.iter().filter(|(path, value)| old.get(path) != Some(value));
    changes.extend(new.map(|(path, value)| change(path, Some(value.clone()))));
    durable.take_over(&changes, generation)?;
    changes.iter().for_each(|change| ledger.apply(change));
    Ok(())
}

#[cfg(test)]
mod tests;
