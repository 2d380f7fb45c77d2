//! What a restart finds: files that were emptied, made anew, forged or not readable, and what of them
//! was dealt with before.

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::*;
use crate::Place;

/// Long enough to know a place by.
const LINE: &str = "a-line-of-some-length-with-a-time";

fn does(world: &mut World, script: &str) {
    script.split_whitespace().for_each(|word| world.does(word));
}

/// A run that has begun and told where.
fn begun(script: &str) -> World {
    let mut world = World::new();
    does(&mut world, script);
    world.follower.as_mut().unwrap().tell_beginning(&mut world.got);
    world
}

/// Runs without the right of root to read whatever it likes.
pub(super) fn as_nobody(run: impl FnOnce() + Send + 'static) {
    std::thread::spawn(|| {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        set_capabilities(None, sets).unwrap();
        run();
    })
    .join()
    .unwrap();
}

#[test]
fn what_was_dealt_with_is_known_where_the_place_is_nowhere() {
    let mut world = begun(&format!("x.log+older-{LINE}/ start"));
    does(&mut world, &format!("x.log+{LINE}/ :"));
    let from = world.got.place().unwrap();
    // The place is in a file that is compressed away; the knock was in the next one.
    does(&mut world, &format!("0x.log x.log+knock-{LINE}/ :"));
    let done = world.got.place().into_iter().collect();
    world.cursor = Some(FileCursor { from, seen: None, done });
    does(&mut world, "x.log+b/ resume : x.log+c/ :");
    assert_eq!(world.got.lines()[2..], [&format!("knock-{LINE}"), "b", "c"]);
    assert_eq!(world.got.ages()[2..], [Age::Known, Age::Backlog, Age::Live]);
}

/// A run that began in an empty log and read some lines, and the cursor that says so.
fn from_an_empty_log(seen: bool) -> World {
    let mut world = begun("x.log+ start");
    let from = world.got.place().unwrap();
    does(&mut world, &format!("x.log+{LINE}-1/{LINE}-2/ :"));
    let place = world.got.place().into_iter();
    let (seen, done) = if seen {
        (place.max_by_key(|place| place.offset), vec![])
    } else {
        (None, place.collect())
    };
    world.cursor = Some(FileCursor { from, seen, done });
    world
}

#[test]
fn a_place_at_the_beginning_is_not_that_of_the_emptied_file() {
    for seen in [true, false] {
        let mut world = from_an_empty_log(seen);
        let script = format!("x.log+{LINE}-3/ x.log~x.log.1 0x.log x.log+{LINE}-4/ resume :");
        does(&mut world, &script);
        let lines = world.got.lines();
        let numbers: Vec<&str> = lines[2..].iter().map(|line| &line[LINE.len()..]).collect();
        assert_eq!(numbers, ["-1", "-2", "-3", "-4"], "{:?}", world.got.notices());
    }
}

/// The file with the place was overwritten by a younger copy; what came behind is in that.
#[test]
fn where_the_place_is_gone_the_file_after_it_is_read() {
    for offset in [0, 500] {
        let mut world = begun(&format!("x.log+{LINE}-0/ start x.log+{LINE}-1/ :"));
        let done = world.got.place().into_iter().collect();
        let before = if offset == 0 { vec![] } else { vec![b'x'; 90] };
        let file = crate::FileId { device: 1, inode: 2 };
        let from = Place { file, offset, before };
        world.cursor = Some(FileCursor { from, seen: None, done });
        // A file that got the inode of the one with the place must not be taken for it.
        does(&mut world, &format!("x.log+{LINE}-2/ x.log~x.log.1 0x.log x.log+{LINE}-3/"));
        let (device, inode) = identity(&fs::metadata(world.path("x.log")).unwrap());
        world.cursor.as_mut().unwrap().from.file = crate::FileId { device, inode };
        does(&mut world, "resume :");
        let lines = world.got.lines();
        let numbers: Vec<&str> = lines[1..].iter().map(|line| &line[LINE.len()..]).collect();
        assert_eq!(numbers, ["-0", "-1", "-2", "-3"], "{:?}", world.got.notices());
        let ages = [Age::Known, Age::Known, Age::Backlog, Age::Backlog];
        assert_eq!(world.got.ages()[1..], ages);
    }
}

