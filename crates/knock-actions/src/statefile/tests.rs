//! Files as an admin or a crash leaves them, and disks that are full or read-only for real.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use knock_rules::{MemoryChange, MemoryValue};
use tempfile::TempDir;

use super::*;
use crate::testing::is_inside;

struct Stage {
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }

    fn file(&self) -> StateFile {
        StateFile::new(self.path())
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|it| name(it).into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }
}

fn visits(number: f64) -> Memory {
    let mut memory = Memory::new();
    let path = vec!["192.0.2.7".to_owned(), "visits".to_owned()];
    assert!(memory.apply(&MemoryChange { path, value: Some(MemoryValue::Number(number)) }));
    memory
}

#[test]
fn what_was_written_is_read() {
    let stage = Stage::new();
    let mut file = stage.file();
    assert!(matches!(file.read().unwrap(), FoundState::Nothing));
    for generation in 1..=2 {
        assert_eq!(file.write(&visits(7.0), generation).unwrap(), None);
        let mode = fs::metadata(stage.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        match stage.file().read().unwrap() {
            FoundState::Written { generation: found, memory } => {
                assert_eq!((found, memory), (generation, visits(7.0)));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stage.names(), ["state.json"]);
}

#[test]
fn an_edited_file_is_told_from_ours() {
    let stage = Stage::new();
    stage.file().write(&visits(7.0), 3).unwrap();
    fs::write(stage.path(), stage.text().replace(": 7", ": 0")).unwrap();
    match stage.file().read().unwrap() {
        FoundState::Edited { generation, memory } => {
            assert_eq!((generation, memory), (3, visits(0.0)));
        }
        other => panic!("{other:?}"),
    }
}

/// Nothing of anybody's is written over.
#[test]
fn what_cannot_be_believed_is_moved_aside() {
    let stage = Stage::new();
    for number in 1..=2 {
        fs::write(stage.path(), "$VAR1 = {};").unwrap();
        let FoundState::Damaged(moved) = stage.file().read().unwrap() else { panic!("believed") };
        let to = stage.folder.path().join(format!("state.json.damaged-{number}"));
        assert_eq!(fs::read(&to).unwrap(), b"$VAR1 = {};");
        assert_eq!(moved.to, to);
        let said = moved.to_string();
        assert!(said.contains("is damaged (expected value at line 1 column 1)"), "{said}");
        assert!(matches!(stage.file().read().unwrap(), FoundState::Nothing));
    }
    stage.file().write(&visits(1.0), 1).unwrap();
    fs::set_permissions(stage.path(), fs::Permissions::from_mode(0o666)).unwrap();
    let FoundState::Damaged(moved) = stage.file().read().unwrap() else { panic!("believed") };
    assert!(moved.what.contains("can be written by others (mode 0666)"), "{moved}");
    for number in 4..=99 {
        fs::write(stage.folder.path().join(format!("state.json.damaged-{number}")), "").unwrap();
    }
    fs::write(stage.path(), "[]").unwrap();
    assert!(matches!(stage.file().read(), Err(StateFileError::TooManyAside { .. })));
    assert_eq!(stage.text(), "[]");
}

#[test]
fn an_edit_while_in_use_is_kept_aside() {
    let stage = Stage::new();
    let mut file = stage.file();
    file.write(&visits(1.0), 1).unwrap();
    fs::write(stage.path(), "mine").unwrap();
    let moved = file.write(&visits(2.0), 2).unwrap().unwrap();
    assert_eq!(fs::read(&moved.to).unwrap(), b"mine");
    assert!(moved.to_string().contains("was changed by somebody else"), "{moved}");
    assert_eq!(file.write(&visits(3.0), 3).unwrap(), None);
    assert_eq!(stage.names(), ["state.json", "state.json.edited-1"]);
    // One that was removed is simply written again.
    fs::remove_file(stage.path()).unwrap();
    assert_eq!(file.write(&visits(4.0), 4).unwrap(), None);
    // Of a file that was never read nobody knows whose it is.
    assert!(stage.file().write(&visits(5.0), 5).unwrap().is_some());
}

#[test]
fn links_folders_and_pipes_are_left_alone() {
    let stage = Stage::new();
    let precious = stage.folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let left_alone = || {
        assert!(matches!(stage.file().read(), Err(StateFileError::NoFile { .. })));
        let written = stage.file().write(&visits(1.0), 1);
        assert!(matches!(written, Err(StateFileError::NoFile { .. })));
    };
    symlink(&precious, stage.path()).unwrap();
    left_alone();
    fs::remove_file(stage.path()).unwrap();
    fs::create_dir(stage.path()).unwrap();
    left_alone();
    fs::remove_dir(stage.path()).unwrap();
    assert!(Command::new("mkfifo").arg(stage.path()).status().unwrap().success());
    left_alone();
    assert_eq!(stage.names(), ["precious", "state.json"]);
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}

/// What a crash leaves of a write is in nobody's way.
#[test]
fn half_a_new_file_is_replaced() {
    let stage = Stage::new();
    let precious = stage.folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, stage.folder.path().join("state.json.new")).unwrap();
    stage.file().write(&visits(1.0), 1).unwrap();
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert_eq!(stage.names(), ["precious", "state.json"]);
}

fn mount(options: &str) {
    let mount = ["-t", "tmpfs", "-o", options, "tmpfs"];
    let mounted = Command::new("mount").args(mount).arg(std::env::temp_dir()).status().unwrap();
    assert!(mounted.success(), "this test needs to mount a tmpfs: {options}");
}

#[test]
fn a_full_disk_leaves_the_file_as_it_was() {
    if !is_inside("statefile::tests::a_full_disk_leaves_the_file_as_it_was", "-Urm") {
        return;
    }
    mount("size=64k");
    let stage = Stage::new();
    let mut file = stage.file();
    file.write(&visits(1.0), 1).unwrap();
    let before = stage.text();
    let ballast = stage.folder.path().join("ballast");
    let fill = "exec 2>/dev/null; dd if=/dev/zero of=\"$0\" bs=1024";
    Command::new("sh").args(["-c", fill]).arg(&ballast).status().unwrap();
    let said = file.write(&visits(2.0), 2).unwrap_err().to_string();
    assert!(said.contains("cannot write the statefile") && said.contains("No space"), "{said}");
    assert_eq!(stage.text(), before);
    assert_eq!(stage.names(), ["ballast", "state.json"]);
    fs::remove_file(&ballast).unwrap();
    assert_eq!(file.write(&visits(2.0), 2).unwrap(), None);
    assert!(stage.text().contains(": 2"));
}

#[test]
fn a_read_only_folder_is_told() {
    if !is_inside("statefile::tests::a_read_only_folder_is_told", "-Urm") {
        return;
    }
    mount("size=64k");
    let stage = Stage::new();
    stage.file().write(&visits(1.0), 1).unwrap();
    mount("remount,ro");
    let mut file = stage.file();
    assert!(matches!(file.read().unwrap(), FoundState::Written { .. }));
    let said = file.write(&visits(2.0), 2).unwrap_err().to_string();
    assert!(said.contains("state.json") && said.contains("Read-only file system"), "{said}");
}
