//! From lines to the tree: which are tags, which are options, and what a repetition becomes.
//!
//! Closing tags close whatever block is open, whatever name they carry; a wrong name gets a warning.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::super::{MAX_DEPTH, RECODE};
use super::lines::{Content, Line};
use super::spelt::{Letters, Spelt};
use crate::place::{SourceFile, Spot};
use crate::problem::Problem;
use crate::syntax::remarks::{Remark, Remarks};
use crate::tree::{Entry, Item, List, Node, Scalar, Table};

/// Builds the tree; goes on after each mistake.
pub(super) fn build(
    main: &Arc<SourceFile>,
    lines: Vec<Line>,
    problems: &mut Vec<Problem>,
) -> (Table, Remarks) {
    let root = Growing::new(Spot { file: main.clone(), bytes: 0..0 });
    let mut builder = Builder {
        root,
        open: Vec::new(),
        wrong_end: None,
        problems,
        remarks: Remarks::default(),
        above: Vec::new(),
        last: None,
    };
    for line in lines {
        if builder.line(line).is_err() {
            return (builder.root.table, builder.remarks);
        }
    }
    builder.finish()
}

/// Blocks are nested too deep to go on.
struct TooDeep;

struct Builder<'a> {
    root: Growing,
    open: Vec<Open>,
    /// The first end tag with the name of another block, which is most likely why a later block has no end.
    wrong_end: Option<String>,
    problems: &'a mut Vec<Problem>,
    remarks: Remarks,
    /// Comments that wait for the entry below them.
    above: Vec<Remark>,
    last: Option<Last>,
}

/// What came last, which a comment on the same line belongs to.
enum Last {
    /// An option, or a tag that opens a block.
    Entry(Spot),
    /// The end of a block.
    End(Spot),
}

/// A block that is not closed yet.
struct Open {
    tag: Tag,
    content: Growing,
}

struct Tag {
    kind: String,
    kind_spot: Spot,
    name: Option<(String, Spot)>,
    whole: Spot,
}

impl Tag {
    /// What its notes go by: in the tree it is the key of the block.
    fn key(&self) -> &Spot {
        self.name.as_ref().map_or(&self.kind_spot, |(_, spot)| spot)
    }

    fn shown(&self) -> String {
        match &self.name {
            Some((name, _)) => format!("<{} {name}>", self.kind),
            None => format!("<{}>", self.kind),
        }
    }
}

/// A table with an index of its keys, so that a long file stays quick to read.
struct Growing {
    table: Table,
    index: HashMap<String, usize>,
    /// For each kind of named block, by its index here, the index of each name in its table.
    names: HashMap<usize, HashMap<String, usize>>,
}

impl Growing {
    fn new(spot: Spot) -> Self {
        let table = Table { spot, entries: Vec::new() };
        Growing { table, index: HashMap::new(), names: HashMap::new() }
    }

    fn get(&mut self, key: &str) -> Option<&mut Entry> {
        let index = *self.index.get(key)?;
        self.table.entries.get_mut(index)
    }

    /// Adds a block with a name to the table that a kind already has.
    fn insert_named(&mut self, kind: &str, (name, name_spot): (String, Spot), node: Node) {
        let Some(&kind) = self.index.get(kind) else { return };
        let Some(Entry { node: Node::Table(named), .. }) = self.table.entries.get_mut(kind) else {
            return;
        };
        let names = self.names.entry(kind).or_insert_with(|| {
            let keys = named.entries.iter().map(|entry| entry.key.clone());
            keys.enumerate().map(|(index, key)| (key, index)).collect()
        });
        match names.get(&name).and_then(|index| named.entries.get_mut(*index)) {
            Some(entry) => add(entry, name_spot, node),
            None => {
                names.insert(name.clone(), named.entries.len());
                named.entries.push(Entry { key: name, key_spot: name_spot, node });
            }
        }
    }

    fn insert(&mut self, key: String, key_spot: Spot, node: Node) {
        self.index.insert(key.clone(), self.table.entries.len());
        self.table.entries.push(Entry { key, key_spot, node });
    }
}

