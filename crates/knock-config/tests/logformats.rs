//! Where a logformat is looked for, and what is said about its file.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use knock_config::{
    ReadOptions, SHIPPED_FORMATS, SourceText, find_format, known_formats, read_daemon, read_format,
};

/// A format that sees a hit at this port in each line that it knows.
fn format(port: u16) -> String {
    format!("required: '^knock'\nipclient: 'SRC=(\\S+)'\nport: 'PORT{port}=(\\d+)'\n")
}

/// Folders with the format `mine` for some ports; which of them is found.
#[track_caller]
fn check(block: Option<u16>, beside: Option<u16>, folder: Option<u16>, expected: Option<u16>) {
    let dir = tempfile::tempdir().unwrap();
    let put = |folder: &Path, port: Option<u16>| {
        fs::create_dir_all(folder).unwrap();
        if let Some(port) = port {
            fs::write(folder.join("mine.yaml"), format(port)).unwrap();
        }
    };
    put(&dir.path().join("logformats"), beside);
    put(&dir.path().join("etc"), folder);
    let mut options = ReadOptions::default();
    options.format_dirs = vec![dir.path().join("nowhere"), dir.path().join("etc")];
    let mut text = "runmode: stdin\nencrypt: no\nuselogformat: mine\n".to_owned();
    if let Some(port) = block {
        let lines: String = format(port).lines().map(|line| format!("    {line}\n")).collect();
        text.push_str(&format!("logformat:\n  mine:\n{lines}"));
    }
    let source = SourceText::new(dir.path().join("a.yaml"), text);
    let found = read_daemon(&source, &options).value.and_then(|settings| {
        [1, 2, 3].into_iter().find(|port| {
            let line = format!("knock SRC=192.0.2.1 PORT{port}=80");
            settings.formats.hit(line.as_bytes()).is_some()
        })
    });
    assert_eq!(found, expected);
}

#[test]
fn the_nearest_definition_counts() {
    check(Some(1), Some(2), Some(3), Some(1));
    check(None, Some(2), Some(3), Some(2));
    check(None, None, Some(3), Some(3));
    check(None, None, None, None);
}

#[test]
fn the_built_in_formats_are_those_of_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("logformats");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let listed: Vec<String> = SHIPPED_FORMATS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, files.into_iter().collect::<Vec<_>>(), "shipped.rs and logformats/");
}

#[test]
fn every_built_in_format_is_without_fault() {
    for (name, text) in SHIPPED_FORMATS {
        let reading = read_format(&SourceText::new(format!("{name}.yaml"), *text));
        assert_eq!(reading.problems, [], "{name}");
        let spec = reading.value.unwrap();
        assert_eq!(spec.name, *name);
        assert!(!spec.about.is_empty(), "{name} says which firewall it is for");
        assert!(!spec.samples.is_empty(), "{name} has samples");
    }
}

#[test]
fn all_that_could_be_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.yaml"), format(1)).unwrap();
    fs::write(dir.path().join("notes.txt"), "no format").unwrap();
    let mut options = ReadOptions::default();
    options.format_dirs = vec![dir.path().to_path_buf()];
    let known = known_formats(&[], None, &options);
    assert_eq!(known.problems, []);
    let known = known.value.unwrap();
    assert!(known.iter().any(|spec| spec.name == "mine"));
    assert!(known.iter().any(|spec| spec.name == "iptables"));
    assert_eq!(known.len(), SHIPPED_FORMATS.len() + 1);
}

/// What is said about a file of this name.
#[track_caller]
fn check_file(name: &str, text: &str, expected: &str) {
    let shown: Vec<String> = read_format(&SourceText::new(name, text))
        .problems
        .iter()
        .map(|problem| {
            let at = problem.at.as_ref().map(|at| format!("{}:{}+{}", at.line, at.column, at.len));
            let help = problem.help.as_ref().map(|help| format!(" | {help}"));
            format!("{} {}{}", at.unwrap_or_default(), problem.message, help.unwrap_or_default())
        })
        .collect();
    assert_eq!(shown.join("\n"), expected);
}

#[test]
fn mistakes_in_a_file_of_its_own() {
    let good = "required: '^x'\nipclient: 's=(\\S+)'\nport: 'p=(\\d+)'\n";
    check_file("a.yaml", good, "");
    check_file(
        "a.yaml",
        &format!("name: b\n{good}"),
        "1:7+1 the file's name says 'a' | give both the same name",
    );
    check_file(
        "a.yaml",
        &format!("{good}expressions: {{port: 'x(\\d+)'}}\n"),
        "4:22+6 'port' is given twice in this logformat",
    );
    check_file(
        "a.yaml",
        &format!("{good}samples:\n- {{line: x, yields: maybe}}\n"),
        "5:21+5 expected 'nothing', or names of expressions with values",
    );
    check_file(
        "a.yaml",
        &format!("{good}samples:\n- {{yields: nothing}}\n"),
        "5:4+6 a sample needs a 'line'",
    );
    check_file(
        "a.yaml",
        &format!("{good}samples:\n- {{line: x, yields: {{prot: 1}}}}\n"),
        "5:4+4 logformat 'a': sample 1: yields nothing: no client address: ipclient does not match\n\
         5:22+4 unknown key 'prot' in 'yields' | did you mean 'port'?",
    );
}

#[test]
fn a_format_by_its_name() {
    let options = ReadOptions::default();
    assert!(find_format("iptables", &[], None, &options).value.is_some());
    let missing = find_format("../iptables", &[], None, &options);
    assert!(missing.value.is_none());
    assert!(missing.problems.iter().any(|problem| problem.message.contains("unknown logformat")));
}
