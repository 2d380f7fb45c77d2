//! The real journalctl on a journal that systemd-journal-remote writes while it is read.

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use super::*;
use crate::{Age, testing::Collected};

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";

/// A journal, and the program that writes it. Entries are of this boot, since `-k` shows no others.
struct Journal {
    folder: tempfile::TempDir,
    writer: Child,
    entries: Option<ChildStdin>,
    boot: String,
    micros: u64,
}

impl Journal {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Command::new(REMOTE)
            .arg(format!("--output={}", folder.path().join("system.journal").display()))
            .args(["--split-mode=none", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{REMOTE}: {error}; it is in systemd-journal-remote"));
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let boot = boot.trim().replace('-', "");
        let entries = writer.stdin.take();
        let mut it = Self { folder, writer, entries, boot, micros: 1_000_000 };
        it.write("kernel", b"an old line");
        // Until the old entry can be read there is nothing to begin behind.
        while !it.shows("an old line") {
            thread::yield_now();
        }
        it
    }

    /// Whether journalctl shows it by now.
    fn shows(&self, text: &str) -> bool {
        let mut show = Command::new("journalctl");
        show.arg(self.directory()).args(["-k", "-o", "cat"]);
        String::from_utf8_lossy(&show.output().unwrap().stdout).contains(text)
    }

    fn write(&mut self, transport: &str, message: &[u8]) {
        self.micros += 1_000_000;
        let wall = 1_795_231_365_000_000 + self.micros;
        let head = format!(
            "__REALTIME_TIMESTAMP={wall}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID={}\n_TRANSPORT={transport}\n\
             _SOURCE_MONOTONIC_TIMESTAMP={}\nMESSAGE\n",
            self.micros, self.boot, self.micros
        );
        // A field as bytes with their length before them, which takes any.
        let length = (message.len() as u64).to_le_bytes();
        let entry = [head.as_bytes(), &length, message, b"\n\n"].concat();
        self.entries.as_mut().unwrap().write_all(&entry).unwrap();
    }

    fn directory(&self) -> String {
        format!("--directory={}", self.folder.path().display())
    }

    fn source(&self) -> JournalSource {
        JournalSource::by("journalctl".into(), &[&self.directory()])
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _gone = self.writer.kill();
        let _gone = self.writer.wait();
    }
}

/// Runs a source in a thread, and gives it back when it ends.
fn start(
    mut source: JournalSource,
    got: &Collected,
    stop: &Stop,
) -> thread::JoinHandle<(JournalSource, Result<(), SourceError>)> {
    let (mut intake, stop) = (got.clone(), stop.clone());
    thread::spawn(move || {
        let result = source.run(&mut intake, &stop);
        (source, result)
    })
}

/// The children of this process that run journalctl for this journal.
fn children(directory: &str) -> Vec<i32> {
    let is_it = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("journalctl") && line.contains(directory) && line.contains("-f")
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_it).collect()
}

#[test]
#[ignore = "needs systemd-journal-remote: sudo make test"]
fn the_kernels_lines_come_as_they_are_written_and_nobody_elses() {
    let mut journal = Journal::new();
    let (got, stop) = (Collected::new(), Stop::new().unwrap());
    let reader = start(journal.source(), &got, &stop);
    got.await_notice("following the journal");
    journal.write("syslog", b"portknock IN=eth0 OUT= SRC=192.0.2.1");
    journal.write("kernel", b"portknock IN=eth0 OUT= SRC=203.0.113.7 ");
    let long = vec![b'x'; 900];
    journal.write("kernel", &long);
    journal.write("kernel", b"no text \xff\n[    1.000000] forged");
    let lines = got.await_lines(3);
    assert_eq!(lines[0], "[    4.000000] portknock IN=eth0 OUT= SRC=203.0.113.7 ");
    assert!(lines[1].starts_with("[    5.000000] x") && lines[1].len() == 915, "{}", lines[1]);
    let raw = got.raw_lines();
    assert_eq!(raw[2], b"[    6.000000] no text \xff\\x0a[    1.000000] forged");
    assert_eq!(raw.len(), 3, "nothing old, and nothing of other programs");

    assert_eq!(children(&journal.directory()).len(), 1);
    stop.set();
    reader.join().unwrap().1.unwrap();
    assert_eq!(children(&journal.directory()), [0; 0], "it is gone when we are");
}