impl Builder<'_> {
    fn line(&mut self, line: Line) -> Result<(), TooDeep> {
        let Line { file, letters, content } = line;
        match content {
            Content::Above(remark) => self.above.push(remark),
            Content::Beside(remark) => self.beside(remark),
            Content::HereDoc { key, value } => self.option(&file, &key, Some(unquote(value))),
            Content::EndOfSelfClosed(tag) => self.close(&file, &tag, None),
            Content::Text(text) if is_open_tag(text.bytes()) => {
                return self.open(&file, letters, &text);
            }
            Content::Text(text) if is_end_tag(text.bytes()) => {
                let range = 2..text.bytes().len() - 1;
                let kind = text.bytes().get(range.clone()).unwrap_or_default();
                let kind = kind.get(letters.trimmed(kind)).unwrap_or_default();
                let kind = String::from_utf8_lossy(kind).into_owned();
                self.close(&file, &text, Some(&kind));
            }
            Content::Text(text) => {
                if text.bytes().starts_with(b"<") && text.bytes().contains(&b'>') {
                    self.warn_of_tag_with_more(&file, &text);
                }
                let (key, value) = split(&text, letters);
                self.option(&file, &key, value.map(unquote));
            }
        }
        Ok(())
    }

    fn beside(&mut self, remark: Remark) {
        match &self.last {
            Some(Last::Entry(key)) => self.remarks.of(key).beside.push(remark),
            Some(Last::End(key)) => self.remarks.of(key).end.push(remark),
            None => self.above.push(remark),
        }
    }

    /// An entry begins here, and what stood above it is about it.
    fn begin(&mut self, key: &Spot) {
        if !self.above.is_empty() {
            self.remarks.of(key).before.append(&mut self.above);
        }
        self.last = Some(Last::Entry(key.clone()));
    }

    fn open(
        &mut self,
        file: &Arc<SourceFile>,
        letters: Letters,
        text: &Spelt,
    ) -> Result<(), TooDeep> {
        let whole = text.spot(file, 0..text.bytes().len());
        if self.open.len() >= MAX_DEPTH {
            let message = format!("blocks are nested more than {MAX_DEPTH} deep");
            self.problems.push(Problem::error(whole.place(), message));
            return Err(TooDeep);
        }
        let inner = text.part(1..text.bytes().len() - 1);
        let (kind, name) = kind_and_name(inner.bytes(), letters);
        let word = |range: Range<usize>| {
            let spot = inner.spot(file, range.clone());
            (String::from_utf8_lossy(inner.part(range).bytes()).into_owned(), spot)
        };
        let (kind, kind_spot) = word(kind);
        let tag = Tag { kind, kind_spot, name: name.map(word), whole: whole.clone() };
        self.begin(tag.key());
        self.open.push(Open { tag, content: Growing::new(whole) });
        Ok(())
    }

    /// Closes the innermost block. `kind` is what the tag says it closes.
    fn close(&mut self, file: &Arc<SourceFile>, text: &Spelt, kind: Option<&str>) {
        let spot = text.spot(file, 0..text.bytes().len());
        let shown = String::from_utf8_lossy(text.bytes());
        let Some(Open { tag, content }) = self.open.pop() else {
            let (message, help) = match kind {
                Some(_) => (
                    format!("`{shown}` closes a block, but none is open"),
                    "take it away, or write the tag that opens the block on a line of its own",
                ),
                None => (
                    "`/>` at the end of a line closes a block, but none is open".to_owned(),
                    "put something behind it, such as a `#` with a comment and one blank before it",
                ),
            };
            self.problems.push(Problem::error(spot.place(), message).with_help(help));
            return;
        };
        if kind.is_some_and(|kind| !same_kind(kind, &tag.kind)) {
            let line = tag.whole.place().line;
            let opened = tag.shown();
            let message = format!("`{shown}` closes `{opened}` from line {line}");
            let help = if tag.kind.contains('<') || opened.contains("</") {
                "each tag stands on a line of its own".to_owned()
            } else {
                format!("write `</{}>`; end tags are not compared", tag.kind)
            };
            self.wrong_end.get_or_insert(format!("`{shown}` closes `{opened}` (line {line})"));
            self.problems.push(Problem::warning(spot.place(), message).with_help(help));
        }
        if !self.above.is_empty() {
            self.remarks.of(tag.key()).end.append(&mut self.above);
        }
        self.last = Some(Last::End(tag.key().clone()));
        self.insert_block(tag, content.table);
    }

    /// Puts a finished block where Config::General would, and refuses what it refused.
    fn insert_block(&mut self, tag: Tag, table: Table) {
        let parent = self.open.last_mut().map_or(&mut self.root, |open| &mut open.content);
        let shown = tag.shown();
        let place = tag.whole.place();
        let Tag { kind, kind_spot, name, whole } = tag;
        let Some(entry) = parent.get(&kind) else {
            let node = match name {
                Some((key, key_spot)) => {
                    let entries = vec![Entry { key, key_spot, node: Node::Table(table) }];
                    Node::Table(Table { spot: whole, entries })
                }
                None => Node::Table(table),
            };
            parent.insert(kind, kind_spot, node);
            return;
        };
        let before = entry.key_spot.place().line;
        match (name, &mut entry.node) {
            (_, Node::Null(_) | Node::Scalar(_)) => {
                let message =
                    format!("`{shown}` is a block, but line {before} has an option '{kind}'");
                let help = "rename one of them";
                self.problems.push(Problem::error(place, message).with_help(help));
            }
            (Some(_), Node::List(_)) => {
                let message =
                    format!("`{shown}` has a name, but '{kind}' occurs several times without");
                let help = format!(
                    "give every `<{kind}>` a name, or none (the first is in line {before})"
                );
                self.problems.push(Problem::error(place, message).with_help(help));
            }
            (Some(name), Node::Table(_)) => parent.insert_named(&kind, name, Node::Table(table)),
            (None, Node::Table(_) | Node::List(_)) => add(entry, kind_spot, Node::Table(table)),
        }
    }

    fn option(&mut self, file: &Arc<SourceFile>, key: &Spelt, value: Option<Spelt>) {
        let key_spot = key.spot(file, 0..key.bytes().len());
        self.begin(&key_spot);
        let key = String::from_utf8_lossy(key.bytes()).into_owned();
        let node = match value {
            Some(value) => {
                let scalar = value.unescape().into_scalar(file);
                self.warn_of_bad_utf8(&scalar);
                self.warn_of_single_quotes(&scalar);
                Node::Scalar(scalar)
            }
            None => Node::Null(key_spot.clone()),
        };
        let parent = self.open.last_mut().map_or(&mut self.root, |open| &mut open.content);
        match parent.get(&key) {
            Some(entry) => add(entry, key_spot, node),
            None => parent.insert(key, key_spot, node),
        }
    }

    fn warn_of_tag_with_more(&mut self, file: &Arc<SourceFile>, text: &Spelt) {
        let at = text.spot(file, 0..text.bytes().len()).place();
        let message = "this is no tag, since more follows on its line; it is read as an option";
        let help = "put each tag and each option on a line of its own";
        self.problems.push(Problem::warning(at, message).with_help(help));
    }

    /// `'/var/log/messages'`: to this syntax just characters, and to nobody else.
    fn warn_of_single_quotes(&mut self, scalar: &Scalar) {
        let text = scalar.text();
        let inside = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        if inside.is_some_and(|inside| !inside.contains('\'')) {
            let message = "single quotes are part of the value";
            let help = "take them away, or use double ones";
            self.problems.push(Problem::warning(scalar.place(), message).with_help(help));
        }
    }

    fn warn_of_bad_utf8(&mut self, scalar: &Scalar) {
        if scalar.is_utf8() {
            return;
        }
        let sign = char::REPLACEMENT_CHARACTER;
        let start = scalar.text().find(sign).unwrap_or(0);
        let at = scalar.place_of(start..start + sign.len_utf8());
        let message = "this is not UTF-8; a secret keeps its bytes, of other text (and in JSON) U+FFFD \
                       is made of them";
        self.problems.push(Problem::warning(at, message).with_help(RECODE));
    }

    fn finish(mut self) -> (Table, Remarks) {
        // All that are open, outermost first: the original named only the outermost.
        for open in self.open {
            let shown = open.tag.shown();
            let message = format!("`{shown}` is never closed");
            let help = if shown.trim_end_matches('>').contains('>') {
                "put each tag and each option on a line of its own".to_owned()
            } else {
                match &self.wrong_end {
                    Some(wrong) => format!("{wrong}, so a `</{}>` is missing", open.tag.kind),
                    None => format!("write `</{}>` where it ends", open.tag.kind),
                }
            };
            self.problems.push(Problem::error(open.tag.whole.place(), message).with_help(help));
        }
        self.remarks.end.append(&mut self.above);
        (self.root.table, self.remarks)
    }
}

