//! `replay` on a log of a million lines: every knock in it is accepted, and it says how fast.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{BufWriter, Write};
use std::process::Command;

use knock_e2e::loggen::{self, Mixture};
use knock_e2e::programs;

#[test]
fn a_million_lines_with_five_thousand_clients_and_every_knock_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("messages");
    let mixture = Mixture { lines: 1_000_000, percent_knocks: 10, clients: 5_000, seed: 7 };
    let mut file = BufWriter::new(std::fs::File::create(&log).unwrap());
    let knocks = loggen::write(mixture, &mut file).unwrap();
    file.flush().unwrap();
    assert_eq!(knocks, 12_500);

    let config = folder.path().join("knockdaemon.conf");
    std::fs::write(&config, format!("logfile = {}\nkey = {}\n", log.display(), loggen::KEY))
        .unwrap();
    let output = Command::new(programs::folder().unwrap().join("knockdaemon"))
        .args(["replay", "-quiet", "--json", "-conf"])
        .arg(&config)
        .arg(&log)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let events: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, accepted) = events.split_last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["lines"], 1_000_000);
    assert_eq!(summary["bytes"], std::fs::metadata(&log).unwrap().len());
    assert_eq!(summary["knocks"], knocks);
    let seconds = summary["seconds"].as_f64().unwrap();
    assert!(seconds > 0.0 && seconds < 3600.0, "{seconds}");
    assert_eq!(accepted.len() as u64, knocks);
    assert!(accepted.iter().all(|event| event["fields"]["IP"] == event["client"]));
}
