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

/// The fields by the names that conditions use, in the order of the format: `IP=10.0.0.1 PORT=22`.
/// The checksum is left out: it only repeats the others.
impl fmt::Display for Knock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.iter().filter(|(field, _)| *field != Field::Checksum);
        for (place, (field, value)) in said.enumerate() {
            let blank = if place > 0 { " " } else { "" };
            write!(f, "{blank}{}={value}", field.rule_name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_conditions_name_it() {
        let mut knock = Knock::new();
        assert_eq!(knock.to_string(), "");
        knock.set(Field::Checksum, Value::Number(7));
        knock.set(Field::Ip6, Value::from(Ipv6Addr::LOCALHOST));
        knock.set(Field::Port16, Value::Number(8080));
        knock.set(Field::Flag(3), Value::Number(1));
        assert_eq!(knock.to_string(), "IP=::1 PORT=8080 FLAG3=1");
    }
}
