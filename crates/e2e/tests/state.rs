//! The state variable and its readable copy, through a daemon that is killed and started again.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::io::Write;

use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::written::WrittenLog;
use rustix::process::Signal;

/// A visit is counted whether it is answered or not; what answers it comes in an hour.
const ACTIONS: &str = "
statefile = FOLDER/state.json
<actions>
  <action>
    condition = TIME == 1
    template  = later
    delay     = 1h
  </action>
  <action>
    condition = TIME == 2 && state(IP,visits) == 2
    template  = tell
  </action>
  <template later>
    system = touch FOLDER/later
    state  = state(IP,visits)++
  </template>
  <template tell>
    exec = /bin/echo knows state
  </template>
</actions>
";

fn kill(mut daemon: Running) {
    daemon.signal(Signal::KILL).unwrap();
    daemon.await_end().unwrap();
}

#[test]
fn state_is_done_at_once_whatever_the_delay_and_survives_a_kill() {
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    for visits in 1..=2 {
        let daemon = host.daemon(&[], &[]).unwrap();
        host.knock(1).unwrap();
        daemon.await_line("knock accepted").unwrap();
        let written = || {
            let text = fs::read_to_string(host.path("state.json")).unwrap_or_default();
            text.contains(&format!("\"visits\": {visits}\n"))
        };
        assert!(await_until(PATIENCE, written), "{:?}", daemon.lines());
        kill(daemon);
    }
    assert!(!host.path("later").exists(), "its time has not come");

    // Without the file too: the store has it.
    fs::remove_file(host.path("state.json")).unwrap();
    let daemon = host.daemon(&[], &[]).unwrap();
    daemon.await_line("agenda taken up").unwrap();
    host.knock(2).unwrap();
    daemon.await_line("done: /bin/echo knows state").unwrap();
    kill(daemon);
}

#[test]
fn what_an_admin_wrote_into_the_file_counts_and_a_broken_file_stops_nothing() {
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let state = host.path("state.json");
    fs::write(&state, "{\"198.51.100.7\": {\"visits\": 2}}").unwrap();
    let daemon = host.daemon(&[], &[]).unwrap();
    daemon.await_line("was edited and is taken over").unwrap();
    host.knock(2).unwrap();
    daemon.await_line("done: /bin/echo knows state").unwrap();
    kill(daemon);

    fs::write(&state, "half a fi").unwrap();
    let daemon = host.daemon(&[], &[]).unwrap();
    daemon.await_line("is damaged").unwrap();
    host.knock(2).unwrap();
    daemon.await_line("done: /bin/echo knows state").unwrap();
    assert_eq!(fs::read(host.path("state.json.damaged-1")).unwrap(), b"half a fi");
    kill(daemon);

    // A folder that is not there: said once, and knocks are answered.
    let config = fs::read_to_string(host.config()).unwrap();
    fs::write(host.config(), config.replace("state.json", "none/state.json")).unwrap();
    let daemon = host.daemon(&[], &[]).unwrap();
    daemon.await_line("cannot write the statefile").unwrap();
    for _ in 0..2 {
        host.knock(1).unwrap();
    }
    daemon.await_lines("knock accepted", 2).unwrap();
    host.knock(0).unwrap();
    daemon.await_lines("knock accepted", 3).unwrap();
    let complaints = daemon.lines().iter().filter(|line| line.contains("cannot write")).count();
    assert_eq!(complaints, 1);
}

#[test]
fn strangers_and_a_trial_run_write_nothing() {
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let daemon = host.daemon(&[], &["-test"]).unwrap();
    host.knock(1).unwrap();
    daemon.await_line("would run: touch").unwrap();
    kill(daemon);
    assert!(!host.path("state.json").exists() && !host.path("state").exists());

    let daemon = host.daemon(&[], &["-debug"]).unwrap();
    assert!(await_until(PATIENCE, || host.path("state.json").exists()));
    // Written again, it would be there again.
    fs::remove_file(host.path("state.json")).unwrap();
    let log = host.path("messages");
    // The right ports in the wrong order.
    let lines = fs::read_to_string(&log).unwrap();
    let wrong: Vec<&str> = lines.lines().rev().collect();
    let mut strangers = fs::OpenOptions::new().append(true).open(&log).unwrap();
    for _ in 0..20 {
        writeln!(strangers, "{}", wrong.join("\n")).unwrap();
    }
    // A knock that changes no state, behind the strangers' lines.
    host.knock(0).unwrap();
    daemon.await_line("knock accepted").unwrap();
    kill(daemon);
    assert!(!host.path("state.json").exists());
}
