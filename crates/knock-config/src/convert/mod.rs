//! From one syntax to another, with the comments, and never to something that means anything else.
//!
//! The result is read back before anybody sees it: its tree, its comments and what it means to the programs must be
//! those of the source. Writes no file.

mod adapt;
mod conf;
mod document;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use document::{Block, Line, Value};

use crate::model::{Meaning, ReadOptions, Role};
use crate::place::{Place, SourceText};
use crate::problem::{Problem, Reading, Severity};
use crate::syntax::{Syntax, parse, parse_all};
use crate::tree::{Entry, Node, Table, Tree, to_json};

/// What to convert to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The bare tree in the shape of Config::General, of any file that can be parsed.
    Json,
    /// YAML, of a file that `knockdaemon` or `knockclient` can read.
    Yaml,
    /// The syntax of Config::General, of such a file.
    Conf,
}

/// Converts a file. No value if it has errors, or if the result would not mean the same.
///
/// The text may hold the key: it belongs into a file of its owner alone.
#[must_use]
pub fn convert(source: &SourceText, to: To) -> Reading<String> {
    let Reading { value, mut problems } = parse(source);
    let Some(tree) = value else { return Reading { value: None, problems } };
    if to == To::Json {
        let text = serde_json::to_string_pretty(&to_json(&tree)).map(|text| text + "\n");
        problems.extend(not_utf8(tree.root()));
        return Reading::new(text.unwrap_or_default(), problems);
    }
    let options = ReadOptions::default();
    let role = Role::of(tree.root());
    let meaning = Meaning::of(source, role, &options);
    problems.clone_from(&meaning.problems);
    if !meaning.is_good() {
        return Reading { value: None, problems };
    }
    let job = Job { source, tree: &tree, to, role, options, meaning };
    match job.run(&mut problems) {
        Ok(text) => Reading::new(text, problems),
        Err(more) => {
            problems.extend(more);
            Reading { value: None, problems }
        }
    }
}

/// Names that JSON cannot hold as they are; of values the reader has said it.
fn not_utf8(table: &Table) -> Vec<Problem> {
    let mut found = Vec::new();
    for one in table.iter().flat_map(Entry::occurrences) {
        if !one.has_utf8_key() {
            let message = "this name is not UTF-8; in JSON, U+FFFD stands for what is not";
            found.push(Problem::warning(one.key_at(), message));
        }
        found.extend(one.node.table().into_iter().flat_map(not_utf8));
    }
    found
}

/// Does a key stand in this file, or in one that it includes? Then it is for its owner's eyes alone, and so is what is
/// made of it. The reader says so of a broken file too.
#[must_use]
pub fn holds_key(source: &SourceText) -> bool {
    let (tree, _) = parse_all(source);
    tree.root().get("key").is_some() || crate::mask::hides_any(source)
}

/// The file and all that it includes, of which the result holds the text.
#[must_use]
pub fn files_of(source: &SourceText) -> Vec<PathBuf> {
    fn collect(table: &Table, files: &mut BTreeSet<PathBuf>) {
        for one in table.iter().flat_map(Entry::occurrences) {
            files.insert(one.key_at().file.to_path_buf());
            if let Node::Table(table) = one.node {
                collect(table, files);
            }
        }
    }
    let (tree, _) = parse_all(source);
    let mut files = BTreeSet::from([source.path.clone()]);
    collect(tree.root(), &mut files);
    files.into_iter().collect()
}

/// What a converted file would mean otherwise where it is to be written, if that is another folder: a relative `keyfile`
/// or `statefile`, and the folder of logformats, are looked for from the file's own.
#[must_use]
pub fn means_otherwise_at(source: &SourceText, text: &str, to: To, path: &Path) -> Option<String> {
    let extension = match to {
        To::Json => return None,
        To::Yaml => "yaml",
        To::Conf => "conf",
    };
    let (old, new) = (folder_of(&source.path)?, folder_of(path)?);
    if old == new {
        return None;
    }
    let (tree, _) = parse_all(source);
    let role = Role::of(tree.root());
    let meaning = |folder: PathBuf| {
        let file = SourceText::new(folder.join("converted").with_extension(extension), text);
        Meaning::of(&file, role, &ReadOptions::default())
    };
    let (old, new) = (meaning(old), meaning(new));
    if old.is_good() && !new.is_good() {
        return Some(first_error(&new.problems));
    }
    old.differs(&new).map(|what| format!("{what} is another one"))
}

