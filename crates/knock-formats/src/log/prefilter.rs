//! Expressions of the usual shape, run without the regex engine: a literal, then a group that is
//! one greedy run of one class, then perhaps a literal, as in `SRC=([0-9.]+)` or ` DPT=(\d+) `; with
//! `^` in front, the first literal may be missing.
//! Captures are what a regex engine is slow at; this finds the same ones by a substring search and
//! a scan. The test at the end holds it to that.

use std::ops::Range;

use memchr::memmem::Finder;
use regex_syntax::hir::{Hir, HirKind, Look};

use super::line::{Line, Place, TextId, Texts};
use super::set::Set;
use super::text::Text;

/// The longest tail: it is compared at each place of a run, so its length multiplies the work.
const MAX_TAIL: usize = 32;

/// An expression of the usual shape.
#[derive(Debug)]
pub(super) struct Scan {
    /// Whether the literal, then perhaps empty, must stand at the line's start.
    anchored: bool,
    literal: Finder<'static>,
    /// By which lines tell where it first stands.
    text: Option<TextId>,
    class: Set,
    /// The fewest bytes of the class in a row.
    min: usize,
    /// What must follow; empty when nothing need.
    tail: Text,
    /// Which byte of that is the first that is not of the class.
    within: Option<usize>,
}

impl Scan {
    /// `None` when the expression has any other shape.
    pub(super) fn recognise(hir: &Hir) -> Option<Self> {
        let HirKind::Concat(parts) = hir.kind() else { return None };
        let (anchored, parts) = match parts.split_first() {
            Some((first, rest)) if matches!(first.kind(), HirKind::Look(Look::Start)) => {
                (true, rest)
            }
            _ => (false, parts.as_slice()),
        };
        let literal = |part: &Hir| match part.kind() {
            HirKind::Literal(literal) => Some(literal.0.to_vec()),
            _ => None,
        };
        let (first, group, tail) = match parts {
            [group] if anchored => (Vec::new(), group, Vec::new()),
            [group, tail] if anchored && literal(group).is_none() => {
                (Vec::new(), group, literal(tail)?)
            }
            [first, group] => (literal(first)?, group, Vec::new()),
            [first, group, tail] => (literal(first)?, group, literal(tail)?),
            _ => return None,
        };
        if tail.len() > MAX_TAIL {
            return None;
        }
        let HirKind::Capture(capture) = group.kind() else { return None };
        let HirKind::Repetition(run) = capture.sub.kind() else { return None };
        if run.max.is_some() || !run.greedy {
            return None;
        }
        let class = Set::of_class(&run.sub)?;
        let min = usize::try_from(run.min).ok()?;
        let within = class.first_other(&tail);
        let tail = Text::new(tail);
        let literal = Finder::new(&first).into_owned();
        Some(Self { anchored, literal, text: None, class, min, tail, within })
    }

    /// Lets lines that these texts are looked for in tell where the literal first stands.
    pub(super) fn look_in(&mut self, texts: &mut Texts) {
        self.text = texts.add(self.literal.needle());
    }

    /// Where the group is in the first match, if that is quick to say; `None` says nothing.
    #[inline]
    pub(super) fn first(&self, line: &Line<'_, '_>) -> Option<Range<usize>> {
        let start = match line.place(self.text) {
            Place::At(at) if !self.anchored => at + self.literal.needle().len(),
            Place::Unknown if self.anchored && self.literal.needle().is_empty() => 0,
            _ => return None,
        };
        let len = self.length(line, start, line.run(&self.class, start))?;
        Some(start..start + len)
    }

    /// Whether it is known that there is no match.
    pub(super) fn is_nowhere(&self, line: &Line<'_, '_>) -> bool {
        line.place(self.text) == Place::Nowhere
    }

