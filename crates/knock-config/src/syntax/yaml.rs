//! YAML: through serde_yaml, in two passes over the text.
//!
//! The first learns the shape and finds what is no YAML. The second asks each scalar for its own text, so that
//! `encrypt: yes`, `0x10` and `0.50` stay as they were written, and for its place. Only this file and `locate` know
//! serde_yaml.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess,
    SeqAccess, Visitor,
};

use super::align::align;
use super::complaint::{self, Complaint, NOT_TEXT, OWN};
use super::locate::{self, Mark, Offsets};
use super::{Extent, MAX_DEPTH, RECODE};
use crate::place::{BOM, SourceFile, Spot};
use crate::problem::Problem;
use crate::tree::{Entry, Item, List, Node, Scalar, Table};

/// Most values in one file, counted again for each `*alias`, so that a few lines cannot unfold into millions.
pub(super) const MAX_VALUES: usize = 100_000;

/// Most brackets that may be open at once, counted without regard to quotes: the parser's time grows with
/// the square of them.
pub(super) const MAX_BRACKETS: usize = 1000;

/// Reads a file.
pub(super) fn parse(file: &Arc<SourceFile>) -> (Table, Vec<Problem>, Extent) {
    let mut reader = Reader::new(file);
    let root = reader.read().unwrap_or_else(|problem| {
        reader.problems.get_mut().push(problem);
        reader.extent.set(Extent::Nothing);
        reader.empty()
    });
    (root, reader.problems.into_inner(), reader.extent.get())
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    /// The text without its byte order mark, of which serde_yaml knows nothing.
    bytes: &'a [u8],
    base: usize,
    offsets: RefCell<Offsets<'a>>,
    problems: RefCell<Vec<Problem>>,
    extent: Cell<Extent>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a Arc<SourceFile>) -> Self {
        let base = if file.text().starts_with(BOM) { BOM.len() } else { 0 };
        let bytes = file.text().get(base..).unwrap_or_default();
        let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let offsets = RefCell::new(Offsets::new(text));
        let extent = Cell::new(Extent::Whole);
        Reader { file, bytes, base, offsets, problems: RefCell::default(), extent }
    }

    fn read(&self) -> Result<Table, Problem> {
        let text = self.checked()?;
        let shape = self.shape(text)?;
        let entries = match shape {
            Shape::Null => return Ok(self.empty()),
            Shape::Map(entries) => entries,
            Shape::Scalar | Shape::List(_) => {
                let message = "a config file is made of keys with values, such as `runmode: file`";
                return Err(Problem::error(self.spot(0..1).place(), message));
            }
        };
        let whole = self.spot(0..0);
        let shape = Shape::Map(entries);
        let seed = Place { reader: self, shape: &shape, fallback: whole };
        match seed.deserialize(serde_yaml::Deserializer::from_str(text)) {
            Ok(Node::Table(root)) => Ok(root),
            Ok(Node::Null(_) | Node::Scalar(_) | Node::List(_)) => Ok(self.empty()),
            Err(error) => Err(self.problem(&error)),
        }
    }

    /// What can be said before the parser sees it.
    fn checked(&self) -> Result<&'a str, Problem> {
        let text = std::str::from_utf8(self.bytes).map_err(|error| {
            let at = error.valid_up_to();
            Problem::error(self.spot(at..at + 1).place(), "this is not UTF-8, as YAML must be")
                .with_help(RECODE)
        })?;
        if let Some((at, character)) = text.char_indices().find(|(_, one)| !is_printable(*one)) {
            let message =
                format!("YAML allows no control character U+{:04X}", u32::from(character));
            let problem = Problem::error(self.spot(at..at + 1).place(), message);
            return Err(problem.with_help(r#"inside double quotes it is written "\x..""#));
        }
        let mut open = 0_usize;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'[' | b'{' => open += 1,
                b']' | b'}' => open = open.saturating_sub(1),
                _ => {}
            }
            if open > MAX_BRACKETS {
                let message = format!("more than {MAX_BRACKETS} brackets are open here");
                return Err(Problem::error(self.spot(at..at + 1).place(), message));
            }
        }
        Ok(text)
    }

    fn shape(&self, text: &str) -> Result<Shape, Problem> {
        let mut documents = serde_yaml::Deserializer::from_str(text);
        let Some(first) = documents.next() else { return Ok(Shape::Null) };
        let left = Cell::new(MAX_VALUES);
        let seed = Look { depth: 0, left: &left };
        let shape = seed.deserialize(first).map_err(|error| self.problem(&error))?;
        let mark = match documents.next().map(locate::scalar) {
            None => return Ok(shape),
            Some(Ok((_, mark))) => mark,
            Some(Err(error)) if error.to_string().contains(NOT_TEXT) => {
                error.location().map(Mark::from).unwrap_or_default()
            }
            // What cannot go on is taken for another document too.
            Some(Err(error)) => return Err(self.problem(&error)),
        };
        let message = "a second YAML document begins here; only one is read";
        let problem = Problem::error(self.spot_at(mark).place(), message);
        Err(problem.with_help("take away the line `---` before it"))
    }

    fn problem(&self, error: &serde_yaml::Error) -> Problem {
        let full = error.to_string();
        let Complaint { message, help, at } = complaint::of(&full);
        let mark = at.or_else(|| error.location().map(Mark::from)).unwrap_or_default();
        let problem = Problem::error(self.spot_at(mark).place(), message);
        Problem { help, ..problem }
    }

    fn scalar<'de, D: Deserializer<'de>>(&self, deserializer: D) -> Result<Scalar, D::Error> {
        let (text, mark) = locate::scalar(deserializer)?;
        let start = self.base + self.offsets.borrow_mut().of(mark);
        let spelling = align(self.file, start, &text);
        Ok(Scalar::new(text.into_bytes(), spelling))
    }

    fn spot_at(&self, mark: Mark) -> Spot {
        let at = self.offsets.borrow_mut().of(mark);
        self.spot(at..at + 1)
    }

    fn spot(&self, bytes: std::ops::Range<usize>) -> Spot {
        let bytes = self.base + bytes.start..self.base + bytes.end;
        Spot { file: self.file.clone(), bytes }
    }

    fn empty(&self) -> Table {
        Table { spot: self.spot(0..0), entries: Vec::new() }
    }
}