/// Thousands of problems are looked for among thousands.
fn by_place(problems: &[Problem]) -> BTreeMap<&Option<Place>, Vec<&Problem>> {
    let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for problem in problems {
        places.entry(&problem.at).or_default().push(problem);
    }
    places
}

fn folder_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()
}

fn first_error(problems: &[Problem]) -> String {
    let error = problems.iter().find(|problem| problem.severity == Severity::Error);
    error.map_or(String::new(), |error| error.message.clone())
}

struct Job<'a> {
    source: &'a SourceText,
    tree: &'a Tree,
    to: To,
    role: Role,
    options: ReadOptions,
    meaning: Meaning,
}

impl Job<'_> {
    fn run(&self, problems: &mut Vec<Problem>) -> Result<String, Vec<Problem>> {
        let from = self.tree.syntax();
        let (mut root, found) = document::build(self.tree);
        if found.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(found);
        }
        problems.extend(found);
        if self.to == To::Yaml && from == Syntax::Legacy {
            let mut refused = self.refused();
            let works = self.meaning.ethfilters();
            let mut told = adapt::drop_filters(&mut root, &works, &mut refused);
            told.extend(adapt::switch_off(&mut root, &refused));
            // Once is enough.
            let said = by_place(&told);
            problems.retain(|known| {
                let again = said.get(&known.at).into_iter().flatten();
                !again.into_iter().any(|one| one.message.starts_with(&known.message))
            });
            drop(said);
            problems.extend(told);
            problems.sort_by(|a, b| (a.at.is_none(), &a.at).cmp(&(b.at.is_none(), &b.at)));
        }
        adapt::adapt(&mut root, from, self.to);
        if self.role == Role::Daemon {
            adapt::write_out_queuetimeout(&mut root, from, self.to);
        }
        clean_comments(&mut root, self.to);
        let text = match self.to {
            To::Conf => conf::write(&root, &self.tree.root().place())?,
            To::Yaml | To::Json => yaml::write(&root),
        };
        match self.difference(&root, &text) {
            None => Ok(text),
            Some(what) => {
                let message = format!("the converted file would not say the same: {what}");
                let problem = Problem::error(self.tree.root().place(), message);
                let help =
                    "nothing was written; this is a mistake of the converter, please report it";
                Err(vec![problem.with_help(help)])
            }
        }
    }

    /// What a .conf is only warned of and YAML refuses.
    fn refused(&self) -> Vec<Problem> {
        let options = ReadOptions { strict: true, ..self.options.clone() };
        let strict = Meaning::of(self.source, self.role, &options).problems;
        let known = by_place(&self.meaning.problems);
        let is_known = |error: &Problem| known.get(&error.at).is_some_and(|at| at.contains(&error));
        let errors = strict.into_iter().filter(|problem| problem.severity == Severity::Error);
        errors.filter(|error| !is_known(error)).collect()
    }

    /// Reads the text back; what is not as it was.
    fn difference(&self, root: &Block, text: &str) -> Option<String> {
        let converted = SourceText::new(self.path(), text);
        let Reading { value, problems } = parse(&converted);
        let Some(tree) = value else { return Some(first_error(&problems)) };
        let (read, _) = document::build(&tree);
        if shape(&read) != shape(root) {
            return Some("the tree is another one".to_owned());
        }
        if let Some(lost) = lost(comments(root), comments(&read)) {
            return Some(format!("the comment '{lost}' is lost"));
        }
        let meaning = Meaning::of(&converted, self.role, &self.options);
        if !meaning.is_good() {
            return Some(first_error(&meaning.problems));
        }
        self.meaning.differs(&meaning).map(str::to_owned)
    }

    /// The name under which the result is read back: in the same folder, where its relative paths lead to the same
    /// files.
    fn path(&self) -> PathBuf {
        self.source.path.with_extension(match self.to {
            To::Json => "json",
            To::Yaml => "yaml",
            To::Conf => "conf",
        })
    }
}

