//! Expressions of the usual shape, run without the regex engine: a literal, then a group that is
//! one greedy run of one class, then perhaps a literal, as in `SRC=([0-9.]+)` or ` DPT=(\d+) `; with
//! `^` in front, the first literal may be missing.
//! Captures are what a regex engine is slow at; this finds the same ones by a substring search and
//! a scan. The test at the end holds it to that.

use std::ops::Range;

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// The longest tail: it is compared at each place of a run, so its length multiplies the work.
const MAX_TAIL: usize = 32;

/// An expression of the usual shape.
#[derive(Debug)]
pub(super) struct Scan {
    /// Whether the literal, then perhaps empty, must stand at the line's start.
    anchored: bool,
    literal: Finder<'static>,
    class: [bool; 256],
    /// The fewest bytes of the class in a row.
    min: usize,
    /// What must follow; empty when nothing need.
    tail: Vec<u8>,
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
        let HirKind::Class(Class::Bytes(ranges)) = run.sub.kind() else { return None };
        let mut class = [false; 256];
        for range in ranges.ranges() {
            for byte in range.start()..=range.end() {
                *class.get_mut(usize::from(byte))? = true;
            }
        }
        let min = usize::try_from(run.min).ok()?;
        Some(Self { anchored, literal: Finder::new(&first).into_owned(), class, min, tail })
    }

    /// A text that every line with a match has; `None` when there is none to tell.
    pub(super) fn needle(&self) -> Option<&[u8]> {
        Some(self.literal.needle()).filter(|needle| !needle.is_empty())
    }

    /// Where the group is in each match, leftmost first.
    pub(super) fn captures<'s>(
        &'s self,
        line: &'s [u8],
    ) -> impl Iterator<Item = Range<usize>> + 's {
        let mut from = 0;
        std::iter::from_fn(move || {
            let at = self.next(line, from)?;
            // An empty match of an anchored expression is its only one.
            from = (at.end + self.tail.len()).max(1);
            Some(at)
        })
    }

    fn next(&self, line: &[u8], mut from: usize) -> Option<Range<usize>> {
        let head = self.literal.needle().len();
        if self.anchored {
            let rest = line.strip_prefix(self.literal.needle()).filter(|_| from == 0)?;
            let run = rest.iter().take_while(|byte| self.holds(**byte)).count();
            return self.length(rest, run).map(|len| head..head + len);
        }
        loop {
            let start = from + self.literal.find(line.get(from..)?)? + head;
            let rest = line.get(start..)?;
            let run = rest.iter().take_while(|byte| self.holds(**byte)).count();
            if let Some(len) = self.length(rest, run) {
                return Some(start..start + len);
            }
            // A literal that ends within this run sees the same end of the run and fails the same
            // way. Stepping over them keeps the time linear.
            from = start + run + 1 - head;
        }
    }

    fn holds(&self, byte: u8) -> bool {
        self.class.get(usize::from(byte)).copied().unwrap_or(false)
    }

    /// How much of the run the group takes: as much as leaves the tail behind it.
    fn length(&self, rest: &[u8], run: usize) -> Option<usize> {
        if run < self.min {
            return None;
        }
        match self.tail.first() {
            None => Some(run),
            Some(first) if !self.holds(*first) => {
                rest.get(run..)?.starts_with(&self.tail).then_some(run)
            }
            // The tail may lie within the run: the last place wins, since the run is greedy.
            Some(_) => (self.min..=run)
                .rev()
                .find(|len| rest.get(*len..).is_some_and(|rest| rest.starts_with(&self.tail))),
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
        assert_eq!(scan("a([ab]*)c").unwrap().captures(&line).count(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn agrees_with_the_regex_engine(
            text in prop::sample::select(vec![
                "a([ab]+)", "a([ab]*)b", "ab([ab ]*)ab", "a( *)", "=([a-c.]+) ", "aa([b]{2,})", "a([^b]+)b",
                "a([ab]{2,})ba", "ba(\\S+)a ", "a([ab]+)c", " a(.*) ", "^([ab]+)", "^a([ab]*)b", "^([^=]*)", "^a([bc]+) ", "^([ab]*)c",
            ]),
            line in "[abc =.]{0,60}",
        ) {
            let line = line.into_bytes();
            // A class of one byte becomes a literal and is left to the engine.
            if let Some(scan) = scan(text) {
                let got: Vec<_> = scan.captures(&line).collect();
                prop_assert_eq!(got, by_regex(text, &line));
            }
        }

        #[test]
        fn agrees_on_arbitrary_bytes(line in prop::collection::vec(any::<u8>(), 0..200), text in prop::sample::select(vec![
            "\\x80([\\x00-\\x7f]+)", "a(\\S+)", "\\x00([^\\x01]*)\\x02",
        ])) {
            let got: Vec<_> = scan(text).unwrap().captures(&line).collect();
            prop_assert_eq!(got, by_regex(text, &line));
        }
    }
}
