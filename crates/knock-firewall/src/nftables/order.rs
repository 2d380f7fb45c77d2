//! Where our rule has to stand in a chain of somebody's: before the first one that keeps everybody out,
//! and behind those about somebody, which are bans. It never passes one. Reads what the kernel lists of a rule.

use super::chains::{BITWISE_MASK, CT_KEY, CT_STATE, Chain, META_KEY, META_SOURCE, Part, Rule};
use super::chains::{COMPARE_DATA, COMPARE_OPERATOR, LOOKUP_FLAGS};

const META_PROTOCOL: u32 = 1;
const META_INTERFACE: u32 = 4;
const META_INTERFACE_NAME: u32 = 6;
const META_FAMILY: u32 = 15;
const META_TRANSPORT: u32 = 16;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const RANGE_OPERATOR: u16 = 2;
const CT_SOURCE: u16 = 4;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
const NOT_EQUAL: u32 = 1;
/// The bit of new connections in `ct state`.
const NEW: u32 = 8;

/// Our rule is dead where it is, and would not be before another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// The number of ours.
    pub(crate) ours: u64,
    /// The number of the first one that keeps everybody out.
    pub(crate) before: u64,
}

impl Chain {
    /// Where our rule is to go, if it is there and does nothing.
    pub(crate) fn move_of_ours(&self, all: &[Self]) -> Option<Move> {
        self.closing_before_ours(all).filter(|(_, is_behind_bans)| !is_behind_bans).map(|it| it.0)
    }

    /// Whether our rule is behind one that keeps everybody out, and has to stay there, since bans stand
    /// between the two.
    pub(crate) fn is_held_back(&self, all: &[Self]) -> bool {
        self.closing_before_ours(all).is_some_and(|(_, is_behind_bans)| is_behind_bans)
    }

    /// What keeps everybody out before our rule, and whether what comes between may keep somebody out.
    fn closing_before_ours(&self, all: &[Self]) -> Option<(Move, bool)> {
        let (number, ours) = self.rules.iter().enumerate().find(|(_, rule)| rule.is_ours)?;
        let shuts = |rule: &Rule| self.shuts(rule, all, &mut Vec::new());
        let mut before = self.rules.iter().take(number);
        let shut = before.find(|rule| shuts(rule))?;
        let may_ban = |rule: &Rule| rule.refuses() || rule.leads_to().is_some();
        let is_behind_bans = before.any(|rule| !shuts(rule) && may_ban(rule));
        Some((Move { ours: ours.handle, before: shut.handle }, is_behind_bans))
    }

    /// Whether a rule of this table refuses whoever comes, or leads to one that does.
    fn shuts<'a>(&self, rule: &Rule, all: &'a [Self], seen: &mut Vec<&'a str>) -> bool {
        if !rule.is_for_all {
            return false;
        }
        let Some(next) = rule.leads_to() else { return rule.refuses() };
        let next = all.iter().find(|it| {
            let (it, own) = (&it.name, &self.name);
            it.family == own.family && it.table == own.table && it.chain == next
        });
        let Some(next) = next.filter(|it| !seen.contains(&&*it.name.chain)) else { return false };
        seen.push(&next.name.chain);
        next.rules.iter().any(|rule| self.shuts(rule, all, seen))
    }
}

/// What was loaded last, to be compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loaded {
    Plain,
    Source,
    /// The state of the connection, or these bits of it.
    State(Option<u32>),
}

/// Whether a rule is about all that is new for some protocol, port, interface or address of this host. All
/// else is about somebody, or unknown to us and may be meant to stand before us.
pub(super) fn is_for_all(parts: &[Part<'_>]) -> bool {
    let mut loaded = Loaded::Plain;
    parts.iter().all(|part| match part.name {
        "counter" | "log" | "immediate" | "reject" => true,
        "meta" => {
            const PLAIN: [u32; 5] =
                [META_PROTOCOL, META_INTERFACE, META_INTERFACE_NAME, META_FAMILY, META_TRANSPORT];
            part.number(META_SOURCE).is_none()
                && part.number(META_KEY).is_some_and(|key| PLAIN.contains(&key))
        }
        "payload" => match (part.number(PAYLOAD_BASE), part.number(PAYLOAD_OFFSET)) {
            // A port of this host.
            (Some(TRANSPORT), Some(2)) => true,
            // The protocol, and an address of this host.
            (Some(NETWORK), Some(9 | 6 | 16 | 24)) => true,
            (Some(NETWORK), Some(12 | 8)) => {
                loaded = Loaded::Source;
                true
            }
            _ => false,
        },
        "ct" => {
            let is_state = part.number(CT_KEY) == Some(CT_STATE);
            loaded = Loaded::State(None);
            is_state && part.number(CT_SOURCE).is_none()
        }
        "bitwise" => {
            if loaded == Loaded::State(None) {
                loaded = Loaded::State(part.value(BITWISE_MASK));
            }
            true
        }
        "cmp" | "range" | "lookup" => {
            let (is_not, value) = match part.name {
                "cmp" => {
                    let operator = part.number(COMPARE_OPERATOR);
                    (operator == Some(NOT_EQUAL), part.value(COMPARE_DATA))
                }
                "range" => (part.number(RANGE_OPERATOR) == Some(NOT_EQUAL), None),
                _ => (part.number(LOOKUP_FLAGS).is_some_and(|flags| flags & 1 != 0), None),
            };
            match std::mem::replace(&mut loaded, Loaded::Plain) {
                Loaded::Plain => true,
                // All but these.
                Loaded::Source => is_not,
                // Some of the bits, or none of them.
                Loaded::State(Some(bits)) => value == Some(0) && (bits & NEW != 0) == is_not,
                Loaded::State(None) => value.is_some_and(|value| (value == NEW) != is_not),
            }
        }
        _ => false,
    })
}
