//! Files that hold a secret: who else can read them, and whether the secret is one.
//!
//! Looks at modes and reads key files; knows nothing of ciphers.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use knock_wire::Secret;

use crate::place::{Place, open_regular};
use crate::problem::{Problem, Reading, Severity};
use crate::syntax::Syntax;

/// A key file larger than this is some other file.
const MAX_KEY_FILE: u64 = 64 * 1024;

/// The keys that stand in the shipped examples, for all to read.
const EXAMPLE_KEYS: &[&str] = &["change-me", "change-me-too"];

/// Reads a key file: its bytes are the key, less one newline at the end. `insecure`: take it even
/// if others can read it, with a warning.
#[must_use]
pub fn read_keyfile(path: &Path, insecure: bool) -> Reading<Secret> {
    read_at(path, insecure, None)
}

/// The same; problems are told at the place that named the file.
pub(crate) fn read_at(path: &Path, insecure: bool, at: Option<&Place>) -> Reading<Secret> {
    let mut problems = Vec::new();
    let mut fail = |severity, message: String, help: Option<String>| {
        problems.push(Problem { severity, at: at.cloned(), message, help });
    };
    let shown = path.display();
    // All the room at once, as `Secret` wants it.
    let room = usize::try_from(MAX_KEY_FILE).map_or(0, |most| most.saturating_add(1));
    let mut bytes = Vec::with_capacity(room);
    let read = open_regular(path)
        .and_then(|file| file.take(MAX_KEY_FILE + 1).read_to_end(&mut bytes).map(|_| ()));
    match read {
        Err(error) => {
            fail(Severity::Error, format!("cannot read the keyfile {shown}: {error}"), None);
            return Reading::new(Secret::new(bytes), problems);
        }
        Ok(()) if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_KEY_FILE) => {
            fail(Severity::Error, format!("{shown} is too large to be a key"), None);
        }
        Ok(()) => {
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            if bytes.is_empty() {
                let message = format!("the keyfile {shown} is empty, so anybody could knock");
                fail(Severity::Error, message, Some("put a key into it".to_owned()));
            }
        }
    }
    if let Some(mode) = exposed(path) {
        let severity = if insecure { Severity::Warning } else { Severity::Error };
        let message = format!("others can read the keyfile {shown} (its mode is {mode:04o})");
        fail(severity, message, Some(chmod(path)));
    }
    if let Some(at) = at {
        problems.extend(well_known(&bytes, at));
    }
    Reading::new(Secret::new(bytes), problems)
}

/// The problem of a configuration, or a part of it, that holds a key at this place and that others
/// can read. An old file must start, so there it is a warning.
pub(crate) fn in_config(syntax: Syntax, insecure: bool, at: &Place) -> Option<Problem> {
    let path = &at.file;
    let mode = exposed(path)?;
    let severity = match syntax {
        Syntax::Yaml if !insecure => Severity::Error,
        Syntax::Yaml | Syntax::Legacy => Severity::Warning,
    };
    let message = format!("others can read this file and the key in it (its mode is {mode:04o})");
    Some(Problem { severity, at: Some(at.clone()), message, help: Some(chmod(path)) })
}

/// The warning for a key that was copied from an example.
pub(crate) fn well_known(key: &[u8], at: &Place) -> Option<Problem> {
    EXAMPLE_KEYS.iter().any(|example| example.as_bytes() == key).then(|| {
        Problem::warning(at.clone(), "this is the key of the examples, which everybody knows")
            .with_help("make one of your own, such as: head -c 24 /dev/urandom | base64")
    })
}

/// The mode of a file that group or others can read; `None` too for what is not on disk.
fn exposed(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o044 != 0).then_some(mode)
}

fn chmod(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(plain) {
        format!("run: chmod 600 {path}")
    } else {
        format!("run: chmod 600 '{}'", path.replace('\'', r"'\''"))
    }
}
