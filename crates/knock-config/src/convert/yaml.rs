//! A document as YAML. What must be quoted so that other readers of YAML see text as well is quoted.

use super::document::{Block, Entry, Item, Line, Value};
use crate::keys::Kind;

/// The whole file.
pub(super) fn write(root: &Block) -> String {
    let mut writer = Writer { out: String::new() };
    writer.block(root, 0);
    let mut out = writer.out;
    // What ends a file is its last line.
    out.truncate(out.trim_end().len());
    let first = out.len() - out.trim_start_matches('\n').len();
    out.drain(..first);
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

struct Writer {
    out: String,
}

impl Writer {
    fn block(&mut self, block: &Block, indent: usize) {
        for entry in &block.entries {
            match &entry.off {
                Some(why) => self.off(entry, why, indent),
                None => self.entry(entry, indent),
            }
        }
        self.lines(&block.end, indent);
    }

    /// An entry as a comment, which may be made an entry again by taking away `# `.
    fn off(&mut self, entry: &Entry, why: &str, indent: usize) {
        // Its own comments are comments already.
        let mut entry = entry.clone();
        self.lines(&std::mem::take(&mut entry.before), indent);
        self.lines(&[Line::Comment(format!(" {why}:"))], indent);
        let mut inner = Writer { out: String::new() };
        inner.entry(&entry, 0);
        for line in inner.out.lines() {
            self.lines(&[Line::Comment(format!(" {line}"))], indent);
        }
    }

    fn entry(&mut self, entry: &Entry, indent: usize) {
        self.lines(&entry.before, indent);
        let key = key(&entry.key);
        match entry.items.as_slice() {
            [item] if !entry.is_list() => {
                self.lines(&item.before, indent);
                self.start(indent, &format!("{key}:"));
                self.value(item, entry.kind, indent);
                self.lines(&item.after, indent);
            }
            [] => {
                self.start(indent, &format!("{key}: []"));
                self.out.push('\n');
            }
            items => {
                self.start(indent, &format!("{key}:"));
                self.out.push('\n');
                for item in items {
                    self.item(item, entry.kind, indent + 2);
                }
            }
        }
    }

    fn item(&mut self, item: &Item, kind: Option<Kind>, indent: usize) {
        self.lines(&item.before, indent);
        let Value::Block(block) = &item.value else {
            self.start(indent, "-");
            self.value(item, kind, indent);
            self.lines(&item.after, indent);
            return;
        };
        for beside in &item.beside {
            self.lines(&[Line::Comment(beside.clone())], indent);
        }
        let mut inner = Writer { out: String::new() };
        inner.block(block, indent + 2);
        let mut waits_for_dash = true;
        for line in inner.out.split_inclusive('\n') {
            let text = line.trim();
            match line.get(indent + 2..) {
                // Comments above the first key stand above the dash.
                Some(rest) if waits_for_dash && !text.is_empty() && !text.starts_with('#') => {
                    self.start(indent, &format!("- {rest}"));
                    waits_for_dash = false;
                }
                _ if waits_for_dash && !text.is_empty() => {
                    self.start(indent, line.trim_start());
                }
                _ => self.out.push_str(line),
            }
        }
        if waits_for_dash {
            self.start(indent, "- {}\n");
        }
        self.lines(&item.after, indent);
    }

    /// What stands behind `key:` or `-`.
    fn value(&mut self, item: &Item, kind: Option<Kind>, indent: usize) {
        let beside: String = item.beside.iter().map(|text| format!(" #{text}")).collect();
        match &item.value {
            Value::Null | Value::Bad(_) => self.out.push_str(&beside),
            Value::Text(text) => match literal(text, indent + 2) {
                Some((header, lines)) => {
                    self.out.push_str(&format!(" {header}{beside}\n{lines}"));
                    return;
                }
                None => self.out.push_str(&format!(" {}{beside}", scalar(text, kind))),
            },
            Value::Block(block) => {
                let mut inner = Writer { out: String::new() };
                inner.block(block, indent + 2);
                let empty = block.entries.iter().all(|entry| entry.off.is_some());
                self.out.push_str(if empty { " {}" } else { "" });
                self.out.push_str(&format!("{beside}\n{}", inner.out));
                return;
            }
        }
        self.out.push('\n');
    }

    fn lines(&mut self, lines: &[Line], indent: usize) {
        for line in lines {
            match line {
                // One empty line is as good as three.
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

fn key(text: &str) -> String {
    if is_plain(text) && !means_something(text) { text.to_owned() } else { quoted(text) }
}

fn scalar(text: &str, kind: Option<Kind>) -> String {
    let plain_kind = matches!(
        kind,
        Some(
            Kind::YesNo
                | Kind::OneOf(_)
                | Kind::SomeOf(_)
                | Kind::Duration
                | Kind::Milliseconds
                | Kind::Delay
                | Kind::Count
                | Kind::Port
                | Kind::Ports
                | Kind::Byte
                | Kind::Group
                | Kind::Lease
                | Kind::MaxLease
                | Kind::PortNumber
                | Kind::Prefix4
                | Kind::Prefix6
                | Kind::Address
                | Kind::PacketNumber
        )
    );
    let plain = is_plain(text) && !is_null(text) && (plain_kind || !means_something(text));
    if plain { text.to_owned() } else { quoted(text) }
}

/// Text that needs no quotes to be text, apart from what it may be taken for.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let begins = first.is_alphanumeric()
        || "/.(^$+_\\;".contains(first)
        || first == '-' && text.chars().nth(1).is_some_and(|second| !second.is_whitespace());
    begins
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with("---")
        && !text.starts_with("...")
        && text.chars().all(|c| c == ' ' || is_safe(c) && !c.is_whitespace())
}

/// Not to be taken for a number, a date, yes, no or nothing.
fn means_something(text: &str) -> bool {
    const WORDS: [&str; 8] = ["yes", "no", "on", "off", "true", "false", "y", "n"];
    let lower = text.to_ascii_lowercase();
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.chars().all(|c| c.is_ascii_hexdigit() || "xXoO_.:+-TtZz ".contains(c));
    let special = lower.trim_start_matches(['+', '-']);
    is_null(text)
        || WORDS.contains(&lower.as_str())
        || numeric
        || [".inf", ".nan"].contains(&special)
}

fn is_null(text: &str) -> bool {
    text.is_empty() || text == "~" || text.eq_ignore_ascii_case("null")
}

/// In quotes: single ones, in which nothing but themselves means anything, where that will do.
fn quoted(text: &str) -> String {
    if text.chars().all(is_safe) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_safe(c) => out.push(c),
            c => match u32::from(c) {
                code @ 0..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code @ 0x100..=0xffff => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    out.push('"');
    out
}

/// A character that stands for itself on one line of any YAML.
pub(super) fn is_safe(c: char) -> bool {
    let breaks = matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    let never = matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff);
    !breaks && !never && (c == '\t' || !c.is_control())
}

/// Several lines as they are: the header and the indented lines. `None` for what no block can hold.
fn literal(text: &str, indent: usize) -> Option<(String, String)> {
    let body = text.trim_end_matches('\n');
    let breaks = text.len() - body.len();
    let fits = text.contains('\n') && !body.is_empty() && !body.starts_with('\n');
    let plain = body.lines().all(|line| !line.trim().is_empty() || line.is_empty());
    if !fits || !plain || !text.chars().all(|c| c == '\n' || is_safe(c)) || body.contains('\t') {
        return None;
    }
    let hint = if body.starts_with(' ') { "2" } else { "" };
    let chomp = match breaks {
        0 => "-",
        1 => "",
        // A comment behind them would end them all the same, but nobody could see how many they are.
        _ => return None,
    };
    let mut lines = String::new();
    for line in body.split('\n') {
        if !line.is_empty() {
            lines.extend(std::iter::repeat_n(' ', indent));
            lines.push_str(line);
        }
        lines.push('\n');
    }
    Some((format!("|{hint}{chomp}"), lines))
}
