//! Files that do not only grow: emptied, copied, edited, cut in front, moved and put back. Renaming
//! alone is not here.

use super::*;

#[test]
fn copied_and_truncated() {
    check("x.log+a/ start x.log+b/ : x.log~x.log.1 0x.log x.log+c/", "b c", &["was truncated"]);
    check("x.log+a/ start 0x.log : x.log+b/", "b", &["was truncated"]);
    // Grown beyond the old place before we looked: the first bytes differ.
    check("x.log+aa/ start : 0x.log x.log+b/c/d/e/f/", "b c d e f", &["was truncated"]);
    check("x.log+aa/ start : 0x.log x.log+bb/", "bb", &["was truncated"]);
}

#[test]
fn a_writer_that_does_not_append_leaves_a_hole() {
    let mut world = World::new();
    let mut writer = File::create(world.path("x.log")).unwrap();
    world.start(Start::AtEnd);
    writer.write_all("old\n".repeat(50_000).as_bytes()).unwrap();
    world.look();
    world.does("0x.log");
    writer.write_all(b"new\n").unwrap();
    world.look();
    assert_eq!(world.got.lines()[50_000..], ["new"]);
}

#[test]
fn truncated_and_grown_beyond_its_old_place_between_two_looks() {
    // Its first bytes are the same; those before the place that was read to are not.
    let old = "0123456789/".repeat(300);
    let new = format!("{}x/y/", &old[..3300 - 11]);
    check(
        &format!("x.log+{old} start x.log+mark/ : 0x.log x.log+{new}{old}"),
        "mark",
        &["written anew"],
    );
    // Cut in the middle and written on: what was read to is found again where it is now.
    let lines: String = (1000..1400).map(|n| format!("line-{n}/")).collect();
    let cut = lines.replace("line-1200/line-1201/", "");
    check(&format!("x.log+{lines} start : 0x.log x.log+{cut}a/b/"), "a b", &["written anew"]);
    check(
        &format!(
            "x.log+{lines} start : 0x.log x.log+{}more-{}a/b/",
            &lines[..2000],
            &lines[2000..]
        ),
        "a b",
        &["written anew"],
    );
}

/// Some lines as logs have them, with these numbers.
fn dated(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| format!("2026-01-01T10:00:00.{n:06}-line/")).collect()
}

#[test]
fn a_writer_that_does_not_append_leaves_a_hole_each_time() {
    let mut world = World::new();
    let mut writer = File::create(world.path("x.log")).unwrap();
    world.start(Start::AtEnd);
    for round in 0..3 {
        writer
            .write_all(dated(round * 100..round * 100 + 100).replace('/', "\n").as_bytes())
            .unwrap();
        world.look();
        world.does("0x.log");
    }
    // The first bytes are NULs before and after, which tells nothing.
    let want: Vec<String> = dated(0..300).split_terminator('/').map(ToOwned::to_owned).collect();
    assert_eq!(world.got.lines(), want);
}

#[test]
fn lines_that_nobody_had_read_yet_are_found_in_the_copy() {
    let (a, b, c) = (dated(0..3), dated(3..6), dated(6..9));
    let all = dated(0..9).trim_end_matches('/').replace('/', " ");
    check(
        &format!("x.log+ start x.log+{a} : x.log+{b} x.log~x.log.1 0x.log x.log+{c}"),
        &all,
        &["was truncated"],
    );
    // Where two were made, and where a rotation followed at once.
    check(
        &format!(
            "x.log+ start x.log+{a} : x.log~x.log.2 x.log+{b} x.log~x.log.1 0x.log : x.log+{c}"
        ),
        &all,
        &["was truncated"],
    );
    check(
        &format!("x.log+ start x.log+{a} : x.log+{b} x.log~x.log.1 0x.log x.log>x.log.2 x.log+{c}"),
        &all,
        &["was rotated", "was truncated"],
    );
}

#[test]
fn a_copy_made_just_before_a_rotation_brings_nothing_again() {
    let (a, b) = (dated(0..30), dated(30..32));
    check(
        &format!("x.log+ start x.log+{a} : x.log~x.log.7 x.log+{b} x.log>x.log.1 x.log+c/"),
        &(dated(0..32).replace('/', " ") + "c"),
        &["was rotated"],
    );
}

