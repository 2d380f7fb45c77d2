//! Text in, tree out: which of the two syntaxes a file is in, and what it says.
//!
//! Does not know a single key.

use std::path::Path;

use crate::place::{SourceFile, SourceText, Spot};
use crate::problem::{Problem, Reading};
use crate::tree::{Table, Tree};

/// The two ways to write a config file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// As Perl's Config::General reads it.
    Legacy,
    /// YAML.
    Yaml,
}

impl Syntax {
    /// By the file's extension: `.yaml` and `.yml` are YAML, everything else is legacy.
    pub fn of(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension == "yaml" || extension == "yml" => Syntax::Yaml,
            Some(_) | None => Syntax::Legacy,
        }
    }
}

/// Reads a file's text; the value is missing when anything in it is an error.
pub fn parse(source: &SourceText) -> Reading<Tree> {
    let (tree, problems) = parse_all(source);
    Reading::new(tree, problems)
}

/// The same, but with all of the tree that could be understood, so that the model can look for mistakes in the rest.
pub fn parse_all(source: &SourceText) -> (Tree, Vec<Problem>) {
    let syntax = Syntax::of(&source.path);
    let file = SourceFile::new(source);
    let root = Table { spot: Spot { file, bytes: 0..0 }, entries: Vec::new() };
    (Tree { root, syntax }, Vec::new())
}
