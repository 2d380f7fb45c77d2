//! `scheduler = at` with the real at(1) and atd, in a part of the machine of its own.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;

use knock_e2e::private::Private;
use knock_e2e::process::{PATIENCE, await_until};
use knock_e2e::written::WrittenLog;
use rustix::process::Signal;

const ACTIONS: &str = "
scheduler = at
<actions>
  <action>
    condition = PORT == 22 && TIME < 255
    template  = open
  </action>
  <action>
    condition = PORT == 22 && TIME > 0 && TIME < 255
    template  = close
    delay     = DELAY
  </action>
  <action>
    condition = PORT == 22 && TIME > 0 && TIME < 255
    template  = note
    delay     = DELAY
  </action>
  <template open>
    iptables = -I INPUT -p tcp -s IP/32 --dport PORT -m comment --comment \"is open\" -j ACCEPT
  </template>
  <template close>
    iptables = -D INPUT -p tcp -s IP/32 --dport PORT -m comment --comment \"is open\" -j ACCEPT
  </template>
  <template note>
    system = env >FOLDER/env.new; echo 'closed  IP' >>FOLDER/env.new; mv FOLDER/env.new FOLDER/env
  </template>
</actions>
";

fn rules(machine: &Private) -> usize {
    let rules = machine.on("iptables -S INPUT").unwrap();
    rules.lines().filter(|rule| rule.contains("198.51.100.7/32")).count()
}

#[test]
#[ignore = "needs root: sudo make test"]
fn at_closes_what_a_knock_opened_though_the_daemon_is_dead() {
    let machine = Private::new().unwrap();
    let atd = machine.atd().unwrap();
    let mut host = WrittenLog::new(&ACTIONS.replace("DELAY", "TIME")).unwrap();
    let mut daemon = host.daemon(&machine.enter(), &[]).unwrap();
    host.knock(15).unwrap();
    daemon.await_line("done: iptables -I").unwrap();
    assert_eq!(rules(&machine), 1);

    // Both jobs are at(1)'s before anything is opened.
    let said = daemon.lines();
    let position = |text: &str| said.iter().position(|line| line.contains(text)).unwrap();
    assert!(position("job 1 at 20") < position("done: iptables -I"), "{said:?}");
    assert!(position("job 2 at 20") < position("done: iptables -I"), "{said:?}");
    let jobs = machine.jobs().unwrap();
    assert_eq!(jobs.len(), 2, "{jobs:?}");
    for job in &jobs {
        let text = fs::read_to_string(job).unwrap();
        assert!(!text.contains("secret") && !text.contains("sesame"), "{text}");
    }

    daemon.signal(Signal::KILL).unwrap();
    daemon.await_end().unwrap();
    for job in &jobs {
        machine.bring_forward(job, &atd).unwrap();
    }
    assert!(await_until(PATIENCE, || rules(&machine) == 0), "{:?}", atd.lines());
    assert!(await_until(PATIENCE, || host.path("env").exists()), "{:?}", atd.lines());
    let environment = fs::read_to_string(host.path("env")).unwrap();
    let has = |line: &str| environment.lines().any(|it| it == line);
    assert!(has("KNOCK_IP=198.51.100.7") && has("KNOCK_TIME=15"), "{environment}");
    assert!(has("closed  198.51.100.7"), "{environment}");
    assert!(!environment.contains("E2E_SECRET") && !environment.contains("TZ="), "{environment}");

    // Nothing of it is left in the agenda.
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    assert!(!daemon.lines().join("\n").contains("agenda taken up"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn without_atd_the_agenda_closes() {
    let machine = Private::new().unwrap();
    let mut host = WrittenLog::new(&ACTIONS.replace("DELAY", "2s")).unwrap();
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    host.knock(15).unwrap();
    let said = daemon.await_lines("not handed to at(1), the agenda has it", 2).unwrap();
    assert!(said.iter().all(|line| line.contains("No atd running?")), "{said:?}");
    daemon.await_line("done: iptables -I").unwrap();
    daemon.await_line("done: iptables -D").unwrap();
    assert_eq!(rules(&machine), 0);
    assert!(await_until(PATIENCE, || host.path("env").exists()));
    // No second closing waits for a day on which somebody starts atd.
    assert_eq!(machine.jobs().unwrap(), Vec::<std::path::PathBuf>::new());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn check_says_where_at_is_missing_and_where_it_is_too_coarse() {
    let machine = Private::new().unwrap();
    let host = WrittenLog::new(&ACTIONS.replace("DELAY", "90s")).unwrap();
    let program = knock_e2e::programs::folder().unwrap().join("knockdaemon");
    let line = format!("{} check -conf {}", program.display(), host.config().display());
    let said = machine.on(&line).unwrap();
    assert!(said.contains("at(1) knows full minutes only"), "{said}");
    assert!(!said.contains("there is no at(1)"), "{said}");
    machine.on("mount --bind /dev/null /usr/bin/at").unwrap();
    let said = machine.on(&line).unwrap();
    assert!(said.contains("warning: there is no at(1) on this machine"), "{said}");
}

/// As under systemd with AmbientCapabilities=: atd would run `iptables -D` as that user, in vain.
#[test]
#[ignore = "needs root: sudo make test"]
fn a_closing_that_a_job_could_not_do_stays_in_the_agenda() {
    let machine = Private::new().unwrap();
    let _atd = machine.atd().unwrap();
    let mut host = WrittenLog::new(&ACTIONS.replace("DELAY", "2s")).unwrap();
    // None of those in /etc/at.deny.
    let before = machine.enter();
    let daemon = host.daemon_as("_apt", &["net_admin", "net_raw"], &before, &[]).unwrap();
    daemon.await_line("without its capabilities, so delayed actions stay").unwrap();
    host.knock(15).unwrap();
    let said = daemon.await_lines("not handed to at(1), the agenda has it", 2).unwrap();
    assert!(said.iter().all(|line| line.contains("without its capabilities")), "{said:?}");
    daemon.await_line("done: iptables -I").unwrap();
    daemon.await_line("done: iptables -D").unwrap();
    assert_eq!(rules(&machine), 0);
    assert_eq!(machine.jobs().unwrap(), Vec::<std::path::PathBuf>::new());
}
