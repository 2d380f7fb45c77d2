//! Knocks across a restart: half of one before it and half after, with the log rotated meanwhile.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::io::Write as _;
use std::process::Command;

use knock_e2e::process::Running;
use knock_e2e::written::WrittenLog;
use rustix::process::Signal;

const ACTIONS: &str = "
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

fn host() -> WrittenLog {
    WrittenLog::new(ACTIONS).unwrap()
}

/// The lines of a knock that happened so many seconds ago, in two halves.
fn halves(host: &mut WrittenLog, time: u8, ago: u32) -> (Vec<String>, Vec<String>) {
    let date = Command::new("date")
        .args(["--date", &format!("{ago} seconds ago"), "+%Y-%m-%dT%H:%M:%S.%6N%:z"])
        .output()
        .unwrap();
    assert!(date.status.success());
    let stamp = String::from_utf8(date.stdout).unwrap();
    let mut lines = host.lines(time, stamp.trim()).unwrap();
    let second = lines.split_off(lines.len() / 2);
    (lines, second)
}

fn write(host: &mut WrittenLog, time: u8, ago: u32) {
    let (first, second) = halves(host, time, ago);
    host.write(&first).unwrap();
    host.write(&second).unwrap();
}

fn start(host: &WrittenLog) -> Running {
    host.daemon(&[], &["-debug"]).unwrap()
}

fn end(mut daemon: Running, signal: Signal) -> Vec<String> {
    daemon.signal(signal).unwrap();
    daemon.await_end().unwrap();
    daemon.lines()
}

/// Whether a knock is the next that is answered: what came before it was not.
fn check_next(daemon: &Running, time: u8) {
    daemon.await_line("done: /bin/echo knock").unwrap();
    let answered =
        daemon.lines().into_iter().find(|line| line.contains("done: /bin/echo")).unwrap();
    assert!(answered.contains(&format!("knock {time}")), "{}", daemon.lines().join("\n"));
}

/// Waits until so many hits are in a queue.
fn await_queued(daemon: &Running, hits: usize) {
    daemon.await_line(&format!("queued {hits}/")).unwrap();
}

#[test]
fn half_a_knock_before_a_restart_and_half_after_it() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut host = host();
        let daemon = start(&host);
        // The place is kept with an accepted knock, for a kill leaves no time to.
        write(&mut host, 1, 0);
        check_next(&daemon, 1);
        let (first, second) = halves(&mut host, 2, 0);
        host.write(&first).unwrap();
        await_queued(&daemon, first.len());
        end(daemon, signal);
        let daemon = start(&host);
        host.write(&second).unwrap();
        // Not the first knock, which is read again.
        check_next(&daemon, 2);
        let lines = end(daemon, Signal::TERM);
        assert_eq!(lines.iter().filter(|line| line.contains("knock accepted")).count(), 1);
    }
}

#[test]
fn without_resume_a_restart_begins_at_the_end() {
    let mut host = host();
    let config = fs::read_to_string(host.config()).unwrap();
    fs::write(host.config(), config.replace("resume = yes", "resume = no")).unwrap();
    let daemon = start(&host);
    let (first, second) = halves(&mut host, 1, 0);
    host.write(&first).unwrap();
    await_queued(&daemon, first.len());
    end(daemon, Signal::TERM);
    write(&mut host, 2, 0);
    let daemon = start(&host);
    host.write(&second).unwrap();
    write(&mut host, 3, 0);
    check_next(&daemon, 3);
}

#[test]
fn the_log_is_rotated_while_nobody_looks() {
    let mut host = host();
    let daemon = start(&host);
    let (first, second) = halves(&mut host, 1, 0);
    host.write(&first).unwrap();
    await_queued(&daemon, first.len());
    end(daemon, Signal::TERM);
    host.write(&second[..2]).unwrap();
    fs::rename(host.path("messages"), host.path("messages.1")).unwrap();
    host.write(&second[2..]).unwrap();
    let daemon = start(&host);
    daemon.await_line("rotated away since").unwrap();
    check_next(&daemon, 1);
    end(daemon, Signal::TERM);

    // As copytruncate does.
    let (first, second) = halves(&mut host, 2, 0);
    host.write(&first).unwrap();
    fs::copy(host.path("messages"), host.path("messages.2")).unwrap();
    fs::write(host.path("messages"), "").unwrap();
    host.write(&second).unwrap();
    let daemon = start(&host);
    check_next(&daemon, 2);
}