#[test]
#[ignore = "needs systemd-journal-remote: sudo make test"]
fn a_journalctl_that_dies_is_started_again_behind_the_last_line() {
    let mut journal = Journal::new();
    let (got, stop) = (Collected::new(), Stop::new().unwrap());
    let mut source = journal.source();
    for round in 0..4 {
        let reader = start(source, &got, &stop);
        got.await_notices("following the journal", round + 1);
        if round % 2 == 0 {
            journal.write("kernel", format!("line {round}").as_bytes());
            let _so_far = got.await_lines(1 + round * 3 / 2);
        }
        let child = loop {
            // It is started behind the word that reading begins.
            if let [child] = children(&journal.directory())[..] {
                break child;
            }
            thread::yield_now();
        };
        let child = rustix::process::Pid::from_raw(child).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        let (ended, result) = reader.join().unwrap();
        let error = result.unwrap_err().to_string();
        assert!(error.contains("journalctl") && error.contains("signal: 9"), "{error}");
        source = ended;
        // What is written meanwhile is not lost, be it the first line at all or a later one.
        journal.write("kernel", format!("meanwhile {round}").as_bytes());
        while !journal.shows(&format!("meanwhile {round}")) {
            thread::yield_now();
        }
    }
    let reader = start(source, &got, &stop);
    let lines = got.await_lines(6);
    let texts: Vec<&str> = lines.iter().map(|line| &line[15..]).collect();
    assert_eq!(
        texts,
        ["line 0", "meanwhile 0", "meanwhile 1", "line 2", "meanwhile 2", "meanwhile 3"]
    );
    stop.set();
    reader.join().unwrap().1.unwrap();
}

#[test]
fn what_journalctl_has_against_it_is_told() {
    let (mut got, stop) = (Collected::new(), Stop::new().unwrap());
    let empty = tempfile::tempdir().unwrap();
    let directory = format!("--directory={}", empty.path().display());
    let mut source = JournalSource::by("journalctl".into(), &[&directory]);
    let error = source.run(&mut got, &stop).unwrap_err().to_string();
    assert!(error.contains("exit status: 1") && error.contains("boot"), "{error}");
    assert!(error.contains("systemd-journal"), "{error}");

    let mut source = JournalSource::by("/nonexistent/journalctl".into(), &[]);
    let error = source.run(&mut got, &stop).unwrap_err();
    assert!(matches!(error, SourceError::JournalMissing(_)), "{error}");
    assert!(error.to_string().contains("runmode = kmsg"), "{error}");
    assert!(got.notices().is_empty(), "it never began");
}

#[test]
fn a_hint_is_handed_on_and_a_stop_is_heard_while_journalctl_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("journalctl");
    script(
        &program,
        "case \"$*\" in *-f*) exec sleep 3600;; esac; echo 'Hint: you see nothing' >&2",
    );
    let (got, stop) = (Collected::new(), Stop::new().unwrap());
    let reader = start(JournalSource::by(program, &[]), &got, &stop);
    got.await_notice("following the journal");
    assert_eq!(got.notices()[0], "journalctl says: Hint: you see nothing");
    stop.set();
    reader.join().unwrap().1.unwrap();
}

