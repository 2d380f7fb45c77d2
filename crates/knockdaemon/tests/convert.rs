//! `convert` on the command line: where the result goes, who may read it, and how it ends.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{CONFIG, Folder};

fn mode(folder: &Folder, name: &str) -> u32 {
    std::fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn to_standard_output_and_usable_there() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let ended = folder.run(&["convert", "k.conf"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.starts_with("logfile: /var/log/messages\nkey: knock\n"), "{}", ended.out);
    folder.write("k.yaml", &ended.out);
    let checked = folder.run(&["check", "-conf", "k.yaml"]);
    assert_eq!(checked.code, 0, "{}", checked.out);
    // And back, since that is what is left to do with YAML.
    let back = folder.run(&["convert", "k.yaml"]);
    assert!(back.out.starts_with("logfile = /var/log/messages\n"), "{}", back.out);
    let json = folder.run(&["convert", "-to", "json", "k.conf"]);
    let tree: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(tree["actions"]["action"][1]["delay"], "TIME");
}

#[test]
fn a_file_with_a_key_is_its_owners_alone_and_nothing_is_replaced_unasked() {
    let folder = Folder::new();
    folder.write_with_mode("k.conf", CONFIG, 0o644);
    let ended = folder.run(&["convert", "k.conf", "-o", "k.yaml"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("others can read this file and the key in it"), "{}", ended.err);
    assert_eq!(mode(&folder, "k.yaml"), 0o600);

    let ended = folder.run(&["convert", "k.conf", "-o", "k.yaml"]);
    assert_eq!(ended.code, 74);
    assert!(ended.err.contains("k.yaml is there already; --force replaces it"), "{}", ended.err);
    folder.write_with_mode("k.yaml", "old", 0o644);
    assert_eq!(folder.run(&["convert", "k.conf", "-o", "k.yaml", "--force"]).code, 0);
    assert_eq!(mode(&folder, "k.yaml"), 0o600);
    assert!(folder.run(&["check", "-conf", "k.yaml"]).out.contains("k.yaml: ok"));

    // Without a key it is as open as it was.
    folder.write_with_mode("c.conf", "remote = h\n", 0o644);
    assert_eq!(folder.run(&["convert", "c.conf", "-o", "c.yaml"]).code, 0);
    assert_eq!(mode(&folder, "c.yaml"), 0o644);
    let left: Vec<_> = std::fs::read_dir(folder.dir.path()).unwrap().collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn the_outputs_name_says_what_it_is_to_be() {
    let folder = Folder::new();
    folder.write("c.conf", "# c\nremote h\n");
    for (name, text) in [
        ("a.json", "{\n  \"remote\": \"h\"\n}\n"),
        ("a.yml", "# c\nremote: h\n"),
        ("b.conf", "# c\nremote = h\n"),
    ] {
        assert_eq!(folder.run(&["convert", "c.conf", "-output", name]).code, 0);
        assert_eq!(std::fs::read_to_string(folder.path(name)).unwrap(), text);
    }
}

#[test]
fn what_cannot_be_converted_writes_nothing() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG.replace("template  = open\n", "template  = opn\n"));
    let ended = folder.run(&["convert", "k.conf", "-o", "k.yaml"]);
    assert_eq!(ended.code, 78);
    assert!(ended.err.contains("k.conf:6:17: error: unknown template 'opn'"), "{}", ended.err);
    assert!(!folder.path("k.yaml").exists());
    // Its tree can be had all the same.
    assert_eq!(folder.run(&["convert", "k.conf", "-to", "json"]).code, 0);
    assert_eq!(folder.run(&["convert", "nosuch.conf"]).code, 78);
    assert_eq!(folder.run(&["convert", "k.conf", "-to", "ini"]).code, 64);
    assert_eq!(folder.run(&["convert"]).code, 64);
    folder.write("c.conf", "remote = h\n");
    let ended = folder.run(&["convert", "c.conf", "-o", "nosuch/c.yaml"]);
    assert_eq!(ended.code, 74, "{}", ended.err);
}

#[test]
fn quiet_says_only_errors() {
    let folder = Folder::new();
    folder.write("k.conf", format!("private = 1\n{CONFIG}"));
    let ended = folder.run(&["convert", "k.conf"]);
    assert!(ended.err.contains("k.conf:1:1: warning: unknown key 'private'"), "{}", ended.err);
    assert!(ended.out.contains("# private: '1'\n"), "{}", ended.out);
    assert_eq!(folder.run(&["convert", "k.conf", "-quiet"]).err, "");
}