fn is_printable(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => !character.is_control(),
    }
}

/// What a value is, without what it says.
enum Shape {
    Null,
    Scalar,
    List(Vec<Shape>),
    Map(Vec<Shape>),
}

/// The first pass.
#[derive(Clone, Copy)]
struct Look<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Look<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("{OWN}this is nested more than {MAX_DEPTH} deep")));
        }
        Ok(Look { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(D::Error::custom(format!("{OWN}more than {MAX_VALUES} values")));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Shape, A::Error> {
        Err(A::Error::custom(format!("{OWN}tags such as `!name` mean nothing here")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let look = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(look)? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let look = self.deeper()?;
        let mut values = Vec::new();
        while map.next_key_seed(LookAtKey)?.is_some() {
            values.push(map.next_value_seed(look)?);
        }
        Ok(Shape::Map(values))
    }
}

/// A key of a map, which must be plain text.
struct LookAtKey;

impl<'de> DeserializeSeed<'de> for LookAtKey {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        locate::scalar(deserializer).map(|_| ())
    }
}

/// The second pass: a value of known shape, with its place.
struct Place<'r, 'a> {
    reader: &'r Reader<'a>,
    shape: &'r Shape,
    /// The place of a value that has none of its own.
    fallback: Spot,
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.shape {
            Shape::Null => {
                IgnoredAny::deserialize(deserializer)?;
                Ok(Node::Null(self.fallback))
            }
            Shape::Scalar => self.reader.scalar(deserializer).map(Node::Scalar),
            Shape::List(_) => deserializer.deserialize_seq(self),
            Shape::Map(_) => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same as before")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let shapes = match self.shape {
            Shape::List(shapes) => shapes.as_slice(),
            Shape::Null | Shape::Scalar | Shape::Map(_) => &[],
        };
        let mut items = Vec::new();
        for shape in shapes {
            let seed = Place { reader: self.reader, shape, fallback: self.fallback.clone() };
            let Some(node) = seq.next_element_seed(seed)? else { break };
            items.push(Item { spot: node.spot(), node });
        }
        let spot = items.first().map_or(self.fallback, |item: &Item| item.spot.clone());
        Ok(Node::List(List { spot, items }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let shapes = match self.shape {
            Shape::Map(shapes) => shapes.as_slice(),
            Shape::Null | Shape::Scalar | Shape::List(_) => &[],
        };
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for shape in shapes {
            let Some(key) = map.next_key_seed(Key { reader: self.reader })? else { break };
            let key_spot = key.spot();
            let seed = Place { reader: self.reader, shape, fallback: key_spot.clone() };
            let node = map.next_value_seed(seed)?;
            let key = key.text().to_owned();
            let problem = if key == "<<" {
                // What it would have brought is missing; of a key that is given twice the first counts.
                self.reader.extent.set(Extent::Parts);
                Some(Problem::error(key_spot.place(), "merge keys `<<` are not known here"))
                    .map(|problem| problem.with_help("write the keys out"))
            } else {
                seen.get(&key).map(|line| {
                    let message = format!("'{key}' is given twice; the first is in line {line}");
                    let help = format!("give several values as a list: `{key}: [a, b]`");
                    Problem::error(key_spot.place(), message).with_help(help)
                })
            };
            match problem {
                Some(problem) => self.reader.problems.borrow_mut().push(problem),
                None => {
                    seen.insert(key.clone(), key_spot.place().line);
                    entries.push(Entry { key, key_spot, node });
                }
            }
        }
        let spot = entries.first().map_or(self.fallback, |entry| entry.key_spot.clone());
        Ok(Node::Table(Table { spot, entries }))
    }
}

/// The second pass over a key.
struct Key<'r, 'a> {
    reader: &'r Reader<'a>,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        self.reader.scalar(deserializer)
    }
}
