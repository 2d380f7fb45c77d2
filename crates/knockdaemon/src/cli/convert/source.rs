//! Where `convert` reads: a file, standard input, or a pipe. What is in it is not its business.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use knock_config::{SourceText, Syntax, files_of, holds_key};

/// Only the owner.
const OWNER: u32 = 0o600;

/// Reads all of it. `from` is the syntax of what has no name that says it.
pub(super) fn read(path: &Path, from: Option<Syntax>) -> io::Result<SourceText> {
    if is_named(path)? {
        return match from {
            Some(from) if from != Syntax::of(path) => Err(io::Error::new(
                ErrorKind::InvalidInput,
                "its name says what it is written in (.yaml and .yml are YAML); --from is for \
                 standard input and pipes",
            )),
            _ => SourceText::read(path),
        };
    }
    // What it names is looked for from the current folder, and messages call it so.
    let name = PathBuf::from(match from {
        Some(Syntax::Yaml) => "stdin.yaml",
        Some(Syntax::Legacy) | None => "stdin.conf",
    });
    if path.as_os_str() == "-" {
        SourceText::reading(name, io::stdin().lock())
    } else {
        SourceText::reading(name, File::open(path)?)
    }
}

/// What everybody may who may read all that the source is made of, but never more than the owner for
/// a file with a key in it.
pub(super) fn mode(path: &Path, source: &SourceText) -> u32 {
    if !is_named(path).unwrap_or(false) {
        return OWNER;
    }
    let of = |path: &PathBuf| {
        fs::metadata(path).map_or(OWNER, |found| found.permissions().mode() & 0o666)
    };
    let given = files_of(source).iter().map(of).fold(0o666, |all, one| all & one);
    if holds_key(source) { given & OWNER } else { given }
}

/// A file, whose name says what is in it; anything else is read once and to its end.
fn is_named(path: &Path) -> io::Result<bool> {
    let is_stdin = path.as_os_str() == "-" || path == "/dev/stdin" || path == "/dev/fd/0";
    if is_stdin {
        return Ok(false);
    }
    let kind = fs::metadata(path)?.file_type();
    // Of a folder the reader says that it is one.
    Ok(kind.is_file() || kind.is_dir())
}
