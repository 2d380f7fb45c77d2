//! Every way to spell a key, and what a report shows of the file then.

use std::os::unix::fs::PermissionsExt as _;

use crate::report::{Colour, Sources, print};
use crate::syntax::parse;
use crate::{Place, Problem, ReadOptions, SourceText, read_daemon};

/// The lines of a file as reports about each of them show it.
#[track_caller]
fn check(name: &str, text: &str, expected: &str) {
    let source = SourceText::new(name, text);
    let file: std::sync::Arc<std::path::Path> = source.path.as_path().into();
    let shown: Vec<String> = (1..=text.lines().count())
        .map(|line| {
            let at = Place { file: file.clone(), line, column: 3, len: 4 };
            let shown = report(&[Problem::error(at, "wrong")], &Sources::of(&source));
            shown.lines().nth(1).unwrap().strip_prefix("  ").unwrap().to_owned()
        })
        .collect();
    assert_eq!(shown.join("\n"), expected, "{text}");
}

fn report(problems: &[Problem], sources: &Sources) -> String {
    let mut out = Vec::new();
    print(problems, sources, Colour::Never, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn on_the_line_of_the_word() {
    for name in ["a.conf", "a.yaml"] {
        check(name, "key = opensesame", "key = ********");
        check(name, "key opensesame", "key ********");
        check(name, "key=opensesame", "key=********");
        check(name, "\u{feff}  \"key\": open sesame", "  \"key\": ********");
        check(name, "{a: 1, key: opensesame, b: 2}", "{a: 1, key: ********");
        check(name, "# key = opensesame", "# key = ********");
        for plain in ["keyfile = /etc/key", "turkeys = 1", "key =", "a = key", "# no key"] {
            check(name, plain, plain);
        }
    }
}

#[test]
fn behind_a_word_that_is_no_key_but_like_one() {
    for word in [
        "keyy",
        "kye",
        "ky",
        "KEY",
        "my-key",
        "cipherkey",
        "secret",
        "shared_secret",
        "passwd",
        "passphrase",
    ] {
        let masked = format!("{word} = ********");
        check("a.conf", &format!("{word} = opensesame"), &masked);
        check("a.conf", &format!("  {word} opensesame"), &format!("  {word} ********"));
        check(
            "a.conf",
            &format!("{word} <<E\nopensesame\nE"),
            &format!("{word} ********\n********\n********"),
        );
        check("a.yaml", &format!("{word}: opensesame"), &format!("{word}: ********"));
        check(
            "a.yaml",
            &format!("{word}: |\n  opensesame"),
            &format!("{word}: ********\n********"),
        );
        check("a.yaml", &format!("\"{word}\": opensesame"), &format!("\"{word}\": ********"));
    }
    check("a.yaml", "? keyy\n: opensesame", "? keyy\n: ********");
    // Known keys, and what is meant to be one, have nothing to hide; nor has a sentence.
    for plain in [
        "keyderivation = pbkdf2",
        "keyfil = /etc/key",
        "passive ports",
        "# the secret stands elsewhere",
        "use = no",
    ] {
        check("a.conf", plain, &plain.replace("passive ports", "passive ********"));
    }
}

#[test]
fn on_lines_below_in_yaml() {
    check("a.yaml", "key:\n  opensesame\nport: 22", "key:\n********\nport: 22");
    check(
        "a.yaml",
        "key: |\n  open\n\n  sesame\n# x\nport: 22",
        "key: ********\n********\n********\n********\n********\nport: 22",
    );
    check("a.yaml", "key: >-\n  a: b\nactions:\n  - x", "key: ********\n********\nactions:\n  - x");
    check("a.yaml", "key: open\n  sesame\nport: 22", "key: ********\n********\nport: 22");
    check("a.yaml", "key: 'open\n  sesame'\nport: 22", "key: ********\n********\nport: 22");
    check("a.yaml", "{a: 1, key:\n   opensesame}", "{a: 1, key:\n********");
    check(
        "a.yaml",
        "{\n  a: 1,\n  key: open\n  sesame,\n  b: 2\n}",
        "{\n  a: 1,\n  key: ********\n********\n  b: 2\n}",
    );
    // What only the parser sees.
    check("a.yaml", "a: &x opensesame\nkey: *x", "a: &x ********\nkey: ********");
    check("a.yaml", "? key\n: opensesame", "? key\n: ********");
    check("a.yaml", "\"\\x6bey\": opensesame", "\"\\x6bey\": ********");
}

#[test]
fn on_lines_below_in_legacy() {
    check(
        "a.conf",
        "key = \\\n  open\\\nsesame\nport = 22",
        "key = ********\n********\n********\nport = 22",
    );
    check("a.conf", "key \\\nopensesame\nport = 22", "key ********\n********\nport = 22");
    check("a.conf", "key = open\\\nsesame\n", "key = ********\n********");
    check(
        "a.conf",
        "key <<EOF\nopen = 1\nsesame\n EOF\nport = 22",
        "key ********\n********\n********\n********\nport = 22",
    );
    check(
        "a.conf",
        "key = << EOF\nopensesame\nEOF\nport = 22",
        "key = ********\n********\n********\nport = 22",
    );
    // What only the parser sees.
    check(
        "a.conf",
        "ke\\\ny = open\\\nsesame\nport = 22",
        "ke\\\ny = ********\n********\nport = 22",
    );
}

#[test]
fn in_a_file_that_cannot_be_parsed() {
    let broken = "a: [";
    for (text, expected) in [
        ("key:\n  opensesame\nport: 22", "key:\n********\nport: 22"),
        ("key: |\n  open\n  sesame\nport: 22", "key: ********\n********\n********\nport: 22"),
        ("key: \"open\nname: sesame\"\nport: 22", "key: ********\n********\nport: 22"),
        ("key:\nopensesame\nport: 22", "key:\n********\nport: 22"),
        ("{key:\n  opensesame,\nport: 22", "{key:\n********\nport: 22"),
        ("key: opensesame\n\tx", "key: ********\n********"),
    ] {
        let with = |end: &str| format!("{text}\n{end}");
        assert!(parse(&SourceText::new("a.yaml", with(broken))).value.is_none(), "{text}");
        let expected = format!("{expected}\n{broken}");
        check("a.yaml", &with(broken), &expected);
    }
    check("a.conf", "key <<EOF\nopensesame\n<a>", "key ********\n********\n********");
    check("a.conf", "key = \\ \nopensesame\n</a>", "key = ********\n********\n</a>");
    // YAML in a file of the other syntax.
    check("a.conf", "key:\n  opensesame\nport: 22", "key:\n********\nport: 22");
}

#[test]
fn the_reports_of_whole_files_say_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.yaml", "key:\n  opensesame\n"),
        ("a.yaml", "key: |\n  opensesame\n"),
        ("a.yaml", "{key: opensesame, runmode: stdin}\n"),
        ("a.yaml", "key: opensesame\n  runmode: x: y\n"),
        ("a.yaml", "key:\nopensesame\n"),
        ("a.conf", "key <<EOF\nopensesame\nEOF\n"),
        ("a.conf", "key <<EOF\nopensesame\n"),
        ("a.conf", "key = \\\nopensesame\n"),
        ("a.conf", "key = \\ \nopensesame x\n"),
        ("a.conf", "key:\n  opensesame\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let source = SourceText::new(path, text);
        let problems = read_daemon(&source, &ReadOptions::default()).problems;
        let report = report(&problems, &Sources::of(&source));
        assert!(!problems.is_empty() && !report.contains("sesame"), "{text}\n{report}");
    }
}
