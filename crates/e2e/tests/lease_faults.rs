//! Leases when the disk is full or fails, or the store is damaged or locked: nothing is opened that could not
//! be closed, what is open closes, and it goes on when the fault is over. With templates: `faults.rs`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;

use knock_e2e::held::Held;
use knock_e2e::process::{PATIENCE, Running};
use knock_e2e::written::CLIENT;
use rusqlite::Connection;
use rustix::process::Signal;

/// Where it makes a difference whether the kernel keeps the time or a rule has to be taken out.
const WAYS: [&str; 2] = ["nftables", "iptables"];

fn end(mut daemon: Running, signal: Signal) {
    daemon.signal(signal).unwrap();
    daemon.await_end().unwrap();
}

#[test]
#[ignore = "needs root: sudo make test"]
fn with_a_full_disk_nobody_is_let_in_and_who_is_in_goes_out() {
    for kind in WAYS {
        let mut held = Held::new(kind).unwrap();
        let state = held.log.path("state").display().to_string();
        fs::create_dir(&state).unwrap();
        let disk = format!("mount -t tmpfs -o size=512k,mode=700 tmpfs {state}");
        held.machine.on(&disk).unwrap();
        let daemon = held.start().unwrap();
        held.log.knock(1).unwrap();
        held.log.knock(2).unwrap();
        daemon.await_lines("done: open tcp port", 2).unwrap();
        // To the last byte, and dd complains of it.
        held.machine.on(&format!("dd if=/dev/zero of={state}/ballast bs=4k")).unwrap_err();

        held.log.knock(3).unwrap();
        let said = daemon.await_line("knock refused, it cannot be kept on disk").unwrap();
        assert!(said.contains("no room left on the disk of") && said.contains(&state), "{said}");
        assert!(!held.lets_in(2223).unwrap(), "{kind}");
        // By its time, and by somebody's word.
        held.await_open(2222, false, &daemon).unwrap();
        held.ask(&["revoke", "--all"]).unwrap();
        held.await_open(22, false, &daemon).unwrap();

        held.machine.on(&format!("rm {state}/ballast")).unwrap();
        daemon.await_line("what could not be kept on disk now is").unwrap();
        held.log.knock(3).unwrap();
        held.await_open(2223, true, &daemon).unwrap();
        end(daemon, Signal::TERM);
        let daemon = held.start().unwrap();
        let leases = held.ask(&["leases"]).unwrap().1;
        assert!(leases.contains("2223/tcp"), "{kind}: {leases}");
        assert_eq!(leases.matches("/tcp").count(), 1, "{kind}: {leases}");
        held.await_open(22, false, &daemon).unwrap();
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_folder_that_cannot_be_written_stops_the_start_and_the_kernel_keeps_the_time() {
    for kind in WAYS {
        let mut held = Held::new(kind).unwrap();
        let daemon = held.start().unwrap();
        held.log.knock(1).unwrap();
        daemon.await_line("done: open tcp port 22").unwrap();
        end(daemon, Signal::KILL);
        let state = held.log.path("state").display().to_string();
        held.machine.on(&format!("mount --bind {state} {state}")).unwrap();
        held.machine.on(&format!("mount -o remount,bind,ro {state}")).unwrap();
        let error = held.start().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("Read-only file system") && error.contains(&state), "{error}");
        let listed = held.listed().unwrap();
        let line = listed.lines().find(|line| line.contains(CLIENT)).unwrap();
        assert!(line.contains("expires") || line.contains("--datestop"), "{kind}: {line}");
        held.machine.on(&format!("mount -o remount,bind,rw {state}")).unwrap();
        let daemon = held.start().unwrap();
        assert!(held.ask(&["leases"]).unwrap().1.contains(CLIENT), "{kind}");
        held.ask(&["revoke", "--all"]).unwrap();
        held.await_open(22, false, &daemon).unwrap();
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn what_a_damaged_store_has_forgotten_is_closed() {
    for kind in WAYS {
        let mut held = Held::new(kind).unwrap();
        let daemon = held.start().unwrap();
        held.log.knock(1).unwrap();
        daemon.await_line("done: open tcp port 22").unwrap();
        // Cleanly, so that nothing is left in SQLite's log, which would mend it.
        end(daemon, Signal::TERM);
        assert!(held.lets_in(22).unwrap(), "{kind}");
        let database = held.log.path("state/knockdaemon.db");
        let mut bytes = fs::read(&database).unwrap();
        bytes.iter_mut().skip(100).for_each(|byte| *byte ^= 0x55);
        fs::write(&database, bytes).unwrap();

        let daemon = held.start().unwrap();
        daemon.await_line("is damaged").unwrap();
        daemon.await_line("open without a lease, it is closed").unwrap();
        held.await_open(22, false, &daemon).unwrap();
        held.log.knock(1).unwrap();
        held.await_open(22, true, &daemon).unwrap();
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_store_that_somebody_else_has_locked_lets_nobody_in_until_it_is_free() {
    let mut held = Held::new("nftables").unwrap();
    let daemon = held.start().unwrap();
    held.log.knock(1).unwrap();
    daemon.await_line("done: open tcp port 22").unwrap();
    let admin = Connection::open(held.log.path("state/knockdaemon.db")).unwrap();
    admin.busy_timeout(PATIENCE).unwrap();
    admin.execute_batch("BEGIN IMMEDIATE").unwrap();
    held.log.knock(3).unwrap();
    let said = daemon.await_line("knock refused, it cannot be kept on disk").unwrap();
    assert!(said.contains("database is locked"), "{said}");
    assert!(!held.lets_in(2223).unwrap());
    admin.execute_batch("ROLLBACK").unwrap();
    held.log.knock(3).unwrap();
    held.await_open(2223, true, &daemon).unwrap();
}
