//! Which names a rule may use, and what to suggest for one that it may not.
//! Knows names only; [`crate::Scope`] has their values.

use knock_wire::Field;

/// The names that the rules of one knock format may use: its fields, `IP` and `CLIENT` always, and
/// the time words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    fields: Vec<Field>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Variable {
    Ip,
    Client,
    Field(&'static str),
    Clock(Clock),
}

/// The time words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Clock {
    Now,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Weekday,
}

impl Names {
    /// The names of a knock with these fields.
    #[must_use]
    pub fn from_fields(fields: &[Field]) -> Self {
        Self { fields: fields.to_vec() }
    }
}
