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
use crate::problem::{Problem, Reading, Severity};
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

/// What to do with a file that is not UTF-8. A key in it would be another one afterwards, and no knock would be good.
const RECODE: &str = "convert the file: iconv -f latin1 -t utf8; but not its secrets, which become others by that: the \
                      bytes of a key go into a 'keyfile'";

/// Reads a file's text; the value is missing when anything in it is an error.
pub fn parse(source: &SourceText) -> Reading<Tree> {
    let (tree, problems) = parse_all(source);
    Reading::new(tree, problems)
}

/// The same, but with all of the tree that could be understood, so that a key is found in a broken file too.
pub fn parse_all(source: &SourceText) -> (Tree, Vec<Problem>) {
    let (tree, problems, _) = tree_of(source);
    (tree, problems)
}

/// How much of a file its tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All that matters.
    Whole,
    /// What is there is so, but something is missing or not where it belongs.
    Parts,
    /// Too little to say more about it.
    Nothing,
}

/// The same for the model, with a word on how far it can rely on the tree.
pub(crate) fn parse_as_far_as(source: &SourceText) -> (Tree, Vec<Problem>, Extent) {
    let (tree, problems, extent) = tree_of(source);
    match no_text(source) {
        Some(problem) => (tree, vec![problem], Extent::Nothing),
        None => (tree, problems, extent),
    }
}

fn tree_of(source: &SourceText) -> (Tree, Vec<Problem>, Extent) {
    let syntax = Syntax::of(&source.path);
    let file = SourceFile::new(source);
    let whole = Spot { file: file.clone(), bytes: 0..0 };
    let (root, remarks, mut problems, extent) = if let Some(problem) = too_large(source) {
        let root = Table { spot: whole, entries: Vec::new() };
        (root, Remarks::default(), vec![problem], Extent::Nothing)
    } else {
        match syntax {
            Syntax::Legacy => {
                let (root, remarks, problems) = legacy::parse(&file);
                let broken = problems.iter().any(|problem| problem.severity == Severity::Error);
                (root, remarks, problems, if broken { Extent::Parts } else { Extent::Whole })
            }
            Syntax::Yaml => {
                let (root, problems, extent) = yaml::parse(&file);
                let remarks = yaml_comments::find(&file, &root);
                (root, remarks, problems, extent)
            }
        }
    };
    problems.sort_by_cached_key(|problem| {
        let included = problem.at.as_ref().is_some_and(|at| *at.file != *source.path);
        (included, problem.at.clone())
    });
    (Tree { root, syntax, remarks }, problems, extent)
}

fn too_large(source: &SourceText) -> Option<Problem> {
    let large = source.text.len() > MAX_FILE;
    large.then(|| of_the_file(source, &format!("is larger than {MAX_FILE} bytes"), NOT_THIS_FILE))
}

/// What is wrong with a program, an archive, or text of another kind: one thing, and no line of it is
/// worth showing.
fn no_text(source: &SourceText) -> Option<Problem> {
    let text = &source.text;
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        let help = "save it as UTF-8: iconv -f utf16 -t utf8";
        return Some(of_the_file(source, "is UTF-16 text", help));
    }
    let nul = text.contains(&0) && text.len() <= MAX_FILE;
    nul.then(|| of_the_file(source, "is no text: it has NUL bytes", NOT_THIS_FILE))
}

const NOT_THIS_FILE: &str = "is it the file that you meant?";

fn of_the_file(source: &SourceText, what: &str, help: &str) -> Problem {
    let message = format!("{} {what}", source.path.display());
    Problem { severity: Severity::Error, at: None, message, help: Some(help.to_owned()) }
}
