//! Leases when the firewall's programs are missing, hang, or wait for a lock: who has knocked is let in once
//! they work, who is to go out goes out, and the kernel's sets wait for none of them. With templates:
//! `firewall_faults.rs`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, File};

use knock_e2e::held::Held;
use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::programs;
use rustix::fs::{FlockOperation, flock};

const WAYS: [(&str, &str); 2] = [("nftables", "nft"), ("iptables", "iptables")];

/// The order, or the look beside it, whichever comes to the program first.
fn await_hang_told(daemon: &Running) {
    let told = || daemon.lines().iter().any(|line| line.contains("did not end within"));
    assert!(await_until(PATIENCE * 2, told), "{}", daemon.lines().join("\n"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_tool_that_is_missing_is_named_and_used_once_it_is_there() {
    for (kind, _) in WAYS {
        let mut held = Held::new(kind).unwrap();
        held.machine.on("mount -t tmpfs tmpfs /usr/sbin").unwrap();
        let daemon = held.start().unwrap();
        held.log.knock(1).unwrap();
        let said = daemon.await_line("failed: open tcp port 22").unwrap();
        assert!(said.contains(&format!("install the package '{kind}'")), "{said}");
        held.machine.on("umount -l /usr/sbin").unwrap();
        held.await_open(22, true, &daemon).unwrap();

        // And to close: what the kernel's sets hold goes out without any program.
        held.machine.on("mount -t tmpfs tmpfs /usr/sbin").unwrap();
        held.ask(&["revoke", "--all"]).unwrap();
        let word = if kind == "nftables" { "done" } else { "failed" };
        daemon.await_line(&format!("{word}: close tcp port 22")).unwrap();
        held.machine.on("umount -l /usr/sbin").unwrap();
        held.await_open(22, false, &daemon).unwrap();
    }
}

/// Both at once: a program is given half a minute.
#[test]
#[ignore = "needs root: sudo make test"]
fn a_tool_that_hangs_is_ended_and_tried_again() {
    let mut all = WAYS.map(|(kind, program)| {
        let held = Held::new(kind).unwrap();
        let go = held.log.path("go");
        let hang = format!("while [ ! -e {} ]; do sleep 0.1; done; exit 1", go.display());
        let script = format!("case \"$*\" in *-S*|*version*) REAL \"$@\" ;; esac\n{hang}");
        held.machine.stand_in(program, &held.log.path(""), &script).unwrap();
        let daemon = held.start().unwrap();
        (held, daemon, go, program)
    });
    all.iter_mut().for_each(|(held, ..)| held.log.knock(1).unwrap());
    for (held, daemon, go, program) in &all {
        await_hang_told(daemon);
        held.machine.take_away(program).unwrap();
        // Those that hang still fail now.
        fs::write(go, "").unwrap();
        held.await_open(22, true, daemon).unwrap();
    }
    // A closing that hangs is not given up either; one by the kernel's sets does not hang.
    for (held, daemon, go, program) in &all {
        fs::remove_file(go).unwrap();
        let begun = held.log.path("begun");
        let script = format!(
            "case \"$*\" in *-D*) touch {0}; while [ ! -e {1} ]; do sleep 0.1; done; exit 1 ;; esac\nREAL \"$@\"",
            begun.display(),
            go.display()
        );
        held.machine.stand_in(program, &held.log.path(""), &script).unwrap();
        held.ask(&["revoke", "--all"]).unwrap();
        if *program == "iptables" {
            assert!(await_until(PATIENCE, || begun.exists()), "{}", daemon.lines().join("\n"));
            held.machine.take_away(program).unwrap();
            assert!(held.lets_in(22).unwrap());
            fs::write(go, "").unwrap();
        }
        held.await_open(22, false, daemon).unwrap();
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_lock_that_somebody_holds_is_waited_for_by_rules_and_not_by_sets() {
    for (kind, _) in WAYS {
        let mut held = Held::new(kind).unwrap();
        let legacy = programs::legacy_alternatives(&held.log.path("")).unwrap();
        held.machine.on(&format!("mount --bind {} /etc/alternatives", legacy.display())).unwrap();
        held.machine.on("iptables -P INPUT DROP").unwrap();
        let daemon = held.start().unwrap();
        held.log.knock(1).unwrap();
        held.await_open(22, true, &daemon).unwrap();

        let lock = File::open(held.machine.seen_from_here("/run/xtables.lock")).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        held.log.knock(3).unwrap();
        if kind == "nftables" {
            // In and out, with the lock held all the time.
            held.await_open(2223, true, &daemon).unwrap();
            held.ask(&["revoke", "--all"]).unwrap();
            held.await_open(22, false, &daemon).unwrap();
            continue;
        }
        daemon.await_line("PORT=22 TIME=3").unwrap();
        let waits = || held.machine.runs("iptables");
        assert!(await_until(PATIENCE, waits), "{}", daemon.lines().join("\n"));
        flock(&lock, FlockOperation::Unlock).unwrap();
        held.await_open(2223, true, &daemon).unwrap();
        held.ask(&["revoke", "--all"]).unwrap();
        held.await_open(22, false, &daemon).unwrap();
    }
}
