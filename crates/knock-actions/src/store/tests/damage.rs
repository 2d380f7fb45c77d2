//! Stores that are not what was written: believed as a whole or not at all.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::*;

const DATABASE: &str = "knockdaemon.db";

fn names(dir: &Path) -> BTreeSet<OsString> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

fn filled() -> TempDir {
    let folder = folder();
    open(folder.path()).0.append(&changes()).unwrap();
    folder
}

/// Set aside with this in the notice, and empty then.
fn check_set_aside(dir: &Path, number: u32, has: &str) {
    let before = fs::read(dir.join(DATABASE)).unwrap();
    let (mut store, ledger, notices) = Store::open(dir).unwrap();
    assert_eq!(told(&ledger), told(&Ledger::new()));
    let aside = dir.join(format!("{DATABASE}.damaged-{number}"));
    let Some(notice @ StoreNotice::SetAside { to, what, .. }) = notices.last() else {
        panic!("{notices:?}")
    };
    assert!(*to == aside && what.contains(has), "{notice}");
    assert_eq!(fs::read(aside).unwrap(), before);
    store.append(&changes()).unwrap();
    drop(store);
    assert_eq!(open(dir).1.orders().count(), 4);
}

#[test]
fn what_is_no_database_is_set_aside() {
    let folder = folder();
    fs::create_dir_all(folder.path()).unwrap();
    let write = |bytes: &[u8]| fs::write(folder.path().join(DATABASE), bytes).unwrap();
    write(b"hello");
    check_set_aside(folder.path(), 1, "its head cannot be read");
    write(&[0; 8192]);
    check_set_aside(folder.path(), 2, "it is no database");
    write(&[MAGIC, &[0; 4096]].concat());
    check_set_aside(folder.path(), 3, "not in the form");
    write(&[MAGIC, &[16, 0, 2, 2], &[0; 4096]].concat());
    check_set_aside(folder.path(), 4, "not a database");
}

const MAGIC: &[u8] = b"SQLite format 3\0";

#[test]
fn somebody_elses_tables_are_set_aside() {
    let folder = folder();
    let other = Connection::open(folder.path().join(DATABASE)).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE agenda (id); ").unwrap();
    other.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(other);
    check_set_aside(folder.path(), 1, "something else");
}

#[test]
fn an_edited_row_is_not_believed() {
    for edit in [
        "UPDATE agenda SET command = 'rm -r /' WHERE id = 1",
        "UPDATE agenda SET due_ns = due_ns + 1 WHERE id = 1",
        "UPDATE agenda SET client = '192.0.2.8' WHERE id = 1",
        "UPDATE agenda SET id = 6 WHERE id = 1",
        "UPDATE memory SET number = 8 WHERE number = 7",
        "UPDATE memory SET number = NULL, text = '7.0' WHERE number = 7",
        "UPDATE greatest SET id = 0",
        "UPDATE anchor SET began_ns = began_ns + 1",
        "UPDATE leases SET until_ns = until_ns + 1",
        "UPDATE leases SET until_ns = NULL WHERE id = 12",
        "UPDATE leases SET opening = 'tcp port 22 to 0.0.0.0/0' WHERE id = 13",
        "UPDATE leases SET state = 'open' WHERE id = 11",
        "UPDATE leases SET id = 15 WHERE id = 13",
        "UPDATE spent SET accepted_ns = accepted_ns + 1 WHERE accepted_ns = 6000000000",
        "UPDATE spent SET digest = zeroblob(31) WHERE accepted_ns = 6000000000",
        "UPDATE spent SET digest = randomblob(32) WHERE accepted_ns = 6000000000",
        "ALTER TABLE memory ADD COLUMN more TEXT",
    ] {
        let folder = filled();
        let admin = Connection::open(folder.path().join(DATABASE)).unwrap();
        admin.execute_batch(edit).unwrap();
        drop(admin);
        check_set_aside(folder.path(), 1, "what");
    }
}

/// Not damaged, only unknown: an agenda must survive that the old version was started by mistake.
#[test]
fn a_newer_version_is_left_as_it_is() {
    let folder = filled();
    let newer = Connection::open(folder.path().join(DATABASE)).unwrap();
    newer.execute_batch("CREATE TABLE more (id); PRAGMA user_version = 99").unwrap();
    drop(newer);
    let before = (names(folder.path()), fs::read(folder.path().join(DATABASE)).unwrap());
    let said = Store::open(folder.path()).unwrap_err().to_string();
    assert!(said.contains("newer knockdaemon (tables of version 99, this one knows"), "{said}");
    assert_eq!((names(folder.path()), fs::read(folder.path().join(DATABASE)).unwrap()), before);
}

