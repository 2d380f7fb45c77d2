//! Disks that are full or read-only, for real: a small one mounted in a namespace of our own.

use std::process::Command;

use super::*;
use crate::testing::is_inside;

/// Over the folder for temporary files, where everybody has one and may write.
fn mount(options: &str) {
    let mount = ["-t", "tmpfs", "-o", options, "tmpfs"];
    let mounted = Command::new("mount").args(mount).arg(std::env::temp_dir()).status().unwrap();
    assert!(mounted.success(), "this test needs to mount a tmpfs: {options}");
}

/// Refused as long as there is no room, whole as ever, and at work again once there is.
#[test]
fn a_full_disk_loses_nothing() {
    if !is_inside("store::tests::disk::a_full_disk_loses_nothing", "-Urm") {
        return;
    }
    mount("size=512k");
    let folder = folder();
    let dir = folder.path().join("state");
    let (mut store, mut expected) = open(&dir);
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![0; 128 * 1024]).unwrap();

    let mut number = 0;
    let mut append = |store: &mut Store, expected: &mut Ledger| {
        number += 1;
        let changes = [
            Change::Scheduled(Order {
                id: OrderId(number),
                action: "x".repeat(3000),
                ..order(7, shell("true"))
            }),
            remembered(&["count"], Some(MemoryValue::Number(1.0))),
        ];
        let result = store.append(&changes);
        if result.is_ok() {
            changes.iter().for_each(|change| expected.apply(change));
        }
        result
    };
    let error = loop {
        if let Err(error) = append(&mut store, &mut expected) {
            break error;
        }
    };
    assert!(matches!(error, StoreError::NoRoom { .. }), "{error:?}");
    assert!(error.to_string().contains("no room left on the disk of"), "{error}");
    for _ in 0..3 {
        append(&mut store, &mut expected).unwrap_err();
    }
    assert!(expected.orders().count() > 10);

    // As after a crash: the log still holds most of it, and there is no room to sort it in.
    let log = fs::read(dir.join("knockdaemon.db-wal")).unwrap();
    let database = fs::read(dir.join("knockdaemon.db")).unwrap();
    drop(store);
    fs::write(dir.join("knockdaemon.db-wal"), log).unwrap();
    fs::write(dir.join("knockdaemon.db"), database).unwrap();
    fs::remove_file(&ballast).unwrap();
    let (mut store, ledger) = open(&dir);
    assert_eq!(told(&ledger), told(&expected));
    append(&mut store, &mut expected).unwrap();
    drop(store);
    assert_eq!(told(&open(&dir).1), told(&expected));
}

#[test]
fn a_store_can_be_read_on_a_full_disk() {
    if !is_inside("store::tests::disk::a_store_can_be_read_on_a_full_disk", "-Urm") {
        return;
    }
    mount("size=512k");
    let folder = folder();
    let dir = folder.path().join("state");
    let (mut store, mut expected) = open(&dir);
    store.append(&changes()).unwrap();
    changes().iter().for_each(|change| expected.apply(change));
    drop(store);
    // SQLite's shared index is 32 KiB and cannot be done without.
    let fill = "exec 2>/dev/null; dd if=/dev/zero of=\"$0\" bs=1024; truncate -s -48K \"$0\"";
    Command::new("sh").args(["-c", fill]).arg(folder.path().join("ballast")).status().unwrap();
    let (mut store, ledger) = open(&dir);
    assert_eq!(told(&ledger), told(&expected));
    let order = Order { action: "x".repeat(100_000), ..order(50, shell("true")) };
    assert!(matches!(store.append(&[Change::Scheduled(order)]), Err(StoreError::NoRoom { .. })));
    // What is small may still fit: a closing is struck out.
    store.append(&[Change::Finished(OrderId(1))]).unwrap();
}

#[test]
fn a_read_only_folder_is_named() {
    if !is_inside("store::tests::disk::a_read_only_folder_is_named", "-Urm") {
        return;
    }
    mount("size=1m");
    let folder = folder();
    let dir = folder.path().join("state");
    let check = |path: &str| {
        let said = Store::open(&dir).unwrap_err().to_string();
        let path = folder.path().join(path);
        assert!(said.contains(&path.display().to_string()), "{said}");
        assert!(said.contains("Read-only file system") && said.contains("'statedir'"), "{said}");
    };
    mount("remount,ro");
    check("state");
    mount("remount,rw");
    drop(open(&dir));
    mount("remount,ro");
    check("state/lock");
}

/// What is open stays writable then, and is the same file: neither lost nor taken for another.
#[test]
fn a_folder_that_becomes_read_only_while_in_use_loses_nothing() {
    let name = "store::tests::disk::a_folder_that_becomes_read_only_while_in_use_loses_nothing";
    if !is_inside(name, "-Urm") {
        return;
    }
    mount("size=1m");
    let folder = folder();
    let dir = folder.path().join("state");
    let (mut store, mut expected) = open(&dir);
    for options in ["bind", "remount,bind,ro"] {
        let mounted = Command::new("mount").args(["-o", options]).args([&dir, &dir]).status();
        assert!(mounted.unwrap().success(), "this test needs to mount a folder: {options}");
    }
    fs::write(dir.join("probe"), "").unwrap_err();
    for change in changes() {
        store.append(std::slice::from_ref(&change)).unwrap();
        expected.apply(&change);
    }
    drop(store);
    assert!(Store::open(&dir).unwrap_err().to_string().contains("Read-only file system"));
    assert!(Command::new("umount").arg(&dir).status().unwrap().success());
    assert_eq!(told(&open(&dir).1), told(&expected));
}