    /// Where the group is in each match, leftmost first.
    pub(super) fn captures<'s>(
        &'s self,
        line: &'s Line<'_, '_>,
    ) -> impl Iterator<Item = Range<usize>> + 's {
        let mut from = 0;
        let mut first = line.place(self.text);
        std::iter::from_fn(move || {
            let first = std::mem::replace(&mut first, Place::Unknown);
            let at = self.next(line, from, first)?;
            // An empty match of an anchored expression is its only one.
            from = (at.end + self.tail.len()).max(1);
            Some(at)
        })
    }

    fn next(&self, line: &Line<'_, '_>, mut from: usize, mut first: Place) -> Option<Range<usize>> {
        let head = self.literal.needle().len();
        if self.anchored {
            let is_here = from == 0 && line.bytes.starts_with(self.literal.needle());
            let len = self.length(line, head, line.run(&self.class, head)).filter(|_| is_here)?;
            return Some(head..head + len);
        }
        loop {
            let start = head
                + match std::mem::replace(&mut first, Place::Unknown) {
                    Place::At(at) => at,
                    Place::Nowhere => return None,
                    Place::Unknown => from + self.literal.find(line.bytes.get(from..)?)?,
                };
            let run = line.run(&self.class, start);
            if let Some(len) = self.length(line, start, run) {
                return Some(start..start + len);
            }
            // A literal that ends within this run sees the same end of the run and fails the same
            // way. Stepping over them keeps the time linear.
            from = start + run + 1 - head;
        }
    }

    /// How much of the run the group takes: as much as leaves the tail behind it.
    #[inline]
    fn length(&self, line: &Line<'_, '_>, start: usize, run: usize) -> Option<usize> {
        if run < self.min {
            return None;
        }
        let has_tail = |len: &usize| self.tail.is_at(line.bytes, start + len);
        match self.within {
            // What of the tail lies within the run is so long, and the run ends there.
            Some(within) => run.checked_sub(within).filter(|len| *len >= self.min).filter(has_tail),
            // All of the tail is of the class: the last place wins, since the run is greedy.
            None => (self.min..=run).rev().find(has_tail),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::bytes::RegexBuilder;

    use super::super::dialect;
    use super::*;

    fn scan(text: &str) -> Option<Scan> {
        Scan::recognise(&dialect::read(text).unwrap())
    }

    /// What it captures, found by each `=` or by a search of its own.
    fn captures(text: &str, line: &[u8]) -> Option<Vec<Range<usize>>> {
        let mut texts = Texts::new(b"no line has this = in it");
        let mut scan = scan(text)?;
        let by_search: Vec<_> = scan.captures(&texts.read(line)).collect();
        scan.look_in(&mut texts);
        assert_eq!(scan.captures(&texts.read(line)).collect::<Vec<_>>(), by_search);
        assert!(
            scan.first(&texts.read(line)).is_none_or(|first| Some(&first) == by_search.first())
        );
        Some(by_search)
    }

    /// What the regex engine captures, match by match.
    fn by_regex(text: &str, line: &[u8]) -> Vec<Range<usize>> {
        let regex = RegexBuilder::new(text).unicode(false).build().unwrap();
        regex.captures_iter(line).map(|found| found.get(1).unwrap().range()).collect()
    }

    #[test]
    fn the_usual_shape_is_recognised_and_no_other() {
        for yes in [
            "SRC=([0-9.]+)",
            "DPT=(\\d+)",
            " SRC=(\\S+) ",
            "x(\\d*)",
            "(?:a)b(.{2,})c",
            "RES=([A-Z ]+)URGP=",
            "^([^=]+)",
            "^([^=]+)=",
            "^x(\\d*)",
            "^x(\\d+) ",
        ] {
            assert!(scan(yes).is_some(), "{yes}");
        }
        for no in [
            "(\\d+)",
            "^(SRC=\\S+)",
            "(?m)^SRC=(\\S+)",
            "SRC=(\\S+?) ",
            "SRC=(\\d{1,5})",
            "(?i)src=(\\S+)",
            "SRC=(\\S+) .*",
            "SRC=\\S+",
            "SRC=(\\S+)$",
            "SRC=(\\d+\\.\\d+)",
            "\\bSRC=(\\S+)",
        ] {
            assert!(scan(no).is_none(), "{no}");
        }
    }

    #[test]
    fn a_run_that_fails_is_not_walked_again_and_again() {
        // Quadratic work would be 4 * 10^9 steps here.
        let line = vec![b'a'; 64 * 1024];
        assert_eq!(captures("a([ab]*)c", &line), Some(vec![]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn agrees_with_the_regex_engine(
            text in prop::sample::select(vec![
                "a([ab]+)", "a([ab]*)b", "ab([ab ]*)ab", "a( *)", "=([a-c.]+) ", "aa([b]{2,})", "a([^b]+)b",
                "a([ab]{2,})ba", "ba(\\S+)a ", "a([ab]+)c", " a(.*) ", "^([ab]+)", "^a([ab]*)b", "^([^=]*)", "^a([bc]+) ", "^([ab]*)c", "=a([bc]+) ", "a=([ab=]*)=a", "a=([ab ]+)ba=c",
            ]),
            line in "[abc =.]{0,60}",
        ) {
            let line = line.into_bytes();
            // A class of one byte becomes a literal and is left to the engine.
            if let Some(got) = captures(text, &line) {
                prop_assert_eq!(got, by_regex(text, &line));
            }
        }

        #[test]
        fn agrees_on_arbitrary_bytes(line in prop::collection::vec(any::<u8>(), 0..200), text in prop::sample::select(vec![
            "\\x80([\\x00-\\x7f]+)", "a(\\S+)", "\\x00([^\\x01]*)\\x02",
        ])) {
            prop_assert_eq!(captures(text, &line).unwrap(), by_regex(text, &line));
        }
    }
}
