//! Which names a rule may use, and what to suggest for one that it may not.
//! Knows names only; [`crate::Scope`] has their values.

use std::fmt;
use std::ops::Range;

use knock_wire::{Field, Shape};

use crate::error::RuleError;

/// The names that the rules of one knock format may use: its fields, `IP` and `CLIENT` always, and
/// the time words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    fields: Vec<Field>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Variable {
    /// The knock's address field, or the client where the format has none.
    Ip,
    /// Who sent the packets.
    Client,
    Field(&'static str),
    Clock(Clock),
}

/// The time words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Clock {
    /// Seconds since 1970.
    Now,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Weekday,
}

/// What the knock format has to say about a word.
pub(crate) enum Lookup {
    Known(Variable),
    /// A field of other knock formats.
    Missing,
    Unknown,
}

const CLOCKS: [(&str, Clock); 7] = [
    ("NOW", Clock::Now),
    ("THISYEAR", Clock::Year),
    ("THISMONTH", Clock::Month),
    ("THISDAY", Clock::Day),
    ("THISHOUR", Clock::Hour),
    ("THISMINUTE", Clock::Minute),
    ("THISWEEKDAY", Clock::Weekday),
];

impl Names {
    /// The names of a knock format.
    #[must_use]
    pub fn new(shape: &Shape) -> Self {
        Self::from_fields(shape.fields())
    }

    /// The names of a knock with these fields.
    #[must_use]
    pub fn from_fields(fields: &[Field]) -> Self {
        Self { fields: fields.to_vec() }
    }

    pub(crate) fn look_up(&self, word: &str) -> Lookup {
        if word == "IP" {
            return Lookup::Known(Variable::Ip);
        }
        if word == "CLIENT" {
            return Lookup::Known(Variable::Client);
        }
        if let Some((_, clock)) = CLOCKS.iter().find(|(name, _)| *name == word) {
            return Lookup::Known(Variable::Clock(*clock));
        }
        if let Some(field) = self.fields.iter().find(|field| field.rule_name() == word) {
            return Lookup::Known(Variable::Field(field.rule_name()));
        }
        match Field::from_name(word) {
            // The manual's time word, where it is not the knock's field.
            Some(Field::Time) => Lookup::Known(Variable::Clock(Clock::Now)),
            Some(_) => Lookup::Missing,
            None => Lookup::Unknown,
        }
    }

    /// Whether a word is one of the format's fields, or `IP`: what a template replaces.
    pub(crate) fn field(&self, word: &str) -> Option<Variable> {
        match self.look_up(word) {
            Lookup::Known(variable @ (Variable::Ip | Variable::Field(_))) => Some(variable),
            Lookup::Known(Variable::Client | Variable::Clock(_))
            | Lookup::Missing
            | Lookup::Unknown => None,
        }
    }

    /// The field that a text in quotes is nothing but the name of, with or without percent signs.
    /// The original put values in place of names in quotes too: `"IP" eq "192.0.2.7"`.
    pub(crate) fn quoted_field(&self, text: &str) -> Option<Variable> {
        let marked = text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%'));
        self.field(marked.unwrap_or(text))
    }

    /// Whether a word is a field of the format that goes by another name in rules: `PORT16`.
    pub(crate) fn is_alias(&self, word: &str) -> bool {
        let field = Field::from_name(word).filter(|field| self.fields.contains(field));
        field.is_some_and(|field| field.rule_name() != word)
    }

    pub(crate) fn missing(&self, at: Range<usize>, word: &str) -> RuleError {
        let seen = match Field::from_name(word) {
            Some(field) if field.to_string() != field.rule_name() => Some(field.rule_name()),
            Some(_) | None => None,
        };
        if let Some(seen) = seen {
            return RuleError::new(at, format!("{word} goes by the name {seen} here"))
                .help_with(format!("write {seen}"));
        }
        if self.fields.is_empty() {
            return RuleError::new(at, format!("this knock has no fields, so no {word}"));
        }
        RuleError::new(at, format!("the knock format {self} has no {word}"))
            .help_with(format!("add {word} to `knock`"))
    }

    pub(crate) fn unknown(&self, at: Range<usize>, word: &str) -> RuleError {
        let error = RuleError::new(at, format!("unknown name `{word}`"));
        match self.nearest(word) {
            Some(name) => error.help_with(format!("did you mean {name}?")),
            None => error.help_with(format!("a text needs quotes: \"{word}\"")),
        }
    }

    /// The name that is likely meant.
    pub(crate) fn nearest(&self, word: &str) -> Option<&'static str> {
        let word = word.to_ascii_uppercase();
        // HOUR, WEEKDAY: the time words begin with THIS.
        let clock =
            CLOCKS.iter().find(|(name, _)| name.strip_prefix("THIS") == Some(word.as_str()));
        if let Some((name, _)) = clock {
            return Some(name);
        }
        let own = self.fields.iter().map(|field| field.rule_name());
        let names = own.chain(["IP", "CLIENT"]).chain(CLOCKS.iter().map(|(name, _)| *name));
        // A short word is one slip away from too many others.
        let allowed = if word.len() < 4 { 1 } else { 2 };
        names
            .map(|name| (strsim::osa_distance(&word, name), name))
            .filter(|(distance, name)| *distance <= allowed && *distance < name.len() - 1)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, name)| name)
    }
}

/// The fields as the config's `knock` lists them.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.fields.iter().enumerate() {
            write!(f, "{}{field}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Variable {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ip => "IP",
            Self::Client => "CLIENT",
            Self::Field(name) => name,
            Self::Clock(clock) => {
                CLOCKS.iter().find(|(_, known)| *known == clock).map_or("NOW", |(name, _)| *name)
            }
        }
    }

    pub(crate) fn is_address(self) -> bool {
        matches!(self, Self::Ip | Self::Client)
    }
}