#[test]
fn a_place_at_the_beginning_is_not_that_of_who_got_the_inode() {
    let mut world = from_an_empty_log(true);
    // Moved to another file system, in effect; the new log has whatever number it gets.
    does(&mut world, &format!("x.log+{LINE}-3/ x.log~copy -x.log copy>x.log.1"));
    world.tick();
    does(&mut world, &format!("x.log+{LINE}-4/"));
    // As where numbers are used again at once.
    let Some(cursor) = &mut world.cursor else { panic!("there is one") };
    let (device, inode) = identity(&fs::metadata(world.folder.path().join("x.log")).unwrap());
    cursor.from.file = crate::FileId { device, inode };
    does(&mut world, "resume :");
    assert_eq!(world.got.lines().len(), 2 + 4, "{:?}", world.got.notices());
}

#[test]
#[ignore = "needs root: cargo test -p knock-sources -- --ignored"]
fn a_sibling_of_somebody_else_is_not_the_file_of_before() {
    for path_is_there in [true, false] {
        let mut world = World::new();
        does(
            &mut world,
            &format!("x.log+ start x.log+{LINE}/ : stop -x.log x.log.9+{LINE}/forged/"),
        );
        std::os::unix::fs::chown(world.path("x.log.9"), Some(65534), None).unwrap();
        let script = if path_is_there { "x.log+c/ resume :" } else { "resume : x.log+c/ :" };
        does(&mut world, script);
        assert_eq!(world.got.lines(), [LINE, "c"], "{:?}", world.got.notices());
    }
}

#[test]
#[ignore = "needs root: cargo test -p knock-sources -- --ignored"]
fn what_may_be_read_late_is_read_as_it_is_told() {
    as_nobody(|| {
        let mut world = World::new();
        let script = "x.log+old/ start x.log+a-line-of-some-length-with-a-time/ : \
                      stop -x.log x.log+b/ !x.log resume : ?x.log x.log+c/ : x.log+d/ :";
        does(&mut world, script);
        assert_eq!(world.got.lines()[1..], ["b", "c", "d"], "{:?}", world.got.notices());
        let said = world.got.notices();
        assert!(said.last().unwrap().contains("from its beginning"), "{said:?}");
        assert_eq!(world.got.ages()[1..], [Age::Backlog, Age::Live, Age::Live]);
    });
}

#[test]
fn after_an_edit_what_comes_is_new() {
    let mut world = World::new();
    let lines: String = (1000..1400).map(|n| format!("line-{n}-of-some-length\n")).collect();
    fs::write(world.path("x.log"), &lines).unwrap();
    world.does("start");
    world.follower.as_mut().unwrap().tell_beginning(&mut world.got);
    let from = world.got.place().unwrap();
    does(&mut world, &format!("x.log+{LINE}/ :"));
    let done = world.got.place().into_iter().collect();
    world.cursor = Some(FileCursor { from, seen: None, done });
    does(&mut world, "resume :");
    // Somebody cuts lines out of the middle, in place.
    let text = fs::read_to_string(world.path("x.log")).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("line-12"));
    fs::write(world.path("x.log"), kept.map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    does(&mut world, ": x.log+new/ :");
    assert_eq!(world.got.lines().last().unwrap(), "new");
    assert_eq!(world.got.ages().last(), Some(&Age::Live));
}

#[test]
fn a_writer_that_does_not_append_leaves_a_hole_each_time() {
    let mut world = World::new();
    let mut writer = File::create(world.path("x.log")).unwrap();
    world.start(Start::AtEnd);
    writer.write_all("old\n".repeat(500).as_bytes()).unwrap();
    world.look();
    for round in 1..4 {
        world.does("0x.log");
        writeln!(writer, "new-{round}").unwrap();
        world.look();
    }
    assert_eq!(world.got.lines()[500..], ["new-1", "new-2", "new-3"]);
}
