//! A line, and where in it the texts first stand that its format looks for: found in one pass,
//! since firewalls write `KEY=value` and so nearly each of those texts has a `=`. A search for each,
//! all from the start of the line, would cost several times as much.
//!
//! Tells places only. What stands there is the matchers' business.

use wide::u8x16;

use super::set::{EndsAt, Set};
use super::text::Text;

/// Of how much of a line it is kept which bytes are blank: that of nearly every line.
const MARKED: usize = 512 / 64;

/// The most texts of one format: ten expressions and three guards.
const MAX_TEXTS: usize = 16;

/// The texts of one format.
#[derive(Debug)]
pub(super) struct Texts {
    /// The first of them ends the line: what stands behind it is not looked at.
    texts: Vec<Keyed>,
    /// Which texts may stand round a `=`, by the two bytes in front of it.
    by_bytes: Box<[u16; 256]>,
}

/// A text with a `=`.
#[derive(Debug)]
struct Keyed {
    text: Text,
    /// Where its first `=` is.
    sign: usize,
}

/// Names one of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextId(u8);

const END: TextId = TextId(0);

/// Where a text first stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody has looked.
    Unknown,
    /// In no place.
    Nowhere,
    /// There.
    At(usize),
}

/// A line up to the text that ends it.
pub(super) struct Line<'l, 't> {
    /// What is looked at.
    pub(super) bytes: &'l [u8],
    texts: &'t Texts,
    first: [u32; MAX_TEXTS],
    /// Those that stand there more than once, by their bits.
    again: u16,
    /// Which bytes are a `=`, and which are blank, as far as that is kept.
    signs: [u64; MARKED],
    blanks: [u64; MARKED],
}

const NOWHERE: u32 = u32::MAX;

impl Texts {
    /// None yet but the one that ends the line.
    pub(super) fn new(end: &[u8]) -> Self {
        let mut texts = Self { texts: Vec::new(), by_bytes: Box::new([0; 256]) };
        let id = texts.add(end);
        debug_assert_eq!(id, Some(END), "it has a =");
        texts
    }

    /// Looks for this text, too, from now on; `None` for one that is not found by its `=`.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Option<TextId> {
        let sign = bytes.iter().position(|byte| *byte == b'=')?;
        let known = self.texts.iter().position(|known| known.text.bytes() == bytes);
        let id = TextId(u8::try_from(known.unwrap_or(self.texts.len())).ok()?);
        if known.is_some() {
            return Some(id);
        }
        if self.texts.len() == MAX_TEXTS {
            return None;
        }
        self.texts.push(Keyed { text: Text::new(bytes.to_vec()), sign });
        // Where a text begins less than two bytes before its sign, any byte may stand there.
        let possible = |back: usize| match sign.checked_sub(back).and_then(|at| bytes.get(at)) {
            Some(byte) => *byte..=*byte,
            None => 0..=u8::MAX,
        };
        for second in possible(2) {
            for last in possible(1) {
                if let Some(texts) = self.by_bytes.get_mut(slot(second, last)) {
                    *texts |= 1 << id.0;
                }
            }
        }
        Some(id)
    }

    /// Looks for all of them in a line.
    pub(super) fn read<'l>(&self, bytes: &'l [u8]) -> Line<'l, '_> {
        let mut line = Line {
            bytes,
            texts: self,
            first: [NOWHERE; MAX_TEXTS],
            again: 0,
            signs: [0; MARKED],
            blanks: [0; MARKED],
        };
        let (blocks, rest) = bytes.as_chunks::<64>();
        let mut last = [0; 64];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        for (nth, block) in blocks.iter().chain([&last]).enumerate() {
            let (signs, blanks) = marks(block);
            if let (Some(s), Some(b)) = (line.signs.get_mut(nth), line.blanks.get_mut(nth)) {
                (*s, *b) = (signs, blanks);
            }
            if !line.look(nth * 64, signs) {
                break;
            }
        }
        line
    }
}

