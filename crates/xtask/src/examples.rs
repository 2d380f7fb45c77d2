//! Each shipped example goes through the programs, as a user's copy of it would.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All faults found in `examples/` and in the configurations that the README shows.
pub(crate) fn run(root: &Path) -> Vec<String> {
    match try_all(root) {
        Ok(faults) => faults,
        Err(error) => vec![format!("examples: {error}")],
    }
}

fn try_all(root: &Path) -> std::io::Result<Vec<String>> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "knockdaemon", "-p", "knockclient"])
        .current_dir(root)
        .status()?;
    if !built.success() {
        return Ok(vec!["the programs do not build".into()]);
    }
    // This program runs from the folder that the others are built into.
    let programs = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let copies = tempfile::tempdir()?;
    let mut faults = Vec::new();
    let mut examples: Vec<PathBuf> =
        fs::read_dir(root.join("examples"))?.flatten().map(|entry| entry.path()).collect();
    examples.sort();
    for example in &examples {
        let Some(name) = example.file_name() else { continue };
        // Copied as the stories say: a file with a key is its owner's alone.
        let copy = copies.path().join(name);
        fs::copy(example, &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600))?;
    }
    for example in &examples {
        let Some(name) = example.file_name().and_then(|name| name.to_str()) else { continue };
        let copy = copies.path().join(name);
        let output = if name.starts_with("knockclient") {
            Command::new(programs.join("knockclient"))
                .args([
                    "-test",
                    "-remote",
                    "192.0.2.1",
                    "-client",
                    "192.0.2.2",
                    "-port",
                    "22",
                    "-conf",
                ])
                .arg(&copy)
                .output()?
        } else if name.ends_with(".conf") || name.ends_with(".yaml") {
            Command::new(programs.join("knockdaemon"))
                .args(["check", "-conf"])
                .arg(&copy)
                .output()?
        } else {
            continue;
        };
        if !output.status.success() {
            faults.push(format!(
                "examples/{name}: {}\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    let readme = fs::read_to_string(root.join("README.md"))?;
    for (number, text) in yaml_blocks(&readme).into_iter().enumerate() {
        let copy = copies.path().join(format!("readme-{}.yaml", number + 1));
        fs::write(&copy, text)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600))?;
        let output = Command::new(programs.join("knockdaemon"))
            .args(["check", "-conf"])
            .arg(&copy)
            .output()?;
        if !output.status.success() {
            faults.push(format!(
                "README.md, configuration {}: {}",
                number + 1,
                String::from_utf8_lossy(&output.stdout)
            ));
        }
    }
    Ok(faults)
}

/// The configurations that a document shows, less the indentation of the list they may stand in.
fn yaml_blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "```yaml" {
            let indent = line.len() - line.trim_start().len();
            let block: Vec<&str> = lines
                .by_ref()
                .take_while(|line| line.trim() != "```")
                .map(|line| line.get(indent..).unwrap_or_default())
                .collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks
}
