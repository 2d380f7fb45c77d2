//! Whether an expression matches that is tied to the line's start, as `required` of a shipped format
//! is: runs of a class, texts and choices, taken step by step where one look ahead tells how far a run
//! goes. A regex engine's automaton takes a step for each byte, and twice the time.
//!
//! Expressions that need more than that are left to the engine, and so is a line that branches too
//! often. The test at the end holds both to the same answers. `plan` makes the steps.

mod plan;

use regex_syntax::hir::Hir;

use super::line::Line;
use super::set::Set;
use super::text::Text;

/// How often a line may branch.
const MAX_BRANCHES: u32 = 16;

/// An expression as steps.
#[derive(Debug)]
pub(super) struct Anchored {
    steps: Vec<Step>,
    start: StepId,
}

type StepId = usize;

#[derive(Debug)]
enum Step {
    /// It matches.
    Done,
    /// Nothing may follow.
    End(StepId),
    /// This text.
    Text(Text, StepId),
    /// So many bytes; the table says for each byte in which of their places it may stand.
    Classes { len: usize, places: Box<[u16; 256]>, next: StepId },
    /// As many bytes of a class as there are, less the last few, which belong to what follows.
    Run { set: Box<Set>, min: usize, max: usize, back: usize, next: StepId },
    /// One of several ways; the table says which of them can begin with a byte.
    Choice { ways: Vec<StepId>, by_byte: Box<[u16; 256]>, at_end: u16, is_clear: bool },
}

impl Anchored {
    /// `None` when the expression has another shape.
    pub(super) fn recognise(hir: &Hir) -> Option<Self> {
        let (steps, start) = plan::steps(hir)?;
        Some(Self { steps, start })
    }

    /// Whether it matches; `None` when that takes too long to find out here.
    pub(super) fn is_match(&self, line: &Line<'_, '_>) -> Option<bool> {
        let mut branches = MAX_BRANCHES;
        self.goes_on(line, 0, self.start, &mut branches)
    }

