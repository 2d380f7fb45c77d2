//! The readable copy of the state variable beside the store: which of the two is right at the start,
//! and when the copy is written. A knock never waits for it or fails by it: the store has all.

use std::path::PathBuf;

use knock_actions::{FoundState, StateFile, StoreError};
use knock_engine::{Change, Ledger};
use knock_rules::{Memory, MemoryChange};

use super::durable::Durable;

/// The copy, if there is to be one.
#[derive(Debug, Default)]
pub(crate) struct StateCopy {
    file: Option<StateFile>,
    /// Whether the store has what the file has not.
    behind: bool,
    /// Whether the last try to write failed, which is said once.
    failing: bool,
}

impl StateCopy {
    /// Reads the file and takes over into the store what the store does not have: what somebody has
    /// edited, and what an older or a new store has never seen.
    ///
    /// # Errors
    /// When the store cannot take it.
    pub(crate) fn start(
        path: Option<PathBuf>,
        durable: &mut Durable,
        ledger: &mut Ledger,
    ) -> Result<Self, StoreError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let mut file = StateFile::new(path);
        let found = match file.read() {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(
                    "{error}; it is left alone, and the state is kept in statedir only"
                );
                return Ok(Self::default());
            }
        };
        let statefile = file.path().display();
        let mut behind = true;
        match found {
            FoundState::Nothing => {}
            FoundState::Damaged(moved) => {
                tracing::error!("{moved}; the state is what statedir has");
            }
            FoundState::Written { generation, memory } => {
                if generation > durable.generation() {
                    take_over(&memory, generation, durable, ledger)?;
                    tracing::warn!(%statefile, entries = memory.len(), "statedir knows less than the statefile, which is taken over");
                } else {
                    behind = generation != durable.generation();
                }
            }
            FoundState::Edited { generation, memory } => {
                take_over(&memory, generation, durable, ledger)?;
                tracing::info!(%statefile, entries = memory.len(), "the statefile was edited and is taken over");
            }
        }
        Ok(Self { file: Some(file), behind, failing: false })
    }

    /// After a reload: the state goes on into this file, and is not read from it.
    pub(crate) fn move_to(&mut self, path: Option<PathBuf>) {
        if self.file.as_ref().map(StateFile::path) != path.as_deref() {
            let behind = path.is_some();
            *self = Self { file: path.map(StateFile::new), behind, failing: false };
        }
    }

    /// A knock has changed the state variable.
    pub(crate) fn note(&mut self, changes: &[Change]) {
        self.behind |= changes.iter().any(|change| matches!(change, Change::Remembered(_)));
    }

    /// Writes the file, if anything has changed since.
    pub(crate) fn write(&mut self, memory: &Memory, generation: u64) {
        let Some(file) = self.file.as_mut().filter(|_| self.behind) else { return };
        // Not tried again before the next change: a full disk would be asked at every turn.
        self.behind = false;
        match file.write(memory, generation) {
            Ok(moved) => {
                if let Some(moved) = moved {
                    tracing::warn!(
                        "{moved}; while the daemon runs, changes in it are not taken over"
                    );
                }
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the statefile could be written again");
                }
            }
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!("{error}; knocks are answered, and the state is kept in statedir");
            }
            Err(_) => {}
        }
    }

    /// A last try, where the one before failed.
    pub(crate) fn close(&mut self, memory: &Memory, generation: u64) {
        self.behind |= self.failing;
        self.write(memory, generation);
    }
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
    let gone = old.iter().filter(|(path, _)| memory.get(path).is_none());
    // What goes makes room for what comes.
    let mut changes: Vec<Change> = gone.map(|(path, _)| change(path, None)).collect();
    let new = memory.iter().filter(|(path, value)| old.get(path) != Some(value));
    changes.extend(new.map(|(path, value)| change(path, Some(value.clone()))));
    durable.take_over(&changes, generation)?;
    changes.iter().for_each(|change| ledger.apply(change));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use knock_actions::Store;
    use knock_rules::MemoryValue;

    use super::*;

    /// One life of the daemon, as far as the state variable goes.
    struct Life {
        durable: Durable,
        ledger: Ledger,
        copy: StateCopy,
    }

    impl Life {
        fn start(folder: &Path) -> Self {
            let (store, mut ledger, _) = Store::open(&folder.join("state")).unwrap();
            let mut durable = Durable::new(store);
            let path = Some(folder.join("state.json"));
            let copy = StateCopy::start(path, &mut durable, &mut ledger).unwrap();
            let mut life = Self { durable, ledger, copy };
            life.turn();
            life
        }

        /// Durable, but not in the file yet.
        fn set(&mut self, key: &str, value: Option<f64>) {
            let value = value.map(MemoryValue::Number);
            let change = MemoryChange { path: vec![key.to_owned()], value };
            let changes = [Change::Remembered(change)];
            self.durable.append(&changes).unwrap();
            self.ledger.apply(&changes[0]);
            self.copy.note(&changes);
        }

        fn turn(&mut self) {
            self.copy.write(self.ledger.memory(), self.durable.generation());
        }

        fn told(&self) -> String {
            let tell =
                |(path, value): (&[String], &MemoryValue)| format!("{}={value}", path.join(","));
            self.ledger.memory().iter().map(tell).collect::<Vec<_>>().join(" ")
        }
    }

    fn edit(folder: &Path, from: &str, to: &str) {
        let path = folder.join("state.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
    }

    #[test]
    fn an_edit_between_two_lives_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut life = Life::start(folder);
        life.set("visits", Some(3.0));
        life.set("blocked", Some(1.0));
        life.turn();
        drop(life);
        edit(folder, "\"visits\": 3", "\"visits\": 0, \"guest\": 7");
        edit(folder, "  \"blocked\": 1,\n", "");
        let mut life = Life::start(folder);
        assert_eq!(life.told(), "guest=7 visits=0");
        life.set("visits", Some(1.0));
        life.turn();
        drop(life);
        assert_eq!(Life::start(folder).told(), "guest=7 visits=1");
        // It is in the store, and not in the file only.
        fs::remove_file(folder.join("state.json")).unwrap();
        assert_eq!(Life::start(folder).told(), "guest=7 visits=1");
        assert!(folder.join("state.json").exists());
    }

    /// Killed after the store has it and before the file has it: no ticket is good twice.
    #[test]
    fn a_file_that_fell_behind_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut life = Life::start(folder);
        life.set("ticket", Some(1.0));
        life.turn();
        life.set("ticket", None);
        life.set("used", Some(1.0));
        drop(life);
        assert_eq!(Life::start(folder).told(), "used=1");
        drop(Life::start(folder));
        assert!(!fs::read_to_string(folder.join("state.json")).unwrap().contains("ticket"));
    }

    #[test]
    fn a_store_that_was_lost_gets_the_state_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut life = Life::start(folder);
        life.set("visits", Some(1.0));
        life.set("visits", Some(2.0));
        life.turn();
        drop(life);
        fs::remove_dir_all(folder.join("state")).unwrap();
        let mut life = Life::start(folder);
        assert_eq!(life.told(), "visits=2");
        // From here on the new store is the newer one, also where the file cannot be written.
        life.copy = StateCopy::default();
        life.set("visits", Some(3.0));
        drop(life);
        assert_eq!(Life::start(folder).told(), "visits=3");
    }

    #[test]
    fn a_damaged_file_changes_nothing_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut life = Life::start(folder);
        life.set("visits", Some(1.0));
        life.turn();
        drop(life);
        edit(folder, "}", "");
        assert_eq!(Life::start(folder).told(), "visits=1");
        let kept = fs::read_to_string(folder.join("state.json.damaged-1")).unwrap();
        assert!(kept.contains("\"visits\": 1"));
        assert!(fs::read_to_string(folder.join("state.json")).unwrap().contains("\"visits\": 1"));
    }

    #[test]
    fn a_reload_moves_on_to_another_file_and_writes_nothing_over() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut life = Life::start(folder);
        life.set("visits", Some(1.0));
        let other = folder.join("other.json");
        fs::write(&other, "{\"visits\": 9}").unwrap();
        life.copy.move_to(Some(other.clone()));
        life.turn();
        assert_eq!(life.told(), "visits=1");
        assert!(fs::read_to_string(&other).unwrap().contains("\"visits\": 1"));
        let aside = fs::read_to_string(folder.join("other.json.edited-1")).unwrap();
        assert_eq!(aside, "{\"visits\": 9}");
        life.copy.move_to(None);
        life.set("visits", Some(2.0));
        life.turn();
        assert!(fs::read_to_string(&other).unwrap().contains("\"visits\": 1"));
    }

    /// Knocks that change nothing write nothing.
    #[test]
    fn only_a_change_of_the_state_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut life = Life::start(folder);
        let file = folder.join("state.json");
        fs::remove_file(&file).unwrap();
        life.copy.note(&[Change::Finished(knock_engine::OrderId(1))]);
        life.turn();
        assert!(!file.exists());
        life.set("visits", Some(1.0));
        life.turn();
        assert!(file.exists());
    }
}
