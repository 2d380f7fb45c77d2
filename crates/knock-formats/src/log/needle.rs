//! What lines with a hit have in common: texts that are searched for in a whole block, so that the
//! lines without them are never looked at one by one.

use aho_corasick::AhoCorasick;
use memchr::memmem::{self, Finder};
use regex_syntax::hir::{Hir, HirKind};

/// A shorter text is in too many lines.
const MIN: usize = 3;

/// A search that every line with a hit answers.
#[derive(Debug)]
pub(super) enum Needle {
    /// One text, whichever format finds the hit.
    One(Box<Finder<'static>>),
    /// Each format has its own.
    Several(Box<AhoCorasick>),
}

impl Needle {
    /// From the texts of each format; all texts of a format are in each of its lines. `None` when a
    /// format has none.
    pub(super) fn of(formats: &[Vec<Vec<u8>>]) -> Option<Self> {
        // Long texts are rare, and of equals the last: a port is what the fewest lines have.
        let best = |texts: &mut dyn Iterator<Item = &Vec<u8>>| {
            texts.filter(|text| text.len() >= MIN).max_by_key(|text| text.len()).cloned()
        };
        let is_in_all = |text: &&Vec<u8>| {
            formats.iter().all(|texts| texts.iter().any(|one| memmem::find(one, text).is_some()))
        };
        if let Some(one) = best(&mut formats.iter().flatten().filter(is_in_all)) {
            return Some(Self::One(Box::new(Finder::new(&one).into_owned())));
        }
        let each: Option<Vec<_>> = formats.iter().map(|texts| best(&mut texts.iter())).collect();
        let each = each.filter(|each| !each.is_empty())?;
        AhoCorasick::new(each).ok().map(|all| Self::Several(Box::new(all)))
    }

    /// Where the next line may be that has a hit.
    pub(super) fn find(&self, block: &[u8]) -> Option<usize> {
        match self {
            Self::One(finder) => finder.find(block),
            Self::Several(finder) => finder.find(block).map(|found| found.start()),
        }
    }
}

/// The texts that each match of an expression has in it, as far as that is plain to see.
pub(super) fn texts(hir: &Hir) -> Vec<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => texts(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect;
    use super::*;

    /// What is searched for; each format is written as its expressions.
    fn needle(formats: &[&[&str]]) -> String {
        let of_format = |expressions: &&[&str]| -> Vec<Vec<u8>> {
            expressions.iter().flat_map(|text| texts(&dialect::read(text).unwrap())).collect()
        };
        match Needle::of(&formats.iter().map(of_format).collect::<Vec<_>>()) {
            None => "nothing".to_owned(),
            Some(Needle::One(finder)) => finder.needle().escape_ascii().to_string(),
            Some(Needle::Several(finder)) => format!("{} texts", finder.patterns_len()),
        }
    }

    #[test]
    fn the_rarest_text_that_all_lines_have_is_searched_for() {
        let manual: &[&str] = &["portknock", "SRC=([0-9.]+)", "DPT=([0-9]+)"];
        let shipped: &[&str] = &["^x? IN=\\S+ OUT=", " SRC=(\\S+) ", " DPT=(\\d+) "];
        let other: &[&str] = &["(?:DENY|REJECT)", " PROTO=\\d+ ([\\d.]+):"];
        assert_eq!(needle(&[manual]), "portknock");
        assert_eq!(needle(&[shipped]), " DPT=");
        assert_eq!(needle(&[manual, shipped]), "DPT=");
        assert_eq!(needle(&[other]), " PROTO=");
        assert_eq!(needle(&[other, shipped, manual]), "3 texts");
        // What need not be there is not waited for.
        assert_eq!(
            needle(&[&["(?:SRC|src)=(\\S+)", "(?:DPT=)?(\\d+)", "(?i)portknock"]]),
            "nothing"
        );
        assert_eq!(needle(&[shipped, &["(\\d+)"]]), "nothing");
        assert_eq!(needle(&[]), "nothing");
    }
}
