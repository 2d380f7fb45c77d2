//! Knocks in the journal across a restart of the daemon. The journal is the test's own; journalctl is
//! the real one.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use knock_e2e::journal::{Entries, Journal};
use knock_e2e::process::Running;
use knock_e2e::written::WrittenLog;
use rustix::process::Signal;

const ACTIONS: &str = "
runmode = journal
resume = yes
<actions>
  <action>
    condition = PORT == 22 && TIME != 200
    template  = tell
  </action>
  <template tell>
    exec = /bin/echo knock TIME
  </template>
</actions>
";

const NOW: Duration = Duration::ZERO;
const RESUMED: &str = "following the journal from where the last run stopped";

struct Host {
    log: WrittenLog,
    journal: Journal,
    entries: Entries,
}

impl Host {
    fn new() -> Self {
        let log = WrittenLog::new(ACTIONS).unwrap();
        let (journal, entries) = Journal::within(&log.path("")).unwrap();
        Self { log, journal, entries }
    }

    fn start(&self) -> Running {
        let before = ["env".to_owned(), format!("PATH={}", self.journal.path())];
        self.log.daemon(&before, &["-debug"]).unwrap()
    }

    /// What the kernel says of a knock, in two halves.
    fn halves(&mut self, time: u8) -> (Vec<String>, Vec<String>) {
        let lines = self.log.lines(time, "").unwrap();
        let text = |line: String| line.split_once("kernel: ").unwrap().1.to_owned();
        let mut lines: Vec<String> = lines.into_iter().map(text).collect();
        let second = lines.split_off(lines.len() / 2);
        (lines, second)
    }

    fn write(&mut self, ago: Duration, lines: &[String]) {
        lines.iter().for_each(|line| self.entries.write_of(ago, line).unwrap());
        assert!(self.journal.await_shown(lines.last().unwrap()));
    }

    fn knock(&mut self, time: u8, ago: Duration) {
        let (first, second) = self.halves(time);
        self.write(ago, &[first, second].concat());
    }
}

fn end(mut daemon: Running, signal: Signal) -> Vec<String> {
    daemon.signal(signal).unwrap();
    daemon.await_end().unwrap();
    daemon.await_last_words().unwrap();
    daemon.lines()
}

/// The knocks that were accepted, in order, by their TIME. What was running when the daemon was killed runs
/// again; that is another matter.
fn accepted(lines: &[String]) -> Vec<String> {
    let told = lines.iter().filter(|line| line.contains("knock accepted"));
    let time = |line: &String| {
        let (_, time) = line.split_once("TIME=").unwrap();
        time.split_whitespace().next().unwrap().to_owned()
    };
    told.map(time).collect()
}

fn await_answered(daemon: &Running, time: u8) {
    daemon.await_line(&format!("done: /bin/echo knock {time}")).unwrap();
}

#[test]
#[ignore = "needs systemd-journal-remote: sudo make test"]
fn half_a_knock_before_a_restart_and_half_after_it() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut host = Host::new();
        let daemon = host.start();
        // The place is kept with an accepted knock, for a kill leaves no time to.
        host.knock(1, NOW);
        await_answered(&daemon, 1);
        let (first, second) = host.halves(2);
        host.write(NOW, &first);
        daemon.await_line(&format!("queued {}/", first.len())).unwrap();
        assert_eq!(accepted(&end(daemon, signal)), ["1"]);
        let daemon = host.start();
        daemon.await_line(RESUMED).unwrap();
        host.write(NOW, &second);
        await_answered(&daemon, 2);
        assert_eq!(accepted(&end(daemon, Signal::TERM)), ["2"], "{signal:?}: not 1 once more");
    }
}

#[test]
#[ignore = "needs systemd-journal-remote: sudo make test"]
fn what_was_sent_while_it_was_down_counts_once_unless_it_is_older_than_maxlag() {
    let mut host = Host::new();
    end(host.start(), Signal::TERM);
    host.knock(1, Duration::from_secs(90));
    host.knock(2, NOW);
    let daemon = host.start();
    daemon.await_line(RESUMED).unwrap();
    await_answered(&daemon, 2);
    assert_eq!(accepted(&end(daemon, Signal::KILL)), ["2"]);
    // All of it is read again.
    let daemon = host.start();
    host.knock(3, NOW);
    await_answered(&daemon, 3);
    assert_eq!(accepted(&end(daemon, Signal::TERM)), ["3"]);
}

#[test]
#[ignore = "needs systemd-journal-remote: sudo make test"]
fn where_the_journal_has_lost_the_place_it_begins_at_now_and_says_so() {
    let mut host = Host::new();
    let daemon = host.start();
    host.knock(1, NOW);
    await_answered(&daemon, 1);
    end(daemon, Signal::TERM);
    host.knock(2, NOW);
    // Vacuumed away, and begun anew.
    let Host { log, journal, .. } = host;
    drop(journal);
    std::fs::remove_dir_all(log.path("journal")).unwrap();
    std::fs::remove_dir_all(log.path("bin")).unwrap();
    let (journal, entries) = Journal::within(&log.path("")).unwrap();
    let mut host = Host { log, journal, entries };
    host.knock(3, NOW);
    let daemon = host.start();
    daemon.await_line("following the journal from now on, not from where").unwrap();
    host.knock(4, NOW);
    await_answered(&daemon, 4);
    assert_eq!(accepted(&end(daemon, Signal::TERM)), ["4"]);
}
