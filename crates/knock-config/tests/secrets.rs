//! Keys in files that others can read, and files that hold nothing but a key.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use knock_config::{ReadOptions, Severity, SourceText, read_daemon, read_keyfile};

/// A configuration and a key file with these modes; what is said about them.
#[track_caller]
fn check(
    name: &str,
    text: &str,
    mode: u32,
    key: Option<(&[u8], u32)>,
    insecure: bool,
    expected: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let separator = if name.ends_with(".yaml") { ": " } else { " = " };
    let text = format!("runmode = stdin\n{text}\n").replace(" = ", separator);
    fs::write(&path, &text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    if let Some((bytes, mode)) = key {
        let key = folder.path().join("knock.key");
        fs::write(&key, bytes).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut options = ReadOptions::default();
    options.insecure = insecure;
    let reading = read_daemon(&SourceText::new(&path, text), &options);
    let found = folder.path().to_str().unwrap();
    let shown: Vec<String> = reading
        .problems
        .iter()
        .filter(|problem| !problem.message.contains("no action"))
        .map(|problem| {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let help = problem.help.clone().unwrap_or_default();
            format!("{severity}: {} | {help}", problem.message).replace(found, "DIR")
        })
        .collect();
    assert_eq!(shown.join("\n"), expected);
}

#[test]
fn a_key_in_a_file_that_others_can_read() {
    let key = "key = s3cret";
    let seen = "others can read this file and the key in it (its mode is 0644)";
    check("a.conf", key, 0o600, None, false, "");
    check(
        "a.conf",
        key,
        0o644,
        None,
        false,
        &format!("warning: {seen} | run: chmod 600 DIR/a.conf"),
    );
    check("a.yaml", key, 0o600, None, false, "");
    check("a.yaml", key, 0o644, None, false, &format!("error: {seen} | run: chmod 600 DIR/a.yaml"));
    check(
        "a.yaml",
        key,
        0o644,
        None,
        true,
        &format!("warning: {seen} | run: chmod 600 DIR/a.yaml"),
    );
    // Nothing to protect in it.
    check("a.yaml", "encrypt = no", 0o644, None, false, "");
}

#[test]
fn a_group_that_can_read_is_others_too() {
    check(
        "my keys.conf",
        "key = s3cret",
        0o640,
        None,
        false,
        "warning: others can read this file and the key in it (its mode is 0640) | run: chmod 600 'DIR/my keys.conf'",
    );
}

#[test]
fn key_files() {
    let text = "keyfile = knock.key";
    check("a.conf", text, 0o644, Some((b"s3cret\n", 0o600)), false, "");
    check(
        "a.conf",
        text,
        0o644,
        Some((b"s3cret\n", 0o644)),
        false,
        "error: others can read the keyfile DIR/knock.key (its mode is 0644) | run: chmod 600 DIR/knock.key",
    );
    check(
        "a.conf",
        text,
        0o644,
        Some((b"s3cret\n", 0o604)),
        true,
        "warning: others can read the keyfile DIR/knock.key (its mode is 0604) | run: chmod 600 DIR/knock.key",
    );
    check(
        "a.conf",
        text,
        0o644,
        Some((b"\n", 0o600)),
        false,
        "error: the keyfile DIR/knock.key is empty, so anybody could knock | put a key into it",
    );
}

#[test]
fn one_newline_at_the_end_is_not_part_of_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k");
    for (bytes, expected) in [
        (&b"abc"[..], &b"abc"[..]),
        (b"abc\n", b"abc"),
        (b"abc\n\n", b"abc\n"),
        (b"\xff\0 ", b"\xff\0 "),
    ] {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_keyfile(&path, false).value.unwrap().expose(), expected);
    }
}

#[test]
fn a_file_too_large_to_be_a_key_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k");
    fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(read_keyfile(&path, false).value.is_none());
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for (path, what) in [
        (pipe.as_path(), "a pipe or a device"),
        (Path::new("/dev/zero"), "a pipe or a device"),
        (folder.path(), "a folder"),
    ] {
        let expected = format!("it is {what}, not a regular file");
        assert_eq!(SourceText::read(path).unwrap_err().to_string(), expected);
        let problems = read_keyfile(path, false).problems;
        let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        let expected = format!("cannot read the keyfile {}: {expected}", path.display());
        assert_eq!(messages, [expected]);
        assert!(problems.iter().all(|problem| problem.help.is_none()));
    }
}