/// Which of the bytes are a `=`, and which are blank as `\s` has it; the lowest bit is the first byte.
fn marks(block: &[u8; 64]) -> (u64, u64) {
    let (sign, space) = (u8x16::splat(b'='), u8x16::splat(b' '));
    let (tab, from_tab) = (u8x16::splat(b'\t'), u8x16::splat(b'\r' - b'\t'));
    let (rows, _) = block.as_chunks::<16>();
    rows.iter().rev().fold((0, 0), |(signs, blanks), row| {
        let row = u8x16::new(*row);
        let other_blank = (row - tab).min(from_tab).simd_eq(row - tab);
        let is_blank = row.simd_eq(space) | other_blank;
        let bits = |found: u8x16| u64::from(found.to_bitmask() & 0xffff);
        (signs << 16 | bits(row.simd_eq(sign)), blanks << 16 | bits(is_blank))
    })
}

/// Where in the table the texts are that have these two bytes before their sign.
fn slot(second: u8, last: u8) -> usize {
    usize::from(second.wrapping_mul(31) ^ last)
}

impl Line<'_, '_> {
    /// Where a text first stands.
    #[inline]
    pub(super) fn place(&self, text: Option<TextId>) -> Place {
        match text.and_then(|id| self.first.get(usize::from(id.0))) {
            None => Place::Unknown,
            Some(&NOWHERE) => Place::Nowhere,
            Some(&at) => Place::At(at as usize),
        }
    }

    /// Whether a text stands there more than once.
    pub(super) fn has_again(&self, text: Option<TextId>) -> bool {
        text.is_some_and(|id| self.again & (1 << id.0) != 0)
    }

    /// How many bytes of a set stand side by side from there on.
    #[inline]
    pub(super) fn run(&self, set: &Set, from: usize) -> usize {
        let end = match set.ends_at() {
            EndsAt::Blank => self.next_mark(&self.blanks, from),
            EndsAt::Sign => self.next_mark(&self.signs, from),
            EndsAt::Other => None,
        };
        match end {
            Some(end) => end.min(self.bytes.len()).saturating_sub(from),
            None => set.run(self.bytes.get(from..).unwrap_or_default()),
        }
    }

    /// Where the next marked byte is; `None` when that is not kept.
    #[inline]
    fn next_mark(&self, marks: &[u64; MARKED], from: usize) -> Option<usize> {
        let mut nth = from / 64;
        let mut here = marks.get(nth)? >> (from % 64) << (from % 64);
        while here == 0 {
            nth += 1;
            match marks.get(nth) {
                Some(next) => here = *next,
                None if self.bytes.len() < MARKED * 64 => return Some(self.bytes.len()),
                None => return None,
            }
        }
        Some(nth * 64 + here.trailing_zeros() as usize)
    }

    /// Looks round each `=` of 64 bytes; says whether to go on.
    #[inline]
    fn look(&mut self, base: usize, mut signs: u64) -> bool {
        while signs != 0 {
            let sign = base + signs.trailing_zeros() as usize;
            signs &= signs - 1;
            let [second, last] = self.before(sign);
            let mut candidates = self.texts.by_bytes.get(slot(second, last)).copied().unwrap_or(0);
            while candidates != 0 {
                let id = candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                if !self.found(id, sign) {
                    return false;
                }
            }
        }
        true
    }

    /// The two bytes before a place.
    #[inline]
    fn before(&self, at: usize) -> [u8; 2] {
        let two = self.bytes.get(at.wrapping_sub(2)..at).and_then(|two| two.first_chunk().copied());
        // At the line's start there may be one, and any text may begin there.
        two.unwrap_or_else(|| {
            [0, at.checked_sub(1).and_then(|at| self.bytes.get(at)).copied().unwrap_or(0)]
        })
    }

