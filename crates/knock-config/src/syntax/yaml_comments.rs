//! The comments of a YAML file, which its parser drops.
//!
//! A `#` begins one at the start of a line or behind a blank, but not inside a scalar, and where those are the tree
//! knows. So no YAML is parsed here a second time.

use std::ops::Range;
use std::sync::Arc;

use super::remarks::{Remark, Remarks};
use crate::place::{BOM, SourceFile, Spot};
use crate::tree::{Node, Table};

/// Finds them, each with the entry it stands by.
pub(super) fn find(file: &Arc<SourceFile>, root: &Table) -> Remarks {
    let mut places = Places::default();
    places.table(root);
    places.sort();
    let mut finder = Finder { file, places, remarks: Remarks::default(), waiting: Vec::new() };
    let text = file.text();
    let mut start = if text.starts_with(BOM) { BOM.len() } else { 0 };
    while start < text.len() {
        let rest = text.get(start..).unwrap_or_default();
        let len = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        finder.line(start..start + len);
        start += len + 1;
    }
    finder.remarks.end.append(&mut finder.waiting);
    finder.remarks
}

/// Where the keys and items stand, and all that is text.
#[derive(Default)]
struct Places {
    keys: Vec<Spot>,
    scalars: Vec<Range<usize>>,
}

impl Places {
    fn table(&mut self, table: &Table) {
        for entry in table.iter() {
            self.scalars.push(entry.key_spot.bytes.clone());
            self.keys.push(entry.key_spot.clone());
            self.node(&entry.node);
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Null(_) => {}
            Node::Scalar(scalar) => self.scalars.push(scalar.spot().bytes),
            Node::Table(table) => self.table(table),
            Node::List(list) => {
                for item in &list.items {
                    self.keys.push(item.spot.clone());
                    self.node(&item.node);
                }
            }
        }
    }

    fn sort(&mut self) {
        self.keys.sort_by_key(|key| key.bytes.start);
        self.scalars.sort_by_key(|scalar| scalar.start);
        // An alias has its scalars a second time.
        self.scalars.dedup_by(|later, before| {
            let inside = later.start < before.end;
            before.end = if inside { before.end.max(later.end) } else { before.end };
            inside
        });
    }

    fn in_scalar(&self, at: usize) -> bool {
        let after = self.scalars.partition_point(|scalar| scalar.start <= at);
        after.checked_sub(1).and_then(|one| self.scalars.get(one)).is_some_and(|one| at < one.end)
    }
}

struct Finder<'a> {
    file: &'a Arc<SourceFile>,
    places: Places,
    remarks: Remarks,
    /// Blank lines that go with whatever comes next.
    waiting: Vec<Remark>,
}

impl Finder<'_> {
    fn line(&mut self, line: Range<usize>) {
        let text = self.file.text().get(line.clone()).unwrap_or_default();
        let indent = text.iter().take_while(|byte| is_blank(**byte)).count();
        let next = self.places.keys.partition_point(|key| key.bytes.start < line.start);
        if indent == text.len() {
            if !self.places.in_scalar(line.start) {
                self.waiting.push(Remark::Blank);
            }
            return;
        }
        let begins = |at: &usize| {
            text.get(*at) == Some(&b'#')
                && at.checked_sub(1).is_none_or(|before| is_blank(text[before]))
                && !self.places.in_scalar(line.start + at)
        };
        let hash = (0..text.len()).find(begins);
        // Blank lines before an entry are the entry's own, whatever stands behind it.
        let first = self.places.keys.get(next).filter(|key| key.bytes.start < line.end);
        if let Some(first) = first.filter(|_| hash != Some(indent)) {
            self.remarks.of(first).before.append(&mut self.waiting);
        }
        let Some(hash) = hash else { return };
        let spot = Spot { file: self.file.clone(), bytes: line.start + hash + 1..line.end };
        if hash == indent {
            self.waiting.push(Remark::Hash(spot));
            self.on_its_own(line.start + hash, hash);
        } else {
            self.beside(line.start + hash, Remark::Hash(spot));
        }
    }

    fn beside(&mut self, at: usize, remark: Remark) {
        let after = self.places.keys.partition_point(|key| key.bytes.start < at);
        match after.checked_sub(1).and_then(|one| self.places.keys.get(one)) {
            Some(key) => self.remarks.of(key).beside.push(remark),
            None => self.waiting.push(remark),
        }
    }

    /// It goes with the next entry, unless it is indented deeper: then it still belongs to the block that ends here.
    fn on_its_own(&mut self, at: usize, column: usize) {
        let next = self.places.keys.partition_point(|key| key.bytes.start < at);
        let shallow = match self.places.keys.get(next) {
            Some(key) => column <= self.indent(key),
            None => column == 0,
        };
        // Looked for only then: of a shallow one it may be far away.
        let owner = (!shallow).then(|| {
            let before = self.places.keys.get(..next).unwrap_or_default();
            before.iter().rev().find(|key| self.column(key) <= column).cloned()
        });
        let lines = std::mem::take(&mut self.waiting);
        match (owner.flatten(), self.places.keys.get(next)) {
            (Some(owner), _) => self.remarks.of(&owner).after.extend(lines),
            (None, Some(key)) => self.remarks.of(key).before.extend(lines),
            (None, None) => self.remarks.end.extend(lines),
        }
    }

    fn line_start(&self, key: &Spot) -> usize {
        let before = self.file.text().get(..key.bytes.start).unwrap_or_default();
        before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
    }

    fn column(&self, key: &Spot) -> usize {
        let quoted = key.bytes.start.checked_sub(1).and_then(|at| self.file.text().get(at));
        let quote = usize::from(matches!(quoted, Some(b'"' | b'\'')));
        (key.bytes.start - self.line_start(key)).saturating_sub(quote)
    }

    fn indent(&self, key: &Spot) -> usize {
        let line = self.file.text().get(self.line_start(key)..).unwrap_or_default();
        line.iter().take_while(|byte| **byte == b' ').count()
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}
