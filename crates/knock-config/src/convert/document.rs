//! A file as it is to be written: the tree with its comments in their places, and nothing of its places or syntax.
//!
//! What must be said otherwise in the other syntax is changed in `adapt`; how it is spelt is known to the writers.

use zeroize::Zeroizing;

use crate::keys::{Kind, NAMED, Within, find};
use crate::place::{Place, Spot};
use crate::problem::Problem;
use crate::syntax::Syntax;
use crate::syntax::remarks::{Notes, Remark, Remarks};
use crate::tree::{Entry as TreeEntry, Node, Scalar, Table, Tree};

/// What is between `{` and `}`, or the whole file.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    pub(super) entries: Vec<Entry>,
    /// Comments behind the last entry.
    pub(super) end: Vec<Line>,
}

/// A key with all that it holds.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) before: Vec<Line>,
    pub(super) items: Vec<Item>,
    /// It is a list, even with one item.
    pub(super) listed: bool,
    /// What its values are, where the table of keys knows.
    pub(super) kind: Option<Kind>,
    /// Not to be an entry but a comment, and why.
    pub(super) off: Option<String>,
    pub(super) at: Option<Place>,
}

/// One value of a key.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) before: Vec<Line>,
    pub(super) beside: Vec<String>,
    pub(super) value: Value,
    pub(super) after: Vec<Line>,
    pub(super) at: Option<Place>,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Text(Zeroizing<String>),
    Block(Block),
    /// What no file of ours can hold, and why.
    Bad(&'static str),
}

/// A line that is no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Blank,
    /// What stands behind the `#`.
    Comment(String),
}

impl Entry {
    /// A key of one value, out of nothing.
    pub(super) fn new(key: &str, kind: Option<Kind>, value: Value) -> Self {
        let item =
            Item { before: Vec::new(), beside: Vec::new(), value, after: Vec::new(), at: None };
        Entry {
            key: key.to_owned(),
            before: Vec::new(),
            items: vec![item],
            listed: false,
            kind,
            off: None,
            at: None,
        }
    }

    /// Several values, or one in a list.
    pub(super) fn is_list(&self) -> bool {
        self.listed || self.items.len() != 1
    }
}

impl Block {
    /// Is there nothing but blocks in it, as in `template:`, whose keys are names then?
    pub(super) fn has_names_only(&self) -> bool {
        let is_block = |item: &Item| matches!(item.value, Value::Block(_));
        let mut entries = self.entries.iter().filter(|entry| entry.off.is_none()).peekable();
        entries.peek().is_some() && entries.all(|entry| entry.items.iter().all(is_block))
    }
}

/// Puts tree and comments together; what is not as it should be is told.
pub(super) fn build(tree: &Tree) -> (Block, Vec<Problem>) {
    let mut builder =
        Builder { remarks: tree.remarks.clone(), problems: Vec::new(), syntax: tree.syntax() };
    let end = std::mem::take(&mut builder.remarks.end);
    let mut root = builder.block(tree.root(), Some(Within::Top), end);
    // Nothing is lost, whatever it stood by.
    let left = builder.remarks.left_over();
    root.end.extend(builder.lines(left));
    (root, builder.problems)
}

struct Builder {
    remarks: Remarks,
    problems: Vec<Problem>,
    syntax: Syntax,
}

impl Builder {
    fn block(&mut self, table: &Table, within: Option<Within>, end: Vec<Remark>) -> Block {
        let entries = table.iter().map(|entry| self.entry(entry, within)).collect();
        Block { entries, end: self.lines(end) }
    }

    fn entry(&mut self, entry: &TreeEntry, within: Option<Within>) -> Entry {
        let inside = within.and_then(|within| within.inside(&entry.key));
        let is_key = within == Some(Within::Top) && entry.key == "key";
        let (mut items, listed) = match &entry.node {
            Node::List(list) => {
                let mut items: Vec<Item> = Vec::new();
                for item in &list.items {
                    items.push(self.item(&item.spot, &item.node, inside, within, is_key));
                }
                (items, true)
            }
            node => (vec![self.item(&entry.key_spot, node, inside, within, is_key)], false),
        };
        let notes = self.remarks.take(&entry.key_spot);
        let mut before = self.lines(notes.before);
        // In a list nothing can stand beside the key, and in a .conf the first block's comment is that of all.
        before.extend(self.texts(&notes.beside).map(Line::Comment).collect::<Vec<_>>());
        if self.syntax == Syntax::Legacy
            && let Some(first) = items.first_mut()
        {
            before.extend(hoisted(first, NAMED.contains(&entry.key.as_str())));
        }
        if let Some(last) = items.last_mut() {
            last.after.extend(self.lines(notes.end));
            last.after.extend(self.lines(notes.after));
        }
        if entry.key.contains(char::REPLACEMENT_CHARACTER) && !entry.key_spot.is_utf8() {
            let problem = Problem::error(entry.key_at(), "this name is not UTF-8")
                .with_help("convert the file first: iconv -f latin1 -t utf8");
            self.problems.push(problem);
        }
        let kind = within.and_then(|within| find(within, &entry.key)).map(|key| key.kind);
        let at = Some(entry.key_at());
        Entry { key: entry.key.clone(), before, items, listed, kind, off: None, at }
    }

