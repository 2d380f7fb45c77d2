//! Text in, tree out: which of the two syntaxes a file is in, and what it says.
//!
//! Does not know a single key.

mod align;
mod complaint;
mod legacy;
mod locate;
pub(crate) mod remarks;
mod yaml;
mod yaml_comments;

use std::path::Path;

use crate::place::{SourceFile, SourceText, Spot};
use crate::problem::{Problem, Reading};
use crate::tree::{Table, Tree};
use remarks::Remarks;

/// Largest config file that is read, in bytes.
pub const MAX_FILE: usize = 1024 * 1024;

/// How deep blocks, maps and lists may be nested.
pub const MAX_DEPTH: usize = 64;

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

/// The same, but with all of the tree that could be understood, so that a key is found in a broken file too.
pub fn parse_all(source: &SourceText) -> (Tree, Vec<Problem>) {
    let syntax = Syntax::of(&source.path);
    let file = SourceFile::new(source);
    let whole = Spot { file: file.clone(), bytes: 0..0 };
    let (root, remarks, mut problems) = if source.text.len() > MAX_FILE {
        let message = format!("this file is larger than {MAX_FILE} bytes");
        let problem = Problem::error(whole.place(), message);
        (Table { spot: whole, entries: Vec::new() }, Remarks::default(), vec![problem])
    } else {
        match syntax {
            Syntax::Legacy => legacy::parse(&file),
            Syntax::Yaml => {
                let (root, problems) = yaml::parse(&file);
                let remarks = yaml_comments::find(&file, &root);
                (root, remarks, problems)
            }
        }
    };
    problems.sort_by_cached_key(|problem| {
        let included = problem.at.as_ref().is_some_and(|at| *at.file != *source.path);
        (included, problem.at.clone())
    });
    (Tree { root, syntax, remarks }, problems)
}
