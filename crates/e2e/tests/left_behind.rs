//! An end-to-end run that is killed leaves nothing behind: no namespace, no process, no folder, and
//! the kernel's switch as it was.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use knock_e2e::process::{PATIENCE, await_until};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

/// Whether a process has this text among its arguments, or a file of that name open.
fn runs(text: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes.map(|entry| entry.path()).any(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().filter_map(Result::ok);
        let mut open = files.filter_map(|file| fs::read_link(file.path()).ok());
        String::from_utf8_lossy(&line).contains(text)
            || open.any(|file| file.display().to_string().contains(text))
    })
}

#[test]
#[ignore = "needs root"]
fn a_run_that_is_killed_is_cleaned_up_after() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let hosts = lines.find(|line| line.contains("a client 10.99.")).unwrap();
    let number = hosts.split("10.99.").nth(1).unwrap().split('.').next().unwrap().to_owned();
    let follows = lines.find(|line| line.contains("follows /")).unwrap();
    let log = Path::new(follows.split("follows ").nth(1).unwrap().trim());
    let folder = log.parent().unwrap();
    let folder_name = folder.display().to_string();
    assert!(runs(&folder_name), "the daemon's configuration is there");

    kill_process(Pid::from_child(&demo), Signal::KILL).unwrap();
    demo.wait().unwrap();

    // The folder goes last. Then the number is free for others, whose namespaces these may be.
    assert!(await_until(2 * PATIENCE, || !folder.exists()), "{folder_name} is left");
    let namespace = format!("/run/netns/kd{number}-server");
    let is_gone = || {
        let lock = File::open(format!("/run/knockdaemon-e2e/{number}")).unwrap();
        !Path::new(&namespace).exists()
            || flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err()
    };
    assert!(await_until(PATIENCE, is_gone), "{namespace} is left");
    assert!(await_until(PATIENCE, || !runs(&folder_name)), "something still runs");
    let restored = await_until(PATIENCE, || {
        let lock = File::open("/run/knockdaemon-e2e-log").unwrap();
        // Where labs of others go on, the last of them puts the value back.
        flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err()
            || lock.metadata().unwrap().len() == 0
    });
    assert!(restored, "nf_log_all_netns was not put back");
}
