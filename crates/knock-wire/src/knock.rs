//! A knock: the fields that an accepted window spelled, with their values.
//! Knows the fields' names and widths, not how they are packed or enciphered.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One field of a knock format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The client's IPv4 address, 4 bytes.
    Ip,
    /// The client's IPv6 address, 16 bytes.
    Ip6,
    /// A port up to 255, 1 byte, as in the original.
    Port,
    /// Any port, 2 bytes; conditions and templates see it as `PORT`.
    Port16,
    /// 0 opens, 255 closes, 1-254 minutes; 1 byte. What it means is up to the actions.
    Time,
    /// `FLAG0` to `FLAG9`, free for the admin, 1 byte.
    Flag(u8),
    /// The sum of all other bytes of the plaintext, mod 255; 1 byte.
    Checksum,
}

impl Field {
    /// By its name in the `knock` list, in capitals.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "IP" => Self::Ip,
            "IP6" => Self::Ip6,
            "PORT" => Self::Port,
            "PORT16" => Self::Port16,
            "TIME" => Self::Time,
            "CHECKSUM" => Self::Checksum,
            _ => match name.strip_prefix("FLAG")?.as_bytes() {
                [digit @ b'0'..=b'9'] => Self::Flag(digit - b'0'),
                _ => return None,
            },
        })
    }

    /// Width on the wire, in bytes.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Ip => 4,
            Self::Ip6 => 16,
            Self::Port16 => 2,
            Self::Port | Self::Time | Self::Flag(_) | Self::Checksum => 1,
        }
    }

    /// The name under which conditions and templates know its value: `IP6` is their `IP`, and
    /// `PORT16` their `PORT`, so that one set of actions serves both.
    #[must_use]
    pub fn rule_name(self) -> &'static str {
        match self {
            Self::Ip | Self::Ip6 => "IP",
            Self::Port | Self::Port16 => "PORT",
            Self::Time => "TIME",
            Self::Checksum => "CHECKSUM",
            Self::Flag(n) => {
                const FLAGS: [&str; 10] = [
                    "FLAG0", "FLAG1", "FLAG2", "FLAG3", "FLAG4", "FLAG5", "FLAG6", "FLAG7", "FLAG8",
                    "FLAG9",
                ];
                FLAGS.get(usize::from(n)).copied().unwrap_or("FLAG9")
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip6 => f.write_str("IP6"),
            Self::Port16 => f.write_str("PORT16"),
            Self::Ip | Self::Port | Self::Time | Self::Flag(_) | Self::Checksum => {
                f.write_str(self.rule_name())
            }
        }
    }
}

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
