//! The follower against a model: whatever happens to the files, in any order, every line comes once
//! and in order. Once step by step, and with the source in its thread, with file events and without.
//!
//! What nobody can see is not asked for, and stands where it is left out: lines that are written and
//! destroyed between two looks, and what stood at the end of another path in between.

use std::thread::JoinHandle;

use proptest::{prelude::*, test_runner::TestRunner};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::*;
use crate::{FileSource, Source, SourceError};

/// What may happen to a log and its writer. The writer has the file open and goes on writing into it
/// until it is told to open the path again, as log daemons do.
#[derive(Debug, Clone)]
enum Happens {
    Lines(usize),
    LongLine,
    /// NUL bytes, bytes that are no text, and an empty line.
    OddLines,
    TooLongLine,
    Torn,
    /// Renamed, and made anew unless the next writer has to make it.
    Rotated {
        made: bool,
    },
    /// So many times, with a line in each, faster than anybody looks.
    RotatedOften(usize),
    Reopened,
    /// With so many lines since somebody looked.
    CopiedAndTruncated {
        unread: usize,
    },
    /// Emptied without a copy.
    Truncated,
    Deleted {
        made: bool,
    },
    /// A line is taken out, or all before it, in place or by another file. Lines may come since
    /// somebody looked, and somebody may look while the file is empty.
    Edited {
        in_place: bool,
        is_trimmed: bool,
        /// Of a thousand, how far down.
        place: usize,
        unread: usize,
        seen_empty: bool,
    },
    LinkTurned,
    FolderMoved,
    /// The new file may not be read for a time.
    Unreadable,
    /// Away and back.
    FalseAlarm {
        looked: bool,
    },
    Touched,
    Look,
    /// A clean stop; the next look is that of the next run.
    Stop,
    TimePasses(u64),
}

fn happenings(alone: bool) -> impl Strategy<Value = Vec<Happens>> {
    let any_time = prop_oneof![
        6 => (1..40usize).prop_map(Happens::Lines),
        1 => Just(Happens::LongLine),
        1 => Just(Happens::OddLines),
        1 => Just(Happens::TooLongLine),
        2 => Just(Happens::Torn),
        3 => any::<bool>().prop_map(|made| Happens::Rotated { made }),
        1 => (2..9usize).prop_map(Happens::RotatedOften),
        4 => Just(Happens::Reopened),
        2 => (0..4usize).prop_map(|unread| Happens::CopiedAndTruncated { unread }),
        1 => Just(Happens::Truncated),
        1 => any::<bool>().prop_map(|made| Happens::Deleted { made }),
        2 => Just(Happens::Touched),
        5 => Just(Happens::Look),
        1 => edited(Just(false).boxed()),
    ];
    // These need a look at a certain moment, which a source in its own thread takes when it likes.
    let step_by_step = prop_oneof![
        1 => Just(Happens::LinkTurned),
        1 => Just(Happens::FolderMoved),
        1 => Just(Happens::Unreadable),
        1 => edited(any::<bool>().boxed()),
        1 => any::<bool>().prop_map(|looked| Happens::FalseAlarm { looked }),
        2 => Just(Happens::Stop),
        1 => (0..100u64).prop_map(Happens::TimePasses),
    ];
    let weight = if alone { 7 } else { 0 };
    let one = prop_oneof![30 => any_time, weight => step_by_step];
    prop::collection::vec(one, 1..40)
}

fn edited(in_place: BoxedStrategy<bool>) -> impl Strategy<Value = Happens> {
    let all = (in_place, any::<bool>(), 0..1000usize, 0..4usize, any::<bool>());
    all.prop_map(|(in_place, is_trimmed, place, unread, seen_empty)| Happens::Edited {
        in_place,
        is_trimmed,
        place,
        unread,
        seen_empty,
    })
}

/// Who reads.
enum Reader {
    /// Looks when it is told to.
    Steps { stopped: bool },
    /// In its own thread.
    Thread { stop: Stop, thread: Option<JoinHandle<Result<(), SourceError>>> },
}

/// The log as its writer sees it.
struct Model {
    world: World,
    reader: Reader,
    writer: File,
    written: Vec<Vec<u8>>,
    torn: bool,
    /// Counts lines and rotated files.
    count: usize,
    shifting: bool,
    /// The real file's name; `d/x.log` is a symlink to it if it is another one.
    name: String,
}

const PATH: &str = "d/x.log";

