//! The file source with its thread and real events, as the daemon runs it.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    path::Path,
    thread::JoinHandle,
};

use super::*;
use crate::testing::Collected;

/// A source that runs in its thread. It looks once an hour, unless events wake it.
struct Running {
    got: Collected,
    stop: Stop,
    id: rustix::thread::Pid,
    thread: Option<JoinHandle<Result<(), SourceError>>>,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Running {
    fn follow(path: &Path) -> Self {
        let mut source = FileSource::new(path.to_owned(), HOUR, Start::AtEnd);
        // An event that does not come must be missed.
        source.slow = HOUR;
        Self::start(source)
    }

    fn start(mut source: FileSource) -> Self {
        let (got, stop) = (Collected::new(), Stop::new().unwrap());
        let (mut intake, other) = (got.clone(), stop.clone());
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid()).unwrap();
            source.run(&mut intake, &other)
        });
        Self { got, stop, id: told.recv().unwrap(), thread: Some(thread) }
    }

    fn lines(&self, want: &[&str]) {
        assert_eq!(self.got.await_lines(want.len()), want);
    }
}

impl Drop for Running {
    /// Each test ends by stopping a source that is blocked.
    fn drop(&mut self) {
        self.stop.set();
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn events_wake_it_through_every_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    append(&path, "old\nto");
    let it = Running::follow(&path);
    it.got.await_notice("following");
    append(&path, "rn\n");
    it.lines(&["torn"]);

    fs::rename(&path, folder.path().join("x.log.1")).unwrap();
    append(&folder.path().join("x.log.1"), "to the old one\n");
    it.lines(&["torn", "to the old one"]);
    // The first may have been found by the look after the renaming; this one has only its own event.
    append(&folder.path().join("x.log.1"), "and again\n");
    it.lines(&["torn", "to the old one", "and again"]);
    append(&path, "to the new one\n");
    it.lines(&["torn", "to the old one", "and again", "to the new one"]);
    it.got.await_notices("was rotated", 1);
    append(&folder.path().join("x.log.1"), "late\n");
    assert_eq!(it.got.await_lines(5)[4], "late");
    append(&folder.path().join("x.log.1"), "later\n");
    assert_eq!(it.got.await_lines(6)[5], "later");

    fs::copy(&path, folder.path().join("x.log.2")).unwrap();
    File::create(&path).unwrap();
    it.got.await_notice("was truncated");
    append(&path, "after truncation\n");
    assert_eq!(it.got.await_lines(7)[6], "after truncation");

    fs::remove_file(&path).unwrap();
    append(&path, "after deletion\n");
    assert_eq!(it.got.await_lines(8)[7], "after deletion");
    it.got.await_notices("was rotated", 2);

    append(&folder.path().join("other"), "from the other\n");
    symlink("other", folder.path().join("link")).unwrap();
    fs::rename(folder.path().join("link"), &path).unwrap();
    assert_eq!(it.got.await_lines(9)[8], "from the other");
}

#[test]
fn with_nothing_to_read_it_sleeps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    append(&path, "old\n");
    let it = Running::follow(&path);
    it.got.await_notice("following");
    append(&path, "one\n");
    it.lines(&["one"]);
    let status = format!("/proc/self/task/{}/status", it.id.as_raw_nonzero());
    let sleeps = || {
        std::thread::yield_now();
        fs::read_to_string(&status).unwrap().contains("State:\tS")
    };
    assert!((0..1_000_000).any(|_| sleeps()), "it never waits");
}

#[test]
fn a_deleted_file_that_is_still_written_to_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    append(&path, "old\n");
    let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
    let it = Running::follow(&path);
    it.got.await_notice("following");
    fs::remove_file(&path).unwrap();
    writer.write_all(b"one\n").unwrap();
    it.lines(&["one"]);
    writer.write_all(b"two\n").unwrap();
    it.lines(&["one", "two"]);
}

#[test]
fn folders_that_come_late_and_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/x.log");
    let it = Running::follow(&path);
    it.got.await_notice("no such file");
    fs::create_dir(folder.path().join("a")).unwrap();
    fs::create_dir(folder.path().join("a/b")).unwrap();
    append(&path, "one\n");
    it.lines(&["one"]);
    // The watch on the folder's inode would go with it.
    fs::rename(folder.path().join("a/b"), folder.path().join("a/c")).unwrap();
    fs::create_dir(folder.path().join("a/b")).unwrap();
    append(&path, "two\n");
    it.lines(&["one", "two"]);
    append(&path, "three\n");
    it.lines(&["one", "two", "three"]);
    // A folder further up, which no event in the log's own folder tells of.
    fs::rename(folder.path().join("a"), folder.path().join("z")).unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    append(&path, "four\n");
    it.lines(&["one", "two", "three", "four"]);
}

