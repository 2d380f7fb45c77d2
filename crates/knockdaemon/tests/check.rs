//! `check` and the command line: mistakes are told with their place and a way out.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{CONFIG, Folder};

/// Checks a configuration; every expected part must be in the report, in this order.
fn check(config: &str, code: i32, parts: &[&str]) {
    let folder = Folder::new();
    folder.write("k.conf", config);
    let ended = folder.run(&["check", "-conf", "k.conf"]);
    let mut rest = ended.out.as_str();
    for part in parts {
        let Some(at) = rest.find(part) else {
            panic!("no '{part}' in:\n{}", ended.out);
        };
        rest = &rest[at + part.len()..];
    }
    assert_eq!(ended.code, code, "{}{}", ended.out, ended.err);
}

#[test]
fn a_good_one_is_ok_and_told_in_numbers() {
    check(CONFIG, 0, &["k.conf: ok", "8 packets over 256 ports", "48 bits"]);
}

#[test]
fn all_mistakes_at_once_with_line_column_and_help() {
    let config = CONFIG
        .replace("template  = open\n", "template  = opn\n")
        .replace("PORT == 22 && TIME > 0", "PROT == 22 && TIME > 0")
        .replace("key     = knock", "key     = knock\nportspan = 745-844");
    check(
        &config,
        1,
        &[
            "k.conf:3:12: error:",
            "100 ports",
            "power of two",
            "k.conf:7:17: error: unknown template 'opn'",
            "did you mean 'open'",
            "k.conf:11:17: error:",
            "PROT",
            "PORT",
        ],
    );
}

#[test]
fn a_missing_template_is_an_error() {
    check(
        "logfile = /l\nkey = k\n<actions>\n<action>\ncondition = PORT == 1\ntemplate = open\n</action>\n</actions>\n",
        1,
        &["k.conf:6:12: error: ", "'open'"],
    );
}

#[test]
fn a_key_of_no_length_is_an_error() {
    check("logfile = /l\nkey = \"\"\n", 1, &["k.conf:2:", "error:"]);
}

#[test]
fn perls_look_behind_is_named_with_its_place() {
    let format = "uselogformat = mine\n<logformat mine>\n  ipclient = (?<=SRC=)([\\d.]+)\n  port = DPT=(\\d+)\n</logformat>\n";
    check(&format!("{format}{CONFIG}"), 1, &["k.conf:3:14: error:", "look-behind"]);
}

#[test]
fn a_template_that_opens_by_deleting_is_pointed_out() {
    let config = CONFIG.replace("iptables -I", "iptables -D");
    check(&config, 0, &["k.conf:16:30: warning:", "-D", "k.conf: ok"]);
}

#[test]
fn an_unknown_key_in_an_old_file_is_a_warning_with_a_suggestion() {
    check(
        &format!("uselogformt = iptables\n{CONFIG}"),
        0,
        &["k.conf:1:1: warning:", "uselogformat"],
    );
}

