//! Real rules in a real firewall without root: the daemon in a user and network namespace of its own,
//! following a log file that the test writes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::programs;
use rustix::process::Signal;

const CONFIG: &str = "
logfile = LOG
statedir = STATE
key = open sesame
<actions>
  <action>
    condition = PORT == 22 && TIME != 255
    template  = open
  </action>
  <action>
    condition = PORT == 22 && TIME == 255
    template  = close
  </action>
TEMPLATES
</actions>
";

fn config() -> String {
    CONFIG.replace("TEMPLATES", programs::TEMPLATES)
}

struct Alone {
    daemon: Running,
    folder: tempfile::TempDir,
    source_port: u16,
}

impl Alone {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("messages"), "").unwrap();
        let text = config().replace("LOG", &path("messages")).replace("STATE", &path("state"));
        fs::write(path("knockdaemon.conf"), text).unwrap();
        fs::set_permissions(path("knockdaemon.conf"), fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--net"])
            .arg(programs::folder().unwrap().join("knockdaemon"))
            .args(["-debug", "-conf", &path("knockdaemon.conf")])
            .env("XTABLES_LOCKFILE", path("xtables.lock"));
        let daemon = Running::spawn("knockdaemon", &mut command).unwrap();
        daemon.await_line("following").unwrap();
        Self { daemon, folder, source_port: 40_000 }
    }

    /// The kernel's lines for a knock of this client, in the log.
    fn knock(&mut self, time: &str) {
        self.source_port = append_knock(&self.log(), self.source_port, time);
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("messages")
    }

    fn rules(&self) -> Vec<String> {
        let pid = self.daemon.pid().as_raw_nonzero().to_string();
        let output = Command::new("nsenter")
            .args(["-t", &pid, "--user", "--net", "iptables", "-S", "INPUT"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter(|rule| rule.contains("198.51.100.7"))
            .map(ToOwned::to_owned)
            .collect()
    }

    fn await_rules(&self, count: usize) {
        let seen = await_until(PATIENCE, || self.rules().len() == count);
        assert!(seen, "{:?}\n{}", self.rules(), self.daemon.lines().join("\n"));
    }
}

/// Appends the kernel's lines for a knock; returns the last source port used.
fn append_knock(log: &Path, mut source_port: u16, time: &str) -> u16 {
    let output = Command::new(programs::folder().unwrap().join("knockclient"))
        .args(["-test", "-quiet", "-remote", "192.0.2.1", "-key", "open sesame"])
        .args(["-client", "198.51.100.7", "-port", "22", "-time", time])
        .output()
        .unwrap();
    let ports = String::from_utf8(output.stdout).unwrap();
    let mut log = OpenOptions::new().append(true).open(log).unwrap();
    for port in ports.trim().split(',') {
        source_port += 1;
        writeln!(
            log,
            "Nov 21 03:22:42 vm kernel: portknock IN=eth0 OUT= MAC= SRC=198.51.100.7 DST=192.0.2.1 \
             LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=58454 DF PROTO=TCP SPT={source_port} DPT={port} \
             WINDOW=64240 RES=0x00 SYN URGP=0 "
        )
        .unwrap();
    }
    source_port
}

#[test]
fn a_rule_is_there_once_and_gone_after_the_closing_knock() {
    let mut alone = Alone::start();
    alone.knock("0");
    alone.await_rules(1);
    alone.knock("0");
    alone.daemon.await_line("already so").unwrap();
    assert_eq!(alone.rules().len(), 1);
    alone.knock("255");
    alone.await_rules(0);
    alone.daemon.signal(Signal::TERM).unwrap();
    assert!(alone.daemon.await_end().unwrap().success());
}

#[test]
fn it_goes_on_through_rotation_of_the_log() {
    let mut alone = Alone::start();
    fs::rename(alone.log(), alone.folder.path().join("messages.1")).unwrap();
    fs::write(alone.log(), "").unwrap();
    alone.daemon.await_line("was rotated").unwrap();
    alone.knock("0");
    alone.await_rules(1);
    // copytruncate
    OpenOptions::new().write(true).truncate(true).open(alone.log()).unwrap();
    alone.daemon.await_line("was truncated").unwrap();
    alone.knock("255");
    alone.await_rules(0);
}

#[test]
fn at_the_end_of_its_input_it_stays_until_what_is_open_has_been_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("input"), "").unwrap();
    append_knock(Path::new(&path("input")), 40_000, "0");
    let close_later = "<action>\n  condition = PORT == 22\n  template = close\n  delay = 2s\n</action>\n  <template open>";
    let text = config()
        .replace("logfile = LOG", "runmode = stdin")
        .replace("STATE", &path("state"))
        .replace("<template open>", close_later);
    fs::write(path("knockdaemon.conf"), text).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net", "sh", "-c", "exec \"$@\" < \"$0\""])
        .arg(path("input"))
        .arg(programs::folder().unwrap().join("knockdaemon"))
        .args(["-conf", &path("knockdaemon.conf")]);
    let mut daemon = Running::spawn("knockdaemon", &mut command).unwrap();
    daemon.await_line("end of input").unwrap();
    daemon.await_line("done: iptables -D").unwrap();
    assert!(daemon.await_end().unwrap().success());
}
