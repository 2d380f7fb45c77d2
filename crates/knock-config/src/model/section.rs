//! One part of a file, read by the table of keys: unknown keys, repeated keys and values of the
//! wrong sort are all found here. What a key means is told elsewhere.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keys::{self, Key, Kind, Repeats, Within};
use crate::model::{ReadOptions, Setting, values};
use crate::place::{Place, SourceText};
use crate::problem::{Problem, Reading, Severity};
use crate::suggest::nearest;
use crate::syntax::{Extent, Syntax};
use crate::tree::{Block, Entry, Found, Node, Scalar, Table};

/// Reads one file and remembers what is wrong with it.
pub(super) struct Reader<'o> {
    pub(super) syntax: Syntax,
    pub(super) path: PathBuf,
    pub(super) options: &'o ReadOptions,
    problems: Vec<Problem>,
    extent: Extent,
}

/// One part of the file: a table of which the keys have been looked at.
pub(super) struct Section<'a> {
    pub(super) within: Within,
    pub(super) table: &'a Table,
}

impl<'o> Reader<'o> {
    /// For this file, with the problems that its syntax had.
    pub(super) fn new(
        source: &SourceText,
        options: &'o ReadOptions,
        problems: Vec<Problem>,
    ) -> Self {
        let syntax = Syntax::of(&source.path);
        Self { syntax, path: source.path.clone(), options, problems, extent: Extent::Whole }
    }

    /// For a file of which the tree may not hold all.
    pub(super) fn relying_on(self, extent: Extent) -> Self {
        Self { extent, ..self }
    }

    /// Whether what is not in the tree is not in the file either.
    pub(super) fn is_whole(&self) -> bool {
        self.extent == Extent::Whole
    }

    /// For what is wrong by the absence of something, or by its place: of a file that is broken
    /// elsewhere it cannot be told.
    pub(super) fn add_if_whole(&mut self, problem: Problem) {
        if self.is_whole() {
            self.add(problem);
        }
    }

