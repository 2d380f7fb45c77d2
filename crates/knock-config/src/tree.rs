//! One located tree for both syntaxes.
//!
//! It has the shape that Config::General gives a file: a key that occurs once holds its value, a key that occurs
//! again a list, and `<template open>` is a table `open` inside a table `template`. YAML says the same with its own
//! lists and maps, so whoever reads the tree need not know which it was. What the keys mean is the model's business.

use std::borrow::Cow;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::place::{Place, Spelling, Spot};
use crate::syntax::Syntax;
use crate::syntax::remarks::Remarks;

/// A whole file, with everything it includes.
#[derive(Debug, Clone)]
pub struct Tree {
    pub(crate) root: Table,
    pub(crate) syntax: Syntax,
    /// Its comments, of which only `convert` wants to know.
    pub(crate) remarks: Remarks,
}

impl Tree {
    /// The outermost table.
    pub fn root(&self) -> &Table {
        &self.root
    }

    /// What the file was written in.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }
}

/// Keys with their nodes, in the order of the file. No key occurs twice.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) spot: Spot,
    pub(crate) entries: Vec<Entry>,
}

/// A key with what it holds.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key; where it is not UTF-8, with U+FFFD for what is not.
    pub key: String,
    pub(crate) key_spot: Spot,
    /// What it holds.
    pub node: Node,
}

/// One of several under the same key.
#[derive(Debug, Clone)]
pub struct Item {
    /// The repeated key in the legacy syntax, the item itself in YAML.
    pub(crate) spot: Spot,
    /// What it holds.
    pub node: Node,
}

/// What a key holds.
#[derive(Debug, Clone)]
pub enum Node {
    /// Nothing at all: `key` alone on its line, or YAML's `key:`.
    Null(Spot),
    /// Some text.
    Scalar(Scalar),
    /// A block, or YAML's map.
    Table(Table),
    /// A key or block that occurs again, or YAML's list.
    List(List),
}

/// Several under the same key.
#[derive(Debug, Clone)]
pub struct List {
    pub(crate) spot: Spot,
    /// The items, in order.
    pub items: Vec<Item>,
}

/// Text, every byte of which knows where it stands. It may be a key, so all of it is wiped when it goes.
#[derive(Debug, Clone)]
pub struct Scalar {
    text: Zeroizing<String>,
    raw: Option<Zeroizing<Vec<u8>>>,
    spelling: Spelling,
}

/// One occurrence of a key, whether it occurs once or is one of many.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The key.
    pub key: &'a str,
    key_spot: &'a Spot,
    /// What this occurrence holds. A list only where YAML has a list in a list.
    pub node: &'a Node,
}

/// All blocks of one kind, as `<action>` and `<template NAME>` are.
#[derive(Debug, Clone, Default)]
pub struct Blocks<'a> {
    /// The blocks, in order.
    pub blocks: Vec<Block<'a>>,
    /// What stands under that key and is no block.
    pub strays: Vec<Found<'a>>,
}

/// A block with its name, if it has one.
#[derive(Debug, Clone)]
pub struct Block<'a> {
    /// The name: `open` of `<template open>`.
    pub name: Option<&'a str>,
    spot: &'a Spot,
    /// What is in it.
    pub table: Cow<'a, Table>,
}

impl Table {
    /// All entries, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of a key, a list if it was given several times.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Every occurrence of a key, in order, whether there is one, several or a list.
    pub fn entries<'a>(&'a self, key: &str) -> impl Iterator<Item = Found<'a>> + use<'a> {
        self.get(key).into_iter().flat_map(Entry::occurrences)
    }

    /// The blocks of a kind.
    ///
    /// A table in a table is a named block; that is all that either syntax can tell. So `<action>` with plain keys
    /// is a block without name, and beside it `<action open>` is one with the name `open`.
    pub fn blocks(&self, kind: &str) -> Blocks<'_> {
        let mut found = Blocks::default();
        for one in self.entries(kind) {
            match one.node {
                Node::Table(table) => table.as_blocks(one, &mut found.blocks),
                Node::Null(_) | Node::Scalar(_) | Node::List(_) => found.strays.push(one),
            }
        }
        found
    }

    /// Where it begins.
    pub fn place(&self) -> Place {
        self.spot.place()
    }

    fn as_blocks<'a>(&'a self, found: Found<'a>, blocks: &mut Vec<Block<'a>>) {
        let (named, plain): (Vec<&Entry>, Vec<&Entry>) =
            self.entries.iter().partition(|entry| entry.node.is_block());
        if named.is_empty() || !plain.is_empty() {
            let table = if named.is_empty() {
                Cow::Borrowed(self)
            } else {
                let entries = plain.into_iter().cloned().collect();
                Cow::Owned(Table { spot: self.spot.clone(), entries })
            };
            blocks.push(Block { name: None, spot: found.key_spot, table });
        }
        for entry in named {
            for one in entry.occurrences() {
                if let Node::Table(table) = one.node {
                    let table = Cow::Borrowed(table);
                    blocks.push(Block { name: Some(&entry.key), spot: one.key_spot, table });
                }
            }
        }
    }
}

