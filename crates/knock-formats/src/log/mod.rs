//! Log lines: a format turns one into a hit, several formats take turns, an extractor expands what
//! syslog folded. Where lines come from is not known here.

mod anchored;
mod dialect;
mod error;
mod extract;
mod fields;
mod format;
mod line;
mod lint;
mod matcher;
mod needle;
mod nohit;
mod prefilter;
mod render;
mod samples;
mod set;
mod spec;
mod text;
mod time;

use std::ops::Range;

use knock_wire::Hit;
use regex::bytes::Regex;

use needle::Needle;

pub use error::{ErrorKind, FormatError};
pub use extract::{Extractor, MAX_REPEATS};
pub use format::LogFormat;
pub use lint::{FormatLint, Lint, Proof};
pub use nohit::{Excerpt, NoHit};
pub use render::RenderError;
pub use samples::{SampleError, SampleErrorKind};
pub use spec::{FieldName, FormatSpec, Sample, SampleYield};

/// The longest line looked at; a longer one is no hit.
pub const MAX_LINE: usize = 64 * 1024;

/// The longest expression taken, in bytes.
pub const MAX_EXPRESSION: usize = 8 * 1024;

/// An expression that means here what it means in Perl, compiled for bytes; or all that is wrong
/// with it, each with its place.
pub(crate) fn expression(text: &str) -> Result<Regex, Vec<dialect::Mistake>> {
    dialect::read(text)?;
    matcher::compile(text).map_err(|kind| vec![(0..text.len(), kind)])
}

/// The formats in use, in the order of `uselogformat`.
#[derive(Debug, Default)]
pub struct Formats {
    formats: Vec<LogFormat>,
    /// What every line with a hit has in it, whichever format finds it.
    needle: Option<Needle>,
}

impl Formats {
    /// These, tried in this order.
    #[must_use]
    pub fn new(formats: Vec<LogFormat>) -> Self {
        let texts: Vec<_> = formats.iter().map(|format| format.needles.clone()).collect();
        Self { needle: Needle::of(&texts), formats }
    }

    /// Their names, in this order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.formats.iter().map(LogFormat::name)
    }

    /// The hit of the first format that finds one.
    #[must_use]
    pub fn hit(&self, line: &[u8]) -> Option<Hit> {
        self.formats.iter().find_map(|format| format.hit(line))
    }

    /// As [`Formats::hit`], with the reason of the format that got furthest.
    pub fn examine(&self, line: &[u8]) -> Result<Hit, NoHit> {
        let mut furthest = NoHit::NotRequired;
        for format in &self.formats {
            match format.examine(line) {
                Ok(hit) => return Ok(hit),
                Err(reason) if reason.progress() > furthest.progress() => furthest = reason,
                Err(NoHit::TooLong) => return Err(NoHit::TooLong),
                Err(_) => (),
            }
        }
        Err(furthest)
    }

    /// What the expressions of the format that got furthest caught in a line, and where.
    #[must_use]
    pub fn captures(&self, line: &[u8]) -> Vec<(FieldName, Range<usize>)> {
        let progress = |format: &LogFormat| match format.examine(line) {
            Ok(_) => u8::MAX,
            Err(reason) => reason.progress(),
        };
        // Of several with the same progress the first, as in `examine`.
        let furthest = self.formats.iter().rev().max_by_key(|format| progress(format));
        furthest.map_or(Vec::new(), |format| format.captures(line))
    }
}
