//! What a filter asks of a number: `SYN`, `SYN & !ACK`, `22|80`, `745-1000`. Parsing and answering;
//! whose number it is, `filter.rs` knows.
//!
//! A symbol of a property that is made of bits asks for its bits, as the original's AND did; any
//! other symbol and every number asks for equality. `|` binds weaker than `&`.

use std::ops::Range;

use super::FilterErrorKind::{self, Empty};
use super::Property;
use super::symbols::Group;

/// The demand on one number: one of these lists, of which every term holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbers(Vec<Vec<Term>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Term {
    /// Whether the test must fail.
    not: bool,
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Between(u32, u32),
    Bits(u32),
}

pub(super) type Mistake = (Range<usize>, FilterErrorKind);

impl Numbers {
    /// From its text; the first mistake of each term is told.
    pub(super) fn parse(text: &str, property: Property) -> Result<Self, Vec<Mistake>> {
        let mut parser = Parser { text, at: 0, property, mistakes: Vec::new() };
        let any = parser.any();
        if parser.mistakes.is_empty() { Ok(Self(any)) } else { Err(parser.mistakes) }
    }

    pub(super) fn equal(number: u32) -> Self {
        Self(vec![vec![Term { not: false, test: Test::Between(number, number) }]])
    }

    pub(super) fn hold(&self, number: u32) -> bool {
        self.0.iter().any(|all| all.iter().all(|term| term.holds(number)))
    }

    /// Whether it asks for more than that these bits are set.
    pub(super) fn ask_beyond(&self, bits: u32) -> bool {
        let plain = Term { not: false, test: Test::Bits(bits) };
        self.0.iter().flatten().any(|term| *term != plain)
    }
}

impl Term {
    fn holds(self, number: u32) -> bool {
        let held = match self.test {
            Test::Between(first, last) => (first..=last).contains(&number),
            Test::Bits(bits) => number & bits == bits,
        };
        held != self.not
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    property: Property,
    mistakes: Vec<Mistake>,
}

impl Parser<'_> {
    fn any(&mut self) -> Vec<Vec<Term>> {
        let mut any = vec![self.all()];
        while self.operator("|") {
            any.push(self.all());
        }
        self.blanks();
        if let Some(stray) = self.rest().chars().next() {
            let at = self.at..self.at + stray.len_utf8();
            self.mistakes.push((at, FilterErrorKind::Character(stray)));
        }
        any
    }

    fn all(&mut self) -> Vec<Term> {
        let mut all: Vec<Term> = self.term().into_iter().collect();
        loop {
            self.blanks();
            // A list with commas, blanks or plus signs, as people write flags, asks for all of them.
            let joined = self.operator("&") || self.operator(",") || self.operator("+");
            let goes_on = |next: char| next.is_ascii_alphanumeric() || "_!~".contains(next);
            if !joined && !self.rest().starts_with(goes_on) {
                return all;
            }
            all.extend(self.term());
        }
    }

    fn term(&mut self) -> Option<Term> {
        self.blanks();
        let mut not = false;
        while self.rest().starts_with(['!', '~']) {
            self.at += 1;
            not = !not;
            self.blanks();
        }
        let word = |next: char| next.is_ascii_alphanumeric() || next == '_' || next == '-';
        let len = self.rest().find(|next| !word(next)).unwrap_or(self.rest().len());
        let at = self.at..self.at + len;
        if at.is_empty() {
            let next = self.rest().chars().next();
            return match next.filter(|next| !"|&,+".contains(*next)) {
                // Told once, by the caller that finds the text not at its end.
                Some(_) => None,
                None => self.mistake(self.at.min(self.text.trim_end().len())..self.at, Empty),
            };
        }
        self.at = at.end;
        let word = self.text.get(at.clone()).unwrap_or_default();
        Some(Term { not, test: self.test(word, at)? })
    }

    fn test(&mut self, word: &str, at: Range<usize>) -> Option<Test> {
        if let Some((first, last)) = word.split_once('-')
            && word.starts_with(|start: char| start.is_ascii_digit())
        {
            let split = at.start + first.len();
            let first = self.number(first, at.start..split)?;
            let last = self.number(last, split + 1..at.end)?;
            if first > last {
                return self.mistake(at, FilterErrorKind::Descending);
            }
            return Some(Test::Between(first, last));
        }
        if word.starts_with(|start: char| start.is_ascii_digit()) {
            return self.number(word, at).map(|number| Test::Between(number, number));
        }
        let group = self.property.symbols();
        match group.and_then(|group| Some((group, group.value(word)?))) {
            // No bit at all can only be asked for by equality.
            Some((group, value)) if group.is_bits() && value > 0 => Some(Test::Bits(value)),
            Some((_, value)) => Some(Test::Between(value, value)),
            None => {
                let word = word.to_owned();
                let kind = match Group::of(&word) {
                    Some(other) => FilterErrorKind::Elsewhere { word, what: other.what() },
                    None => {
                        let known = group.map_or(&[][..], Group::symbols);
                        FilterErrorKind::Unknown { word, known }
                    }
                };
                self.mistake(at, kind)
            }
        }
    }