    fn goes_on(
        &self,
        line: &Line<'_, '_>,
        mut at: usize,
        mut id: StepId,
        branches: &mut u32,
    ) -> Option<bool> {
        loop {
            match self.steps.get(id)? {
                Step::Done => return Some(true),
                Step::End(_) if at < line.bytes.len() => return Some(false),
                Step::End(next) => id = *next,
                Step::Text(text, next) => {
                    if !text.is_at(line.bytes, at) {
                        return Some(false);
                    }
                    at += text.len();
                    id = *next;
                }
                Step::Classes { len, places, next } => {
                    let Some(bytes) = line.bytes.get(at..at + len) else { return Some(false) };
                    let fits =
                        |(place, byte): (usize, &u8)| places[usize::from(*byte)] >> place & 1;
                    if bytes.iter().enumerate().map(fits).fold(1, |all, fits| all & fits) == 0 {
                        return Some(false);
                    }
                    at += len;
                    id = *next;
                }
                Step::Run { set, min, max, back, next } => {
                    match line.run(set, at).checked_sub(*back) {
                        Some(len) if len >= *min && len <= *max => at += len,
                        _ => return Some(false),
                    }
                    id = *next;
                }
                Step::Choice { ways, by_byte, at_end, is_clear } => {
                    let mut open = match line.bytes.get(at) {
                        Some(byte) => by_byte[usize::from(*byte)],
                        None => *at_end,
                    };
                    loop {
                        if open == 0 {
                            return Some(false);
                        }
                        let way = *ways.get(open.trailing_zeros() as usize)?;
                        open &= open - 1;
                        if open == 0 {
                            id = way;
                            break;
                        }
                        match self.steps.get(way)? {
                            // No other way can be right where this text stands.
                            Step::Text(text, next) if *is_clear => {
                                if text.is_at(line.bytes, at) {
                                    at += text.len();
                                    id = *next;
                                    break;
                                }
                            }
                            _ => {
                                *branches = branches.checked_sub(1)?;
                                if self.goes_on(line, at, way, branches)? {
                                    return Some(true);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::bytes::{Regex, RegexBuilder};

    use super::super::{dialect, line::Texts};
    use super::*;

    fn anchored(text: &str) -> Option<Anchored> {
        Anchored::recognise(&dialect::read(text).unwrap())
    }

    fn by_regex(text: &str) -> Regex {
        RegexBuilder::new(text).unicode(false).build().unwrap()
    }

    /// What it says of a line, held against the regex engine.
    #[track_caller]
    fn check(anchored: &Anchored, regex: &Regex, line: &[u8]) -> Option<bool> {
        let texts = Texts::new(b"no line has this = in it");
        let says = anchored.is_match(&texts.read(line));
        if let Some(says) = says {
            assert_eq!(says, regex.is_match(line), "{regex} on {}", line.escape_ascii());
        }
        says
    }

    #[test]
    fn what_one_look_ahead_can_decide_is_taken_and_nothing_else() {
        for yes in [
            "^portknock",
            "^a*",
            "^a{2,3}b",
            "^(?:ab|ac|[x-z])",
            "^[^=]*IN=",
            "^(?:<[0-7]>)?[A-Z][a-z]{2} ",
            "^(?:(?:AB|A|CD)=\\S* )*SRC=",
            "^(?:ab|a)b",
            "^a(?:b$|c)",
        ] {
            assert!(anchored(yes).is_some(), "{yes}");
        }
        for no in [
            "portknock",
            "^.*SRC=",
            "(?m)^a",
            "^[ab]*[bc]",
            "^(?:a|ab)*c",
            "^(?:ab)*a",
            "^(?:a*)*b",
            "^a\\bb",
            "^a{0,3}",
            "^(?:ab){2}",
        ] {
            assert!(anchored(no).is_none(), "{no}");
        }
    }

    #[test]
    fn the_shipped_format_is_among_them() {
        let file = include_str!("../../../../logformats/iptables.yaml");
        let (_, text) = file.split_once("required: |-\n").unwrap();
        let (text, _) = text.split_once("\n  #").unwrap();
        let text = text.trim_start();
        let (anchored, regex) = (anchored(text).unwrap(), by_regex(text));
        let lines = file.lines().filter_map(|line| line.trim().strip_prefix("- line: '"));
        let mut decided = 0;
        for line in lines.filter_map(|line| line.strip_suffix('\'')) {
            // And with each byte left out or another, which tears it in all places.
            for at in (0..=line.len()).step_by(3) {
                for other in [&b""[..], b" ", b"=", b"["] {
                    let (head, tail) = line.as_bytes().split_at(at);
                    let line = [head, other, tail.get(1..).unwrap_or_default()].concat();
                    decided += usize::from(check(&anchored, &regex, &line).is_some());
                }
            }
        }
        assert!(decided > 5_000, "{decided}");
    }

    /// Expressions in pieces that fit together in all ways.
    fn expressions() -> impl Strategy<Value = String> {
        let byte = prop::sample::select(vec!["a", "b", "=", " ", "[ab]", "[^=]", "\\S", "[^a]"]);
        let leaf = (byte, prop::sample::select(vec!["", "", "+", "*", "?", "{2}", "{1,2}"]))
            .prop_map(|(byte, times)| format!("{byte}{times}"));
        let tree = leaf.prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                prop::collection::vec(inner.clone(), 1..4)
                    .prop_map(|parts| format!("(?:{})", parts.join("|"))),
                (inner.clone(), prop::sample::select(vec!["*", "?"]))
                    .prop_map(|(part, times)| format!("(?:{part}){times}")),
                inner.prop_map(|part| format!("{part}$")),
            ]
        });
        prop::collection::vec(tree, 1..4).prop_map(|parts| format!("^{}", parts.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn agrees_with_the_regex_engine(text in expressions(), lines in prop::collection::vec("[ab= ]{0,8}", 20)) {
            if let Some(anchored) = anchored(&text) {
                let regex = by_regex(&text);
                for line in lines {
                    check(&anchored, &regex, line.as_bytes());
                }
            }
        }
    }
}
