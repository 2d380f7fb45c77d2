//! The shipped unit under a systemd that was really booted: what its hardening lets through, readiness,
//! reload, watchdog, and a restart that loses nothing.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::Path;

use knock_e2e::booted::Booted;
use knock_e2e::process::{PATIENCE, await_until};

const CONFIG: &str = "
logfile  = /run/kern.log
resume   = yes
portspan = 745-1000
key      = open sesame
<actions>
  <action>
    condition = TIME == 0
    template  = open
  </action>
  <action>
    condition = TIME == 0
    template  = close
    delay     = 1h
  </action>
  <action>
    condition = TIME == 1
    template  = sets
  </action>
  <action>
    condition = TIME == 2
    template  = beyond
  </action>
  <template open>
    iptables = -I INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
  <template close>
    iptables = -D INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
  <template sets>
    system = nft add table inet t && nft add set inet t s '{ type ipv4_addr; flags timeout; }' && ipset create t hash:ip timeout 9
  </template>
  <template beyond>
    system = chown nobody /var/lib/knockdaemon/lock || touch /etc/mine || head -c0 /dev/kmsg && echo held in
  </template>
</actions>
";

/// With its configuration there and the service started.
fn started() -> Booted {
    let host = Booted::new().unwrap();
    configure(&host, CONFIG);
    fs::write(host.path("/run/kern.log"), "").unwrap();
    host.done(&["systemctl", "start", "knockdaemon"]).unwrap();
    host
}

fn configure(host: &Booted, config: &str) {
    let path = "/etc/knockdaemon/knockdaemon.conf";
    fs::write(host.path(path), config).unwrap();
    host.done(&["chown", "knockdaemon", path]).unwrap();
    host.done(&["chmod", "600", path]).unwrap();
}

/// The lines of a knock, in the log's own shape.
fn lines(host: &Booted, time: &str) -> Vec<String> {
    let knock = ["/run/program/knockclient", "-conf", "/etc/knockdaemon/knockdaemon.conf"];
    let fields = ["-client", "198.51.100.7", "-remote", "192.0.2.1", "-port", "22", "-time", time];
    let log = ["-logtofile", "-logfile", "/run/lines", "-fileformat", "iptables"];
    fs::write(host.path("/run/lines"), "").unwrap();
    host.done(&[&knock[..], &fields, &log].concat()).unwrap();
    let lines = fs::read_to_string(host.path("/run/lines")).unwrap();
    lines.lines().map(|line| format!("{line}\n")).collect()
}

fn write(host: &Booted, lines: &[String]) {
    use std::io::Write as _;
    let mut log = fs::OpenOptions::new().append(true).open(host.path("/run/kern.log")).unwrap();
    log.write_all(lines.concat().as_bytes()).unwrap();
}

fn await_said(host: &Booted, words: &str) {
    assert!(await_until(PATIENCE, || host.said().contains(words)), "{words}:\n{}", host.said());
}

fn rules(host: &Booted) -> usize {
    let rules = host.done(&["iptables", "-S"]).unwrap();
    rules.lines().filter(|rule| rule.contains("198.51.100.7")).count()
}

