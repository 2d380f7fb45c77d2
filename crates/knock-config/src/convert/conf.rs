//! A document in the syntax of Config::General.
//!
//! That syntax has traps (`#`, `*/`, a backslash at the end, quotes, blanks), so each value is written in the plainest
//! way that reads back: each way is tried with the reader itself.

use super::document::{Block, Entry, Item, Line, Value};
use crate::keys::NAMED;
use crate::place::{Place, SourceText};
use crate::problem::Problem;
use crate::syntax::parse;
use crate::tree::to_json;
use serde_json::{Value as Json, json};

/// The whole file, or what cannot be written and why.
pub(super) fn write(root: &Block, whole: &Place) -> Result<String, Vec<Problem>> {
    let mut writer = Writer { out: String::new(), problems: Vec::new(), at: whole.clone() };
    writer.block(root, 0);
    let Writer { mut out, problems, .. } = writer;
    if !problems.is_empty() {
        return Err(problems);
    }
    out.truncate(out.trim_end_matches('\n').len());
    let first = out.len() - out.trim_start_matches('\n').len();
    out.drain(..first);
    if !out.is_empty() {
        out.push('\n');
    }
    Ok(out)
}

struct Writer {
    out: String,
    problems: Vec<Problem>,
    at: Place,
}

impl Writer {
    fn block(&mut self, block: &Block, indent: usize) {
        for entry in &block.entries {
            self.entry(entry, indent);
        }
        self.lines(&block.end, indent);
    }

    fn entry(&mut self, entry: &Entry, indent: usize) {
        self.lines(&entry.before, indent);
        for item in &entry.items {
            self.lines(&item.before, indent);
            match &item.value {
                Value::Null => match null(&entry.key) {
                    Some(text) => self.option(item, &text, indent),
                    None => self.cannot(item, &format!("the key '{}'", entry.key)),
                },
                Value::Text(text) => match option(&entry.key, text, indent) {
                    Some(text) => self.option(item, &text, indent),
                    None => self.cannot(item, &format!("the value of '{}'", entry.key)),
                },
                Value::Block(block) => self.blocks(entry, item, block, indent),
                Value::Bad(what) => self.cannot(item, what),
            }
            self.lines(&item.after, indent);
        }
    }

    fn option(&mut self, item: &Item, text: &str, indent: usize) {
        // Only blanks can stand behind the mark of a here-document.
        let several = text.contains('\n');
        if several {
            for beside in &item.beside {
                self.lines(&[Line::Comment(beside.clone())], indent);
            }
            self.out.push_str(text);
            self.out.push('\n');
            return;
        }
        self.start(indent, text);
        self.beside(item);
    }

    /// `<template open>` for each name where there are only names, `<action>` else.
    fn blocks(&mut self, entry: &Entry, item: &Item, block: &Block, indent: usize) {
        let named = NAMED.contains(&entry.key.as_str()) && entry.items.len() == 1;
        if !named || !block.has_names_only() {
            self.tag(item, &entry.key, None, block, indent);
            return;
        }
        for beside in &item.beside {
            self.lines(&[Line::Comment(beside.clone())], indent);
        }
        for name in &block.entries {
            self.lines(&name.before, indent);
            for item in &name.items {
                self.lines(&item.before, indent);
                if let Value::Block(block) = &item.value {
                    self.tag(item, &entry.key, Some(&name.key), block, indent);
                }
                self.lines(&item.after, indent);
            }
        }
        self.lines(&block.end, indent);
    }

    fn tag(&mut self, item: &Item, kind: &str, name: Option<&str>, block: &Block, indent: usize) {
        let Some((open, close)) = tags(kind, name) else {
            let name = name.unwrap_or(kind);
            self.cannot(item, &format!("the name '{name}'"));
            return;
        };
        self.start(indent, &open);
        self.beside(item);
        self.block(block, indent + 2);
        self.start(indent, &close);
        self.out.push('\n');
    }

    fn beside(&mut self, item: &Item) {
        for text in &item.beside {
            self.out.push_str(&format!(" #{text}"));
        }
        self.out.push('\n');
    }