/// What occurs again becomes a list.
fn add(entry: &mut Entry, spot: Spot, node: Node) {
    let item = Item { spot, node };
    if let Node::List(list) = &mut entry.node {
        list.items.push(item);
        return;
    }
    let first_spot = entry.key_spot.clone();
    let list = List { spot: first_spot.clone(), items: Vec::new() };
    let first = std::mem::replace(&mut entry.node, Node::List(list));
    if let Node::List(list) = &mut entry.node {
        list.items.extend([Item { spot: first_spot, node: first }, item]);
    }
}

fn is_open_tag(text: &[u8]) -> bool {
    text.len() > 2 && text.starts_with(b"<") && text.ends_with(b">") && text.get(1) != Some(&b'/')
}

fn is_end_tag(text: &[u8]) -> bool {
    text.len() > 3 && text.starts_with(b"</") && text.ends_with(b">")
}

/// Quotes and capitals do not make another name here, nor does a block's own name behind it.
fn same_kind(closing: &str, open: &str) -> bool {
    let closing = closing.trim_matches('"').to_lowercase();
    let open = open.trim().to_lowercase();
    closing == open || closing.strip_prefix(&open).is_some_and(|rest| rest.starts_with([' ', '"']))
}

/// The two words of a tag, without `<` and `>`; each may stand in quotes.
fn kind_and_name(inner: &[u8], letters: Letters) -> (Range<usize>, Option<Range<usize>>) {
    let all = 0..inner.len();
    // With a blank in front it is all one word, blanks and all.
    if letters.leading(inner) > 0 {
        return (all, None);
    }
    let word_end = letters.find(inner).unwrap_or(inner.len());
    let quoted_end = quoted(inner, 0).filter(|end| {
        let rest = inner.get(end + 1..).unwrap_or_default();
        rest.is_empty() || letters.leading(rest) > 0
    });
    let (kind, from) = match quoted_end {
        Some(end) => (1..end, end + 1),
        None => (0..word_end, word_end),
    };
    let rest = inner.get(from..).unwrap_or_default();
    if rest.is_empty() {
        return (kind, None);
    }
    let start = from + letters.leading(rest);
    match quoted(inner, start) {
        Some(end) if end + 1 == inner.len() => (kind, Some(start + 1..end)),
        Some(_) | None => (kind, Some(start..inner.len())),
    }
}

