//! The follower step by step: each kind of rotation, and what is said of it. No threads and no events
//! here; `file/tests.rs` has those, and `model` drives both through anything.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
};

use super::*;
use crate::file::family::MOST_FILES;
use crate::{Age, testing::Collected};

mod model;
mod resumed;
mod rewritten;
mod troubled;

/// A folder with a log in it, its follower, and a time that is advanced by hand.
struct World {
    folder: tempfile::TempDir,
    follower: Option<Follower>,
    got: Collected,
    log: &'static str,
    /// Where the run before stopped.
    cursor: Option<FileCursor>,
    now: Moment,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            follower: None,
            got: Collected::new(),
            log: "x.log",
            cursor: None,
            now: Moment { uptime: Duration::from_secs(1000), wall: file_clock() },
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self, start: Start) {
        self.follower = Some(Follower::begin(self.path(self.log), start, None, self.now));
    }

    fn look(&mut self) -> Looked {
        let stop = Stop::new().unwrap();
        let follower = self.follower.as_mut().unwrap();
        match follower.look(self.now, &mut self.got, &stop) {
            ControlFlow::Continue(looked) => looked,
            ControlFlow::Break(()) => panic!("nobody broke off"),
        }
    }

    /// Lets the clock that stamps files tick.
    fn tick(&mut self) {
        let probe = || {
            fs::write(self.path("probe"), "x").unwrap();
            fs::metadata(self.path("probe")).unwrap().modified().unwrap()
        };
        let before = probe();
        while probe() <= before {}
    }

    fn pass(&mut self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        self.now = Moment { uptime: self.now.uptime + time, wall: self.now.wall + time };
    }

    /// A daemon that stops cleanly, and what it leaves behind.
    fn stop(&mut self) {
        self.follower = None;
        let from = self.got.place().unwrap();
        self.cursor = Some(FileCursor { seen: None, done: vec![from.clone()], from });
    }

    fn resume(&mut self) {
        // Time that was only said to have passed is ahead of the clock that stamps files.
        self.now.wall = file_clock();
        let cursor = self.cursor.take();
        let mut follower = Follower::begin(self.path(self.log), Start::AtEnd, cursor, self.now);
        follower.tell_beginning(&mut self.got);
        self.follower = Some(follower);
    }

    /// Does what a word says: `x.log+text` appends (`/` is a newline), `a>b` renames, `a~b` copies,
    /// `-a` deletes, `0a` truncates, `=a` makes a folder, `a@b` makes or turns symlink a to b, `!a` takes the right to
    /// read, `?a` gives it, `:` looks, `:70` lets seconds pass, `start`, `start0`, `stop`, `resume`.
    fn does(&mut self, word: &str) {
        let mode =
            |path: PathBuf, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        if word == "start" {
            self.start(Start::AtEnd);
        } else if word == "start0" {
            self.start(Start::AtBeginning);
        } else if word == "stop" {
            self.stop();
        } else if word == "resume" {
            self.resume();
        } else if word == ":" {
            self.look();
        } else if let Some(seconds) = word.strip_prefix(':') {
            self.pass(seconds.parse().unwrap());
        } else if let Some((name, text)) = word.split_once('+') {
            append(&self.path(name), &text.replace('/', "\n"));
        } else if let Some((from, to)) = word.split_once('>') {
            fs::rename(self.path(from), self.path(to)).unwrap();
        } else if let Some((from, to)) = word.split_once('~') {
            fs::copy(self.path(from), self.path(to)).unwrap();
        } else if let Some((link, to)) = word.split_once('@') {
            symlink(to, self.path("new-link")).unwrap();
            fs::rename(self.path("new-link"), self.path(link)).unwrap();
        } else if let Some(name) = word.strip_prefix('-') {
            fs::remove_file(self.path(name)).unwrap();
        } else if let Some(name) = word.strip_prefix('0') {
            OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
        } else if let Some(name) = word.strip_prefix('=') {
            fs::create_dir(self.path(name)).unwrap();
        } else if let Some(name) = word.strip_prefix('!') {
            mode(self.path(name), 0);
        } else if let Some(name) = word.strip_prefix('?') {
            mode(self.path(name), 0o640);
        } else {
            panic!("what is '{word}'?");
        }
    }
}