    fn number(&mut self, word: &str, at: Range<usize>) -> Option<u32> {
        let max = self.property.max().unwrap_or(u32::MAX);
        let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
        let (digits, radix) = hex.map_or((word, 10), |hex| (hex, 16));
        if word.is_empty() {
            return self.mistake(at, Empty);
        }
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
            let word = word.to_owned();
            return self.mistake(at, FilterErrorKind::Unknown { word, known: &[] });
        }
        match u32::from_str_radix(digits, radix) {
            Ok(number) if number <= max => Some(number),
            // Too many digits even for 32 bits is too large as well.
            Ok(_) | Err(_) => {
                self.mistake(at, FilterErrorKind::TooLarge { word: word.to_owned(), max })
            }
        }
    }

    fn mistake<T>(&mut self, at: Range<usize>, kind: FilterErrorKind) -> Option<T> {
        self.mistakes.push((at, kind));
        None
    }

    /// An operator, written once or twice.
    fn operator(&mut self, sign: &str) -> bool {
        self.blanks();
        if !self.rest().starts_with(sign) {
            return false;
        }
        self.at += sign.len();
        if self.rest().starts_with(sign) && sign != "," {
            self.at += sign.len();
        }
        true
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the numbers a demand holds for, or what is wrong with it and where.
    #[track_caller]
    fn check(property: &str, text: &str, expected: &str) {
        let property = Property::parse(property).unwrap();
        let shown = match Numbers::parse(text, property) {
            Ok(numbers) => {
                let all = (0..=property.max().unwrap().min(255)).filter(|n| numbers.hold(*n));
                let all: Vec<u32> = all.collect();
                let shown: Vec<_> = all.iter().take(8).map(ToString::to_string).collect();
                format!("{}: {}", all.len(), shown.join(" "))
            }
            Err(mistakes) => {
                let show = |(at, kind): &Mistake| {
                    let part = text.get(at.clone()).expect("a place in the text");
                    format!("«{part}» {kind}")
                };
                mistakes.iter().map(show).collect::<Vec<_>>().join("; ")
            }
        };
        assert_eq!(shown, expected, "{text:?}");
    }

    #[test]
    fn a_flag_asks_for_its_bit_and_no_other() {
        check("flags", "SYN", "128: 2 3 6 7 10 11 14 15");
        check("flags", "syn&!ack", "64: 2 3 6 7 10 11 14 15");
        check("flags", "SYN & ~ACK", "64: 2 3 6 7 10 11 14 15");
        check("flags", "SYN !ACK", "64: 2 3 6 7 10 11 14 15");
        check("flags", "SYN & ACK", "64: 18 19 22 23 26 27 30 31");
        check("flags", "SYN,ACK", "64: 18 19 22 23 26 27 30 31");
        check("flags", "SYN+ACK", "64: 18 19 22 23 26 27 30 31");
        check("flags", "SYN ACK FIN", "32: 19 23 27 31 51 55 59 63");
        check("flags", "SYN|ACK", "192: 2 3 6 7 10 11 14 15");
        check("flags", "FIN && !SYN || CWR", "160: 1 5 9 13 17 21 25 29");
        check("flags", "!!SYN", "128: 2 3 6 7 10 11 14 15");
        check("ip.flags", "IP_FLAG_DONTFRAG", "4: 2 3 6 7");
        check("tos", "IPTOS_CLASS_CS1", "128: 32 33 34 35 36 37 38 39");
        check("tos", "IPTOS_CLASS_CS3", "64: 96 97 98 99 100 101 102 103");
    }

    #[test]
    fn a_number_asks_for_itself() {
        check("flags", "2", "1: 2");
        check("flags", "0x12", "1: 18");
        check("proto", "6", "1: 6");
        check("dest_port", "22|80", "2: 22 80");
        check("dest_port", "20-22, !21", "2: 20 22");
        check("ttl", "!0-249", "6: 250 251 252 253 254 255");
        check("tos", "IPTOS_CLASS_DEFAULT", "1: 0");
    }

    #[test]
    fn a_protocol_is_equal_or_not() {
        check("proto", "IP_PROTO_TCP", "1: 6");
        check("proto", "TCP", "1: 6");
        check("proto", "tcp | udp", "2: 6 17");
        check("proto", "!TCP & 5-7", "2: 5 7");
        check("ver", "IPv6", "1: 6");
        check("ttl", "MAXTTL", "1: 255");
    }

    #[test]
    fn mistakes_have_their_places() {
        check("flags", "SYM", "«SYM» unknown symbol 'SYM'");
        check("flags", "SYN|UDP", "«UDP» UDP is a protocol, which this is never compared with");
        check("flags", "SYN|", "«» has no value here");
        check("flags", "|SYN", "«» has no value here");
        check("flags", "SYN & & ACK", "«» has no value here");
        check("flags", "", "«» has no value here");
        check("flags", "!", "«» has no value here");
        check("flags", "256", "«256» 256 is too large; it is at most 255");
        check("flags", "(SYN)", "«(» '(' means nothing in a number");
        check("dest_port", "7\\d\\d", "«\\» '\\\\' means nothing in a number");
        check("dest_port", "http", "«http» 'http' is not a number");
        check("dest_port", "22x", "«22x» '22x' is not a number");
        check("dest_port", "0x", "«0x» '0x' is not a number");
        check("dest_port", "1000-745", "«1000-745» the range goes down");
        check("dest_port", "745-", "«» has no value here");
        check(
            "dest_port",
            "99999999999",
            "«99999999999» 99999999999 is too large; it is at most 65535",
        );
        check("proto", "TPC, UDPP", "«TPC» unknown symbol 'TPC'; «UDPP» unknown symbol 'UDPP'");
        check("dest_port", "\u{fc}", "«\u{fc}» '\\u{fc}' means nothing in a number");
    }
}