impl Model {
    fn new(shifting: bool, linked: bool) -> Self {
        let mut world = World::new();
        world.log = PATH;
        world.does("=d");
        let name = if linked { "d/real.log" } else { PATH }.to_owned();
        world.does(&format!("{name}+old/"));
        if linked {
            world.does("d/x.log@real.log");
        }
        let writer = OpenOptions::new().append(true).open(world.path(PATH)).unwrap();
        let reader = Reader::Steps { stopped: false };
        let (written, torn, count) = (Vec::new(), false, 0);
        let mut model = Self { world, reader, writer, written, torn, count, shifting, name };
        model.make_sibling();
        model
    }

    /// One that is driven step by step.
    fn step_by_step(shifting: bool, linked: bool) -> Self {
        let mut model = Self::new(shifting, linked);
        model.world.start(Start::AtEnd);
        model.world.follower.as_mut().unwrap().tell_beginning(&mut model.world.got);
        model
    }

    /// One with a source in its thread, which is woken by file events or looks all the time.
    fn in_a_thread(shifting: bool, linked: bool, events: bool) -> Self {
        let mut model = Self::new(shifting, linked);
        let interval = if events { EVER } else { Duration::from_millis(1) };
        let mut source = FileSource::new(model.world.path(PATH), interval, Start::AtEnd);
        source.slow = EVER;
        if !events {
            source.make_watcher = |_| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch));
        }
        let (stop, mut got) = (Stop::new().unwrap(), model.world.got.clone());
        let its_stop = stop.clone();
        let thread = std::thread::spawn(move || source.run(&mut got, &its_stop));
        model.reader = Reader::Thread { stop, thread: Some(thread) };
        model.world.got.await_notice("following");
        model
    }

    /// A rotated file of before, by which the follower sees which way the names count.
    fn make_sibling(&mut self) {
        let name = format!("{}.{}", self.name, u8::from(self.shifting));
        self.world.does(&format!("{name}+old/"));
        let file = File::options().append(true).open(self.world.path(&name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }

    /// Afterwards all has been read that is there.
    fn look(&mut self) {
        if matches!(self.reader, Reader::Thread { .. }) {
            // Files that came and went are looked for when there is a new one at the path.
            self.make();
        }
        match &mut self.reader {
            Reader::Steps { stopped } => {
                if std::mem::take(stopped) {
                    self.world.resume();
                }
                self.world.look();
            }
            Reader::Thread { .. } => {
                let whole = self.written.len() - usize::from(self.torn);
                let _ = self.world.got.await_lines(whole);
            }
        }
    }

    /// Afterwards the file that stands at the path has been read to its end; the writer is in it. A
    /// source in its thread has shown that only by a line.
    fn see(&mut self) {
        if matches!(self.reader, Reader::Thread { .. }) {
            self.line(2);
        }
        self.look();
    }

    fn write(&mut self, line: &[u8]) {
        self.complete();
        self.writer.write_all(&[line, b"\n"].concat()).unwrap();
        self.written.push(line.to_vec());
    }

    fn line(&mut self, filling: usize) {
        self.count += 1;
        let mut line = format!("{} line {} ", time(self.count), self.count);
        let full = line.len() + filling;
        while line.len() < full {
            line += &time(self.count);
        }
        line.truncate(full);
        self.write(line.as_bytes());
    }

    fn complete(&mut self) {
        if std::mem::take(&mut self.torn) {
            self.writer.write_all(b" whole\n").unwrap();
        }
    }

    fn make(&mut self) {
        OpenOptions::new().append(true).create(true).open(self.world.path(&self.name)).unwrap();
    }

    fn reopen(&mut self) {
        self.complete();
        self.make();
        self.writer = OpenOptions::new().append(true).open(self.world.path(PATH)).unwrap();
    }

    fn happens(&mut self, what: &Happens) {
        match what {
            Happens::Lines(lines) => (0..*lines).for_each(|n| self.line(n % 150)),
            Happens::LongLine => self.line(60_000),
            Happens::OddLines => {
                self.count += 1;
                let time = time(self.count);
                let odd = [time.as_bytes(), b" odd \0\xff\xfe\r\x1b[0m"].concat();
                self.write(&odd);
                self.write(b"");
            }
            Happens::TooLongLine => {
                self.complete();
                self.count += 1;
                self.writer.write_all((time(self.count).repeat(4000) + "\n").as_bytes()).unwrap();
            }
            Happens::Torn => {
                self.complete();
                self.count += 1;
                let torn = format!("{} torn {}", time(self.count), self.count);
                self.writer.write_all(torn.as_bytes()).unwrap();
                self.written.push(format!("{torn} whole").into_bytes());
                self.torn = true;
            }
            Happens::Rotated { made } => {
                // A writer that has not opened the last file yet writes two files back.
                self.reopen();
                self.rotate();
                if *made {
                    self.make();
                }
            }
            Happens::RotatedOften(times) => {
                for _ in 0..*times {
                    self.reopen();
                    self.line(10);
                    self.rotate();
                }
            }
            Happens::Reopened => self.reopen(),
            Happens::CopiedAndTruncated { unread } => {
                self.reopen();
                // Of a file that came and was emptied between two looks nobody knows a copy.
                self.line(30);
                self.look();
                (0..*unread).for_each(|_| self.line(10));
                // A line that comes between copy and truncation is lost to everybody.
                let to = self.rotated();
                self.world.does(&format!("{}~{to}", self.name));
                self.world.does(&format!("0{}", self.name));
            }
            Happens::Truncated => {
                self.reopen();
                self.see();
                self.world.does(&format!("0{}", self.name));
            }
            Happens::Deleted { made } => {
                self.reopen();
                // A file that comes and is deleted between two looks cannot be read by anybody.
                self.see();
                self.world.does(&format!("-{}", self.name));
                if *made {
                    self.make();
                }
            }
            Happens::Edited { .. } => self.edit(what),
            Happens::LinkTurned if self.name != PATH => {
                self.reopen();
                self.look();
                self.count += 1;
                self.name = format!("d/real-{}-x.log", self.count);
                self.make();
                self.make_sibling();
                let to = self.name.replace("d/", "");
                self.world.does(&format!("{PATH}@{to}"));
                // Nor can one know what stood between at the end of another link.
                self.look();
            }
            Happens::LinkTurned => {}
            Happens::FolderMoved => {
                self.reopen();
                self.look();
                self.count += 1;
                self.world.does(&format!("d>d-{}", self.count));
                self.look();
                self.world.does("=d");
                self.make();
                if self.name != PATH {
                    let to = self.name.replace("d/", "");
                    self.world.does(&format!("{PATH}@{to}"));
                }
                // What a moved folder had is gone; of what comes now, this is the first.
                self.look();
                self.make_sibling();
                self.look();
            }
            Happens::Unreadable => {
                self.reopen();
                self.rotate();
                self.reopen();
                self.world.does(&format!("!{}", self.name));
                self.line(20);
                self.look_at_steps();
                self.line(20);
                self.world.does(&format!("?{}", self.name));
            }
            Happens::FalseAlarm { looked } => {
                self.reopen();
                self.world.does(&format!("{}>elsewhere", self.name));
                self.line(5);
                if *looked {
                    self.look_at_steps();
                }
                self.world.does(&format!("elsewhere>{}", self.name));
            }
            Happens::Touched => {
                self.make();
                let path = self.world.path(&self.name);
                fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            }
            Happens::Look => self.look(),
            Happens::Stop => {
                self.reopen();
                // So that the place is in a file that has a name; else nobody can find it again. And
                // what was rotated before is older by the clock, too.
                self.world.tick();
                self.line(30);
                self.look();
                self.world.stop();
                self.reader = Reader::Steps { stopped: true };
            }
            Happens::TimePasses(seconds) => {
                self.look();
                self.world.pass(*seconds);
                self.look();
            }
        }
    }

    /// A look while something is in the way: unless nobody is there to look.
    fn look_at_steps(&mut self) {
        if matches!(self.reader, Reader::Steps { stopped: false }) {
            self.world.look();
        }
    }

    fn rotate(&mut self) {
        if matches!(self.reader, Reader::Steps { stopped: true }) {
            // Nobody saw the files come: their times are all that tells their order.
            self.world.tick();
        }
        let to = self.rotated();
        self.world.does(&format!("{}>{to}", self.name));
    }

    /// Makes room for one more rotated file, and says what it is called.
    fn rotated(&mut self) -> String {
        if !self.shifting {
            self.count += 1;
            return format!("{}.{}", self.name, self.count);
        }
        let exists = |n: usize| self.world.path(&format!("{}.{n}", self.name)).exists();
        let last = (1..).find(|n| !exists(*n)).unwrap();
        for n in (1..last).rev() {
            self.world.does(&format!("{0}.{n}>{0}.{1}", self.name, n + 1));
        }
        format!("{}.1", self.name)
    }

    fn edit(&mut self, what: &Happens) {
        let Happens::Edited { in_place, is_trimmed, place, unread, seen_empty } = *what else {
            return;
        };
        self.reopen();
        // Two lines to know the place by; one of them stays.
        self.line(5);
        self.line(15);
        self.look();
        let path = self.world.path(&self.name);
        let read = fs::read(&path).unwrap().len();
        (0..unread).for_each(|_| self.line(25));
        let text = fs::read(&path).unwrap();
        let begins = memchr::memchr_iter(b'\n', &text).map(|end| end + 1);
        let begins: Vec<usize> = std::iter::once(0).chain(begins).collect();
        // In place, a line that nobody has read is lost to everybody.
        let may_go = begins.windows(2).filter(|line| !in_place || line[1] <= read);
        let may_go: Vec<&[usize]> = may_go.collect();
        let (mut begin, end) = {
            let line = may_go[may_go.len() * place / 1000];
            (line[0], line[1])
        };
        if is_trimmed {
            // One of those that were read last stays.
            let last = begins.iter().rev().find(|begin| **begin < read);
            if last.is_some_and(|last| end <= *last) {
                begin = 0;
            }
        }
        let rest = [&text[..begin], &text[end..]].concat();
        if in_place {
            let mut file = File::create(&path).unwrap();
            if seen_empty {
                // What comes after it is not told from what stood there, but by what was read.
                self.look_at_steps();
            }
            file.write_all(&rest).unwrap();
        } else {
            fs::write(self.world.path("edited"), rest).unwrap();
            self.world.does(&format!("edited>{}", self.name));
            self.reopen();
        }
    }

    /// All that was written, and all that was read.
    fn end(mut self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        self.reopen();
        self.line(1);
        self.look();
        if let Reader::Thread { stop, thread } = &mut self.reader {
            stop.set();
            thread.take().unwrap().join().unwrap().unwrap();
        }
        (std::mem::take(&mut self.written), self.world.got.raw_lines())
    }
}

/// Twenty-four bytes that no other line has.
fn time(count: usize) -> String {
    format!("2026-01-01T10:{count:09}Z")
}

/// Looks only when woken.
const EVER: Duration = Duration::from_secs(3600);

/// Runs so many stories, without the right of root to read whatever it likes.
fn check(cases: u32, alone: bool, model: impl Fn(bool, bool) -> Model + Send + 'static) {
    let run = move || {
        let none = CapabilitySet::empty();
        set_capabilities(
            None,
            CapabilitySets { effective: none, permitted: none, inheritable: none },
        )
        .unwrap();
        let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
        let cases = asked.unwrap_or(cases);
        let config =
            ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        // In a thread each failing try waits out its deadline.
        let max_shrink_iters = if alone { config.max_shrink_iters } else { 0 };
        let config = ProptestConfig { max_shrink_iters, ..config };
        let story = (any::<bool>(), any::<bool>(), happenings(alone));
        TestRunner::new(config).run(&story, |(shifting, linked, all)| {
            let mut model = model(shifting, linked);
            all.iter().for_each(|one| model.happens(one));
            let (written, read) = model.end();
            compare(&read, &written)?;
            Ok(())
        })
    };
    if let Err(error) = std::thread::spawn(run).join().unwrap() {
        panic!("{error}");
    }
}

/// Shows where they begin to differ.
fn compare(read: &[Vec<u8>], written: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let from = read.iter().zip(written).take_while(|(read, written)| read == written).count();
    let cut = |line: &Vec<u8>| String::from_utf8_lossy(&line[..line.len().min(45)]).into_owned();
    let some = |lines: &[Vec<u8>]| lines[from..].iter().take(5).map(cut).collect::<Vec<_>>();
    prop_assert_eq!(some(read), some(written), "behind {} lines", from);
    Ok(())
}

#[test]
fn every_line_once_and_in_order() {
    check(1000, true, Model::step_by_step);
}

#[test]
fn every_line_once_and_in_order_by_events() {
    check(500, false, |shifting, linked| Model::in_a_thread(shifting, linked, true));
}

#[test]
fn every_line_once_and_in_order_without_events() {
    check(500, false, |shifting, linked| Model::in_a_thread(shifting, linked, false));
}

/// Found at random once: the third file was taken for a copy of the first, of which the second is one.
#[test]
fn edited_twice_and_rotated() {
    let mut model = Model::step_by_step(false, false);
    let edited = || Happens::Edited {
        in_place: false,
        is_trimmed: false,
        place: 500,
        unread: 0,
        seen_empty: false,
    };
    let first = [Happens::Lines(34), Happens::Lines(8), Happens::Lines(21), edited()];
    let then = [Happens::Lines(1), edited(), Happens::Rotated { made: false }];
    first.iter().chain(&then).for_each(|one| model.happens(one));
    let (written, read) = model.end();
    compare(&read, &written).unwrap();
}