#[test]
fn damaged_stores_do_not_pile_up_for_ever() {
    let folder = folder();
    for number in 1..=99 {
        fs::write(folder.path().join(format!("{DATABASE}.damaged-{number}")), "").unwrap();
    }
    fs::write(folder.path().join(DATABASE), "hello").unwrap();
    let said = Store::open(folder.path()).unwrap_err().to_string();
    assert!(said.contains("full of damaged stores"), "{said}");
    assert_eq!(fs::read(folder.path().join(DATABASE)).unwrap(), b"hello");
}

/// One byte of the file is another one: either that byte means nothing, or nothing is believed.
#[test]
fn a_byte_that_turned_is_seen_wherever_it_is() {
    let source = filled();
    let good = fs::read(source.path().join(DATABASE)).unwrap();
    let (whole, empty) = (told(&open(source.path()).1), told(&Ledger::new()));
    let folder = quick_folder();
    let (mut tried, mut seen) = (0, 0);
    // Most of the file is unused zeroes; what is not comes whole, of the zeroes a few.
    let places = good.iter().enumerate().filter(|(at, byte)| **byte != 0 || at % 61 == 0);
    for (at, byte) in places.step_by(STEP) {
        tried += 1;
        let turned = [byte ^ 1, byte ^ 0x80, byte ^ 0xff];
        let mut bytes = good.clone();
        bytes[at] = turned[(at / STEP) % turned.len()];
        replace(folder.path(), &[(DATABASE, &bytes)]);
        match Store::open(folder.path()) {
            Ok((_, ledger, notices)) if notices.is_empty() => {
                assert_eq!(told(&ledger), whole, "byte {at}");
            }
            Ok((_, ledger, _)) => {
                assert_eq!(told(&ledger), empty, "byte {at}");
                seen += 1;
            }
            // The byte that holds the version.
            Err(StoreError::Newer { .. }) => seen += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(seen > tried / 2, "{seen} of {tried}");
}

/// All bytes take some seconds, and have been tried.
const STEP: usize = 3;

/// Where a flush costs nothing, if there is such a place.
fn quick_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| folder())
}

#[test]
fn a_database_that_ends_too_early_is_not_believed() {
    let source = filled();
    let good = fs::read(source.path().join(DATABASE)).unwrap();
    let folder = quick_folder();
    for len in (0..good.len()).step_by(253) {
        // As a daemon leaves a folder.
        replace(folder.path(), &[(DATABASE, &good[..len]), ("lock", b"1")]);
        let (_, ledger, notices) = Store::open(folder.path()).unwrap();
        assert_eq!(told(&ledger), told(&Ledger::new()), "{len} bytes");
        assert_eq!(notices.len(), 1, "{len} bytes");
    }
}

/// What a crash or a power cut leaves of the write-ahead log: everything up to some append, and of
/// the rest nothing.
#[test]
fn a_log_that_ends_or_turns_anywhere_gives_a_state_that_was() {
    let source = folder();
    let (mut store, mut ledger) = open(source.path());
    let mut states = vec![told(&ledger)];
    for changes in changes().chunks(3) {
        store.append(changes).unwrap();
        changes.iter().for_each(|change| ledger.apply(change));
        states.push(told(&ledger));
    }
    let read = |name: &str| fs::read(source.path().join(name)).unwrap();
    let (database, log) = (read(DATABASE), read("knockdaemon.db-wal"));
    let folder = quick_folder();
    let check = |log: &[u8], place: String| {
        replace(folder.path(), &[(DATABASE, &database), ("knockdaemon.db-wal", log)]);
        let ledger = open(folder.path()).1;
        states
            .iter()
            .rposition(|state| *state == told(&ledger))
            .unwrap_or_else(|| panic!("{place}"))
    };
    let mut reached = 0;
    for len in (0..log.len()).step_by(1030).chain([log.len()]) {
        let state = check(&log[..len], format!("{len} bytes"));
        assert!(state >= reached, "{len} bytes of log are less than fewer");
        reached = state;
    }
    assert_eq!(reached, states.len() - 1);
    for at in (0..log.len()).step_by(509) {
        let mut log = log.clone();
        log[at] ^= 0x20;
        check(&log, format!("byte {at}"));
    }
}

/// Leaves these files in a folder and no others.
fn replace(dir: &Path, files: &[(&str, &[u8])]) {
    for entry in fs::read_dir(dir).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}