/// Where the quote ends that begins at `start`, if something is in it.
fn quoted(text: &[u8], start: usize) -> Option<usize> {
    let inside = text.get(start..)?.strip_prefix(b"\"")?;
    let len = inside.iter().position(|byte| *byte == b'"').filter(|len| *len > 0)?;
    Some(start + 1 + len)
}

/// Key and value: split at the first `=` or blank, whichever comes first, `=` with blanks around being one.
fn split(text: &Spelt, letters: Letters) -> (Spelt, Option<Spelt>) {
    let bytes = text.bytes();
    let equals = bytes.iter().position(|byte| *byte == b'=');
    let blank = letters.find(bytes);
    let Some(key_end) = equals.into_iter().chain(blank).min() else {
        return (text.clone(), None);
    };
    let rest = |from: usize| bytes.get(from..).unwrap_or_default();
    let mut value = key_end + letters.leading(rest(key_end));
    if rest(value).starts_with(b"=") {
        value += 1;
        value += letters.leading(rest(value));
    }
    (text.part(0..key_end), Some(text.part(value..bytes.len())))
}

/// Takes one quote off each end; a lone one is both.
fn unquote(value: Spelt) -> Spelt {
    let text = value.bytes();
    if text.starts_with(b"\"") && text.ends_with(b"\"") {
        return value.part(1..(text.len() - 1).max(1));
    }
    value
}
