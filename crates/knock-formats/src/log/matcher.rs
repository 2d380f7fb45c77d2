//! One expression at work: whether it matches; or its captures in a line, one after another, and the first of them that
//! is a value of its type. What a value is, `fields.rs` tells.

use std::sync::Mutex;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_syntax::hir::Hir;

use super::ErrorKind;
use super::anchored::Anchored;
use super::line::{Line, Texts};
use super::prefilter::Scan;

/// How many captures of one expression are tried in a line before it is given up. An honest line
/// has one or two; a bound keeps the time linear whatever the expression.
const MAX_TRIES: usize = 64;

/// The most memory, in bytes, that one compiled expression may take; the same again for the
/// states that it builds while it runs.
const MAX_COMPILED: usize = 1 << 20;

/// An expression compiled as it is meant here: bytes, ASCII classes, bounded.
pub(super) fn compile(text: &str) -> Result<Regex, ErrorKind> {
    RegexBuilder::new(text)
        .unicode(false)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => ErrorKind::TooBig,
            other => ErrorKind::Syntax { what: other.to_string() },
        })
}

/// An expression that captures nothing.
#[derive(Debug)]
pub(super) struct Test {
    quick: Option<Anchored>,
    regex: Regex,
}

impl Test {
    pub(super) fn compile(text: &str, hir: &Hir) -> Result<Self, ErrorKind> {
        Ok(Self { regex: compile(text)?, quick: Anchored::recognise(hir) })
    }

    pub(super) fn is_match(&self, line: &Line<'_, '_>) -> bool {
        let quick = self.quick.as_ref().and_then(|quick| quick.is_match(line));
        quick.unwrap_or_else(|| self.regex.is_match(line.bytes))
    }
}

/// An expression with a group.
#[derive(Debug)]
pub(super) enum Matcher {
    /// Of the usual shape: needs no regex engine.
    Scan(Box<Scan>),
    /// Any other.
    Regex(Box<Groups>),
}

/// What an expression found in a line.
pub(super) enum Found<'l, T> {
    /// The first valid value, and where in the line it begins.
    Value(T, usize),
    /// Captures, but none of them valid; this was the first.
    Bad(&'l [u8]),
    /// No capture.
    Nothing,
}

impl Matcher {
    pub(super) fn compile(text: &str, hir: &Hir) -> Result<Self, ErrorKind> {
        // Compiled in any case, so that the size limit holds for every shape.
        let regex = compile(text)?;
        Ok(match Scan::recognise(hir) {
            Some(scan) => Self::Scan(Box::new(scan)),
            None => Self::Regex(Box::new(Groups {
                spare: Mutex::new(regex.capture_locations()),
                regex,
            })),
        })
    }

    /// Lets lines that these texts are looked for in tell where its text first stands.
    pub(super) fn look_in(mut self, texts: &mut Texts) -> Self {
        if let Self::Scan(scan) = &mut self {
            scan.look_in(texts);
        }
        self
    }

    /// The first capture that `parse` takes.
    pub(super) fn first<'l, T>(
        &self,
        line: &Line<'l, '_>,
        parse: impl Fn(&'l [u8]) -> Option<T>,
    ) -> Found<'l, T> {
        // Nearly always the first match is the one.
        if let Self::Scan(scan) = self
            && let Some(at) = scan.first(line)
            && let Some(value) = line.bytes.get(at.clone()).and_then(&parse)
        {
            return Found::Value(value, at.start);
        }
        self.search(line, parse)
    }

    fn search<'l, T>(
        &self,
        line: &Line<'l, '_>,
        parse: impl Fn(&'l [u8]) -> Option<T>,
    ) -> Found<'l, T> {
        if let Self::Scan(scan) = self
            && scan.is_nowhere(line)
        {
            return Found::Nothing;
        }
        let mut bad = None;
        let mut take = |start: usize, text: &'l [u8]| {
            let value = parse(text).map(|value| (value, start));
            if value.is_none() && bad.is_none() {
                bad = Some(text);
            }
            value
        };
        let value = match self {
            Self::Scan(scan) => scan
                .captures(line)
                .take(MAX_TRIES)
                .find_map(|at| line.bytes.get(at.clone()).and_then(|text| take(at.start, text))),
            Self::Regex(groups) => groups.find_map(line.bytes, take),
        };
        match (value, bad) {
            (Some((value, start)), _) => Found::Value(value, start),
            (None, Some(text)) => Found::Bad(text),
            (None, None) => Found::Nothing,
        }
    }
}

/// An expression for the regex engine, which reports captures into memory that it is given.
#[derive(Debug)]
pub(super) struct Groups {
    regex: Regex,
    /// Used by one thread at a time, so that no line costs an allocation; a second thread that
    /// comes at the same moment makes its own.
    spare: Mutex<CaptureLocations>,
}

impl Groups {
    fn find_map<'l, T>(
        &self,
        line: &'l [u8],
        mut take: impl FnMut(usize, &'l [u8]) -> Option<T>,
    ) -> Option<T> {
        let mut own;
        let mut lent = self.spare.try_lock();
        let places = match &mut lent {
            Ok(places) => &mut **places,
            Err(_) => {
                own = self.regex.capture_locations();
                &mut own
            }
        };
        let mut from = 0;
        for _ in 0..MAX_TRIES {
            if from > line.len() {
                return None;
            }
            let whole = self.regex.captures_read_at(places, line, from)?;
            if let Some((start, end)) = places.get(1)
                && let Some(text) = line.get(start..end)
                && let Some(value) = take(start, text)
            {
                return Some(value);
            }
            from = if whole.is_empty() { whole.end() + 1 } else { whole.end() };
        }
        None
    }
}
