//! The legacy syntax against what Perl's Config::General 2.65 made of the same files.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use knock_config::{Severity, SourceText, parse, to_json};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/config_general")
}

/// What a file says, or `None` if it cannot be used.
fn read(path: &Path) -> Result<Value, String> {
    let source = SourceText::new(path, fs::read(path).unwrap());
    let reading = parse(&source);
    let shown: Vec<String> = reading.problems.iter().map(|one| one.message.clone()).collect();
    reading.value.map(|tree| to_json(&tree)).ok_or_else(|| shown.join("; "))
}

#[test]
fn every_file_says_what_it_said_to_the_original() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        count += 1;
        let json = fs::read_to_string(path.with_extension("json")).unwrap();
        let expected: Value = serde_json::from_str(&json).unwrap();
        let read = read(&path);
        let same = match (&read, expected.get("error")) {
            (Ok(value), None) => *value == expected,
            (Err(_), Some(_)) => true,
            (Ok(_), Some(_)) | (Err(_), None) => false,
        };
        if !same {
            wrong.push(format!("{}:\n  read     {read:?}\n  expected {expected}", path.display()));
        }
    }
    assert!(count > 90, "the files are missing: {count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn where_the_original_warned_we_warn() {
    let manifest = fs::read_to_string(folder().join("MANIFEST.json")).unwrap();
    let manifest: Vec<Value> = serde_json::from_str(&manifest).unwrap();
    for case in manifest {
        let theirs = case["warnings"].as_array().unwrap();
        if theirs.is_empty() || case["outcome"] != "ok" {
            continue;
        }
        let path = folder().join(case["conf"].as_str().unwrap());
        let reading = parse(&SourceText::new(&path, fs::read(&path).unwrap()));
        let warned = reading.problems.iter().any(|one| one.severity == Severity::Warning);
        assert!(warned, "{}: {theirs:?}", path.display());
    }
}