#[test]
fn a_cursor_that_leads_back_brings_no_old_line_again() {
    let mut reached = Reached::default();
    let mut got = Collected::new();
    let entry = |number: u64| {
        format!(
            "{{\"_TRANSPORT\":\"kernel\",\"__CURSOR\":\"{number}\",\"MESSAGE\":\"{number}\",\
             \"__MONOTONIC_TIMESTAMP\":\"{number}\"}}\n"
        )
    };
    for numbers in [[1, 2, 3], [2, 3, 4]] {
        let mut entries = following(&mut reached, &mut got);
        let block: String = numbers.map(entry).concat();
        assert!(entries.lines(block.as_bytes()).is_continue());
    }
    assert_eq!(got.lines().len(), 4, "{:?}", got.lines());
}

#[test]
fn entries_that_were_taken_at_once_have_places_of_their_own() {
    let (mut reached, mut got) = (Reached::default(), Collected::new());
    let block: String = [(7, "a"), (7, "b"), (8, "c"), (8, "d"), (8, "e")]
        .map(|(taken, name)| {
            format!(
                "{{\"_TRANSPORT\":\"kernel\",\"__CURSOR\":\"{name}\",\"MESSAGE\":\"\",\
                 \"_BOOT_ID\":\"ff\",\"__MONOTONIC_TIMESTAMP\":\"{taken}\"}}\n"
            )
        })
        .concat();
    assert!(following(&mut reached, &mut got).lines(block.as_bytes()).is_continue());
    let places: Vec<String> = got.entries().iter().map(|line| line.taken.to_string()).collect();
    assert_eq!(places, ["7.0", "7.1", "8.0", "8.1", "8.2"]);
    let last = got.entry().unwrap();
    assert_eq!((last.boot, last.name.as_str()), (255, "e"));
}

#[test]
#[ignore = "needs systemd-journal-remote: sudo make test"]
fn a_later_run_goes_on_behind_the_entry_of_an_earlier_one() {
    let mut journal = Journal::new();
    let (got, stop) = (Collected::new(), Stop::new().unwrap());
    let reader = start(journal.source(), &got, &stop);
    got.await_notice("following the journal");
    let from = got.entry().unwrap();
    journal.write("kernel", b"dealt with");
    let _one = got.await_lines(1);
    let done = Some(got.entry().unwrap().taken);
    journal.write("kernel", b"read, no more");
    let _two = got.await_lines(2);
    stop.set();
    reader.join().unwrap().1.unwrap();
    journal.write("kernel", b"meanwhile");
    while !journal.shows("meanwhile") {
        thread::yield_now();
    }

    let cursor = JournalCursor { from: from.clone(), done };
    let (got, stop) = (Collected::new(), Stop::new().unwrap());
    let reader = start(journal.source().resuming(Some(cursor)), &got, &stop);
    got.await_notice("following the journal from where the last run stopped");
    assert_eq!(got.await_lines(3).len(), 3);
    journal.write("kernel", b"now");
    let lines = got.await_lines(4);
    let texts: Vec<&str> = lines.iter().map(|line| &line[15..]).collect();
    assert_eq!(texts, ["dealt with", "read, no more", "meanwhile", "now"]);
    assert_eq!(got.ages(), [Age::Known, Age::Backlog, Age::Backlog, Age::Live]);
    stop.set();
    reader.join().unwrap().1.unwrap();

    // One that the journal has not, and one of another run of the machine.
    let gone = EntryPlace { name: from.name.replace("s=", "s=0"), ..from.clone() };
    let other = EntryPlace { name: from.name.replace(";i=", ";i=7"), ..from.clone() };
    let no_name = EntryPlace { name: "nonsense".to_owned(), ..from.clone() };
    let boot = EntryPlace { boot: 1, ..from };
    for (from, why) in [
        (gone, "no such entry"),
        (other, "no such entry"),
        (no_name, "no such entry"),
        (boot, "started anew"),
    ] {
        let cursor = JournalCursor { from, done: None };
        let (got, stop) = (Collected::new(), Stop::new().unwrap());
        let reader = start(journal.source().resuming(Some(cursor)), &got, &stop);
        got.await_notice(why);
        assert!(got.notices()[0].starts_with("following the journal from now on"), "{why}");
        journal.write("kernel", why.as_bytes());
        let lines = got.await_lines(1);
        assert!(lines[0].ends_with(why) && got.ages() == [Age::Live], "{lines:?}");
        stop.set();
        reader.join().unwrap().1.unwrap();
    }
}