    /// The folder that relative paths in the file start from.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// What was read, with every problem in the order of the file.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Reading<T> {
        // What has no place concerns the whole and comes last.
        self.problems.sort_by(|a, b| (a.at.is_none(), &a.at).cmp(&(b.at.is_none(), &b.at)));
        self.problems.dedup();
        let Reading { value, problems } = Reading::new(value, self.problems);
        Reading { value: value.flatten(), problems }
    }

    pub(super) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    pub(super) fn error(&mut self, at: Place, message: impl Display) {
        self.add(Problem::error(at, message.to_string()));
    }

    /// Takes over what another reading found.
    pub(super) fn take<T>(&mut self, reading: Reading<T>) -> Option<T> {
        self.problems.extend(reading.problems);
        reading.value
    }

    /// An error where the syntax can be held to it, a warning where an old file must start.
    pub(super) fn strictness(&self) -> Severity {
        match self.syntax {
            Syntax::Legacy if !self.options.strict => Severity::Warning,
            Syntax::Legacy | Syntax::Yaml => Severity::Error,
        }
    }

    /// Looks at every key of a table.
    pub(super) fn section<'a>(&mut self, within: Within, table: &'a Table) -> Section<'a> {
        for entry in table.iter() {
            // Directly in `logformats` a block is a format by its name; likewise a filter.
            let named = matches!(within, Within::Logformats | Within::Ethfilters)
                && !matches!(entry.node, Node::Scalar(_));
            match keys::find(within, &entry.key) {
                None if named => {}
                None => self.unknown_key(within, &entry.key, entry.key_at()),
                Some(key) => self.known_key(key, entry),
            }
        }
        Section { within, table }
    }

    fn unknown_key(&mut self, within: Within, name: &str, at: Place) {
        let help = match nearest(name, keys::names(within)) {
            Some(near) => Some(format!("did you mean '{near}'?")),
            None if name.eq_ignore_ascii_case("include") && self.syntax == Syntax::Legacy => {
                Some("another file is read in by <<include FILE>>".to_owned())
            }
            None => keys::KEYS
                .iter()
                .find(|key| key.name == name)
                .map(|key| format!("'{name}' belongs into {}", key.within)),
        };
        let message = format!("unknown key '{name}' in {within}");
        self.add_if_whole(Problem { severity: self.strictness(), at: Some(at), message, help });
    }

    fn known_key(&mut self, key: &Key, entry: &Entry) {
        let name = key.name;
        if key.repeats == Repeats::Often {
            return;
        }
        for again in entry.occurrences().skip(1) {
            let (what, help) = match self.syntax {
                Syntax::Legacy => {
                    let line = entry.key_at().line;
                    (
                        "is given twice",
                        format!("it takes one value, and the first is in line {line}"),
                    )
                }
                Syntax::Yaml => ("takes one value, not a list", format!("expected {}", key.kind)),
            };
            self.add(Problem::error(again.key_at(), format!("'{name}' {what}")).with_help(help));
            if self.syntax == Syntax::Yaml {
                break;
            }
        }
    }

    /// Every value of a key, in order.
    pub(super) fn texts<'a>(
        &mut self,
        section: &Section<'a>,
        name: &'static str,
    ) -> Vec<&'a Scalar> {
        let key = section.key(name);
        let found: Vec<Found<'a>> = section.table.entries(name).collect();
        found.into_iter().filter_map(|found| self.text_of(key, found)).collect()
    }

    /// The value of a key.
    pub(super) fn text<'a>(
        &mut self,
        section: &Section<'a>,
        name: &'static str,
    ) -> Option<&'a Scalar> {
        let key = section.key(name);
        let found = section.table.entries(name).next()?;
        self.text_of(key, found)
    }

    fn text_of<'a>(&mut self, key: &Key, found: Found<'a>) -> Option<&'a Scalar> {
        let any_text = key.kind == Kind::Text;
        // In the original an empty delay or state was no delay and no state.
        let may_be_empty = any_text || matches!(key.kind, Kind::Delay | Kind::StateUpdate);
        match found.node {
            Node::Scalar(text) if any_text => Some(text),
            Node::Scalar(text) if text.text().trim().is_empty() => {
                if !may_be_empty {
                    self.expected(key, text.place(), "has no value");
                }
                None
            }
            Node::Scalar(text) if !text.is_utf8() && key.kind != Kind::Path => {
                self.expected(key, text.place(), "is not UTF-8 text");
                None
            }
            Node::Scalar(text) => Some(text),
            Node::Null(_) if may_be_empty && !any_text => None,
            Node::Null(_) => {
                self.expected(key, found.key_at(), "has no value");
                None
            }
            Node::Table(_) | Node::List(_) => {
                let what = format!("takes a value, this is {}", found.node.kind());
                self.expected(key, found.key_at(), &what);
                None
            }
        }
    }

    fn expected(&mut self, key: &Key, at: Place, what: &str) {
        self.error(at, format!("'{}' {what}; expected {}", key.name, key.kind));
    }

    /// A value that `parse` understands; else an error that says what was expected.
    pub(super) fn parsed<T>(
        &mut self,
        section: &Section<'_>,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Setting<T>> {
        let text = self.text(section, name)?;
        match parse(text.text()) {
            Some(value) => Some(Setting::from_text(value, text)),
            None => {
                let kind = section.key(name).kind;
                self.error(text.place(), format!("expected {kind}, not '{}'", text.text().trim()));
                None
            }
        }
    }

    pub(super) fn yes_no(&mut self, at: &Section<'_>, name: &'static str) -> Option<Setting<bool>> {
        self.parsed(at, name, values::yes_no)
    }

    pub(super) fn duration(
        &mut self,
        at: &Section<'_>,
        name: &'static str,
    ) -> Option<Setting<Duration>> {
        self.parsed(at, name, values::duration)
    }

    pub(super) fn string(
        &mut self,
        at: &Section<'_>,
        name: &'static str,
    ) -> Option<Setting<String>> {
        self.parsed(at, name, |text| Some(text.to_owned()))
    }

    pub(super) fn count(&mut self, at: &Section<'_>, name: &'static str) -> Option<usize> {
        let read = |text: &str| text.trim().parse().ok().filter(|count| *count > 0);
        self.parsed(at, name, read).map(|count| count.value)
    }

    pub(super) fn port(&mut self, at: &Section<'_>, name: &'static str) -> Option<u16> {
        let read = |text: &str| text.trim().parse().ok().filter(|port| *port > 0);
        self.parsed(at, name, read).map(|port| port.value)
    }

    pub(super) fn byte(&mut self, at: &Section<'_>, name: &'static str) -> Option<u8> {
        self.parsed(at, name, |text| text.trim().parse().ok()).map(|byte| byte.value)
    }

    pub(super) fn address(&mut self, at: &Section<'_>, name: &'static str) -> Option<IpAddr> {
        self.parsed(at, name, |text| text.trim().parse().ok()).map(|address| address.value)
    }

    /// All blocks of a kind, named or not.
    pub(super) fn blocks<'a>(&mut self, at: &Section<'a>, name: &'static str) -> Vec<Block<'a>> {
        let key = at.key(name);
        let found = at.table.blocks(name);
        for stray in found.strays {
            let what = stray.node.kind();
            let message = format!("'{}' takes a block, this is {what}", key.name);
            self.add_if_whole(Problem::error(stray.key_at(), message));
        }
        found.blocks
    }

    /// How a block with a name is written in this file.
    pub(super) fn named(&self, kind: &str) -> Cow<'static, str> {
        match self.syntax {
            Syntax::Legacy => format!("write <{kind} NAME>").into(),
            Syntax::Yaml => format!("write '{kind}:', and the name below it").into(),
        }
    }
}

impl Section<'_> {
    /// The row of the table; reading a key that has none is a mistake of ours.
    pub(super) fn key(&self, name: &'static str) -> &'static Key {
        #[cfg(test)]
        asked::note(self.within, name);
        match keys::find(self.within, name) {
            Some(key) => key,
            None => unreachable!("'{name}' is not in the table of keys for {}", self.within),
        }
    }
}

/// The text of a path, byte for byte.
pub(super) fn path_of(text: &Scalar) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(text.bytes()))
}

/// Which keys the model has asked for, so that a test can hold the table against it.
#[cfg(test)]
pub(super) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use crate::keys::Within;

    thread_local! {
        static ASKED: RefCell<BTreeSet<(String, &'static str)>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(within: Within, name: &'static str) {
        ASKED.with_borrow_mut(|asked| asked.insert((within.to_string(), name)));
    }

    pub(in crate::model) fn all() -> BTreeSet<(String, &'static str)> {
        ASKED.with_borrow(Clone::clone)
    }
}
