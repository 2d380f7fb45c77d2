//! `convert` on the command line: where the result goes, who may read it, and how it ends.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

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

#[test]
fn only_a_file_is_ever_replaced() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let pipe = folder.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap())
    };
    let ended = folder.run(&["convert", "k.conf", "-o", "pipe", "--force", "-to", "yaml"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(reader.join().unwrap().starts_with("logfile: /var/log/messages\n"));
    assert!(std::fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());

    // A link to a device, so that the test could not harm the real one.
    std::os::unix::fs::symlink("/dev/null", folder.path("null")).unwrap();
    assert_eq!(folder.run(&["convert", "k.conf", "-o", "null", "--force"]).code, 0);
    assert!(std::fs::symlink_metadata(folder.path("null")).unwrap().file_type().is_symlink());
    assert!(std::fs::metadata(folder.path("null")).unwrap().file_type().is_char_device());

    std::fs::create_dir(folder.path("folder")).unwrap();
    let ended = folder.run(&["convert", "k.conf", "-o", "folder", "--force"]);
    assert_eq!(ended.code, 74);
    assert!(ended.err.contains("it is a folder; name a file in it"), "{}", ended.err);

    // What a link leads to is replaced, and not the link.
    folder.write("real.yaml", "old");
    std::os::unix::fs::symlink("real.yaml", folder.path("link.yaml")).unwrap();
    assert_eq!(folder.run(&["convert", "k.conf", "-o", "link.yaml", "--force"]).code, 0);
    assert!(std::fs::symlink_metadata(folder.path("link.yaml")).unwrap().file_type().is_symlink());
    assert!(std::fs::read_to_string(folder.path("real.yaml")).unwrap().starts_with("logfile:"));

    for stdout in ["-", "/dev/stdout"] {
        let ended = folder.run(&["convert", "k.conf", "-o", stdout]);
        assert!(ended.out.starts_with("logfile: "), "{stdout}: {}", ended.err);
    }
}

#[test]
fn standard_input_and_pipes_are_read() {
    let folder = Folder::new();
    for file in ["-", "/dev/stdin"] {
        let ended = folder.run_with_input(&["convert", file], b"# c\nremote h\n");
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("# c\nremote: h\n", ""), "{file}");
    }
    let ended = folder.run_with_input(&["convert", "-from", "yaml", "-"], b"remote: h\n");
    assert_eq!(ended.out, "remote = h\n", "{}", ended.err);
    let ended = folder.run_with_input(&["convert", "-", "-o", "c.yaml"], b"remote = h\n");
    assert_eq!((ended.code, mode(&folder, "c.yaml")), (0, 0o600), "{}", ended.err);

    let pipe = folder.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn(move || std::fs::write(pipe, "remote h\n").unwrap());
    assert_eq!(folder.run(&["convert", "pipe"]).out, "remote: h\n");
    writer.join().unwrap();

    let ended = folder.run_with_input(&["convert", "-"], b"remote h\n<x>\n");
    assert_eq!(ended.code, 78);
    assert!(ended.err.starts_with("stdin.conf:2:1: error"), "{}", ended.err);
    let ended = folder.run_with_input(&["convert", "-"], &[b'\n'; 1024 * 1024 + 1]);
    assert!(ended.err.contains("is larger than 1048576 bytes"), "{}", ended.err);

    folder.write("c.conf", "remote h\n");
    let ended = folder.run(&["convert", "-from", "yaml", "c.conf"]);
    assert!(
        ended.code == 78 && ended.err.contains("--from is for standard input"),
        "{}",
        ended.err
    );
}

#[test]
fn conf_names_the_file_as_well() {
    let folder = Folder::new();
    folder.write("c.conf", "remote h\n");
    assert_eq!(folder.run(&["convert", "-conf", "c.conf"]).out, "remote: h\n");
    assert_eq!(folder.run(&["-conf", "c.conf", "convert"]).out, "remote: h\n");
    let ended = folder.run(&["convert", "-conf", "c.conf", "c.conf"]);
    assert_eq!(ended.code, 64);
    assert!(ended.err.contains("FILE or -conf FILE, not both"), "{}", ended.err);
}

#[test]
fn an_included_file_is_guarded_like_the_one_that_includes_it() {
    let folder = Folder::new();
    let main = CONFIG.replace("key     = knock", "<<include secret.conf>>");
    folder.write_with_mode("k.conf", &main, 0o644);
    folder.write_with_mode("secret.conf", "key = s3cret\n", 0o640);
    for arguments in [["check", "-conf", "k.conf"], ["convert", "k.conf", "-to=yaml"]] {
        let ended = folder.run(&arguments);
        let said = format!("{}{}", ended.out, ended.err);
        let seen = "secret.conf:1:7: warning: others can read this file and the key in it (its mode is 0640)";
        assert!(said.contains(seen) && said.contains("chmod 600 secret.conf"), "{said}");
    }
    // The key's own file is what counts.
    folder.write_with_mode("secret.conf", "key = s3cret\n", 0o600);
    let ended = folder.run(&["check", "-conf", "k.conf"]);
    assert!(!ended.out.contains("others can read"), "{}", ended.out);
    assert_eq!(folder.run(&["convert", "k.conf", "-o", "k.yaml"]).code, 0);
    assert_eq!(mode(&folder, "k.yaml"), 0o600);

    // And without a key nobody gets to read what he could not.
    folder.write_with_mode("c.conf", "<<include more.conf>>\n", 0o644);
    folder.write_with_mode("more.conf", "remote = h\n", 0o640);
    assert_eq!(folder.run(&["convert", "c.conf", "-o", "c.yaml"]).code, 0);
    assert_eq!(mode(&folder, "c.yaml"), 0o640);
}

#[test]
fn in_another_folder_is_said_what_is_not_found_there() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("new")).unwrap();
    folder.write("knock.key", "s3cret\n");
    let of_file = CONFIG.replace("key     = knock", "keyfile = knock.key");
    let absolute = of_file.replace("knock.key", folder.path("knock.key").to_str().unwrap());
    for (text, told) in [
        (of_file.as_str(), "cannot read the keyfile"),
        (&format!("{CONFIG}statefile = state.json\n"), "statefile is another one"),
        // Only a comment says it.
        (&format!("{CONFIG}# keyfile = knock.key\n"), ""),
        (&absolute, ""),
    ] {
        folder.write("k.conf", text);
        let ended = folder.run(&["convert", "k.conf", "-o", "new/k.yaml", "--force"]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        let moved = "new/k.yaml means something else in its folder: ";
        assert_eq!(ended.err.contains(moved), !told.is_empty(), "{}", ended.err);
        assert!(ended.err.contains(told), "{}", ended.err);
        let ended = folder.run(&["convert", "k.conf", "-o", "k.yaml", "--force"]);
        assert!(!ended.err.contains("means something else"), "{}", ended.err);
    }
}
