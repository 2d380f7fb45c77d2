//! The journal: real records of the kernel, a journal that systemd-journal-remote writes from them in
//! journald's place (no systemd has booted here), and the real journalctl, run by the daemon.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{ACTIONS, Setup};
use knock_e2e::firewall::{self, Backend};
use knock_e2e::journal::Journal;
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::{PATIENCE, await_until};
use rustix::process::{Pid, Signal, kill_process};

/// In journald's place: from /dev/kmsg into a journal of this boot.
struct Journald {
    journal: Journal,
    reader: Child,
}

impl Journald {
    fn start(lab: &Lab) -> Self {
        let (journal, mut entries) = Journal::within(&lab.path("")).unwrap();
        let mut reader = Command::new("dmesg")
            .args(["--follow", "--raw"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let records = BufReader::new(reader.stdout.take().unwrap());
        // Of other labs nothing is of interest here.
        let ours = format!("IN={} ", lab.interface(Host::Server));
        std::thread::spawn(move || {
            let ours = |line: &String| line.contains(&ours);
            for line in records.lines().map_while(Result::ok).filter(ours) {
                let (head, text) = line.split_once("] ").unwrap_or_default();
                let uptime = head.rsplit('[').next().unwrap_or_default().trim().replace('.', "");
                let uptime = Duration::from_micros(uptime.parse().unwrap_or_default());
                if entries.write(uptime, text).is_err() {
                    return;
                }
            }
        });
        Self { journal, reader }
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _gone = self.reader.kill();
        let _gone = self.reader.wait();
    }
}

/// The journalctl that follows this journal.
fn followers(journald: &Journald) -> Vec<Pid> {
    let directory = journald.journal.directory();
    let is_it = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains("journalctl") && line.contains(&directory) && line.contains(" -f ")
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_it);
    all.filter_map(Pid::from_raw).collect()
}

fn setup() -> (Setup, Journald) {
    let lab = Lab::new().unwrap();
    firewall::close(&lab, Backend::Nft, "portknock").unwrap();
    let journald = Journald::start(&lab);
    let knock = "knock = IP,PORT,TIME,CHECKSUM";
    let setup = Setup::reading(lab, "runmode = journal", Backend::Nft, knock, ACTIONS);
    (setup, journald)
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_opens_by_the_journal_also_when_journalctl_is_killed_in_the_middle() {
    let (setup, journald) = setup();
    let client = setup.lab.client();
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(client);
    let [follower] = followers(&journald)[..] else { panic!("one journalctl") };
    kill_process(follower, Signal::KILL).unwrap();
    setup.daemon.await_line("journalctl does not read the journal").unwrap();
    // Nobody reads now; the journal keeps it.
    setup.knock(&["-port", "22", "-time", "255"]);
    setup.await_closed(client);
    setup.daemon.await_lines("following the journal", 2).unwrap();
    assert_eq!(setup.rules_for(client), 0);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn no_journalctl_is_left_behind_however_the_daemon_ends() {
    let (mut setup, journald) = setup();
    assert!(await_until(PATIENCE, || followers(&journald).len() == 1));
    setup.daemon.signal(Signal::TERM).unwrap();
    setup.daemon.await_end().unwrap();
    // Its reader ends it; if the daemon is faster, it hears of the closed pipe by itself.
    assert!(await_until(PATIENCE, || followers(&journald).is_empty()));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn no_journalctl_outlives_a_daemon_that_is_killed() {
    let (mut setup, journald) = setup();
    assert!(await_until(PATIENCE, || followers(&journald).len() == 1));
    setup.kill();
    // The pipe that it writes to is closed, which it hears of by itself.
    assert!(await_until(PATIENCE, || followers(&journald).is_empty()));
}
