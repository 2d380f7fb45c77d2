//! Makes the steps of an expression, from its end to its start, or finds that they are not enough for it.
//! Takes none of them.

use regex_syntax::hir::{Hir, HirKind, Look};

use super::super::set::Set;
use super::super::text::Text;
use super::{Step, StepId};

/// The most steps of one expression; more are left to the engine.
const MAX_STEPS: usize = 1000;

/// The most ways that one choice has.
const MAX_WAYS: usize = 16;

/// The most bytes that are looked at together, each with its class.
const MAX_CLASSES: usize = 16;

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

/// The steps of an expression, and which is the first; `None` when it has another shape.
pub(super) fn steps(hir: &Hir) -> Option<(Vec<Step>, StepId)> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let (first, rest) = parts.split_first()?;
    if !matches!(first.kind(), HirKind::Look(Look::Start)) {
        return None;
    }
    let mut plan = Plan { steps: Vec::new() };
    let done =
        plan.add(Planned { step: Step::Done, first: Set::none(), is_done: true, at_end: true })?;
    let start = plan.sequence(rest, done)?;
    Some((plan.steps.into_iter().map(|planned| planned.step).collect(), start))
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
