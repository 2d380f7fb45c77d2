//! The shape of a knock: which fields, in which order.
//! Knows their places within the plaintext, not their values.

use std::fmt;
use std::ops::Range;

use crate::field::Field;

/// The fields of a knock in their order, as `knock = IP,PORT,TIME,CHECKSUM` lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    fields: Vec<Field>,
    bytes: usize,
}

impl Shape {
    /// The most bytes that fields can have: an IPv6 address, a 16-bit port, and all others.
    pub const MAX_BYTES: usize = 16 + 2 + 1 + 10 + 1;

    /// From names of fields with commas between them; blanks do not matter.
    ///
    /// # Errors
    /// The first mistake in the text, with its place.
    pub fn parse(text: &str) -> Result<Self, ShapeError> {
        if text.trim().is_empty() {
            return Err(ShapeError::Empty { at: 0..text.len() });
        }
        let mut fields: Vec<Field> = Vec::new();
        let mut next = 0;
        for item in text.split(',') {
            let start = next + (item.len() - item.trim_start().len());
            next += item.len() + 1;
            let name = item.trim();
            let at = start..start + name.len();
            if name.is_empty() {
                return Err(ShapeError::EmptyItem { at });
            }
            let Some(field) = Field::from_name(name) else {
                return Err(ShapeError::Unknown { name: name.to_owned(), near: nearest(name), at });
            };
            // `IP` and `IP6` are one name to conditions and templates, `PORT` and `PORT16` too.
            match fields.iter().find(|known| known.rule_name() == field.rule_name()) {
                Some(known) if *known == field => return Err(ShapeError::Repeated { field, at }),
                Some(known) => return Err(ShapeError::Rival { field, known: *known, at }),
                None => fields.push(field),
            }
        }
        let bytes = fields.iter().map(|field| field.width()).sum();
        Ok(Self { fields, bytes })
    }

    /// The fields in their order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The length of the plaintext.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The fields with their places in the plaintext.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Field, Range<usize>)> + '_ {
        self.fields.iter().scan(0, |next, field| {
            let start = *next;
            *next += field.width();
            Some((*field, start..*next))
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, field) in self.fields.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            write!(f, "{field}")?;
        }
        Ok(())
    }
}

/// The field whose name is nearest to this one, if any is near enough to be meant.
fn nearest(name: &str) -> Option<Field> {
    // A name that long is no slip of the finger, and the search is not free.
    if name.len() > 16 {
        return None;
    }
    let name = name.to_ascii_uppercase();
    Field::ALL
        .into_iter()
        .map(|field| (strsim::osa_distance(&name, &field.to_string()), field))
        .filter(|(distance, _)| *distance <= name.chars().count() / 3 + 1 && *distance < 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, field)| field)
}

/// What is wrong with the text of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// No field at all.
    Empty {
        /// The whole text.
        at: Range<usize>,
    },
    /// Nothing between two commas, or behind the last.
    EmptyItem {
        /// Between the commas.
        at: Range<usize>,
    },
    /// A name that no field has.
    Unknown {
        /// What stands there.
        name: String,
        /// The field that may have been meant.
        near: Option<Field>,
        /// Where.
        at: Range<usize>,
    },
    /// A field that was there already.
    Repeated {
        /// The field.
        field: Field,
        /// Where it stands again.
        at: Range<usize>,
    },
    /// Two fields that go by one name in conditions and templates.
    Rival {
        /// The later one.
        field: Field,
        /// The one before it.
        known: Field,
        /// Where the later one stands.
        at: Range<usize>,
    },
}

impl ShapeError {
    /// Which bytes of the text are at fault.
    #[must_use]
    pub fn at(&self) -> Range<usize> {
        match self {
            Self::Empty { at }
            | Self::EmptyItem { at }
            | Self::Unknown { at, .. }
            | Self::Repeated { at, .. }
            | Self::Rival { at, .. } => at.clone(),
        }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { .. } => {
                f.write_str("no fields given; write a list such as IP,PORT,TIME,CHECKSUM")
            }
            Self::EmptyItem { .. } => {
                f.write_str("nothing between the commas; write a field, or one comma less")
            }
            Self::Unknown { name, near: Some(near), .. } => {
                write!(f, "unknown field {name:?}; did you mean {near}?")
            }
            Self::Unknown { name, near: None, .. } => write!(
                f,
                "unknown field {name:?}; there are IP, IP6, PORT, PORT16, TIME, FLAG0 to FLAG9 and CHECKSUM"
            ),
            Self::Repeated { field, .. } => {
                write!(f, "{field} is there already; each field can be given once")
            }
            Self::Rival { field, known, .. } => write!(
                f,
                "{field} beside {known}: conditions and templates know both as {}; keep one of them",
                field.rule_name()
            ),
        }
    }
}

impl std::error::Error for ShapeError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is either `bytes: printed` or the message with the part at fault between `«»`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let got = match Shape::parse(text) {
            Ok(shape) => format!("{}: {shape}", shape.bytes()),
            Err(error) => {
                let Range { start, end } = error.at();
                format!("{}«{}»{} {error}", &text[..start], &text[start..end], &text[end..])
            }
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn fields_in_any_order() {
        check("IP,PORT,TIME,CHECKSUM", "7: IP,PORT,TIME,CHECKSUM");
        check(" CHECKSUM , FLAG9,IP6 ", "18: CHECKSUM,FLAG9,IP6");
        check("PORT16", "2: PORT16");
        let all = "IP6,PORT16,TIME,FLAG0,FLAG1,FLAG2,FLAG3,FLAG4,FLAG5,FLAG6,FLAG7,FLAG8,FLAG9,\
                   CHECKSUM";
        check(all, &format!("{}: {all}", Shape::MAX_BYTES));
    }

    #[test]
    fn places_follow_the_widths() {
        let shape = Shape::parse("CHECKSUM,IP,PORT16,TIME").unwrap();
        let places: Vec<_> = shape.places().map(|(_, place)| place).collect();
        assert_eq!(places, [0..1, 1..5, 5..7, 7..8]);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        check("", "«» no fields given; write a list such as IP,PORT,TIME,CHECKSUM");
        check(
            "IP,,PORT",
            "IP,«»,PORT nothing between the commas; write a field, or one comma less",
        );
        check("IP, PROT", "IP, «PROT» unknown field \"PROT\"; did you mean PORT?");
        check("ip,PORT", "«ip»,PORT unknown field \"ip\"; did you mean IP?");
        check("CHEKSUM", "«CHEKSUM» unknown field \"CHEKSUM\"; did you mean CHECKSUM?");
        check("IPV6", "«IPV6» unknown field \"IPV6\"; did you mean IP6?");
        let all = "there are IP, IP6, PORT, PORT16, TIME, FLAG0 to FLAG9 and CHECKSUM";
        check("HOSTNAME", &format!("«HOSTNAME» unknown field \"HOSTNAME\"; {all}"));
        let long = "X".repeat(1000);
        check(&long, &format!("«{long}» unknown field \"{long}\"; {all}"));
        check("IP,PORT,IP", "IP,PORT,«IP» IP is there already; each field can be given once");
        check(
            "IP,IP6",
            "IP,«IP6» IP6 beside IP: conditions and templates know both as IP; keep one of them",
        );
        check(
            "PORT16,PORT",
            "PORT16,«PORT» PORT beside PORT16: conditions and templates know both as PORT; keep one \
             of them",
        );
    }
}