    fn cannot(&mut self, item: &Item, what: &str) {
        let at = item.at.clone().unwrap_or_else(|| self.at.clone());
        let problem = Problem::error(at, format!("{what} cannot be written in a .conf"));
        let help = "neither quotes nor a here-document can hold it; change it, or stay with YAML";
        self.problems.push(problem.with_help(help));
    }

    fn lines(&mut self, lines: &[Line], indent: usize) {
        for line in lines {
            match line {
                Line::Blank if self.out.ends_with("\n\n") => {}
                Line::Blank => self.out.push('\n'),
                Line::Comment(text) => {
                    self.start(indent, &format!("#{text}"));
                    self.out.push('\n');
                }
            }
        }
    }

    fn start(&mut self, indent: usize, text: &str) {
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.out.push_str(text);
    }
}

/// A key without value.
fn null(key: &str) -> Option<String> {
    reads_as(key, &json!({ key: null })).then(|| key.to_owned())
}

/// Key and value in the plainest way that reads back; several lines come with their indentation.
fn option(key: &str, text: &str, indent: usize) -> Option<String> {
    let expected = json!({ key: text });
    let escaped = escape(text);
    let on_one_line = [
        format!("{key} = {text}"),
        format!("{key} = \"{text}\""),
        format!("{key} = {escaped}"),
        format!("{key} = \"{escaped}\""),
    ];
    let quiet = on_one_line.iter().find(|line| reads_as(line, &expected));
    quiet
        .cloned()
        .or_else(|| {
            let quoted = format!("\"{escaped}\"");
            let bodies = [text, &escaped, &quoted];
            let mark = mark(text);
            let documents = [indent, 0]
                .into_iter()
                .flat_map(|indent| bodies.map(|body| here_document(key, body, &mark, indent)));
            documents.into_iter().find(|document| reads_as(document, &expected))
        })
        // Such as single quotes around all of it, which are warned of and mean themselves.
        .or_else(|| {
            on_one_line.into_iter().find(|line| says(line, &expected) == Some(Says::WithWarning))
        })
}

/// Only `$ \ " #` lose a backslash before them, and only these need one.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if ['$', '\\', '"', '#'].contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn here_document(key: &str, body: &str, mark: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut out = format!("{margin}{key} = <<{mark}\n");
    for line in body.split('\n') {
        if !line.is_empty() {
            out.push_str(&margin);
            out.push_str(line);
        }
        out.push('\n');
    }
    out.push_str(&margin);
    out.push_str(mark);
    out
}

/// A mark that is no line of the text.
fn mark(text: &str) -> String {
    let taken = |mark: &str| text.lines().any(|line| line.trim().trim_matches('"') == mark);
    let numbered = (1_usize..).map(|number| format!("END{number}"));
    std::iter::once("END".to_owned()).chain(numbered).find(|mark| !taken(mark)).unwrap_or_default()
}

/// The tags of a block.
fn tags(kind: &str, name: Option<&str>) -> Option<(String, String)> {
    let expected = match name {
        Some(name) => json!({ kind: { name: {} } }),
        None => json!({ kind: {} }),
    };
    let close = format!("</{kind}>");
    let opens = match name {
        Some(name) => [format!("<{kind} {name}>"), format!("<{kind} \"{name}\">")],
        None => [format!("<{kind}>"), format!("<\"{kind}\">")],
    };
    let open = opens.into_iter().find(|open| reads_as(&format!("{open}\n{close}"), &expected))?;
    Some((open, close))
}

/// How a text says what it should.
#[derive(PartialEq, Eq)]
enum Says {
    Quietly,
    WithWarning,
}

/// Does this text, on lines of its own, say just that, without anything to warn of?
fn reads_as(text: &str, expected: &Json) -> bool {
    says(text, expected) == Some(Says::Quietly)
}

fn says(text: &str, expected: &Json) -> Option<Says> {
    // It could include a file only where a key begins so, which none does that means something.
    if text.trim_start().starts_with("<<") {
        return None;
    }
    let reading = parse(&SourceText::new("written.conf", format!("{text}\n")));
    let same = reading.value.is_some_and(|tree| to_json(&tree) == *expected);
    same.then_some(if reading.problems.is_empty() { Says::Quietly } else { Says::WithWarning })
}