#[test]
fn a_file_that_others_can_read_is_warned_about_or_refused() {
    let folder = Folder::new();
    folder.write_with_mode("k.conf", CONFIG, 0o644);
    let ended = folder.run(&["check", "-conf", "k.conf"]);
    assert_eq!(ended.code, 0);
    assert!(
        ended.out.contains("warning:") && ended.out.contains("chmod 600 k.conf"),
        "{}",
        ended.out
    );

    let yaml = "logfile: /l\nkey: knock\n";
    folder.write_with_mode("k.yaml", yaml, 0o640);
    let ended = folder.run(&["check", "-conf", "k.yaml"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.out.contains("error:") && ended.out.contains("chmod 600 k.yaml"),
        "{}",
        ended.out
    );
    assert_eq!(folder.run(&["check", "-conf", "k.yaml", "-insecure"]).code, 0);
}

#[test]
fn broken_files_are_no_reason_to_panic() {
    check("key = \u{1}\n\u{7f}<actions\n", 1, &["k.conf:"]);
    let folder = Folder::new();
    folder.write("k.yaml", b"key: \xff\xfe\n");
    let ended = folder.run(&["check", "-conf", "k.yaml"]);
    assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
}

#[test]
fn one_dash_or_two_shortened_or_not_before_or_behind() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    for arguments in [
        ["-conf", "k.conf", "-quiet", "check"],
        ["--conf", "k.conf", "--quiet", "check"],
        ["check", "-conf", "k.conf", "-qui"],
        ["check", "-con=k.conf", "-debug", "--quiet"],
    ] {
        let ended = folder.run(&arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn usage_mistakes_have_a_status_of_their_own() {
    let folder = Folder::new();
    for arguments in [&["-nosuch"][..], &["nosuch"], &["check", "-conf"], &["replay"]] {
        let ended = folder.run(arguments);
        assert_eq!(ended.code, 64, "{arguments:?}");
        assert!(!ended.err.is_empty());
    }
    let ended = folder.run(&["-tets"]);
    assert!(ended.err.contains("unknown option '-tets'; did you mean -test?"), "{}", ended.err);
}

#[test]
fn help_version_and_manual() {
    let folder = Folder::new();
    for option in ["-h", "-help", "--help"] {
        let ended = folder.run(&[option]);
        assert_eq!(ended.code, 0);
        assert!(ended.out.contains("Usage: knockdaemon"), "{option}: {}", ended.out);
    }
    let version = folder.run(&["--version"]);
    assert_eq!(version.out, format!("knockdaemon {}\n", env!("CARGO_PKG_VERSION")));
    let manual = folder.run(&["-man"]);
    assert_eq!(manual.code, 0);
    for word in ["replay", "uselogformat", "SIGHUP"] {
        assert!(manual.out.contains(word), "the manual does not speak of {word}");
    }
    let without_man = folder.run_with_path(&["-man"], "/nonexistent");
    assert_eq!(without_man.code, 0, "{}", without_man.err);
    for word in ["--conf <FILE>\n    Read this configuration", "uselogformat (", "EXIT STATUS"] {
        assert!(without_man.out.contains(word), "{word} is missing in {}", without_man.out);
    }
    assert!(!without_man.out.contains("\\f"), "roff, not text: {}", without_man.out);
}

#[test]
fn without_a_configuration_it_says_where_it_looked() {
    let folder = Folder::new();
    let ended = folder.run(&["check"]);
    // A machine with a configuration in /etc is checked instead; then there is nothing to see here.
    if !std::path::Path::new("/etc/knockdaemon").exists() {
        assert_eq!(ended.code, 78);
        assert!(ended.err.contains(".knockdaemon.conf"), "{}", ended.err);
    }
    folder.write(".knockdaemon.conf", CONFIG);
    let ended = folder.run(&["check"]);
    assert_eq!(ended.code, 0);
    assert!(ended.out.contains(".knockdaemon.conf: ok"), "{}", ended.out);
}

/// `~/.knockdaemon.conf`, beside the program, in its `etc`, in `../etc`: the first, and no other.
#[test]
fn the_configuration_is_looked_for_in_the_originals_order() {
    let folder = Folder::new();
    for name in ["opt/bin/etc", "opt/etc"] {
        std::fs::create_dir_all(folder.path(name)).unwrap();
    }
    let program = folder.path("opt/bin/knockdaemon");
    let built = env!("CARGO_BIN_EXE_knockdaemon");
    if std::fs::hard_link(built, &program).is_err() {
        std::fs::copy(built, &program).unwrap();
    }
    let places = [
        ".knockdaemon.conf",
        "opt/bin/knockdaemon.conf",
        "opt/bin/etc/knockdaemon.conf",
        "opt/etc/knockdaemon.conf",
    ];
    for (number, place) in places.iter().enumerate() {
        // Were another file read too, its key would be given twice.
        folder.write(place, CONFIG.replace("messages", &format!("messages.{number}")));
    }
    for place in places {
        let output = std::process::Command::new(&program)
            .arg("check")
            .env("HOME", folder.dir.path())
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let name = place.trim_start_matches("opt/");
        assert!(output.status.success() && out.contains(&format!("{name}: ok")), "{place}: {out}");
        std::fs::remove_file(folder.path(place)).unwrap();
    }
}
