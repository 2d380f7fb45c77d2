//! A knock: the fields that an accepted window spelled, with their values.
//! Knows nothing of how they are packed or enciphered; [`crate::Codec`] does.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Field;

/// What a field holds: a number or an address, never text, so it can never become code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number, as wide as its field.
    Number(u64),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl From<Ipv4Addr> for Value {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(IpAddr::V4(address))
    }
}

impl From<Ipv6Addr> for Value {
    fn from(address: Ipv6Addr) -> Self {
        Self::Address(IpAddr::V6(address))
    }
}

/// The fields of one knock in the order of its format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knock {
    values: Vec<(Field, Value)>,
}

impl Knock {
    /// A knock without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field, in place of an earlier value.
    pub fn set(&mut self, field: Field, value: Value) {
        match self.values.iter_mut().find(|(known, _)| *known == field) {
            Some((_, old)) => *old = value,
            None => self.values.push((field, value)),
        }
    }

    /// The value of a field.
    #[must_use]
    pub fn field(&self, field: Field) -> Option<Value> {
        self.values.iter().find(|(known, _)| *known == field).map(|(_, value)| *value)
    }

    /// By the name that conditions and templates use (`IP`, `PORT`, `FLAG3`).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        self.values.iter().find(|(field, _)| field.rule_name() == name).map(|(_, value)| *value)
    }

    /// All fields, in the order of the format.
    pub fn iter(&self) -> impl Iterator<Item = (Field, Value)> + '_ {
        self.values.iter().copied()
    }
}
