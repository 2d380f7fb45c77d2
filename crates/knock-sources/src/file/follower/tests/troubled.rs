//! Files that cannot be opened or read for a time: nothing is lost, and it is said once.

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

fn does(world: &mut World, script: &str) {
    script.split_whitespace().for_each(|word| world.does(word));
}

#[test]
fn trouble_at_the_path_is_said_once_and_looked_after_soon() {
    let mut world = World::new();
    does(&mut world, "x.log+old/ start x.log+a/ : x.log>x.log.1 x.log@x.log : : : :");
    let said = world.got.notices();
    assert!(said.len() == 1 && said[0].contains("cannot read"), "{said:?}");
    let follower = world.follower.as_ref().unwrap();
    assert_eq!(follower.rest(world.now), Some(AFTER_TROUBLE));
    // Another trouble is another word, and the same after a time without it.
    does(&mut world, "-x.log : x.log@x.log : :");
    assert_eq!(world.got.notices().len(), 2, "{:?}", world.got.notices());
    does(&mut world, "x.log.1+late/ -x.log x.log+b/ :");
    assert_eq!(world.got.lines(), ["a", "late", "b"]);
    assert_eq!(world.follower.as_ref().unwrap().path_trouble, None);
}

#[test]
fn trouble_with_reading_is_said_once() {
    let mut world = World::new();
    does(&mut world, "x.log+old/ start x.log+a/ : x.log+b/");
    for _ in 0..3 {
        let path = world.path("x.log");
        world.follower.as_mut().unwrap().held.last_mut().unwrap().spoil(&path);
        world.look();
        world.look();
    }
    does(&mut world, "x.log+c/ :");
    assert_eq!(world.got.lines(), ["a", "b", "c"]);
    let said = world.got.notices();
    assert_eq!(said.iter().filter(|said| said.contains("trying again")).count(), 3, "{said:?}");
    assert_eq!(said.len(), 3, "{said:?}");
}

/// A follower that cannot read the file which was rotated away.
fn with_a_spoiled_late_file() -> World {
    let mut world = World::new();
    does(&mut world, "x.log+ start x.log+a/ : x.log>x.log.1 x.log+b/ : x.log.1+late/");
    let path = world.path("x.log.1");
    world.follower.as_mut().unwrap().held[0].spoil(&path);
    world
}

#[test]
fn a_late_file_that_cannot_be_read_is_opened_again_by_its_name() {
    let mut world = with_a_spoiled_late_file();
    does(&mut world, "x.log+c/ : : x.log.1+later/ :");
    assert_eq!(world.got.lines(), ["a", "b", "c", "late", "later"]);
    let said = world.got.notices();
    assert!(said.len() == 2 && said[1].contains("trying again"), "{said:?}");
}

#[test]
fn a_late_file_that_cannot_be_read_for_long_is_given_up_with_a_word() {
    let mut world = with_a_spoiled_late_file();
    // It has no name by which to open it again.
    does(&mut world, "-x.log.1 : x.log+c/ : :59 : :2 : : x.log+d/ :");
    assert_eq!(world.got.lines(), ["a", "b", "c", "d"]);
    let said = world.got.notices();
    assert!(said.len() == 3 && said[2].contains("its lines are lost"), "{said:?}");
    assert_eq!(world.follower.as_ref().unwrap().held.len(), 1);
}

#[test]
fn a_hole_of_any_size_is_passed_at_once() {
    let mut world = World::new();
    does(&mut world, "x.log+old/ start x.log+a/ : 0x.log");
    let file = OpenOptions::new().write(true).open(world.path("x.log")).unwrap();
    // Who walks through it does not come to its end.
    file.set_len(1 << 42).unwrap();
    does(&mut world, ": x.log+b/ :");
    assert_eq!(world.got.lines(), ["a", "b"]);
}

#[test]
fn a_stop_is_heard_in_the_middle_of_a_line_that_is_too_long() {
    let mut world = World::new();
    does(&mut world, "x.log+ start :");
    append(&world.path("x.log"), &"x".repeat(10 << 20));
    let stop = Stop::new().unwrap();
    stop.set();
    let follower = world.follower.as_mut().unwrap();
    assert!(follower.look(world.now, &mut world.got, &stop).is_break());
}

#[test]
#[ignore = "needs root: cargo test -p knock-sources -- --ignored"]
fn a_rotated_file_that_may_not_be_read_is_told() {
    super::resumed::as_nobody(|| {
        check(
            "x.log+ start : x.log>x.log.2 x.log+a/ x.log>x.log.1 !x.log.1 x.log+b/",
            "b",
            &["was rotated", "x.log.1: Permission denied"],
        );
    });
}

/// The variable that says that we are the child, which may have few descriptors.
const CHILD: &str = "KNOCK_SOURCES_FEW_DESCRIPTORS";

#[test]
fn without_descriptors_rotated_files_are_found_later() {
    if std::env::var_os(CHILD).is_some() {
        return (0..5).for_each(rotated_with_few_descriptors);
    }
    // The limit is the whole process's.
    let name = "file::follower::tests::troubled::without_descriptors_rotated_files_are_found_later";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", name]).env(CHILD, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn rotated_with_few_descriptors(free: u64) {
    let mut world = World::new();
    does(&mut world, "x.log.9+old/ x.log+ start x.log+a/ :");
    does(&mut world, "x.log>x.log.3 x.log+b/ x.log>x.log.2 x.log+c/ x.log>x.log.1 x.log+d/");
    let stop = Stop::new().unwrap();
    let mut follower = world.follower.take().unwrap();
    let next = std::os::fd::AsRawFd::as_raw_fd(&File::open("/dev/null").unwrap());
    let limit = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(u64::try_from(next).unwrap() + free), ..limit };
    setrlimit(Resource::Nofile, few).unwrap();
    for _ in 0..2 {
        assert!(follower.look(world.now, &mut world.got, &stop).is_continue());
    }
    setrlimit(Resource::Nofile, limit).unwrap();
    world.follower = Some(follower);
    does(&mut world, ": x.log+e/ :");
    assert_eq!(world.got.lines(), ["a", "b", "c", "d", "e"], "{free} free");
    let said = world.got.notices();
    let troubles = said.iter().filter(|said| said.contains("trying again")).count();
    assert_eq!(troubles, usize::from(free < 3), "{free} free: {said:?}");
}
