//! The wall clock is set while the daemon runs and while it is dead. libfaketime tells this one daemon
//! another wall time; the kernel's own count goes on. Nobody's real clock is touched.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::written::{CLIENT, WrittenLog};
use rustix::process::Signal;

/// 1 counts and takes it back after ten minutes, more does so after so many seconds.
const ACTIONS: &str = "
<actions>
  <action>\ntemplate = open\n</action>
  <action>\ncondition = TIME == 1\ntemplate = close\ndelay = 10m\n</action>
  <action>\ncondition = TIME > 1\ntemplate = close\ndelay = TIME / 60\n</action>
  <template open>\nsystem = echo open >>FOLDER/did\n</template>
  <template close>\nsystem = echo closed >>FOLDER/did\n</template>
</actions>
";

/// Debian's libfaketime; the path depends on the architecture.
fn library() -> String {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let paths = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    let found = paths.into_iter().find(|path| path.exists());
    let found = found.expect("this test needs libfaketime: .ci/install-tools test");
    found.display().to_string()
}

struct Faked {
    host: WrittenLog,
    before: Vec<String>,
}

impl Faked {
    fn new() -> Self {
        Self::with(ACTIONS, &[])
    }

    /// The words go before all others.
    fn with(actions: &str, first: &[&str]) -> Self {
        let host = WrittenLog::new(actions).unwrap();
        let file = host.path("clock");
        fs::write(&file, "+0\n").unwrap();
        let faking = [
            "env".to_owned(),
            format!("LD_PRELOAD={}", library()),
            format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "DONT_FAKE_MONOTONIC=1".to_owned(),
            "FAKETIME_DONT_RESET=1".to_owned(),
        ];
        let before = first.iter().map(|&word| word.to_owned()).chain(faking).collect();
        Self { host, before }
    }

    /// Sets the daemon's clock by so much from the real one, at one blow.
    fn set(&self, offset: &str) {
        let (file, new) = (self.host.path("clock"), self.host.path("clock.new"));
        fs::write(&new, format!("{offset}\n")).unwrap();
        fs::rename(new, file).unwrap();
    }

    fn start(&self) -> Running {
        self.host.daemon(&self.before, &["-debug"]).unwrap()
    }

    /// Something happens, so that the daemon looks at its clocks: from a real clock the kernel tells.
    fn wake(&self, daemon: &Running) {
        daemon.signal(Signal::HUP).unwrap();
    }

    /// Waits until it has said for the so-manieth time that its clock was set by so much. How much it
    /// takes that for, a busy machine moves by tenths.
    fn await_set(&self, daemon: &Running, way: &str, by: f64, times: usize) {
        let text = format!("the clock was set {way} by ");
        let said = daemon.await_lines(&text, times).unwrap().pop().unwrap();
        let (_, moved) = said.split_once(&text).unwrap();
        let seconds: f64 = moved.split(' ').next().unwrap().parse().unwrap();
        assert!((seconds - by).abs() < 30.0, "{said}");
    }

    fn did(&self) -> String {
        fs::read_to_string(self.host.path("did")).unwrap_or_default()
    }
}

fn kill(mut daemon: Running) {
    daemon.signal(Signal::KILL).unwrap();
    daemon.await_end().unwrap();
}

#[test]
fn a_clock_that_is_set_forward_closes_nothing_early() {
    let mut faked = Faked::new();
    let daemon = faked.start();
    faked.host.knock(1).unwrap();
    daemon.await_line("done: echo open").unwrap();
    faked.set("+3600");
    faked.wake(&daemon);
    faked.await_set(&daemon, "forward", 3600.0, 1);
    // By the new clock ten minutes are over, six times; a restart does not believe it either.
    kill(daemon);
    let daemon = faked.start();
    daemon.await_line("waiting=1 overdue=0").unwrap();
    assert_eq!(faked.did(), "open\n");

    // Back again, with nobody there to see it.
    kill(daemon);
    faked.set("-3600");
    let daemon = faked.start();
    faked.await_set(&daemon, "back", 7200.0, 1);
    daemon.await_line("waiting=1 overdue=0").unwrap();
    assert_eq!(faked.did(), "open\n");
}

#[test]
fn a_clock_that_is_set_back_keeps_nothing_open() {
    let mut faked = Faked::new();
    let daemon = faked.start();
    // Three seconds, or so many that it is still open on a slow machine when the clock is set.
    let mut knocks = 0;
    for time in [3, 12, 48] {
        knocks += 1;
        faked.host.knock(time).unwrap();
        daemon.await_lines("done: echo open", knocks).unwrap();
        // By the new clock they are over in a day.
        faked.set(&format!("-{}", knocks * 86_400));
        faked.wake(&daemon);
        faked.await_set(&daemon, "back", 86_400.0, knocks);
        let was_open = closings(&daemon) < knocks;
        let closed = || closings(&daemon) == knocks;
        assert!(await_until(3 * PATIENCE, closed), "{}", daemon.lines().join("\n"));
        if was_open {
            break;
        }
        assert_ne!(time, 48, "it is always closed before the clock is set");
    }
    assert_eq!(faked.did(), "open\nclosed\n".repeat(knocks));
    // What is asked for from now on goes by the clock as it is.
    faked.host.knock(3).unwrap();
    daemon.await_lines("done: echo closed", knocks + 1).unwrap();
}

