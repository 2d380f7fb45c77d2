//! Whether an expression matches that is tied to the line's start, as `required` of a shipped format
//! is: runs of a class, texts and choices, taken step by step where one look ahead tells how far a run
//! goes. A regex engine's automaton takes a step for each byte, and twice the time.
//!
//! Expressions that need more than that are left to the engine, and so is a line that branches too
//! often. The test at the end holds both to the same answers.

use regex_syntax::hir::{Hir, HirKind, Look};

use super::line::Line;
use super::set::Set;
use super::text::Text;

/// The most steps of one expression; more are left to the engine.
const MAX_STEPS: usize = 1000;

/// The most ways that one choice has.
const MAX_WAYS: usize = 16;

/// The most bytes that are looked at together, each with its class.
const MAX_CLASSES: usize = 16;

/// How often a line may branch.
const MAX_BRANCHES: u32 = 16;

/// An expression as steps.
#[derive(Debug)]
pub(super) struct Anchored {
    steps: Vec<Step>,
    start: StepId,
}

type StepId = usize;

/// A step, and what is known of it and all behind it.
#[derive(Debug)]
struct Planned {
    step: Step,
    /// The bytes that it can begin with.
    first: Set,
    /// Whether nothing more is needed for a match.
    is_done: bool,
    /// Whether it can match at the line's end without a byte.
    at_end: bool,
}

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
        let HirKind::Concat(parts) = hir.kind() else { return None };
        let (first, rest) = parts.split_first()?;
        if !matches!(first.kind(), HirKind::Look(Look::Start)) {
            return None;
        }
        let mut plan = Plan { steps: Vec::new() };
        let done = plan.add(Planned {
            step: Step::Done,
            first: Set::none(),
            is_done: true,
            at_end: true,
        })?;
        let start = plan.sequence(rest, done)?;
        Some(Self { steps: plan.steps.into_iter().map(|planned| planned.step).collect(), start })
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

/// Steps being made, from the expression's end to its start.
struct Plan {
    steps: Vec<Planned>,
}

impl Plan {
    fn add(&mut self, planned: Planned) -> Option<StepId> {
        self.steps.push(planned);
        (self.steps.len() <= MAX_STEPS).then(|| self.steps.len() - 1)
    }

    /// Parts that follow each other, and then `next`.
    fn sequence(&mut self, parts: &[Hir], mut next: StepId) -> Option<StepId> {
        // Neighbours that are one byte each are one step.
        let mut bytes: Vec<Set> = Vec::new();
        for part in parts.iter().rev() {
            match single_bytes(part) {
                Some(sets) if bytes.len() + sets.len() <= MAX_CLASSES => {
                    bytes.splice(0..0, sets);
                }
                Some(sets) => {
                    next = self.classes(&std::mem::replace(&mut bytes, sets), next)?;
                }
                None => {
                    next = self.classes(&std::mem::take(&mut bytes), next)?;
                    next = self.part(part, next)?;
                }
            }
        }
        self.classes(&bytes, next)
    }

    fn part(&mut self, part: &Hir, next: StepId) -> Option<StepId> {
        match part.kind() {
            HirKind::Empty => Some(next),
            HirKind::Literal(literal) => self.text(literal.0.to_vec(), next),
            HirKind::Class(_) => self.classes(&[Set::of_class(part)?], next),
            HirKind::Look(Look::End) => {
                let behind = self.steps.get(next)?;
                let at_end = behind.at_end;
                self.add(Planned {
                    step: Step::End(next),
                    first: Set::none(),
                    is_done: false,
                    at_end,
                })
            }
            HirKind::Look(_) => None,
            HirKind::Capture(capture) => self.sequence(std::slice::from_ref(&capture.sub), next),
            HirKind::Concat(parts) => self.sequence(parts, next),
            HirKind::Alternation(parts) => {
                let ways: Option<Vec<_>> = parts
                    .iter()
                    .map(|part| self.sequence(std::slice::from_ref(part), next))
                    .collect();
                self.choice(ways?)
            }
            HirKind::Repetition(repetition) => {
                let sub = std::slice::from_ref(&*repetition.sub);
                match (Set::of_class(&repetition.sub), repetition.min, repetition.max) {
                    (Some(set), min, max) if max != Some(1) => self.run(set, min, max, next),
                    (_, 0, Some(1)) => {
                        let way = self.sequence(sub, next)?;
                        self.choice(vec![way, next])
                    }
                    (_, 0, None) => self.round(sub, next),
                    _ => None,
                }
            }
        }
    }

    fn text(&mut self, mut bytes: Vec<u8>, mut next: StepId) -> Option<StepId> {
        if let Step::Text(behind, last) = &self.steps.get(next)?.step {
            bytes.extend_from_slice(behind.bytes());
            next = *last;
        }
        let first = Set::of(*bytes.first()?);
        let step = Step::Text(Text::new(bytes), next);
        self.add(Planned { step, first, is_done: false, at_end: false })
    }

