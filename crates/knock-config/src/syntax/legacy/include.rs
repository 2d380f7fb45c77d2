//! `<<include FILE>>`: which file is meant, and that no file is read without bound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::MAX_FILE;
use crate::place::{SourceFile, SourceText};

/// Most files that one config may include, directly or not.
pub(super) const MAX_INCLUDES: usize = 64;

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
pub(super) struct Includes {
    folder: PathBuf,
    read: Vec<PathBuf>,
}

impl Includes {
    pub(super) fn new(main: &Path) -> Self {
        let folder = main.parent().unwrap_or(Path::new("")).to_path_buf();
        Includes { folder, read: vec![main.to_path_buf()] }
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
            match SourceText::read(&path) {
                Ok(source) => return self.take(&source),
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

    fn take(&mut self, source: &SourceText) -> Included {
        let path = &source.path;
        if source.text.len() > MAX_FILE {
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
        Included::File(SourceFile::new(source))
    }
}
