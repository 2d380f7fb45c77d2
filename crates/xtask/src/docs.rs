//! The generated documents: the reference of keys and of commands, and the manual pages.
//! Made from the table of keys and the command lines' definitions, and committed.

use std::fs;
use std::path::Path;

/// Writes them, or with `check` tells which are not up to date.
pub fn run(root: &Path, check: bool) -> Vec<String> {
    let pages = [
        ("docs/reference/configuration.md", configuration().into_bytes()),
        ("docs/reference/knockdaemon.md", command(knockdaemon::cli::command()).into_bytes()),
        ("docs/reference/knockclient.md", command(knockclient::command()).into_bytes()),
        ("docs/man/knockdaemon.8", knockdaemon::cli::manual::page().unwrap_or_default()),
        ("docs/man/knockclient.1", knockclient::manual::page().unwrap_or_default()),
    ];
    let mut faults = Vec::new();
    for (name, page) in pages {
        let path = root.join(name);
        if check {
            if fs::read(&path).unwrap_or_default() != page {
                faults.push(format!("{name} is not up to date: run `cargo xtask docs`"));
            }
        } else if let Err(error) = fs::write(&path, page) {
            faults.push(format!("{name}: {error}"));
        }
    }
    faults
}
