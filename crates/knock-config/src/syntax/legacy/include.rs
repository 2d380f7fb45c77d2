//! `<<include FILE>>`: which file is meant, and that no file is read without bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::MAX_FILE;
use crate::place::{SourceFile, SourceText};

/// Most files that one config may include, directly or not.
pub(super) const MAX_INCLUDES: usize = 64;

/// How included files are read, so that tests need not write any.
pub(crate) trait Files {
    /// The bytes of a file, no more than [`MAX_FILE`] and one.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The files of this machine.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // A pipe or a device would block or never end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut text = Vec::new();
        let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path)?.take(limit).read_to_end(&mut text)?;
        Ok(text)
    }
}

/// What came of an include.
pub(super) enum Included {
    /// This file is to be read in its place.
    File(Arc<SourceFile>),
    /// It was read before; that is no error.
    Again(PathBuf),
    /// It cannot be read.
    Failed { message: String, help: String },
}

/// The files read so far.
pub(super) struct Includes<'a> {
    files: &'a dyn Files,
    folder: PathBuf,
    read: Vec<PathBuf>,
}

impl<'a> Includes<'a> {
    pub(super) fn new(main: &Path, files: &'a dyn Files) -> Self {
        let folder = main.parent().unwrap_or(Path::new("")).to_path_buf();
        Includes { files, folder, read: vec![main.to_path_buf()] }
    }

    /// Finds and reads a file.
    ///
    /// The original looked into the current folder first. Here the config's own folder goes first, or whoever can
    /// write where root happens to stand could lay an `actions.conf` there.
    pub(super) fn get(&mut self, name: &str) -> Included {
        let mut tried = Vec::new();
        for path in [self.folder.join(name), PathBuf::from(name)] {
            if tried.iter().any(|(before, _)| *before == path) {
                continue;
            }
            if self.read.contains(&path) {
                return Included::Again(path);
            }
            match self.files.read(&path) {
                Ok(text) => return self.take(path, text),
                Err(error) => tried.push((path, error)),
            }
        }
        let tried = tried.iter().map(|(path, error)| format!("{}: {error}", path.display()));
        let mut help = format!("looked at {}", tried.collect::<Vec<_>>().join(", "));
        if name.trim_matches(['"', '\'', ' ', '\t']) != name {
            help.push_str("; quotes and blanks before `>>` are part of the name");
        }
        Included::Failed { message: format!("cannot include '{name}'"), help }
    }

    fn take(&mut self, path: PathBuf, text: Vec<u8>) -> Included {
        if text.len() > MAX_FILE {
            let message = format!("cannot include '{}': it is too large", path.display());
            return Included::Failed {
                message,
                help: format!("at most {MAX_FILE} bytes are read"),
            };
        }
        if self.read.len() > MAX_INCLUDES {
            let message = format!("cannot include '{}': too many files", path.display());
            let help = format!("at most {MAX_INCLUDES} files may be included in all");
            return Included::Failed { message, help };
        }
        self.read.push(path.clone());
        Included::File(SourceFile::new(&SourceText { path, text }))
    }
}
