//! What a filter asks of an address: a regular expression on its text, unanchored as in Perl.

use std::io::Write as _;
use std::net::IpAddr;
use std::ops::Range;

use regex::bytes::Regex;

use super::FilterErrorKind;
use crate::log;

/// The longest text of an address is 45 bytes.
const LONGEST: usize = 48;

/// The demand on one text.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Whether it must not match.
    not: bool,
    regex: Regex,
}

impl Text {
    /// From an expression, with `!` before it for its opposite.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<(Range<usize>, FilterErrorKind)>> {
        let (not, expression) = split(text);
        if expression.is_empty() {
            return Err(vec![(text.len()..text.len(), FilterErrorKind::Empty)]);
        }
        let start = text.len() - text.trim_start().len();
        let start = start + (text.trim().len() - expression.len());
        log::expression(expression).map(|regex| Self { not, regex }).map_err(|mistakes| {
            let placed = |(at, kind): (Range<usize>, _)| {
                (at.start + start..at.end + start, FilterErrorKind::Expression(kind))
            };
            mistakes.into_iter().map(placed).collect()
        })
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
        let mut text = [0_u8; LONGEST];
        let mut rest = text.as_mut_slice();
        // Cannot fail: there is room for the longest.
        let _full = write!(rest, "{address}");
        let left = rest.len();
        let text = text.get(..LONGEST - left).unwrap_or_default();
        self.regex.is_match(text) != self.not
    }
}

/// Whether the opposite is meant, and the expression.
pub(super) fn split(text: &str) -> (bool, &str) {
    let text = text.trim();
    match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    }
}
