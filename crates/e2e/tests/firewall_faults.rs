//! A firewall tool that is missing, hangs, waits for its lock or outlives a killed daemon: what the admin
//! reads, and that each rule is there once and gone in time all the same.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, File};
use std::path::Path;

use knock_e2e::private::Private;
use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::programs;
use knock_e2e::written::{CLIENT, WrittenLog};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

/// 1 opens for an hour, and 255 closes. No order takes longer than four seconds.
const ACTIONS: &str = "
<actions>
  <action>\ncondition = TIME == 1\ntemplate = open\n</action>
  <action>\ncondition = TIME == 1\ntemplate = later\ndelay = 1h\n</action>
  <action>\ncondition = TIME == 255\ntemplate = close\n</action>
  <template open>\ntimeout = 4s\niptables = -I INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT\n</template>
  <template later>\niptables = -D INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT\n</template>
  <template close>\ntimeout = 4s\niptables = -D INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT\n</template>
</actions>
";

fn rules(machine: &Private) -> usize {
    let rules = machine.on("iptables -S INPUT").unwrap();
    rules.lines().filter(|rule| rule.contains(CLIENT)).count()
}

fn start(host: &WrittenLog, machine: &Private) -> Running {
    host.daemon(&machine.enter(), &[]).unwrap()
}

/// A script stands where iptables was; it can run the real one as `$REAL`.
fn stand_in(host: &WrittenLog, machine: &Private, script: &str) {
    machine.stand_in("iptables", &host.path(""), script).unwrap();
}

fn take_away(machine: &Private) {
    machine.take_away("iptables").unwrap();
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_tool_that_is_missing_is_named_and_used_once_it_is_there() {
    let machine = Private::new().unwrap();
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    machine.on("mount -t tmpfs tmpfs /usr/sbin").unwrap();
    let daemon = start(&host, &machine);
    host.knock(1).unwrap();
    let said = daemon.await_line("there is no").unwrap();
    assert!(said.contains("install the package 'iptables'"), "{said}");
    assert!(said.contains("tried again in"), "{said}");
    machine.on("umount -l /usr/sbin").unwrap();
    daemon.await_line("done: iptables -I").unwrap();
    assert_eq!(rules(&machine), 1);
    host.knock(255).unwrap();
    daemon.await_line("done: iptables -D").unwrap();
    assert_eq!(rules(&machine), 0);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_tool_that_hangs_is_ended_and_tried_again() {
    let machine = Private::new().unwrap();
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    stand_in(&host, &machine, "case \"$*\" in *INPUT*) exec sleep 1000 ;; esac; REAL \"$@\"");
    let daemon = start(&host, &machine);
    host.knock(1).unwrap();
    let said = daemon.await_line("no end within").unwrap();
    assert!(said.contains("tried again in"), "{said}");
    take_away(&machine);
    daemon.await_line("done: iptables -I").unwrap();
    assert_eq!(rules(&machine), 1);
    // A closing that hangs is not given up either.
    stand_in(&host, &machine, "case \"$*\" in *INPUT*) exec sleep 1000 ;; esac; REAL \"$@\"");
    host.knock(255).unwrap();
    daemon.await_lines("no end within", 2).unwrap();
    take_away(&machine);
    daemon.await_line("done: iptables -D").unwrap();
    assert_eq!(rules(&machine), 0);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_lock_that_somebody_holds_is_named_and_waited_for() {
    let machine = Private::new().unwrap();
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let legacy = programs::legacy_alternatives(&host.path("")).unwrap();
    machine.on(&format!("mount --bind {} /etc/alternatives", legacy.display())).unwrap();
    machine.on("touch /run/xtables.lock").unwrap();
    let lock = File::open(machine.seen_from_here("/run/xtables.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let daemon = start(&host, &machine);
    host.knock(1).unwrap();
    let said = daemon.await_line("another program has the firewall locked").unwrap();
    assert!(said.contains("tried again in"), "{said}");
    flock(&lock, FlockOperation::Unlock).unwrap();
    daemon.await_line("done: iptables -I").unwrap();
    assert_eq!(rules(&machine), 1);
    host.knock(255).unwrap();
    daemon.await_line("done: iptables -D").unwrap();
    assert_eq!(rules(&machine), 0);
}

/// The worst of moments: iptables is about to put the rule in, and the daemon that wants it is dead.
#[test]
#[ignore = "needs root: sudo make test"]
fn a_tool_that_outlives_its_daemon_makes_no_second_rule() {
    let machine = Private::new().unwrap();
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let (begun, go) = (host.path("begun"), host.path("go"));
    let script = format!(
        "case \"$*\" in *-I*) echo $$ >{}; while [ ! -e {} ]; do sleep 0.05; done ;; esac; REAL \"$@\"",
        begun.display(),
        go.display()
    );
    stand_in(&host, &machine, &script);
    let mut daemon = start(&host, &machine);
    host.knock(1).unwrap();
    let pid = || fs::read_to_string(&begun).unwrap_or_default().trim().to_owned();
    assert!(await_until(PATIENCE, || !pid().is_empty()), "{:#?}", daemon.lines());
    daemon.signal(Signal::KILL).unwrap();
    daemon.await_end().unwrap();
    assert!(Path::new("/proc").join(pid()).exists(), "nothing was left behind");

    take_away(&machine);
    let daemon = start(&host, &machine);
    daemon.await_line("agenda taken up").unwrap();
    fs::write(&go, "").unwrap();
    // It was waited for, if it had not ended by then.
    daemon.await_line(": iptables -I").unwrap();
    let settled = await_until(PATIENCE, || {
        let lines = daemon.lines();
        lines.iter().any(|line| line.contains("already so: ") || line.contains("done: "))
    });
    assert!(settled, "{:#?}", daemon.lines());
    let is_over = || !Path::new("/proc").join(pid()).exists();
    assert!(await_until(PATIENCE, is_over), "it is still there");
    assert_eq!(rules(&machine), 1);
    host.knock(255).unwrap();
    daemon.await_line("done: iptables -D").unwrap();
    assert_eq!(rules(&machine), 0);
}