/// What a document says, without comments. A list of one is the same as the one.
fn shape(block: &Block) -> serde_json::Value {
    let entries = block.entries.iter().filter(|entry| entry.off.is_none());
    let entries = entries.filter(|entry| !entry.items.is_empty()).map(|entry| {
        let mut values: Vec<serde_json::Value> = entry
            .items
            .iter()
            .map(|item| match &item.value {
                Value::Null | Value::Bad(_) => serde_json::Value::Null,
                Value::Text(text) => text.as_str().into(),
                Value::Block(block) => shape(block),
            })
            .collect();
        let value = if values.len() == 1 { values.remove(0) } else { values.into() };
        (entry.key.clone(), value)
    });
    entries.collect()
}

/// All comments, without those that entries were made into.
fn comments(block: &Block) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |lines: &[Line]| {
        found.extend(lines.iter().filter_map(|line| match line {
            Line::Blank => None,
            Line::Comment(text) => Some(text.clone()),
        }));
    };
    add(&block.end);
    let mut inner = Vec::new();
    for entry in &block.entries {
        add(&entry.before);
        for item in &entry.items {
            add(&item.before);
            add(&item.after);
            inner.extend(item.beside.iter().cloned());
            if let Value::Block(block) = &item.value {
                inner.extend(comments(block));
            }
        }
    }
    found.extend(inner);
    found
}

/// The first of the comments that is not kept: each must be there as often as it was, but may stand behind another on one
/// line, and the result may have more.
fn lost(comments: Vec<String>, kept: Vec<String>) -> Option<String> {
    let mut kept: Vec<String> = kept.into_iter().map(|one| one.trim().to_owned()).collect();
    kept.sort_unstable();
    let mut spent = vec![false; kept.len()];
    let mut joined: Vec<String> = Vec::new();
    let mut comments: Vec<String> = comments.iter().map(|one| one.trim().to_owned()).collect();
    comments.sort_unstable();
    // Both in the same order, so that each needs one step.
    let mut at = 0;
    for comment in comments {
        while kept.get(at).is_some_and(|one| *one < comment) {
            at += 1;
        }
        if kept.get(at) == Some(&comment) {
            spent.get_mut(at).into_iter().for_each(|spent| *spent = true);
            at += 1;
        } else if !comment.is_empty() {
            joined.push(comment);
        }
    }
    let left = kept.into_iter().zip(spent).filter(|(_, spent)| !spent).map(|(one, _)| one);
    let mut left: Vec<String> = left.collect();
    // The longest first: what is part of another must not take its place.
    joined.sort_unstable_by_key(|one| std::cmp::Reverse(one.len()));
    joined.into_iter().find(|comment| {
        let found = left.iter_mut().find_map(|line| Some((line.find(comment.as_str())?, line)));
        let spent =
            found.map(|(start, line)| line.replace_range(start..start + comment.len(), "\n"));
        spent.is_none()
    })
}

/// Takes out of comments what would end them, or could not stand in the file at all.
fn clean_comments(block: &mut Block, to: To) {
    let clean = |text: &mut String| {
        *text = text.chars().map(|c| if yaml::is_safe(c) { c } else { ' ' }).collect();
        if to == To::Conf {
            // It ends a comment of C, wherever it stands.
            *text = text.replace("*/", "* /");
        }
        text.truncate(text.trim_end().len());
    };
    let lines = |lines: &mut Vec<Line>| {
        for line in lines {
            if let Line::Comment(text) = line {
                clean(text);
            }
        }
    };
    lines(&mut block.end);
    for entry in &mut block.entries {
        lines(&mut entry.before);
        for item in &mut entry.items {
            lines(&mut item.before);
            lines(&mut item.after);
            item.beside.iter_mut().for_each(clean);
            if let Value::Block(block) = &mut item.value {
                clean_comments(block, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lost;

    #[track_caller]
    fn check(comments: &[&str], kept: &[&str], expected: Option<&str>) {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        assert_eq!(lost(owned(comments), owned(kept)).as_deref(), expected);
    }

    #[test]
    fn each_comment_is_kept_as_often_as_it_was() {
        check(&[" ---", " a", " ---"], &["---", "a", "---", "more"], None);
        check(&[" ---", " a", " ---"], &["---", "a"], Some("---"));
        // One that is part of another.
        check(&["open", "opens it"], &["opens it"], Some("open"));
        // Two that came to stand on one line.
        check(&["a", "a b"], &["a b # a"], None);
        check(&["a", "a"], &["a # b"], Some("a"));
        check(&["", ""], &[], None);
    }
}
