//! What every format heeds, whoever wrote it: packets inside of packets, protocols, and words that tell that
//! a packet was let through.

use knock_wire::Protocol;

use super::super::fields;
use super::super::line::{Line, Place, TextId, Texts};

/// What the header of a packet begins with that another packet complains about.
pub(super) const EMBEDDED: &[u8] = b"[SRC=";

/// What is looked for in each line whatever the format.
#[derive(Debug)]
pub(super) struct Guards {
    pub(super) source: Option<TextId>,
    protocol: Option<TextId>,
    /// Words by which a line tells that its packet passed, all beginning with an A, in large letters or
    /// small ones; those that `required` asks for are not among them.
    passed: Vec<&'static [u8]>,
}

impl Guards {
    pub(super) fn new(wanted: &[String], texts: &mut Texts) -> Self {
        // UFW audits a packet before it decides: the same packet comes again, as a block.
        let passed = ["ACCEPT", "ALLOW", "AUDIT"];
        let is_wanted = |word: &str| wanted.iter().any(|w| w.to_ascii_uppercase().contains(word));
        let passed = passed.into_iter().filter(|word| !is_wanted(word));
        Self {
            source: texts.add(b" SRC="),
            protocol: texts.add(fields::PROTOCOL),
            passed: passed.map(str::as_bytes).collect(),
        }
    }

    /// The protocol that the line itself names.
    pub(super) fn outer_protocol(&self, line: &Line<'_, '_>) -> Option<Protocol> {
        match line.place(self.protocol) {
            Place::Nowhere => None,
            Place::At(at) => fields::outer_protocol(line.bytes, at),
            Place::Unknown => fields::outer_protocol(line.bytes, 0),
        }
    }

    /// Whether what stands before the client's address tells that the packet was let through.
    pub(super) fn lets_through(&self, head: &[u8]) -> bool {
        memchr::memchr2_iter(b'A', b'a', head).any(|at| {
            let (before, rest) = head.split_at(at);
            let is_within = before.last().is_some_and(u8::is_ascii_alphanumeric);
            !is_within && self.passed.iter().any(|word| is_passed(word, before, rest))
        })
    }
}

/// Whether `rest` begins with the word, as `ACCEPT` and `accepted` do, and with nothing longer.
fn is_passed(word: &[u8], before: &[u8], rest: &[u8]) -> bool {
    if word == b"AUDIT" {
        return rest.starts_with(word) && before.ends_with(b"[UFW ");
    }
    let Some((head, after)) = rest.split_at_checked(word.len()) else { return false };
    let after = match after.split_at_checked(2) {
        Some((ending, behind)) if ending.eq_ignore_ascii_case(b"ed") => behind,
        _ => after,
    };
    head.eq_ignore_ascii_case(word) && !after.first().is_some_and(u8::is_ascii_alphanumeric)
}
