//! Knocks that are sent again to a real daemon: refused, told as what they are, and still refused after a
//! restart.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::programs;
use knock_e2e::written::{CLIENT, WrittenLog};
use rustix::process::Signal;
use serde_json::Value;

/// Twenty-four hits to a knock: more than are compared to know a packet that is sent again.
const CONFIG: &str = "
iv = yes
resume = yes
<actions>
  <action>
    template = tell
  </action>
  <template tell>
    exec = /bin/echo knock TIME
  </template>
</actions>
";

fn start(host: &WrittenLog) -> Running {
    host.daemon(&[], &[]).unwrap()
}

/// The lines of a knock, as the client writes them into a log. Where two of them tell of the same packet
/// by chance, as one knock in sixty does, what is sent again would begin with a SYN that came before.
fn lines(host: &WrittenLog, time: u8) -> Vec<String> {
    loop {
        let lines = any_lines(host, time);
        let packets: BTreeSet<&str> = lines.iter().map(|line| packet(line)).collect();
        if packets.len() == lines.len() {
            return lines;
        }
    }
}

/// `40000 DPT=800`
fn packet(line: &str) -> &str {
    let (_, ports) = line.split_once(" SPT=").unwrap();
    ports.split_once(" WINDOW").unwrap().0
}

fn any_lines(host: &WrittenLog, time: u8) -> Vec<String> {
    let log = host.path("client.log");
    let _none = fs::remove_file(&log);
    let output = Command::new(programs::folder().unwrap().join("knockclient"))
        .args(["-quiet", "-key", "open sesame", "-iv", "yes", "-remote", "192.0.2.1"])
        .args(["-client", CLIENT, "-port", "22", "-time", &time.to_string()])
        .args(["-fileformat", "iptables", "-logtofile", "-logfile"])
        .arg(&log)
        .env("HOME", host.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<String> = fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 24);
    lines
}

/// Likewise, of a later second than these.
fn later_lines(host: &WrittenLog, time: u8, than: &[String]) -> Vec<String> {
    let mut later = Vec::new();
    let is_later = await_until(PATIENCE, || {
        later = lines(host, time);
        stamp(&later[0]) != stamp(&than[than.len() - 1])
    });
    assert!(is_later, "{}", later[0]);
    later
}

/// The same packets, when those came.
fn sent_again(knock: &[String], when: &[String]) -> Vec<String> {
    let again = |(line, when): (&String, &String)| line.replace(stamp(line), stamp(when));
    knock.iter().zip(when).map(again).collect()
}

/// `Nov 21 03:22:42`
fn stamp(line: &str) -> &str {
    &line[..15]
}

fn ask(host: &WrittenLog, words: &[&str]) -> Vec<Value> {
    let program = programs::folder().unwrap().join("knockdaemon");
    let output =
        Command::new(program).args(words).arg("-conf").arg(host.config()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many knocks the running daemon has refused as replays.
fn replayed(host: &WrittenLog) -> u64 {
    let status = ask(host, &["status", "--json"]).remove(0);
    status["hits"]["refused"]["replayed"].as_u64().unwrap_or_default()
}

fn await_replayed(host: &WrittenLog, daemon: &Running, count: u64) {
    let seen = await_until(PATIENCE, || replayed(host) >= count);
    assert!(seen, "{} of {count}\n{}", replayed(host), daemon.lines().join("\n"));
    assert_eq!(replayed(host), count);
}

fn accepted(daemon: &Running) -> usize {
    daemon.lines().iter().filter(|line| line.contains("knock accepted")).count()
}

#[test]
fn a_knock_is_accepted_once_and_a_restart_forgets_nothing() {
    let host = WrittenLog::new(CONFIG).unwrap();
    let mut daemon = start(&host);
    let knock = lines(&host, 1);
    host.write(&knock).unwrap();
    daemon.await_line("done: /bin/echo knock 1").unwrap();
    for signal in [Signal::TERM, Signal::KILL] {
        host.write(&knock).unwrap();
        await_replayed(&host, &daemon, 1);
        daemon.await_line("came again that were accepted before").unwrap();
        daemon.signal(signal).unwrap();
        daemon.await_end().unwrap();
        // What it has dealt with is read again, and is neither answered nor told as a replay.
        daemon = start(&host);
    }
    // One that came while nobody looked, and a fresh one behind it. With the time of the first one they
    // would count as its lines in another log, and be left out as those are.
    daemon.signal(Signal::TERM).unwrap();
    daemon.await_end().unwrap();
    let fresh = later_lines(&host, 2, &knock);
    host.write(&sent_again(&knock, &fresh)).unwrap();
    host.write(&fresh).unwrap();
    let daemon = start(&host);
    daemon.await_line("done: /bin/echo knock 2").unwrap();
    await_replayed(&host, &daemon, 1);
    assert_eq!(accepted(&daemon), 1);

    let log = host.path("messages").display().to_string();
    let events = ask(&host, &["explain", &log, "--client", CLIENT, "--json"]);
    let refused = events.iter().filter(|event| event["verdict"] == "refused");
    let codes: Vec<&str> = refused.map(|event| event["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["replayed"; 3]);
    let summary = events.last().unwrap();
    assert_eq!(summary["knocks"], 2);
    assert_eq!(summary["conclusions"][0]["code"], "replayed");
}

/// Promise 12: half of them before a restart, and half after it.
#[test]
fn of_ten_thousand_replays_none_is_accepted() {
    let host = WrittenLog::new(CONFIG).unwrap();
    let mut daemon = start(&host);
    let knock = lines(&host, 1);
    host.write(&knock).unwrap();
    daemon.await_line("done: /bin/echo knock 1").unwrap();
    for half in 0..2 {
        let many: Vec<String> = (0..50).flat_map(|_| knock.clone()).collect();
        (0..100).for_each(|_| host.write(&many).unwrap());
        await_replayed(&host, &daemon, 5_000);
        assert_eq!(accepted(&daemon), 1 - half);
        daemon.signal(Signal::KILL).unwrap();
        daemon.await_end().unwrap();
        // Where nothing is read again, every line that comes is new.
        let config = fs::read_to_string(host.config()).unwrap();
        fs::write(host.config(), config.replace("resume = yes", "resume = no")).unwrap();
        daemon = start(&host);
    }
    host.write(&lines(&host, 2)).unwrap();
    daemon.await_line("done: /bin/echo knock 2").unwrap();
    assert_eq!(accepted(&daemon), 1);
}