#[test]
fn edited_and_cut_in_front_however_short() {
    let read = |range| dated(range).trim_end_matches('/').replace('/', " ");
    for (first, rest) in [(dated(0..5), dated(2..6)), (dated(0..90), dated(50..91))] {
        let last = if first.len() > 1000 { 90..91 } else { 5..6 };
        for how in [
            format!("0x.log x.log+{rest}"),
            format!("0x.log : x.log+{rest}"),
            format!("y+{rest} y>x.log"),
        ] {
            check_news(&format!("x.log+{first} start : {how}"), &read(last.clone()));
        }
    }
    // The line that was read last is taken out, and one that was not read is there.
    check_news(
        &format!("x.log+{} start : 0x.log x.log+{}{}", dated(0..5), dated(0..4), dated(5..6)),
        &read(5..6),
    );
    // A line came into the file that is being replaced, and its successor has it, or has it not.
    for successor in [dated(0..3) + &dated(4..6), dated(0..3) + &dated(4..5)] {
        check_news(
            &format!("x.log+{} start : x.log+{} y+{successor} y>x.log", dated(0..5), dated(5..6)),
            &read(5..6),
        );
    }
}

/// Does `script`, looks, and compares the lines, whatever is said.
fn check_news(script: &str, lines: &str) {
    let mut world = World::new();
    script.split_whitespace().for_each(|word| world.does(word));
    world.look();
    world.look();
    assert_eq!(world.got.lines().join(" "), lines, "{script}");
}

#[test]
fn what_was_known_stays_known_when_the_front_is_cut_off() {
    let mut world = World::new();
    world.does(&format!("x.log+{}", dated(0..40)));
    world.does("start");
    world.follower.as_mut().unwrap().tell_beginning(&mut world.got);
    let from = world.got.place().unwrap();
    world.does(&format!("x.log+{}", dated(40..41)));
    world.look();
    let done = vec![world.got.place().unwrap()];
    world.cursor = Some(FileCursor { from, seen: None, done });
    world.does("resume");
    world.look();
    world.does("0x.log");
    world.does(&format!("x.log+{}", dated(30..42)));
    world.look();
    assert_eq!(world.got.ages()[1..], [Age::Known, Age::Live]);
}

#[test]
fn false_alarms_bring_no_old_lines() {
    check("x.log+a/ start : ?x.log : x.log>y : y>x.log : x.log+b/", "b", &[]);
    check("x.log+a/ start x.log+b/ : x.log>x.log.1 : :61 : x.log.1>x.log", "b", &["is gone"]);
    let old = "0123456789/".repeat(300);
    // Written anew by an editor that keeps what is there: another file, or the same.
    check(&format!("x.log+{old} start : x.log~y y>x.log : x.log+b/"), "b", &["written anew"]);
    check(
        &format!("x.log+{old} start : x.log~y 0y y+{old}b/ y>x.log : x.log+c/"),
        "b c",
        &["written anew"],
    );
    check(
        &format!("x.log+{old} start : 0x.log x.log+{} : x.log+c/", &old[..2200]),
        "c",
        &["written anew"],
    );
    // Rotated by copying and deleting.
    check(&format!("x.log+{old} start : x.log~x.log.5 -x.log x.log+b/"), "b", &["was rotated"]);
}

#[test]
fn lines_that_are_all_alike_are_still_many() {
    let lines = "the same again\n".repeat(200);
    for script in
        ["x.log>x.log.1", "x.log>x.log.1 x.log+LINES x.log>x.log.2", "x.log~x.log.1 : 0x.log :"]
    {
        let script = format!("x.log+ start x.log+LINES : {script} x.log+LINES");
        let mut world = World::new();
        for word in script.split(' ') {
            match word.strip_suffix("LINES") {
                Some(_) => append(&world.path("x.log"), &lines),
                None => world.does(word),
            }
        }
        world.look();
        assert_eq!(world.got.lines().len(), script.matches("LINES").count() * 200, "{script}");
    }
}
