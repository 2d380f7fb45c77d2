//! `leases`, `revoke` and `extend` against a real daemon with a real firewall, in a network namespace of
//! its own: what they say is what the kernel has.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::{Command, Output};

use knock_e2e::kept;
use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::programs;
use knock_e2e::written::{CLIENT, WrittenLog};
use rustix::process::Signal;
use serde_json::Value;

const ACTIONS: &str = "
firewall = nftables
maxlease = 2h
<actions>
  <action>
    template = let-in
  </action>
  <template let-in>
    open  = PORT
    lease = 60
  </template>
</actions>
";

struct Host {
    written: WrittenLog,
    daemon: Running,
}

impl Host {
    fn start() -> Self {
        let written = WrittenLog::new(ACTIONS).unwrap();
        let alone = ["unshare", "--user", "--map-root-user", "--net"];
        // So that it lives on when it may not write any more.
        let surviving = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
        let before: Vec<String> = alone.into_iter().chain(surviving).map(str::to_owned).collect();
        let daemon = written.daemon(&before, &[]).unwrap();
        Self { written, daemon }
    }

    fn ask(&self, words: &[&str]) -> Output {
        let program = programs::folder().unwrap().join("knockdaemon");
        Command::new(program).args(words).arg("-conf").arg(self.written.config()).output().unwrap()
    }

    /// The status, and what was said on both ways out.
    fn told(&self, words: &[&str]) -> (i32, String) {
        let output = self.ask(words);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.ask(&[words, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Knocks, and waits until the kernel has the lease; its number.
    fn let_in(&mut self) -> String {
        self.written.knock(0).unwrap();
        let open = || self.json(&["leases"])["leases"][0]["state"] == "open";
        assert!(await_until(PATIENCE, open), "{}", self.daemon.lines().join("\n"));
        assert!(self.kernel_lets_in());
        self.json(&["leases"])["leases"][0]["id"].to_string()
    }

    fn kernel_lets_in(&self) -> bool {
        let pid = self.daemon.pid().as_raw_nonzero().to_string();
        let enter = ["-t", &pid, "--user", "--net", "nft", "list", "ruleset"];
        let output = Command::new("nsenter").args(enter).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().contains(CLIENT)
    }

    fn await_closed(&self) {
        let closed = || self.json(&["leases"])["total"] == 0 && !self.kernel_lets_in();
        assert!(await_until(PATIENCE, closed), "{}", self.daemon.lines().join("\n"));
    }
}

#[test]
fn a_lease_is_listed_as_the_kernel_has_it_extended_and_revoked() {
    let mut host = Host::start();
    let (code, said) = host.told(&["leases"]);
    assert_eq!((code, said.trim()), (0, "no lease: nothing is open"));
    let id = host.let_in();
    let lease = host.json(&["leases"])["leases"][0].clone();
    assert_eq!((&lease["port"], &lease["protocol"]), (&22.into(), &"tcp".into()));
    assert_eq!((&lease["to"], &lease["client"]), (&CLIENT.into(), &CLIENT.into()));
    let left = |lease: &Value| lease["left_s"].as_f64().unwrap();
    assert!((1800.0..=3600.0).contains(&left(&lease)), "{lease}");
    assert!(lease["knock"].as_str().unwrap().contains("PORT=22"), "{lease}");
    let status = host.json(&["status"]);
    assert_eq!((&status["leases"], &status["firewall"]["trouble"]), (&1.into(), &Value::Null));
    let compared = || host.json(&["status"])["firewall"]["compared_ago_s"].is_number();
    assert!(await_until(PATIENCE, compared));
    let (_, table) = host.told(&["leases"]);
    assert!(
        table.contains("22/tcp") && table.contains("open") && table.contains(CLIENT),
        "{table}"
    );

    let longer = host.json(&["extend", &id, "30m"]);
    assert!(left(&longer) > left(&lease) + 900.0, "{longer}");
    assert_eq!(host.json(&["leases"])["leases"][0]["until"], longer["until"]);
    let (code, said) = host.told(&["extend", &id, "1d"]);
    assert!(code == 1 && said.contains("maxlease allows 7200 s"), "{said}");
    let (code, said) = host.told(&["extend", "4711", "5m"]);
    assert!(code == 1 && said.contains("there is no lease 4711"), "{said}");
    assert_eq!(host.told(&["extend", &id, "5"]).0, 64, "a number without its unit");

    let (code, said) = host.told(&["revoke", &id, "4711"]);
    assert!(code == 1 && said.contains("closing") && said.contains("no lease 4711"), "{said}");
    host.await_closed();
    let (code, said) = host.told(&["revoke", &id]);
    assert!(code == 1 && said.contains("there is no lease"), "{said}");
}

/// The disk has its time with each of them: what the next one opens would end early by that.
#[test]
fn of_knocks_that_are_read_at_once_each_ones_time_begins_when_it_is_accepted() {
    let mut host = Host::start();
    let stamp = "Nov 21 03:22:42";
    let mut lines = host.written.lines(0, stamp).unwrap();
    lines.extend(host.written.lines(0, stamp).unwrap());
    lines.push("and another line, whose end is not there yet".to_owned());
    host.written.write(&[lines.join("\n")]).unwrap();
    host.daemon.await_line(&format!("opens tcp port 22 to {CLIENT} again")).unwrap();
    host.daemon.signal(Signal::KILL).unwrap();
    host.daemon.await_end().unwrap();
    let ledger = kept::ledger(&host.written.path("state")).unwrap();
    let lease = ledger.leases().next().unwrap();
    assert!(lease.renewed > lease.opened, "{lease:?}");
}

#[test]
fn the_leases_of_a_client_and_all_of_them_are_revoked_at_once() {
    let mut host = Host::start();
    host.let_in();
    let (code, said) = host.told(&["revoke", "--client", "192.0.2.99"]);
    assert!(code == 1 && said.contains("192.0.2.99 has no lease"), "{said}");
    // As it may be written where addresses are IPv6.
    let mapped = format!("::ffff:{CLIENT}");
    assert_eq!(host.told(&["revoke", "--client", &mapped]).0, 0);
    host.await_closed();
    host.let_in();
    assert_eq!(host.json(&["revoke", "--all"])["total"], 1);
    host.await_closed();
    let (code, said) = host.told(&["revoke", "--all"]);
    assert_eq!((code, said.trim()), (0, "no lease: nothing was open"));
    assert_eq!(host.told(&["revoke"]).0, 64, "which ones must be said");
    assert_eq!(host.told(&["revoke", "--all", "1"]).0, 64);
}

/// It closes all the same, and who asked knows that a crash could undo it.
#[test]
fn a_lease_that_is_revoked_on_a_full_disk_closes_and_the_answer_says_so() {
    let mut host = Host::start();
    let id = host.let_in();
    let pid = host.daemon.pid().as_raw_nonzero().to_string();
    let limit = |bytes: &str| {
        let limited = Command::new("prlimit")
            .args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")])
            .status();
        assert!(limited.unwrap().success());
    };
    limit("0");
    let (status, said) = host.told(&["revoke", &id]);
    assert_ne!(status, 0, "{said}");
    assert!(said.contains("cannot be kept on disk"), "{said}");
    assert!(await_until(PATIENCE, || !host.kernel_lets_in()), "{}", host.daemon.lines().join("\n"));
    limit("unlimited");
    host.daemon.await_line("what could not be kept on disk now is").unwrap();
}
