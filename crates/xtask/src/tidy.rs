//! What no compiler checks: sizes, module docs, links, and lists that must agree with the tree.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files need a second look; tests and tables are long by nature.
const LONG: usize = 600;

/// All faults found.
pub(crate) fn run(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let files = tracked(root);
    if files.is_empty() {
        faults.push("git lists no files here: tidiness is judged in a clone only".into());
    }
    for file in &files {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => rust(file, &text, &mut faults),
            Some("md") => links(root, file, &text, &mut faults),
            _ => {}
        }
    }
    crates(root, &mut faults);
    changelog(root, &mut faults);
    faults
}

/// The files that belong to the project, as git knows them.
fn tracked(root: &Path) -> Vec<PathBuf> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    let Ok(listed) = listed else { return Vec::new() };
    String::from_utf8_lossy(&listed.stdout).lines().map(PathBuf::from).collect()
}

fn rust(file: &Path, text: &str, faults: &mut Vec<String>) {
    let lines = text.lines().count();
    let name = file.display();
    let is_test =
        file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "benches")
            || file.file_stem().is_some_and(|stem| stem == "tests");
    if lines > LONG && !is_test {
        faults.push(format!(
            "{name}: {lines} lines; {LONG} are the most. Split it by reason to exist"
        ));
    }
    let doc: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
    if doc.is_empty() {
        faults.push(format!("{name}:1: begin with `//!`: what the file is, and what it is not"));
    }
    let yaml_users =
        ["crates/knock-config/src/syntax/yaml.rs", "crates/knock-config/src/syntax/locate.rs"];
    let uses_yaml = text
        .lines()
        .any(|line| !line.trim_start().starts_with("//") && line.contains("serde_yaml::"));
    if uses_yaml
        && !is_test
        && !yaml_users.iter().any(|user| file == Path::new(user))
        && !file.starts_with("crates/xtask")
    {
        faults.push(format!("{name}: only {} may use serde_yaml", yaml_users.join(" and ")));
    }
}

/// Relative links must lead somewhere.
fn links(root: &Path, file: &Path, text: &str, faults: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate() {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let from = root.join(file);
            let path = from.parent().unwrap_or(root).join(target);
            if !path.exists() {
                faults.push(format!("{}:{}: no file {target}", file.display(), number + 1));
            }
        }
    }
}

/// `docs/architecture.md` names each crate.
fn crates(root: &Path, faults: &mut Vec<String>) {
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap_or_default();
    let Ok(folders) = fs::read_dir(root.join("crates")) else { return };
    for folder in folders.flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        if !page.contains(&format!("`{name}`")) {
            faults.push(format!("docs/architecture.md does not name the crate `{name}`"));
        }
    }
}

/// The changelog's first entry is the workspace's version.
fn changelog(root: &Path, faults: &mut Vec<String>) {
    let text = fs::read_to_string(root.join("CHANGELOG.md")).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let first = text.lines().find(|line| line.starts_with("## ")).unwrap_or_default();
    if !first.contains(version) {
        faults.push(format!("CHANGELOG.md begins with '{first}', the workspace is at {version}"));
    }
}