#[test]
fn a_symlink_on_the_way_is_turned() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["v1", "v2"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        append(&folder.path().join(name).join("x.log"), "old\n");
    }
    symlink("v1", folder.path().join("current")).unwrap();
    // Nothing looks into v2 before the link is turned, so only its file's time tells that it is old.
    let made = fs::metadata(folder.path().join("v2/x.log")).unwrap().created().unwrap();
    while now().unwrap().wall <= made {
        std::hint::spin_loop();
    }
    let it = Running::follow(&folder.path().join("current/x.log"));
    it.got.await_notice("following");
    append(&folder.path().join("v1/x.log"), "one\n");
    it.lines(&["one"]);
    symlink("v2", folder.path().join("next")).unwrap();
    fs::rename(folder.path().join("next"), folder.path().join("current")).unwrap();
    it.got.await_notice("was rotated");
    append(&folder.path().join("v2/x.log"), "two\n");
    it.lines(&["one", "two"]);
}

#[test]
fn without_events_it_looks_from_time_to_time_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    append(&path, "old\n");
    let mut source = FileSource::new(path.clone(), Duration::from_millis(5), Start::AtEnd);
    source.make_watcher = |_| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch));
    let it = Running::start(source);
    it.got.await_notice("fs.inotify.max_user_watches");
    append(&path, "one\n");
    it.lines(&["one"]);
    fs::rename(&path, folder.path().join("x.log.1")).unwrap();
    append(&path, "two\n");
    it.lines(&["one", "two"]);
}

#[test]
fn events_that_do_not_come_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    append(&path, "old\n");
    let mut source = FileSource::new(path.clone(), Duration::from_millis(5), Start::AtEnd);
    source.make_watcher = |_| notify::recommended_watcher(|_| ());
    source.slow = Duration::from_millis(20);
    let it = Running::start(source);
    it.got.await_notice("following");
    // One may still be found by a look that had another reason.
    let mut lines = 0;
    while !it.got.notices().iter().any(|notice| notice.contains("no event told so")) {
        append(&path, "one\n");
        lines += 1;
        let _so_far = it.got.await_lines(lines);
    }
    append(&path, "last\n");
    assert_eq!(it.got.await_lines(lines + 1)[lines], "last");
}

#[test]
fn an_intake_that_has_enough_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    append(&path, "one\ntwo\n");
    let mut got = Collected::breaking_after(1);
    let mut source = FileSource::new(path, HOUR, Start::AtBeginning);
    source.run(&mut got, &Stop::new().unwrap()).unwrap();
    assert_eq!(got.lines(), ["one", "two"]);
}

/// Demands numbered lines in order, and ends the source at the last one.
struct Counting {
    next: usize,
    last: usize,
    begun: std::sync::mpsc::Sender<()>,
}

impl Intake for Counting {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        for line in block.split_inclusive(|byte| *byte == b'\n') {
            let number = line.split(|byte| *byte == b' ').nth(1).unwrap();
            assert_eq!(number, self.next.to_string().as_bytes());
            self.next += 1;
        }
        if self.next == self.last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Following { .. } => self.begun.send(()).unwrap(),
            Notice::Rotated { .. } => (),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_million_lines_across_a_hundred_rotations_while_it_reads() {
    const ROTATIONS: usize = 100;
    const LINES: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    append(&path, "line old\n");
    let (begun, has_begun) = std::sync::mpsc::channel();
    let mut intake = Counting { next: 0, last: ROTATIONS * LINES, begun };
    let mut source = FileSource::new(path.clone(), HOUR, Start::AtEnd);
    let reader = std::thread::spawn(move || source.run(&mut intake, &Stop::new().unwrap()));
    has_begun.recv().unwrap();
    let text = "x".repeat(90);
    for rotation in 0..ROTATIONS {
        let mut file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        for hundred in (rotation * LINES..(rotation + 1) * LINES).step_by(100) {
            let lines = (hundred..hundred + 100).map(|n| format!("line {n} {text}\n"));
            file.write_all(lines.collect::<String>().as_bytes()).unwrap();
        }
        if rotation + 1 < ROTATIONS {
            fs::rename(&path, folder.path().join(format!("x.log.{rotation}"))).unwrap();
        }
    }
    // If a line is missing this waits for ever; the assertion above has said it before.
    reader.join().unwrap().unwrap();
}
