//! What `knockdaemon convert` writes as a .conf, read by Perl's Config::General, the module that the
//! original read its files with.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use knock_e2e::programs;
use serde_json::Value;

/// A program's output as JSON.
fn json(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}; .ci/install-tools test installs the module");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn convert(options: &[&str]) -> Command {
    let mut command = Command::new(programs::folder().unwrap().join("knockdaemon"));
    command.arg("convert").args(options);
    command
}

/// Converts a file to a .conf, which both then read the same way, and as the source was read.
#[track_caller]
fn both_read_the_same(source: &Path, folder: &Path) -> Value {
    let conf = folder.join("written.conf");
    let written =
        convert(&["-to", "conf", "-force", "-o"]).arg(&conf).arg(source).output().unwrap();
    let said = String::from_utf8_lossy(&written.stderr).into_owned();
    assert!(written.status.success(), "{}: {said}", source.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/perl/config_general.pl");
    let theirs = json(Command::new("perl").arg(script).arg(&conf));
    let ours = json(convert(&["-to", "json"]).arg(&conf));
    assert_eq!(ours, theirs, "{}:\n{}", source.display(), fs::read_to_string(&conf).unwrap());
    ours
}

#[test]
fn config_general_reads_every_converted_example_as_we_do() {
    let folder = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut examples: Vec<PathBuf> =
        fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).collect();
    examples.sort();
    for example in examples {
        let copy = folder.path().join(example.file_name().unwrap());
        fs::copy(&example, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
        both_read_the_same(&copy, folder.path());
    }
}

/// Each trap of the syntax, alone and together, on one line and on several.
#[test]
fn config_general_reads_odd_values_as_we_do() {
    let pieces = [
        "#",
        " # ",
        "\\#",
        "\\",
        "\\\\",
        "\"",
        "'",
        "/*",
        "*/",
        "<a>",
        "</a>",
        "<br/>",
        "<<END",
        "END",
        "=",
        " = ",
        "$x",
        "${x}",
        "@x",
        "%x",
        "\t",
        "ä",
        "\u{a0}",
        " ",
        "0",
        "*/5 * * *",
        "a /* b */ c",
        "\n",
        "\n\n",
        "\n  ",
        "\\\n",
        "\n#",
        "\nEND\n",
        "[x]",
        "|",
        "\u{1}",
        "\r",
        "`id`",
    ];
    let whole = |piece: &&str| [(*piece).to_owned(), format!("{piece}x"), format!("x{piece}")];
    let mut values: Vec<String> = pieces.iter().flat_map(whole).collect();
    for one in pieces {
        values.extend(pieces.iter().map(|two| format!("a{one}b{two}")));
    }
    // As lines of samples, which may be any text; YAML holds them all in its quotes.
    let mut yaml = "remote: h # c\nlogformat:\n  f: # of f\n    ipclient: S=(.)\n    port: D=(.)\n    sample:\n".to_owned();
    for value in &values {
        let text = serde_json::to_string(value).unwrap().replace('\u{7f}', "\\u007f");
        yaml.push_str(&format!("      # c */ d\n      - {{line: {text}, yields: nothing}}\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("odd.yaml");
    fs::write(&source, yaml).unwrap();
    let tree = both_read_the_same(&source, folder.path());
    let samples = tree["logformat"]["f"]["sample"].as_array().unwrap();
    let read: Vec<&str> = samples.iter().map(|sample| sample["line"].as_str().unwrap()).collect();
    assert_eq!(read, values);
}