fn file_clock() -> SystemTime {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    SystemTime::UNIX_EPOCH + Duration::try_from(now).unwrap()
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Does `script`, looks, and compares the lines and how the notices begin (behind `x.log`).
fn check(script: &str, lines: &str, notices: &[&str]) {
    let mut world = World::new();
    script.split_whitespace().for_each(|word| world.does(word));
    world.look();
    assert_eq!(world.got.lines().join(" "), lines, "{script}");
    let said = world.got.notices();
    assert_eq!(said.len(), notices.len(), "{script}: {said:?}");
    for (said, want) in said.iter().zip(notices) {
        assert!(said.contains(want), "{script}: {said}");
    }
    let before = world.got.lines().len();
    world.look();
    assert_eq!(world.got.lines().len(), before, "{script}: looking again finds nothing");
    assert_eq!(world.got.notices().len(), said.len(), "{script}: and says nothing");
}

#[test]
fn begins_at_the_end_or_at_the_beginning() {
    check("x.log+old/ start x.log+a/b/", "a b", &[]);
    check("x.log+old/ start0 x.log+a/", "old a", &[]);
    // A line that is half there at the start is handed over whole.
    check("x.log+old/to start x.log+rn/a/", "torn a", &[]);
    check("x.log+to start x.log+rn/", "torn", &[]);
    check("x.log+old/ start : : :", "", &[]);
}

#[test]
fn a_torn_line_waits_for_its_end() {
    check("x.log+ start x.log+to : : x.log+rn/ne : x.log+xt/", "torn next", &[]);
    check("x.log+ start x.log+to :", "", &[]);
}

#[test]
fn rename_and_create() {
    check("x.log+old/ start x.log+a/ x.log>x.log.1 x.log+b/", "a b", &["was rotated"]);
    check(
        "x.log+ start : x.log>x.log.1 : x.log.1+a/ x.log+ : x.log.1+b/ : x.log+c/",
        "a b c",
        &["was rotated"],
    );
    // Completed in the old file while the new one is there.
    check(
        "x.log+ start x.log+to : x.log>x.log.1 x.log+ : x.log.1+rn/ x.log+b/",
        "torn b",
        &["was rotated"],
    );
    // Late lines of a second writer.
    check(
        "x.log+ start x.log>x.log.1 x.log+b/ : x.log.1+late/ : :59 x.log.1+later/",
        "b late later",
        &["was rotated"],
    );
    check(
        "x.log+ start x.log+to x.log>x.log.1 x.log+b/ : :61 :",
        "b",
        &["was rotated", "ends in 2 bytes without newline"],
    );
    // Never written to again: the old file may still be the writer's.
    check("x.log+ start x.log>x.log.1 x.log+ : :600 : x.log.1+a/", "a", &["was rotated"]);
}

#[test]
fn rotations_between_two_looks() {
    check(
        "x.log+ start x.log+a/ x.log>x.log.1 x.log+b/ x.log.1>x.log.2 x.log>x.log.1 x.log+c/",
        "a b c",
        &["was rotated 2 times"],
    );
    // Names that count up, and ten is more than nine.
    check(
        "x.log+ start x.log+a/ x.log>x.log.8 x.log+b/ x.log>x.log.9 x.log+c/ x.log>x.log.10 x.log+d/",
        "a b c d",
        &["was rotated 3 times"],
    );
    check(
        "x.log+ start x.log+a/ x.log>x-20260101.log x.log+b/ x.log>x-20260102.log x.log+c/",
        "a b c",
        &["was rotated 2 times"],
    );
    // Rotated files of before are no news, whoever else was there.
    check(
        "x.log.1+old/ y.log.1+old/ x.log+ start x.log+a/ x.log.1>x.log.2 x.log>x.log.1 x.log+b/",
        "a b",
        &["was rotated"],
    );
    check("y+old/ x.log+ start y>x.log.5 x.log>x.log.1 x.log+b/", "b", &["was rotated"]);
    // Neither are a copy made while we looked, nor a file that rotation did not name.
    check("x.log+a/ start x.log~x.log.7 : x.log>x.log.1 x.log+b/", "b", &["was rotated"]);
    check("x.log+ start x.log.1.gz+z/ x.log.new+n/ x.log>x.log.1 x.log+b/", "b", &["was rotated"]);
}

#[test]
fn more_rotations_than_can_be_held_are_told() {
    let mut world = World::new();
    world.does("x.log+");
    world.start(Start::AtEnd);
    let files = MOST_FILES + 9;
    for n in 0..files {
        world.does(&format!("x.log+{n}/"));
        world.does(&format!("x.log>x.log.{n}"));
    }
    world.does("x.log+last/");
    world.look();
    // The first was open; of the others, the last so many fit.
    let mut want: Vec<_> = (files + 1 - MOST_FILES..files).map(|n| n.to_string()).collect();
    want.push("last".to_owned());
    assert_eq!(world.got.lines(), want);
    let said = world.got.notices();
    assert!(said[1].contains("rotated too often") && said[1].contains("9 files"), "{said:?}");
    assert_eq!(world.follower.unwrap().held.len(), LATE_FILES + 1);
}

#[test]
fn after_a_restart_it_goes_on_where_it_stopped() {
    let resumed = "from where the last run stopped";
    check("x.log+old/ start x.log+a/ : stop x.log+b/ resume", "a b", &[resumed]);
    check("x.log+old/ start x.log+a/ : stop resume x.log+b/", "a b", &[resumed]);
    // Half a line then, whole now.
    check("x.log+ start x.log+a/to : stop x.log+rn/ resume", "a torn", &[resumed]);
    // Rotated while nobody looked; the file may not be there yet.
    check(
        "x.log+ start x.log+a/ : stop x.log+b/ x.log>x.log.1 x.log+c/ resume x.log+d/",
        "a b c d",
        &["of a file that was rotated away since"],
    );
    check(
        "x.log+ start x.log+a/ : stop x.log+b/ x.log>x.log.1 resume : x.log+c/",
        "a b c",
        &[resumed, "was rotated"],
    );
    // The copy is known by the line before the place, so that must say something.
    let line = "a-line-of-some-length-with-a-time";
    check(
        &format!("x.log+ start x.log+{line}/ : stop x.log+b/ x.log~x.log.1 0x.log x.log+c/ resume"),
        &format!("{line} b c"),
        &["of a file that was rotated away since"],
    );
    // Rotated away and compressed: what stands there came since.
    check(
        "x.log+old/ start x.log+a/ : stop -x.log x.log+b/ resume x.log+c/",
        "a b c",
        &["from its beginning"],
    );
    // It comes later, and is the file of before or another one.
    check(
        "x.log+ start x.log+a/ : stop x.log+b/ x.log>y resume : y>x.log",
        "a b",
        &["no such file", resumed],
    );
    check(
        "x.log+ start x.log+a/ : stop -x.log resume : x.log+b/",
        "a b",
        &["no such file", "from its beginning"],
    );
}

#[test]
fn two_rotations_while_nobody_looked() {
    let mut world = World::new();
    let begin =
        "x.log.1+old/ x.log+old/ start x.log+a/ : stop x.log+b/ x.log.1>x.log.2 x.log>x.log.1";
    begin.split(' ').for_each(|word| world.does(word));
    world.tick();
    "x.log+c/ x.log.2>x.log.3 x.log.1>x.log.2 x.log>x.log.1"
        .split(' ')
        .for_each(|word| world.does(word));
    world.tick();
    "x.log+d/ resume :".split(' ').for_each(|word| world.does(word));
    assert_eq!(world.got.lines(), ["a", "b", "c", "d"]);
}

#[test]
fn what_was_dealt_with_is_read_again_as_known() {
    let mut world = World::new();
    "x.log+old/ start".split(' ').for_each(|word| world.does(word));
    world.follower.as_mut().unwrap().tell_beginning(&mut world.got);
    let from = world.got.place().unwrap();
    let place = |world: &World| world.got.place();
    "x.log+a/ :".split(' ').for_each(|word| world.does(word));
    let first = place(&world);
    "x.log>x.log.1 x.log+b/ :".split(' ').for_each(|word| world.does(word));
    let done = first.into_iter().chain(place(&world)).collect();
    world.cursor = Some(FileCursor { from, seen: None, done });
    "x.log+c/ resume x.log+d/ :".split(' ').for_each(|word| world.does(word));
    assert_eq!(world.got.lines(), ["a", "b", "a", "b", "c", "d"]);
    assert_eq!(world.got.ages()[2..], [Age::Known, Age::Known, Age::Backlog, Age::Live]);
}

#[test]
fn what_was_dealt_with_is_known_in_a_copy_too() {
    let mut world = World::new();
    let (a, b) = ("a-line-of-some-length-with-a-time", "another-line-with-another-time");
    "x.log+old/ start".split(' ').for_each(|word| world.does(word));
    world.follower.as_mut().unwrap().tell_beginning(&mut world.got);
    let from = world.got.place().unwrap();
    world.does(&format!("x.log+{a}/"));
    world.look();
    let first = world.got.place();
    world.does("x.log>x.log.1");
    world.tick();
    world.does(&format!("x.log+{b}/"));
    world.look();
    let done = first.into_iter().chain(world.got.place()).collect();
    world.cursor = Some(FileCursor { from, seen: None, done });
    // The file that takes the emptied one's place is no better known than any other.
    world.tick();
    "x.log~x.log.2 0x.log x.log+c-1/c-2/ resume :".split(' ').for_each(|word| world.does(word));
    assert_eq!(world.got.lines()[2..], [a, b, "c-1", "c-2"]);
    let ages = [Age::Known, Age::Known, Age::Backlog, Age::Backlog];
    assert_eq!(world.got.ages()[2..], ages);
}

#[test]
fn deleted_and_made_again() {
    check("x.log+a/ start -x.log : x.log+b/", "b", &["was rotated"]);
    check("x.log+a/ start x.log+b/ -x.log x.log+c/", "b c", &["was rotated"]);
    check("x.log+a/ start -x.log : :9 :", "", &[]);
    check("x.log+a/ start -x.log : :11 : :20 : x.log+b/", "b", &["is gone", "following"]);
}

#[test]
fn a_file_that_comes_late() {
    check("start : : x.log+a/", "a", &["no such file", "following"]);
    check("start : x.log+a/ x.log>x.log.1 x.log+b/", "a b", &["no such file", "following"]);
    // It was there before under another name: nothing in it is news but what came since.
    check("y+old/ start : y+a/ y>x.log : x.log+b/", "a b", &["no such file", "following"]);
    check("y+old/ start0 : y>x.log", "old", &["no such file", "following"]);
}

#[test]
fn a_file_from_before_the_start_is_not_read_from_its_beginning_wherever_it_was() {
    let (mut world, elsewhere) = (World::new(), tempfile::tempdir().unwrap());
    fs::write(elsewhere.path().join("old"), "old\n").unwrap();
    world.pass(10);
    world.start(Start::AtEnd);
    world.look();
    symlink(elsewhere.path().join("old"), world.path("x.log")).unwrap();
    world.look();
    world.does("x.log+a/");
    world.look();
    assert_eq!(world.got.lines(), ["a"]);
}

#[test]
fn a_clock_set_back_does_not_make_new_files_old() {
    let mut world = World::new();
    let hour = Duration::from_secs(3600);
    // The daemon began with a clock that was an hour ahead; files are stamped by the right one.
    world.now.wall += hour;
    world.start(Start::AtEnd);
    world.look();
    world.now.wall -= hour;
    world.does("x.log+a/");
    world.look();
    assert_eq!(world.got.lines(), ["a"]);
}

#[test]
fn a_symlink_that_is_turned() {
    check("a+old/ b+old/ x.log@a start a+1/ : b+2/ x.log@b : b+3/", "1 2 3", &["was rotated"]);
    check(
        "a+ x.log@a start a+1/ b+2/ x.log@b : b+3/ a+4/ x.log@a : a+5/",
        "1 2 3 4 5",
        &["was rotated"],
    );
    // There and back, long after the other one was closed.
    check(
        "a+ b+ x.log@a start a+1/ : x.log@b b+2/ : :61 : x.log@a a+3/ : a+4/",
        "1 2 3 4",
        &["was rotated", "was rotated"],
    );
    check("a+ x.log@a start a+1/ x.log@none : :11 : none+2/", "1 2", &["is gone", "following"]);
}

#[test]
fn something_else_at_the_path() {
    let mut world = World::new();
    fs::create_dir(world.path("x.log")).unwrap();
    world.start(Start::AtEnd);
    world.look();
    fs::remove_dir(world.path("x.log")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        world.path("x.log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    world.look();
    world.does("-x.log");
    world.does("x.log+a/");
    world.look();
    assert_eq!(world.got.lines(), ["a"]);
    assert!(world.got.notices()[0].contains("not a regular file"), "{:?}", world.got.notices());
    assert_eq!(world.got.notices().len(), 2);
}

#[test]
fn bytes_are_bytes_and_long_lines_are_skipped() {
    let mut world = World::new();
    world.does("x.log+");
    world.start(Start::AtEnd);
    let mut text = b"\0a\xff\xfe\n\n".to_vec();
    text.extend(vec![b'x'; 10_000_000]);
    fs::write(world.path("x.log"), &text).unwrap();
    world.look();
    text.extend_from_slice(b"y\nnext\n");
    fs::write(world.path("x.log"), &text).unwrap();
    world.look();
    assert_eq!(world.got.raw_lines(), [&b"\0a\xff\xfe"[..], b"", b"next"]);
    let said = world.got.notices();
    assert!(said.len() == 1 && said[0].contains("line of 10000001 bytes"), "{said:?}");
    assert_eq!(world.follower.unwrap().room.capacity(), ROOM);

    // In the middle of such a line at the start.
    let mut world = World::new();
    fs::write(world.path("x.log"), vec![b'x'; 200_000]).unwrap();
    world.start(Start::AtEnd);
    world.does("x.log+y/next/");
    world.look();
    assert_eq!(world.got.lines(), ["next"]);
}

#[test]
#[ignore = "needs root: cargo test -p knock-sources -- --ignored"]
fn a_file_that_may_not_be_read_for_a_time() {
    // Root may read everything, so the looking is done as nobody.
    use rustix::thread::{CapabilitySet, set_capabilities};
    std::thread::spawn(|| {
        let none = CapabilitySet::empty();
        let sets =
            rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
        set_capabilities(None, sets).unwrap();
        check(
            "x.log+old/ !x.log start : ?x.log x.log+a/ !x.log : ?x.log : x.log+b/",
            "a b",
            &["usermod -a -G adm", "following"],
        );
        check(
            "x.log+ start x.log>x.log.1 x.log+a/ !x.log x.log.1+b/ : ?x.log : x.log+c/",
            "b a c",
            &["permission denied", "following"],
        );
    })
    .join()
    .unwrap();
}

#[test]
#[ignore = "needs root: cargo test -p knock-sources -- --ignored"]
fn a_rotated_file_of_somebody_else_is_not_read() {
    let mut world = World::new();
    "x.log+ start x.log>x.log.1 x.log.2+forged/".split(' ').for_each(|word| world.does(word));
    std::os::unix::fs::chown(world.path("x.log.2"), Some(65534), None).unwrap();
    "x.log+a/ :".split(' ').for_each(|word| world.does(word));
    assert_eq!(world.got.lines(), ["a"]);
}