    /// Notes a text if it stands round this `=`; says whether to go on.
    #[inline]
    fn found(&mut self, id: usize, sign: usize) -> bool {
        let (Some(keyed), Some(first)) = (self.texts.texts.get(id), self.first.get_mut(id)) else {
            return true;
        };
        let start = sign.wrapping_sub(keyed.sign);
        if !keyed.text.is_at(self.bytes, start) {
            return true;
        }
        if id == usize::from(END.0) {
            self.end(start);
            return false;
        }
        if *first == NOWHERE {
            *first = u32::try_from(start).unwrap_or(NOWHERE);
        } else {
            self.again |= 1 << id;
        }
        true
    }

    /// Ends the line there. A text that goes on behind that is no longer in it.
    #[cold]
    fn end(&mut self, at: usize) {
        self.bytes = self.bytes.get(..at).unwrap_or_default();
        for (first, keyed) in self.first.iter_mut().zip(&self.texts.texts) {
            if *first != NOWHERE && *first as usize + keyed.text.len() > at {
                *first = NOWHERE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const END: &[u8] = b"[S=";

    /// What is meant, by a search for each text.
    fn check(texts: &[&[u8]], line: &[u8]) {
        let mut all = Texts::new(END);
        let ids: Vec<_> = texts.iter().map(|text| all.add(text)).collect();
        let read = all.read(line);
        let cut = memchr::memmem::find(line, END).unwrap_or(line.len());
        assert_eq!(read.bytes.len(), cut, "{:?}", line.escape_ascii());
        for (text, id) in texts.iter().zip(ids) {
            let mut all = memchr::memmem::find_iter(&line[..cut], text);
            let expected = match all.next() {
                _ if id.is_none() => Place::Unknown,
                Some(at) => Place::At(at),
                None => Place::Nowhere,
            };
            let what = (text.escape_ascii().to_string(), line.escape_ascii().to_string());
            assert_eq!(read.place(id), expected, "{what:?}");
            assert_eq!(read.has_again(id), id.is_some() && all.next().is_some(), "{what:?}");
        }
    }

    #[test]
    fn a_text_without_a_sign_is_left_to_others() {
        check(&[b"SRC ", b"SRC=", b"SRC"], b"SRC SRC=");
    }

    #[test]
    fn texts_beyond_the_most_are_left_to_others() {
        let texts: Vec<_> = (b'a'..=b'z').map(|letter| [letter, b'=']).collect();
        let texts: Vec<&[u8]> = texts.iter().map(<[u8; 2]>::as_slice).collect();
        check(&texts, b"a=1 b=2 n=3 o=4 p=5 z=6");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn agrees_with_a_search_for_each(
            texts in prop::collection::vec(r"[ SRC\[]{0,4}=[ S=0]{0,7}", 0..18),
            line in r"([ SRC0\[=]{0,9}|[a-z \x00\x7f]{0,80}| SRC=|\[S=){0,8}",
        ) {
            let mut texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
            // A text that overlaps itself is found more often here.
            texts.retain(|text| (1..text.len()).all(|at| !text.starts_with(&text[at..])));
            texts.dedup();
            check(&texts, line.as_bytes());
        }

        #[test]
        fn runs_end_where_a_walk_ends(
            mut line in prop::collection::vec(prop_oneof![
                8 => Just(b'x'), 1 => Just(b'='), 1 => Just(b' '), 1 => 8u8..15, 1 => any::<u8>()
            ], 0..700),
            long in 0..3usize,
            class in prop::sample::select(vec!["\\S", "[^=]", "[^ ]", "\\w"]),
        ) {
            line.splice(0..0, std::iter::repeat_n(b'x', long * 150));
            let texts = Texts::new(END);
            let read = texts.read(&line);
            let set = Set::of_class(&super::super::dialect::read(class).unwrap()).unwrap();
            // Each place of a long run would be walked to its end: a few of them say as much.
            for from in (0..=read.bytes.len()).filter(|from| from % 7 == long || *from < 40) {
                prop_assert_eq!(read.run(&set, from), set.run(&read.bytes[from..]));
            }
        }
    }
}