fn closings(daemon: &Running) -> usize {
    daemon.lines().iter().filter(|line| line.contains("done: echo closed")).count()
}

/// Summer time and the year's end change what the calendar shows, and no deadline.
#[test]
fn the_calendar_moves_no_deadline() {
    for (zone, moment) in [
        // Two seconds before Berlin's clocks go from 3 back to 2, and from 2 on to 3.
        ("Europe/Berlin", "@2026-10-25 02:59:58"),
        ("Europe/Berlin", "@2026-03-29 01:59:58"),
        ("UTC", "@2026-12-31 23:59:58"),
    ] {
        if !Path::new("/usr/share/zoneinfo").join(zone).exists() {
            panic!("this test needs the time zones: .ci/install-tools test");
        }
        let mut faked = Faked::new();
        faked.before.push(format!("TZ={zone}"));
        faked.set(moment);
        let daemon = faked.start();
        faked.host.knock(3).unwrap();
        daemon.await_line("done: echo closed").unwrap();
        assert_eq!(faked.did(), "open\nclosed\n");
        let lines = daemon.lines().join("\n");
        assert!(!lines.contains("the clock was set"), "{zone} {moment}: {lines}");
    }
}

/// 1 lets in for ten minutes, more for so many seconds.
const LEASES: &str = "
firewall = KIND
<actions>
  <action>\ncondition = TIME == 1\ntemplate = minutes\n</action>
  <action>\ncondition = TIME > 1\ntemplate = seconds\n</action>
  <template minutes>\nopen = PORT\nlease = 10m\n</template>
  <template seconds>\nopen = 2222\nlease = TIME / 60\n</template>
</actions>
";

/// What holds the daemon's leases.
fn listed(daemon: &Running, kind: &str) -> String {
    let pid = daemon.pid().as_raw_nonzero().to_string();
    let words: &[&str] =
        if kind == "nftables" { &["nft", "-n", "list", "ruleset"] } else { &["iptables", "-S"] };
    let enter = ["-t", &pid, "--user", "--net"];
    let output = Command::new("nsenter").args(enter).args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The kernel counts the time of its sets by itself; where a lease is a rule, it has a date, which has to
/// move along. The daemon's clock is set here and not the kernel's, so only the date can be looked at.
#[test]
fn a_lease_is_as_long_as_it_was_whatever_the_clock_says() {
    for kind in ["nftables", "iptables"] {
        let alone = ["unshare", "--user", "--map-root-user", "--net"];
        let mut faked = Faked::with(&LEASES.replace("KIND", kind), &alone);
        let daemon = faked.start();
        faked.host.knock(1).unwrap();
        daemon.await_line("done: open tcp port 22").unwrap();
        let date = |listed: String| {
            let rest = listed.split("--datestop ").nth(1).unwrap_or_default();
            rest.split(' ').next().unwrap_or_default().to_owned()
        };
        let before = date(listed(&daemon, kind));
        faked.set("+3600");
        faked.wake(&daemon);
        faked.await_set(&daemon, "forward", 3600.0, 1);
        let kept = || listed(&daemon, kind).contains(CLIENT);
        if kind == "iptables" {
            let moved = || kept() && date(listed(&daemon, kind)) != before;
            assert!(await_until(PATIENCE, moved), "{before}: {}", listed(&daemon, kind));
        }
        assert!(kept(), "{kind}: {}", daemon.lines().join("\n"));

        // By the new clock the seconds are over in a day. So many that it is open still on a slow machine
        // when the clock is set.
        let is_open = || listed(&daemon, kind).contains("2222");
        for (nth, time) in (1..).zip([15, 60]) {
            faked.host.knock(time).unwrap();
            daemon.await_lines("done: open tcp port 2222", nth).unwrap();
            faked.set(&format!("-{}", 86_400 * nth));
            faked.wake(&daemon);
            faked.await_set(&daemon, "back", if nth == 1 { 90_000.0 } else { 86_400.0 }, nth);
            let was_open = is_open();
            let over = || !is_open();
            assert!(await_until(4 * PATIENCE, over), "{kind}: {}", daemon.lines().join("\n"));
            if was_open {
                break;
            }
            assert_eq!(nth, 1, "it is always closed before the clock is set");
        }
        assert!(kept(), "{kind}: {}", daemon.lines().join("\n"));
    }
}