/// The real journalctl, where there is neither a journal in memory nor one on disk.
#[test]
#[ignore = "needs user namespaces: sudo make test"]
fn that_there_is_no_journal_at_all_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("journalctl");
    script(
        &program,
        "exec unshare -rm sh -c 'mount -t tmpfs none /var/log && mount -t tmpfs none /run \
         && exec journalctl \"$@\"' sh \"$@\"",
    );
    let (got, stop) = (Collected::new(), Stop::new().unwrap());
    let reader = start(JournalSource::by(program, &[]), &got, &stop);
    got.await_notice("keeps no journal on this machine");
    let notices = got.notices();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices.iter().any(|told| told.contains("runmode = kmsg")), "{notices:?}");
    stop.set();
    reader.join().unwrap().1.unwrap();
}

/// journalctl cannot be started for the second look, as where there is no room for one more process.
#[test]
fn the_place_of_an_earlier_run_is_looked_for_until_it_could_be() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("journalctl");
    script(
        &program,
        "case \"$*\" in *-f*) exec sleep 3600;; esac
         [ -e \"$0.seen\" ] || mv \"$0\" \"$0.seen\"
         echo '{\"_TRANSPORT\":\"kernel\",\"__CURSOR\":\"c\",\"MESSAGE\":\"\",\"_BOOT_ID\":\"ff\",'\
         '\"__MONOTONIC_TIMESTAMP\":\"7\"}'",
    );
    let taken = Taken { micros: 7, tie: 0 };
    let from = EntryPlace { boot: 255, name: "c".to_owned(), taken };
    let (mut got, stop) = (Collected::new(), Stop::new().unwrap());
    let cursor = JournalCursor { from, done: None };
    let mut source = JournalSource::by(program.clone(), &[]).resuming(Some(cursor));
    let error = source.run(&mut got, &stop).unwrap_err();
    assert!(matches!(error, SourceError::JournalMissing(_)), "{error}");
    std::fs::hard_link(folder.path().join("journalctl.seen"), &program).unwrap();
    let reader = start(source, &got, &stop);
    got.await_notice("following the journal from where the last run stopped");
    stop.set();
    reader.join().unwrap().1.unwrap();
}

/// An entry of ten seconds ago by the uptime: how long ago it was by its date, how long the machine has
/// slept, and how long ago it counts as written.
#[test]
fn sleep_makes_an_entry_older_and_a_clock_that_was_set_does_not() {
    let seconds = 1_795_231_365;
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let taken = Taken { micros: 90_000_000, tie: 0 };
    for (dated, slept, ago) in [
        (Some(10), 0, 10),
        (Some(28_810), 28_800, 28_810),
        // It slept before the entry came.
        (Some(10), 28_800, 10),
        // The clock was set forward, or back, or beyond now.
        (Some(3_610), 0, 10),
        (Some(90_000), 28_800, 28_810),
        (Some(4), 28_800, 10),
        (Some(-60), 28_800, 10),
        (None, 28_800, 10),
    ] {
        let now =
            Moment { monotonic: Duration::from_secs(100), slept: Duration::from_secs(slept), wall };
        let date = dated.map(|ago: i64| seconds.checked_add_signed(-ago).unwrap() * 1_000_000);
        let written = now.wall_of(taken, date);
        let counts = wall.duration_since(written).unwrap();
        assert_eq!(counts, Duration::from_secs(ago), "{dated:?} {slept}");
    }
}

fn following<'a>(reached: &'a mut Reached, intake: &'a mut Collected) -> Following<'a> {
    Following { reached, intake, block: Vec::new(), lines: Vec::new() }
}

fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let mut file = File::create(path).unwrap();
    writeln!(file, "#!/bin/sh\n{text}").unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
}