impl Entry {
    /// Where the key stands, the first time.
    pub fn key_at(&self) -> Place {
        self.key_spot.place()
    }

    /// Every occurrence, in order.
    pub fn occurrences(&self) -> impl Iterator<Item = Found<'_>> {
        let (single, list) = match &self.node {
            Node::List(list) => (None, list.items.as_slice()),
            Node::Null(_) | Node::Scalar(_) | Node::Table(_) => (
                Some(Found { key: &self.key, key_spot: &self.key_spot, node: &self.node }),
                [].as_slice(),
            ),
        };
        let key = self.key.as_str();
        let items =
            list.iter().map(move |item| Found { key, key_spot: &item.spot, node: &item.node });
        single.into_iter().chain(items)
    }
}

impl Found<'_> {
    /// Where the key stands; in a YAML list, where the item stands.
    pub fn key_at(&self) -> Place {
        self.key_spot.place()
    }

    /// Where the value stands.
    pub fn place(&self) -> Place {
        self.node.place()
    }

    /// Is the key what stands in the file, byte for byte?
    pub(crate) fn has_utf8_key(&self) -> bool {
        !self.key.contains(char::REPLACEMENT_CHARACTER) || self.key_spot.is_utf8()
    }
}

impl Block<'_> {
    /// Where its name stands, or its kind if it has no name.
    pub fn place(&self) -> Place {
        self.spot.place()
    }
}

impl Node {
    /// The text, if it is text.
    pub fn scalar(&self) -> Option<&Scalar> {
        match self {
            Node::Scalar(scalar) => Some(scalar),
            Node::Null(_) | Node::Table(_) | Node::List(_) => None,
        }
    }

    /// The table, if it is one.
    pub fn table(&self) -> Option<&Table> {
        match self {
            Node::Table(table) => Some(table),
            Node::Null(_) | Node::Scalar(_) | Node::List(_) => None,
        }
    }

    /// What it is, for a message: "expected a value, this is …".
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null(_) => "a key without value",
            Node::Scalar(_) => "a value",
            Node::Table(_) => "a block",
            Node::List(_) => "a list",
        }
    }

    /// Where it stands; for a key without value, where the key stands.
    pub fn place(&self) -> Place {
        self.spot().place()
    }

    pub(crate) fn spot(&self) -> Spot {
        match self {
            Node::Null(spot) => spot.clone(),
            Node::Scalar(scalar) => scalar.spot(),
            Node::Table(table) => table.spot.clone(),
            Node::List(list) => list.spot.clone(),
        }
    }

    fn is_block(&self) -> bool {
        match self {
            Node::Table(_) => true,
            Node::List(list) => list.items.iter().all(|item| matches!(item.node, Node::Table(_))),
            Node::Null(_) | Node::Scalar(_) => false,
        }
    }
}

impl Scalar {
    pub(crate) fn new(bytes: Vec<u8>, spelling: Spelling) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Scalar { text: text.into(), raw: None, spelling },
            Err(error) => {
                let raw = Zeroizing::new(error.into_bytes());
                let text = String::from_utf8_lossy(&raw).into_owned().into();
                Scalar { text, raw: Some(raw), spelling }
            }
        }
    }

    pub(crate) fn spot(&self) -> Spot {
        self.spelling.spot()
    }

    /// The text; where the file is not UTF-8, with U+FFFD for what is not.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes just as they are in the file, for a secret in some old encoding.
    pub fn bytes(&self) -> &[u8] {
        self.raw.as_ref().map_or(self.text.as_bytes(), |raw| raw.as_slice())
    }

    /// Was it good UTF-8?
    pub fn is_utf8(&self) -> bool {
        self.raw.is_none()
    }

    /// Where it stands, without quotes.
    pub fn place(&self) -> Place {
        self.spelling.spot().place()
    }

    /// Where a part of the text stands: through quotes, escapes and joined lines, on the line where it begins.
    pub fn place_of(&self, part: Range<usize>) -> Place {
        self.spelling.spot_of(&part).place()
    }
}

/// The tree in the shape that Config::General would have given it, as JSON.
pub fn to_json(tree: &Tree) -> serde_json::Value {
    table_to_json(&tree.root)
}

fn table_to_json(table: &Table) -> serde_json::Value {
    table.iter().map(|entry| (entry.key.clone(), node_to_json(&entry.node))).collect()
}

fn node_to_json(node: &Node) -> serde_json::Value {
    match node {
        Node::Null(_) => serde_json::Value::Null,
        Node::Scalar(scalar) => scalar.text().into(),
        Node::Table(table) => table_to_json(table),
        Node::List(list) => list.items.iter().map(|item| node_to_json(&item.node)).collect(),
    }
}
