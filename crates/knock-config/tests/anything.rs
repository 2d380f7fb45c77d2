//! Whatever bytes a config file holds: reading it ends, does not panic, and all places lie in the file.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

use knock_config::report::{self, Colour, Sources};
use knock_config::{Node, Place, SourceText, Table, parse_all, to_json};
use proptest::prelude::*;

/// Reads, draws the report and asks every token for its place.
fn read(name: &str, text: &[u8]) {
    let source = SourceText::new(name, text);
    let (tree, problems) = parse_all(&source);
    let mut out = Vec::new();
    report::print(&problems, &Sources::of(&source), Colour::Never, &mut out).unwrap();
    for place in problems.iter().filter_map(|problem| problem.at.as_ref()) {
        inside(place, text);
    }
    let _ = to_json(&tree);
    walk(tree.root(), text);
}

fn walk(table: &Table, text: &[u8]) {
    inside(&table.place(), text);
    for found in table.iter().flat_map(|entry| entry.occurrences()) {
        inside(&found.key_at(), text);
        node(found.node, text);
    }
    for entry in table.iter() {
        for block in table.blocks(&entry.key).blocks {
            inside(&block.place(), text);
        }
    }
}

fn node(node: &Node, text: &[u8]) {
    inside(&node.place(), text);
    match node {
        Node::Null(_) => {}
        Node::Scalar(scalar) => {
            let len = scalar.text().len();
            for at in 0..len.min(200) {
                inside(&scalar.place_of(at..at + 1), text);
                inside(&scalar.place_of(at..len), text);
            }
            inside(&scalar.place_of(len..len + 5), text);
        }
        Node::Table(table) => walk(table, text),
        Node::List(list) => list.items.iter().for_each(|item| self::node(&item.node, text)),
    }
}

#[track_caller]
fn inside(place: &Place, text: &[u8]) {
    let line = text.split(|byte| *byte == b'\n').nth(place.line - 1);
    let line = line.unwrap_or_else(|| panic!("no line {}", place.line));
    let columns = String::from_utf8_lossy(line).chars().count() + 1;
    assert!((1..=columns).contains(&place.column), "column {} of {columns}", place.column);
    assert!(place.len >= 1 && place.column + place.len <= columns + 1, "{place} is too long");
}

/// Pieces that mean something in one of the syntaxes, so that chance finds its way into the corners.
fn pieces(of: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(of).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

const LEGACY: &[&str] = &[
    "a",
    "key",
    " ",
    "  ",
    "=",
    "\n",
    "\n",
    "\r\n",
    "\\",
    "\\\n",
    "#",
    "/*",
    "*/",
    "\"",
    "<a>",
    "<a b>",
    "</a>",
    "<a/>",
    "<",
    ">",
    "/",
    "<<E",
    "E\n",
    "<<",
    "<<include x>>\n",
    "\u{feff}",
    "ä",
    "\u{a0}",
    "\t",
    "0",
    "$",
    "<a \"b\">",
];

const YAML: &[&str] = &[
    "a", "key", " ", "  ", ": ", ":", "\n", "\n", "\n  ", "- ", "\r\n", "\r", "#", " #", "\"", "'",
    "''", "|\n", ">-\n", "[", "]", "{", "}", ",", "&x ", "*x", "!t ", "!!str ", "? ", "<<",
    "---\n", "...\n", "~", "0x1", "true", "\\n", "\\u00e4", "\\", "ä", "\u{feff}", "\u{85}",
    "\u{2028}", "\t", "%", "@", "`", "a: ", "\nb: ", "\n- ", "\"\\\n  ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        read("any.conf", &text);
        read("any.yaml", &text);
    }

    #[test]
    fn any_legacy(text in pieces(LEGACY)) {
        read("any.conf", &text);
    }

    #[test]
    fn any_yaml(text in pieces(YAML)) {
        read("any.yaml", &text);
    }

    /// What is written plainly is read back, with every byte in its place. (A `=` in front would need quotes.)
    #[test]
    fn a_plain_value_is_read_back(value in "[a-zA-Z0-9_.,;()äé+-]([a-zA-Z0-9_=.,;()äé+ -]{0,30}[a-zA-Z0-9_=.,;()äé+-])?") {
        let quote = value.replace('"', "");
        for (name, text, column) in [
            ("a.conf", format!("a = {value}\n"), 5),
            ("a.conf", format!("a \"{quote}\" # {value}\n"), 4),
            ("a.yaml", format!("a: '{value}'\n"), 5),
            ("a.yaml", format!("a: |-\n  {value}\n"), 3),
        ] {
            let (tree, problems) = parse_all(&SourceText::new(name, text.clone()));
            prop_assert_eq!(problems, vec![]);
            let found = tree.root().entries("a").next().unwrap();
            let scalar = found.node.scalar().unwrap();
            prop_assert_eq!(scalar.text(), &value);
            for (character, (at, one)) in value.char_indices().enumerate() {
                let place = scalar.place_of(at..at + one.len_utf8());
                prop_assert_eq!((place.column, place.len), (column + character, 1), "{}", text);
            }
        }
    }
}
