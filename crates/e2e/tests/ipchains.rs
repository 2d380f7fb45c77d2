//! A host of Linux 2.2: the shipped `examples/ipchains.conf`, a log of ipchains, and no other firewall
//! program anywhere.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use knock_e2e::oldhost::OldHost;
use knock_e2e::process::Running;
use rustix::process::Signal;

const OPEN: &str =
    "ipchains [-I] [input] [-p] [tcp] [-s] [203.0.113.7/32] [-d] [0/0] [22] [-y] [-j] [ACCEPT]";
const CLOSE: &str =
    "ipchains [-D] [input] [-p] [tcp] [-s] [203.0.113.7/32] [-d] [0/0] [22] [-y] [-j] [ACCEPT]";

/// The host with the example, with only the time changed: its minutes are twentieths here.
struct Old {
    daemon: Running,
    client: PathBuf,
    host: OldHost,
}

impl Old {
    fn start() -> Self {
        let host = OldHost::new(&["ipchains"]).unwrap().with_bare_path();
        fs::write(host.at("var/log/messages"), "").unwrap();
        let config = host.at("etc/knockdaemon.conf");
        write(&config, &example().replace("delay     = TIME ", "delay     = TIME / 20 "));
        let client = host.at("etc/knockclient.conf");
        let all = "remote = 192.0.2.1\nclient = 203.0.113.7\nkey = change-me\n\
                   logfile = /var/log/messages\nfileformat = ipchains\n";
        write(&client, all);
        Self { daemon: host.daemon(&config, &[]).unwrap(), client, host }
    }

    fn knock(&self, time: &str) {
        self.host.knock(&self.client, &["-port", "22", "-time", time]).unwrap();
    }

    fn finish(mut self) -> Vec<String> {
        self.daemon.signal(Signal::TERM).unwrap();
        assert!(self.daemon.await_end().unwrap().success());
        self.host.ran().unwrap()
    }
}

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ipchains.conf");
    fs::read_to_string(path).unwrap()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn it_opens_closes_after_the_time_and_closes_when_told() {
    let old = Old::start();
    old.knock("1");
    assert_eq!(old.host.await_ran(2).unwrap(), [OPEN, CLOSE]);
    old.knock("0");
    assert_eq!(old.host.await_ran(3).unwrap()[2..], [OPEN]);
    old.knock("255");
    assert_eq!(old.host.await_ran(4).unwrap()[3..], [CLOSE]);

    let log = fs::read_to_string(old.host.at("var/log/messages")).unwrap();
    assert_eq!(log.lines().count(), 24);
    let of_ipchains = |line: &str| line.contains(" kernel: Packet log: input DENY ");
    assert!(log.lines().all(of_ipchains), "{log}");
    assert_eq!(old.finish(), [OPEN, CLOSE, OPEN, CLOSE]);
}

#[test]
fn packets_that_were_let_through_are_no_knock() {
    let old = Old::start();
    // A knock's lines as they were, had the firewall accepted its packets.
    let elsewhere = ["-port", "22", "-time", "0", "-logfile", "/var/log/elsewhere"];
    old.host.knock(&old.client, &elsewhere).unwrap();
    let denied = fs::read_to_string(old.host.at("var/log/elsewhere")).unwrap();
    let accepted = denied.replace(" DENY ", " ACCEPT ");
    assert_ne!(accepted, denied);
    let messages = fs::OpenOptions::new().append(true).open(old.host.at("var/log/messages"));
    std::io::Write::write_all(&mut messages.unwrap(), accepted.as_bytes()).unwrap();
    // A knock behind them is the sign that they have been read.
    old.knock("255");
    old.host.await_ran(1).unwrap();
    assert_eq!(old.finish(), [CLOSE]);
}

#[test]
fn check_has_nothing_to_say_of_iptables_and_needs_none() {
    let host = OldHost::new(&["ipchains"]).unwrap().with_bare_path();
    write(&host.at("etc/ipchains.conf"), &example());
    let output = host.run("knockdaemon", &["check", "-conf", "ipchains.conf"]).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("ipchains.conf: ok\n"), "{said}");
    assert!(!said.contains("iptables"), "{said}");
    let warnings = said.lines().filter(|line| line.contains("warning:")).count();
    assert_eq!(warnings, 1, "only of the key that everybody knows: {said}");
}