#[test]
#[ignore = "needs root: sudo make test"]
fn the_hardened_unit_can_do_its_work_and_no_more() {
    let host = started();
    assert_eq!(host.property("ActiveState").unwrap(), "active");
    assert!(host.property("StatusText").unwrap().starts_with("1 source; 0 knocks"));
    write(&host, &lines(&host, "0"));
    await_said(&host, "done: iptables -I");
    assert_eq!(rules(&host), 1);
    write(&host, &lines(&host, "1"));
    await_said(&host, "done: nft add table");
    write(&host, &lines(&host, "2"));
    await_said(&host, "done: chown");
    await_said(&host, "knock accepted");
    assert!(!host.path("/etc/mine").exists(), "the system is read-only");

    // The group of the unit may ask, others may not.
    let ask = ["/run/program/knockdaemon", "status", "--socket", "/run/knockdaemon/control.sock"];
    let nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup"];
    host.done(&[&nobody[..], &["--groups=knockdaemon"], &ask].concat()).unwrap();
    let refused = host.on(&[&nobody[..], &["--clear-groups"], &ask].concat()).unwrap();
    assert_eq!(refused.status.code(), Some(77));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_reload_fails_with_the_mistake_or_holds_when_it_returns() {
    let host = started();
    let (pid, started) = (host.property("MainPID").unwrap(), host.said());
    configure(&host, &CONFIG.replace("745-1000", "745-"));
    let reload = ["systemctl", "reload", "knockdaemon"];
    assert!(!host.on(&reload).unwrap().status.success());
    let told = || host.said()[started.len()..].contains("knockdaemon.conf:4:");
    assert!(await_until(PATIENCE, told), "{}", host.said());
    configure(&host, CONFIG);
    host.done(&reload).unwrap();
    await_said(&host, "configuration reloaded");
    assert_eq!(host.property("ActiveState").unwrap(), "active");
    assert_eq!(host.property("MainPID").unwrap(), pid);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_daemon_that_does_not_turn_any_more_is_started_again_and_knows_what_it_knew() {
    let host = started();
    write(&host, &lines(&host, "0"));
    await_said(&host, "done: iptables -I");
    let drop_in = "[Service]\nWatchdogSec=20\nRestartSec=0\n";
    let path = "/etc/systemd/system/knockdaemon.service.d/soon.conf";
    fs::write(host.path(path), drop_in).unwrap();
    host.done(&["systemctl", "daemon-reload"]).unwrap();

    // As an upgrade does it, with half a knock under way.
    let half = lines(&host, "1");
    write(&host, &half[..4]);
    host.done(&["systemctl", "restart", "knockdaemon"]).unwrap();
    write(&host, &half[4..]);
    await_said(&host, "done: nft add table");
    let ask = ["/run/program/knockdaemon", "status", "--json"];
    let status = host.done(&ask).unwrap();
    assert!(status.contains("\"orders\":1") && status.contains("iptables -D"), "{status}");

    let pid = host.property("MainPID").unwrap();
    host.done(&["kill", "-STOP", &pid]).unwrap();
    let restarted = || {
        host.property("NRestarts").unwrap() != "0"
            && host.property("ActiveState").unwrap() == "active"
    };
    // The watchdog's own patience is a part of it.
    assert!(await_until(4 * PATIENCE, restarted), "{}", host.said());
    assert_ne!(host.property("MainPID").unwrap(), pid);
    let status = host.done(&ask).unwrap();
    assert!(status.contains("\"orders\":1") && status.contains("iptables -D"), "{status}");
    assert_eq!(rules(&host), 1);
    host.done(&["systemctl", "stop", "knockdaemon"]).unwrap();
    assert_eq!(host.property("Result").unwrap(), "success");
    assert!(!host.path("/run/knockdaemon").exists());
}

const WITH_LEASES: &str = "
logfile  = /run/kern.log
resume   = yes
portspan = 745-1000
key      = open sesame
firewall = iptables
<actions>
  <action>
    condition = TIME == 0
    template  = rule
  </action>
  <action>
    condition = TIME == 0
    template  = later
    delay     = 1h
  </action>
  <action>
    condition = TIME == 1
    template  = lease
  </action>
  <template rule>
    iptables = -I INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
  <template later>
    iptables = -D INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
  <template lease>
    open  = PORT
    lease = 1h
  </template>
</actions>
";

#[test]
#[ignore = "needs root: sudo make test"]
fn where_iptables_is_the_legacy_one_the_drop_in_is_named_and_does_it() {
    let host = Booted::new().unwrap();
    for family in ["iptables", "ip6tables"] {
        let legacy = format!("/usr/sbin/{family}-legacy");
        host.done(&["ln", "-sf", &legacy, &format!("/etc/alternatives/{family}")]).unwrap();
        // As the rules of the host are loaded: by root, who owns the lock from then on.
        host.done(&[family, "-P", "INPUT", "DROP"]).unwrap();
    }
    configure(&host, WITH_LEASES);
    fs::write(host.path("/run/kern.log"), "").unwrap();
    host.done(&["systemctl", "start", "knockdaemon"]).unwrap();
    write(&host, &lines(&host, "0"));
    write(&host, &lines(&host, "1"));
    let drop_in = "knockdaemon-legacy.conf";
    for what in ["failed: iptables -I", "failed: open tcp port 22"] {
        let told = || host.said().lines().any(|line| line.contains(what) && line.contains(drop_in));
        assert!(await_until(PATIENCE, told), "{what}:\n{}", host.said());
    }
    assert_eq!(rules(&host), 0);

    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../knockdaemon/dist");
    let folder = host.path("/etc/systemd/system/knockdaemon.service.d");
    fs::copy(dist.join(drop_in), folder.join(drop_in)).unwrap();
    host.done(&["systemctl", "daemon-reload"]).unwrap();
    host.done(&["systemctl", "restart", "knockdaemon"]).unwrap();
    await_said(&host, "done: iptables -I");
    await_said(&host, "done: open tcp port 22");
    assert_eq!(rules(&host), 2);
    assert!(host.done(&["iptables", "-S", "knockdaemon"]).unwrap().contains("198.51.100.7"));
}