#[test]
fn what_is_older_than_maxlag_opens_nothing() {
    let mut host = host();
    let daemon = start(&host);
    end(daemon, Signal::TERM);
    write(&mut host, 1, 90);
    // Half of it is young enough.
    let (first, _) = halves(&mut host, 2, 90);
    host.write(&first).unwrap();
    let (_, second) = halves(&mut host, 2, 0);
    host.write(&second).unwrap();
    let daemon = start(&host);
    daemon.await_line("not used: it is").unwrap();
    write(&mut host, 3, 0);
    check_next(&daemon, 3);
    end(daemon, Signal::TERM);

    // The same line by line as it comes: the clock that stamps it is wrong, and that is told.
    let daemon = start(&host);
    write(&mut host, 4, 4000);
    daemon.await_line("compare the clock and the time zone").unwrap();
    write(&mut host, 5, 0);
    check_next(&daemon, 5);
}

#[test]
fn strangers_move_no_place_on_disk() {
    let mut host = host();
    let daemon = start(&host);
    // What follows from a knock would be struck out on disk some time later.
    write(&mut host, 200, 0);
    daemon.await_line("no action's condition holds").unwrap();
    let store = |name: &str| fs::read(host.path("state").join(name)).unwrap();
    let before = (store("knockdaemon.db"), store("knockdaemon.db-wal"));
    let (mut lines, more) = halves(&mut host, 2, 0);
    lines.extend(more);
    lines.reverse();
    for round in 100..150 {
        let packets = lines.iter().map(|line| line.replace("SPT=400", &format!("SPT={round}")));
        host.write(&packets.collect::<Vec<_>>()).unwrap();
    }
    let last = lines.pop().unwrap();
    host.write(&[last.replace("DPT=", "DPT=6")]).unwrap();
    daemon.await_line("outside the span").unwrap();
    let store = |name: &str| fs::read(host.path("state").join(name)).unwrap();
    assert!(before == (store("knockdaemon.db"), store("knockdaemon.db-wal")));
}

#[test]
fn a_reload_with_another_fileinterval_reads_on() {
    let mut host = host();
    let daemon = start(&host);
    let (first, second) = halves(&mut host, 1, 0);
    host.write(&first).unwrap();
    await_queued(&daemon, first.len());
    let config = fs::read_to_string(host.config()).unwrap();
    fs::write(host.config(), format!("fileinterval = 7\n{config}")).unwrap();
    daemon.signal(Signal::HUP).unwrap();
    host.write(&second).unwrap();
    check_next(&daemon, 1);
    daemon.await_line("configuration reloaded").unwrap();
    let lines = end(daemon, Signal::TERM);
    assert_eq!(lines.iter().filter(|line| line.contains("following")).count(), 1);
}

/// The log in which they are changed is read from its beginning; what was answered is known by its time.
#[test]
fn a_log_that_is_edited_while_nobody_looks_opens_nothing_again() {
    let mut host = host();
    for round in 0..30 {
        let (lines, _) = halves(&mut host, 100 + round, 200);
        host.write(&lines).unwrap();
    }
    let daemon = start(&host);
    write(&mut host, 1, 0);
    check_next(&daemon, 1);
    end(daemon, Signal::TERM);
    let text = fs::read_to_string(host.path("messages")).unwrap();
    for edited in [
        text.lines().skip(1).map(|line| format!("{line}\n")).collect(),
        format!("x\n{text}"),
        text.lines().skip(20).map(|line| format!("{line}\n")).collect(),
        text.replace("vm kernel", "host kernel"),
    ] {
        fs::write(host.path("messages"), edited).unwrap();
        let daemon = start(&host);
        write(&mut host, 2, 0);
        check_next(&daemon, 2);
        end(daemon, Signal::TERM);
    }
}

/// The kernel's lines go to two logs, and the place in only one of them is kept with a knock.
#[test]
fn a_knock_that_two_logs_have_is_answered_once_over_a_crash() {
    let mut host = host();
    let (config, second) = (fs::read_to_string(host.config()).unwrap(), host.path("kern.log"));
    fs::write(host.config(), format!("{config}\nlogfile = {}\n", second.display())).unwrap();
    let write_both = |host: &mut WrittenLog, time: u8| {
        let (first, more) = halves(host, time, 0);
        for lines in [first, more] {
            let mut log = fs::OpenOptions::new().append(true).create(true).open(&second).unwrap();
            log.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
            host.write(&lines).unwrap();
        }
    };
    fs::write(&second, "").unwrap();
    let follows_both = |daemon: &Running| {
        daemon.await_line("kern.log\"").unwrap();
        daemon.await_line("messages\"").unwrap();
    };
    end(start(&host), Signal::TERM);
    for round in 0..6 {
        let mut answered = |signal, time| {
            let daemon = start(&host);
            follows_both(&daemon);
            write_both(&mut host, time);
            daemon.await_line(&format!("done: /bin/echo knock {time} ")).unwrap();
            // An order that was running when it was killed runs once more; no knock does.
            let lines = end(daemon, signal);
            let accepted = lines.iter().filter(|line| line.contains("knock accepted"));
            assert_eq!(accepted.count(), 1, "{}", lines.join("\n"));
        };
        answered(Signal::KILL, 2 * round + 1);
        answered(Signal::TERM, 2 * round + 2);
    }
}
