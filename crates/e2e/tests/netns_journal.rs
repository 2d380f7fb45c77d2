//! The journal: real records of the kernel, a journal that systemd-journal-remote writes from them in
//! journald's place (no systemd has booted here), and the real journalctl, run by the daemon.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use common::{ACTIONS, Setup};
use knock_e2e::firewall::{self, Backend};
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::{PATIENCE, await_until};
use rustix::process::{Pid, Signal, kill_process};

/// In journald's place: from /dev/kmsg into a journal of this boot.
struct Journald(Child, Child);

impl Journald {
    fn start(lab: &Lab) -> Self {
        let folder = lab.path("journal");
        fs::create_dir(&folder).unwrap();
        let mut writer = Command::new("/lib/systemd/systemd-journal-remote")
            .arg(format!("--output={}", folder.join("system.journal").display()))
            .args(["--split-mode=none", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut entries = writer.stdin.take().unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let boot = boot.trim().replace('-', "");
        let mut reader = Command::new("dmesg")
            .args(["--follow", "--raw"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let records = BufReader::new(reader.stdout.take().unwrap());
        // Of other labs nothing is of interest here.
        let ours = format!("IN={} ", lab.interface(Host::Server));
        let mut entry = move |line: &str| {
            let (head, text) = line.split_once("] ").unwrap_or_default();
            let uptime = head.rsplit('[').next().unwrap_or_default().trim().replace('.', "");
            let wall = 1_795_231_365_000_000 + uptime.parse::<u64>().unwrap_or_default();
            write!(
                entries,
                "__REALTIME_TIMESTAMP={wall}\n__MONOTONIC_TIMESTAMP={uptime}\n_BOOT_ID={boot}\n\
                 _TRANSPORT=kernel\n_SOURCE_MONOTONIC_TIMESTAMP={uptime}\nMESSAGE={text}\n\n"
            )
        };
        entry("<6>[    1.000000] the machine has started").unwrap();
        std::thread::spawn(move || {
            let ours = |line: &String| line.contains(&ours);
            for line in records.lines().map_while(Result::ok).filter(ours) {
                if entry(&line).is_err() {
                    return;
                }
            }
        });
        Self(writer, reader)
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        for child in [&mut self.0, &mut self.1] {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

/// The journalctl that follows this lab's journal.
fn followers(lab: &Lab) -> Vec<Pid> {
    let directory = lab.path("journal").display().to_string();
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
    let directory = lab.path("journal").display().to_string();
    let shows = || {
        let mut show = Command::new("journalctl");
        show.arg(format!("--directory={directory}")).args(["-k", "-o", "cat"]);
        show.output().is_ok_and(|shown| shown.stdout.starts_with(b"the machine has started"))
    };
    assert!(await_until(PATIENCE, shows));
    // The daemon finds a journalctl that knows where this journal is.
    fs::create_dir(lab.path("bin")).unwrap();
    let journalctl = lab.path("bin/journalctl");
    let script = format!("#!/bin/sh\nexec /usr/bin/journalctl --directory={directory} \"$@\"\n");
    fs::write(&journalctl, script).unwrap();
    fs::set_permissions(&journalctl, fs::Permissions::from_mode(0o755)).unwrap();
    let knock = "knock = IP,PORT,TIME,CHECKSUM";
    let setup = Setup::reading(lab, "runmode = journal", Backend::Nft, knock, ACTIONS);
    (setup, journald)
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_opens_by_the_journal_also_when_journalctl_is_killed_in_the_middle() {
    let (setup, _journald) = setup();
    let client = setup.lab.client();
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(client);
    let [follower] = followers(&setup.lab)[..] else { panic!("one journalctl") };
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
    let (mut setup, _journald) = setup();
    assert!(await_until(PATIENCE, || followers(&setup.lab).len() == 1));
    setup.daemon.signal(Signal::TERM).unwrap();
    setup.daemon.await_end().unwrap();
    // Its reader ends it; if the daemon is faster, it hears of the closed pipe by itself.
    assert!(await_until(PATIENCE, || followers(&setup.lab).is_empty()));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn no_journalctl_outlives_a_daemon_that_is_killed() {
    let (mut setup, _journald) = setup();
    assert!(await_until(PATIENCE, || followers(&setup.lab).len() == 1));
    setup.kill();
    // The pipe that it writes to is closed, which it hears of by itself.
    assert!(await_until(PATIENCE, || followers(&setup.lab).is_empty()));
}