    fn item(
        &mut self,
        key: &Spot,
        node: &Node,
        inside: Option<Within>,
        within: Option<Within>,
        is_key: bool,
    ) -> Item {
        // The first key of a YAML list's item stands where the item does, and what is beside it is its own.
        let notes = match node {
            Node::Table(table) if self.syntax == Syntax::Yaml && starts_with(table, key) => {
                let before = std::mem::take(&mut self.remarks.of(key).before);
                Notes { before, ..Notes::default() }
            }
            _ => self.remarks.take(key),
        };
        let mut end = notes.end;
        let value = match node {
            Node::Null(_) => Value::Null,
            Node::Scalar(scalar) => self.scalar(scalar, is_key),
            Node::Table(table) => {
                // The name of a block is not a key: what it holds is what an unnamed one would hold.
                let inside = inside.or(within.and_then(of_names));
                Value::Block(self.block(table, inside, std::mem::take(&mut end)))
            }
            Node::List(_) => {
                let problem = Problem::error(node.place(), "a list in a list means nothing here");
                self.problems.push(problem);
                Value::Bad("a list in a list")
            }
        };
        let mut after = self.lines(end);
        after.extend(self.lines(notes.after));
        Item {
            before: self.lines(notes.before),
            beside: self.texts(&notes.beside).collect(),
            value,
            after,
            at: Some(key.place()),
        }
    }

    fn scalar(&mut self, scalar: &Scalar, is_key: bool) -> Value {
        if scalar.is_utf8() {
            return Value::Text(scalar.text().to_owned().into());
        }
        let message = "this value is not UTF-8, so it would be another one afterwards";
        // Another encoding makes other bytes of it, and those are the key.
        let help = if is_key {
            "put its bytes as they are into a file, and name that with 'keyfile' in place of 'key'"
        } else {
            "convert the file first: iconv -f latin1 -t utf8"
        };
        self.problems.push(Problem::error(scalar.place(), message).with_help(help));
        Value::Bad("text that is not UTF-8")
    }

    fn lines(&mut self, remarks: Vec<Remark>) -> Vec<Line> {
        let line = |remark: Remark| match remark {
            Remark::Blank => Line::Blank,
            comment => Line::Comment(self.text(&comment)),
        };
        remarks.into_iter().map(line).collect()
    }

    fn texts(&mut self, remarks: &[Remark]) -> impl Iterator<Item = String> + use<> {
        let texts: Vec<String> = remarks.iter().map(|remark| self.text(remark)).collect();
        texts.into_iter()
    }

    /// The text of a comment behind its `#`.
    fn text(&mut self, remark: &Remark) -> String {
        match remark {
            Remark::Blank => String::new(),
            Remark::Hash(spot) => self.decoded(spot).trim_end().to_owned(),
            Remark::Text(spot) => format!(" {}", self.decoded(spot).trim()).trim_end().to_owned(),
            Remark::Included(spot) => format!(" from {}:", self.decoded(spot)),
            Remark::EndOfIncluded(spot) => format!(" end of {}", self.decoded(spot)),
        }
    }

    /// Old files have Latin-1 in their comments, of which each byte is a character.
    fn decoded(&mut self, spot: &Spot) -> String {
        let bytes = spot.file.text().get(spot.bytes.clone()).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                let message = "this comment is not UTF-8; it is taken for Latin-1";
                self.problems.push(Problem::warning(spot.place(), message));
                bytes.iter().copied().map(char::from).collect()
            }
        }
    }
}

/// What stands above the first block of several stands above all of them then.
fn hoisted(first: &mut Item, may_be_named: bool) -> Vec<Line> {
    let mut lines = std::mem::take(&mut first.before);
    if let Value::Block(block) = &mut first.value
        && may_be_named
        && block.has_names_only()
        && let Some(name) = block.entries.first_mut()
    {
        lines.append(&mut name.before);
    }
    lines
}

fn starts_with(table: &Table, key: &Spot) -> bool {
    table.iter().next().is_some_and(|first| first.key_spot.bytes.start == key.bytes.start)
}

/// What a block is that has a name in this part of the file.
fn of_names(within: Within) -> Option<Within> {
    match within {
        Within::Action | Within::Template | Within::Logformat | Within::Ethfilter => Some(within),
        Within::Logformats => Some(Within::Logformat),
        Within::Ethfilters => Some(Within::Ethfilter),
        _ => None,
    }
}
