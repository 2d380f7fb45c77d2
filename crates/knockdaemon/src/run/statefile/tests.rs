//! Lives of the daemon in a row, as far as the state variable goes.

use std::fs;
use std::path::Path;

use knock_actions::Store;
use knock_rules::MemoryValue;

use super::*;

const LONG: Duration = Duration::from_secs(60);

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
        let copy = StateCopy::start(path, &mut durable, &mut ledger);
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
        assert!(self.copy.writer.as_ref().is_none_or(|writer| writer.settle(LONG)));
    }

    fn told(&self) -> String {
        let tell = |(path, value): (&[String], &MemoryValue)| format!("{}={value}", path.join(","));
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

/// Closings may wait in the agenda: a full disk must not keep the daemon from starting.
#[test]
fn an_edit_that_cannot_be_kept_is_left_for_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut life = Life::start(folder);
    life.set("visits", Some(3.0));
    life.turn();
    drop(life);
    edit(folder, "\"visits\": 3", "\"visits\": 7");
    let edited = fs::read_to_string(folder.join("state.json")).unwrap();

    let (store, mut ledger, _) = Store::open(&folder.join("state")).unwrap();
    let mut durable = Durable::new(store);
    let (database, aside) = (folder.join("state/knockdaemon.db"), folder.join("aside"));
    fs::rename(&database, &aside).unwrap();
    let path = Some(folder.join("state.json"));
    let copy = StateCopy::start(path.clone(), &mut durable, &mut ledger);
    fs::rename(&aside, &database).unwrap();
    let mut life = Life { durable, ledger, copy };
    assert_eq!(life.told(), "visits=3");
    // Neither a knock nor a reload of the same configuration touches it.
    life.set("visits", Some(4.0));
    life.copy.move_to(path);
    life.turn();
    assert_eq!(fs::read_to_string(folder.join("state.json")).unwrap(), edited);
    drop(life);
    assert_eq!(Life::start(folder).told(), "visits=7");
}

/// Near the limit an edit fits as a whole, or nothing would: one entry grows before another
/// shrinks.
#[test]
fn an_edit_of_a_full_state_is_taken_over_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life::start(folder.path());
    let set = |memory: &mut Memory, key: String, text: String| {
        memory.apply(&MemoryChange { path: vec![key], value: Some(MemoryValue::Text(text)) })
    };
    let fill = |first: &str, last: &str| {
        let mut memory = Memory::new();
        set(&mut memory, "a".to_owned(), first.repeat(4000));
        set(&mut memory, "z".to_owned(), last.repeat(4000));
        let mut number = 0;
        while set(&mut memory, format!("m{number}"), "x".repeat(4000)) {
            number += 1;
        }
        memory
    };
    let Life { durable, ledger, .. } = &mut life;
    take_over(&fill("", "z"), 1, durable, ledger).unwrap();
    let edited = fill("a", "");
    take_over(&edited, 2, durable, ledger).unwrap();
    assert!(*ledger.memory() == edited);
}