    fn classes(&mut self, sets: &[Set], next: StepId) -> Option<StepId> {
        let Some(first) = sets.first() else { return Some(next) };
        if let Some(text) = sets.iter().map(Set::only).collect::<Option<Vec<u8>>>() {
            return self.text(text, next);
        }
        let mut places = Box::new([0; 256]);
        for (byte, places) in (0..=u8::MAX).zip(places.iter_mut()) {
            for (place, _) in sets.iter().enumerate().filter(|(_, set)| set.has(byte)) {
                *places |= 1 << place;
            }
        }
        let step = Step::Classes { len: sets.len(), places, next };
        self.add(Planned { step, first: first.clone(), is_done: false, at_end: false })
    }

    fn run(&mut self, set: Set, min: u32, max: Option<u32>, next: StepId) -> Option<StepId> {
        let min = usize::try_from(min).ok()?;
        let max = max.map_or(Ok(usize::MAX), usize::try_from).ok()?;
        let behind = self.steps.get(next)?;
        let back = match &behind.step {
            // Any end will do, were it not for the bound.
            _ if behind.is_done && max == usize::MAX => 0,
            _ if behind.is_done => return None,
            // The byte of the text that is not of the class must stand where the run ends.
            Step::Text(text, _) => set.first_other(text.bytes())?,
            _ if behind.first.meets(&set) => return None,
            _ => 0,
        };
        let is_empty = min == 0 && back == 0;
        let planned = Planned {
            first: if min == 0 { set.with(&behind.first) } else { set.clone() },
            is_done: is_empty && behind.is_done,
            at_end: is_empty && behind.at_end,
            step: Step::Run { set: Box::new(set), min, max, back, next },
        };
        self.add(planned)
    }

    /// Parts as often as they come, where each byte tells whether they come once more.
    fn round(&mut self, parts: &[Hir], next: StepId) -> Option<StepId> {
        // What they begin with is needed before the round is closed, so they are made twice.
        let made = self.steps.len();
        let once = self.sequence(parts, next)?;
        let (once, behind) = (self.steps.get(once)?, self.steps.get(next)?);
        let planned = Planned {
            step: Step::Done,
            first: once.first.with(&behind.first),
            is_done: behind.is_done,
            at_end: behind.at_end,
        };
        self.steps.truncate(made);
        let start = self.add(planned)?;
        let way = self.sequence(parts, start)?;
        let choice = self.choice_of(vec![way, next])?;
        // What branches and comes back would be tried in more ways than there are bytes.
        let is_clear = |step: &Step| !matches!(step, Step::Choice { is_clear: false, .. });
        let all = self.steps.get(start..)?.iter().map(|planned| &planned.step);
        if !all.chain([&choice]).all(is_clear) {
            return None;
        }
        self.steps.get_mut(start)?.step = choice;
        Some(start)
    }

    fn choice(&mut self, ways: Vec<StepId>) -> Option<StepId> {
        let planned: Option<Vec<_>> = ways.iter().map(|way| self.steps.get(*way)).collect();
        let planned = planned?;
        let first = planned.iter().fold(Set::none(), |all, way| all.with(&way.first));
        let is_done = planned.iter().any(|way| way.is_done);
        let at_end = planned.iter().any(|way| way.at_end);
        let step = self.choice_of(ways)?;
        self.add(Planned { step, first, is_done, at_end })
    }

    fn choice_of(&self, ways: Vec<StepId>) -> Option<Step> {
        if ways.len() > MAX_WAYS {
            return None;
        }
        let mut by_byte = Box::new([0; 256]);
        let mut at_end = 0;
        let mut is_clear = true;
        for (nth, way) in ways.iter().enumerate() {
            let planned = self.steps.get(*way)?;
            for (byte, open) in (0..=u8::MAX).zip(by_byte.iter_mut()) {
                if planned.is_done || planned.first.has(byte) {
                    *open |= 1 << nth;
                }
            }
            if planned.is_done || planned.at_end {
                at_end |= 1 << nth;
            }
            for other in ways.iter().take(nth) {
                is_clear &= differs(planned, self.steps.get(*other)?);
            }
        }
        Some(Step::Choice { ways, by_byte, at_end, is_clear })
    }
}

/// Whether no line goes on in both ways.
fn differs(one: &Planned, other: &Planned) -> bool {
    match (&one.step, &other.step) {
        (Step::Text(one, _), Step::Text(other, _)) => {
            !one.bytes().starts_with(other.bytes()) && !other.bytes().starts_with(one.bytes())
        }
        _ => {
            let is_either_done = one.is_done || other.is_done || (one.at_end && other.at_end);
            !is_either_done && !one.first.meets(&other.first)
        }
    }
}

/// The classes of an expression that is so many bytes and no more.
fn single_bytes(part: &Hir) -> Option<Vec<Set>> {
    if let Some(set) = Set::of_class(part) {
        return Some(vec![set]);
    }
    let HirKind::Repetition(repetition) = part.kind() else { return None };
    let times = usize::try_from(repetition.min).ok().filter(|times| *times <= MAX_CLASSES)?;
    let is_fixed = repetition.max == Some(repetition.min);
    let set = Set::of_class(&repetition.sub).filter(|_| is_fixed)?;
    Some(vec![set; times])
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
