//! Where `convert` writes: who may read the result, and that nothing but a file is ever replaced.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Only the owner, until the file is whole.
const OWNER: u32 = 0o600;

/// What an output's name stands for.
#[derive(Debug)]
pub(super) enum Place<'a> {
    Stdout,
    /// A device or a pipe, which is written to and stays what it is.
    Stream(&'a Path),
    /// A file, there or not.
    File(&'a Path),
}

impl<'a> Place<'a> {
    /// Looks at what is there; `Err` is why nothing can be written there.
    pub(super) fn of(path: Option<&'a Path>) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Place::Stdout) };
        if ["-", "/dev/stdout", "/dev/fd/1"].iter().any(|name| path == Path::new(name)) {
            return Ok(Place::Stdout);
        }
        let kind = match fs::metadata(path) {
            Ok(found) => found.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::File(path)),
            Err(error) => return Err(error.to_string()),
        };
        if kind.is_file() {
            Ok(Place::File(path))
        } else if kind.is_char_device() || kind.is_fifo() {
            Ok(Place::Stream(path))
        } else if kind.is_dir() {
            Err("it is a folder; name a file in it".to_owned())
        } else {
            Err("it is neither a file nor a pipe".to_owned())
        }
    }
}

/// Writes to what is there.
pub(super) fn pour(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

/// Writes a new file, or with `force` puts it in the place of an old one at one stroke.
pub(super) fn write(path: &Path, text: &str, mode: u32, force: bool) -> io::Result<()> {
    // A link stays one; the file that it leads to is replaced.
    let path = match fs::canonicalize(path) {
        Ok(found) if force => found,
        _ => path.to_path_buf(),
    };
    let target = if force { beside(&path) } else { path.clone() };
    // With the right mode from the first byte on.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER).open(&target)?;
    let written = fill(&mut file, text, mode)
        .and_then(|()| if force { fs::rename(&target, &path) } else { Ok(()) });
    if written.is_err() {
        // Half a file is worse than none; the error that is told is the first one.
        let _gone = fs::remove_file(&target);
    }
    written
}

fn fill(file: &mut File, text: &str, mode: u32) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}
