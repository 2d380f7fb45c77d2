//! A line spelt from a format's own expressions, for those that no firewall's shape and no sample
//! fits: the shortest text that each of them matches, with our value in its group. Promises nothing;
//! who asks looks whether the format reads the line back.

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use super::super::FieldName;

/// What stands between two expressions' texts, and what before all of them.
const BETWEEN: [&str; 3] = [" ", ", ", ""];

/// Lines to try, the fullest first. `value` tells what a field's group is to hold, `head` how a
/// syslog line begins.
pub(super) fn lines(
    expressions: &[(FieldName, Hir)],
    value: impl Fn(FieldName) -> Option<String>,
    head: &str,
) -> Vec<String> {
    let spelt = |wanted: &dyn Fn(FieldName) -> bool| -> Vec<Spelt> {
        let mut all: Vec<(bool, Spelt)> = expressions
            .iter()
            .filter(|(field, _)| wanted(*field))
            .filter_map(|(field, hir)| match field {
                FieldName::Required => Some((true, Spelt::of(hir, ""))),
                _ => value(*field).map(|value| (false, Spelt::of(hir, &value))),
            })
            .collect();
        // What has to stand at the beginning comes first, the longest of it before all; then what
        // the line is known by.
        all.sort_by_key(|(required, spelt)| {
            let len = if spelt.at_start { spelt.fixed_start().len() } else { 0 };
            (!spelt.at_start, std::cmp::Reverse(len), !required)
        });
        all.into_iter().map(|(_, spelt)| spelt).collect()
    };
    let needed =
        |field| matches!(field, FieldName::Required | FieldName::IpClient | FieldName::Port);
    let sets = [spelt(&|_| true), spelt(&needed)];
    let mut lines = Vec::new();
    for set in &sets {
        let heads: &[&str] =
            if set.iter().any(|spelt| spelt.at_start) { &[""] } else { &[head, ""] };
        for head in heads {
            for between in BETWEEN {
                let line = joined(set, head, between);
                lines.extend(line.filter(|line| !line.contains(['\n', '\r'])));
            }
        }
    }
    lines
}

/// The texts of several expressions as one line.
fn joined(set: &[Spelt], head: &str, between: &str) -> Option<String> {
    let mut parts = set.iter();
    let first = parts.next()?;
    let mut more = String::new();
    for part in parts {
        // A second one that is tied to the beginning fits where the first has its beginning too, and
        // anything may stand between that and its rest.
        let text = if part.at_start {
            let start = part.fixed_start();
            if !first.fixed_start().starts_with(start) || part.holes.is_empty() {
                return None;
            }
            part.text.get(start.len()..)?
        } else {
            &part.text
        };
        more.push_str(between);
        more.push_str(text);
    }
    let hole = match (first.at_end, first.holes.last()) {
        (false, _) => first.text.len(),
        (true, Some(hole)) => *hole,
        (true, None) if more.trim().is_empty() => first.text.len(),
        (true, None) => return None,
    };
    let (before, behind) = first.text.split_at_checked(hole)?;
    Some(format!("{head}{before}{more}{behind}"))
}

/// The text of one expression.
#[derive(Default)]
struct Spelt {
    text: String,
    /// Where in it anything may be put in.
    holes: Vec<usize>,
    at_start: bool,
    at_end: bool,
}

impl Spelt {
    fn of(hir: &Hir, value: &str) -> Self {
        let mut spelt = Self::default();
        spelt.add(hir, value);
        spelt
    }

    /// What it begins with whatever is put into its holes.
    fn fixed_start(&self) -> &str {
        let end = self.holes.first().copied().unwrap_or(self.text.len());
        self.text.get(..end).unwrap_or_default()
    }

    fn add(&mut self, hir: &Hir, value: &str) {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => self.text.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(class) => self.text.extend(example(class)),
            HirKind::Look(Look::Start | Look::StartLF | Look::StartCRLF) => {
                self.at_start |= self.text.is_empty();
            }
            HirKind::Look(Look::End | Look::EndLF | Look::EndCRLF) => self.at_end = true,
            // The edges of words come by themselves, or the line is not read back.
            HirKind::Look(_) => {}
            HirKind::Repetition(Repetition { min, sub, .. }) => {
                (0..(*min).min(MOST)).for_each(|_| self.add(sub, value));
                if matches!(sub.kind(), HirKind::Class(class) if takes_anything(class)) {
                    self.holes.push(self.text.len());
                }
            }
            HirKind::Capture(group) if group.index == 1 => self.text.push_str(value),
            HirKind::Capture(group) => self.add(&group.sub, value),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.add(part, value)),
            HirKind::Alternation(ways) => {
                if let Some(way) = ways.iter().find(|way| holds_group(way)).or(ways.first()) {
                    self.add(way, value);
                }
            }
        }
    }
}

/// The most repetitions that are written: what wants more is no line of a log.
const MOST: u32 = 256;

fn holds_group(hir: &Hir) -> bool {
    hir.properties().explicit_captures_len() > 0
}

/// A plain character of a class.
fn example(class: &Class) -> Option<char> {
    let is_in = |c: &char| match class {
        Class::Unicode(class) => class.iter().any(|r| r.start() <= *c && *c <= r.end()),
        Class::Bytes(class) => class
            .iter()
            .any(|r| u32::from(r.start()) <= u32::from(*c) && u32::from(*c) <= u32::from(r.end())),
    };
    "x1A :.-".chars().chain(' '..='~').chain(['\t']).find(is_in)
}

/// Whether a class is `.`, or as good as.
fn takes_anything(class: &Class) -> bool {
    " x1A:=.-<>[]()\"',;/%#".chars().all(|c| match class {
        Class::Unicode(class) => class.iter().any(|r| r.start() <= c && c <= r.end()),
        Class::Bytes(class) => class
            .iter()
            .any(|r| u32::from(r.start()) <= u32::from(c) && u32::from(c) <= u32::from(r.end())),
    })
}
