//! What a rule in our own chain does to the mark: whether it can be one of ours, and whether it could let in
//! somebody who has no lease. Changes nothing.

use super::MARK;
use super::chains::{
    BITWISE_MASK, BITWISE_XOR, IMMEDIATE_DATA, LOOKUP_FLAGS, META_KEY, META_MARK, META_SOURCE, Part,
};
use super::elements::Size;

/// Where the parts of a rule leave their values, and where they find them.
const META_DESTINATION: u16 = 1;
const IMMEDIATE_DESTINATION: u16 = 1;
const BITWISE_SOURCE: u16 = 1;
const BITWISE_DESTINATION: u16 = 2;
const BITWISE_OPERATION: u16 = 6;
/// And with the mask, then exclusive or; the others shift, or take two values.
const MASK_AND_XOR: u32 = 0;

/// What a rule does that sets our bit of the mark, or may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marking {
    /// Takes our bit away from all, as our first rule does.
    Clears,
    /// Sets something for the members of our set, as our others do.
    Members(Size),
    /// It is none of ours.
    Otherwise,
}

/// What a rule does to our bit; `None`: for certain nothing that lets anybody in.
pub(super) fn of(parts: &[Part<'_>]) -> Option<Marking> {
    as_ours(parts).or_else(|| {
        let mut sets = parts.iter().enumerate().filter(|(_, part)| sets_the_mark(part));
        let lets_in = sets.any(|(at, set)| !spares_our_bit(parts.get(..at).unwrap_or(&[]), set));
        lets_in.then_some(Marking::Otherwise)
    })
}

/// Loads, compares, looks up in sets that are named as ours, and at the end sets the mark: so does each rule
/// of each version of ours.
pub(super) fn only_marks(parts: &[Part<'_>]) -> bool {
    let Some((last, before)) = parts.split_last() else { return false };
    sets_the_mark(last)
        && before.iter().all(|part| match part.name {
            "meta" => part.number(META_SOURCE).is_none(),
            "payload" | "bitwise" | "cmp" => true,
            "lookup" => set(part).is_some(),
            _ => false,
        })
}

fn as_ours(parts: &[Part<'_>]) -> Option<Marking> {
    let (_, before) = parts.split_last().filter(|_| only_marks(parts))?;
    let lookups: Vec<&Part<'_>> = before.iter().filter(|part| part.name == "lookup").collect();
    let clears = |mask: &Part<'_>| {
        mask.value(BITWISE_MASK) == Some(!MARK) && mask.value(BITWISE_XOR) == Some(0)
    };
    match (&*lookups, before) {
        ([], [load, mask]) if load.number(META_KEY) == Some(META_MARK) && clears(mask) => {
            Some(Marking::Clears)
        }
        // All but the members would be let in.
        ([lookup], _) if lookup.number(LOOKUP_FLAGS).is_none_or(|flags| flags == 0) => {
            set(lookup).map(Marking::Members)
        }
        _ => None,
    }
}

fn sets_the_mark(part: &Part<'_>) -> bool {
    part.name == "meta"
        && part.number(META_KEY) == Some(META_MARK)
        && part.number(META_SOURCE).is_some()
}

/// Whether the mark is set to a value without our bit, or has others added only. What we cannot read does not.
fn spares_our_bit(before: &[Part<'_>], set: &Part<'_>) -> bool {
    let has_it = |value: u32| value & MARK != 0;
    let from = set.number(META_SOURCE);
    match before {
        [.., value] if value.name == "immediate" => {
            value.number(IMMEDIATE_DESTINATION) == from
                && value.value(IMMEDIATE_DATA).is_some_and(|value| !has_it(value))
        }
        [.., load, change] if load.name == "meta" && change.name == "bitwise" => {
            let loaded = load.number(META_DESTINATION);
            load.number(META_KEY) == Some(META_MARK)
                && loaded.is_some()
                && change.number(BITWISE_SOURCE) == loaded
                && change.number(BITWISE_DESTINATION) == from
                && change.number(BITWISE_OPERATION).is_none_or(|it| it == MASK_AND_XOR)
                && change.value(BITWISE_XOR).is_some_and(|added| !has_it(added))
        }
        _ => false,
    }
}

/// The set of ours that is looked up.
fn set(lookup: &Part<'_>) -> Option<Size> {
    Size::of_set(lookup.set())
}
