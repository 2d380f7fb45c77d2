//! The fields that a knock format may have: names and widths.
//! Not their values ([`crate::Knock`]) and not their order ([`crate::Shape`]).

use std::fmt;

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
    /// Every field, in the order in which messages list them.
    pub const ALL: [Self; 16] = [
        Self::Ip,
        Self::Ip6,
        Self::Port,
        Self::Port16,
        Self::Time,
        Self::Flag(0),
        Self::Flag(1),
        Self::Flag(2),
        Self::Flag(3),
        Self::Flag(4),
        Self::Flag(5),
        Self::Flag(6),
        Self::Flag(7),
        Self::Flag(8),
        Self::Flag(9),
        Self::Checksum,
    ];

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
                    "FLAG0", "FLAG1", "FLAG2", "FLAG3", "FLAG4", "FLAG5", "FLAG6", "FLAG7",
                    "FLAG8", "FLAG9",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_own_name() {
        for field in Field::ALL {
            assert_eq!(Field::from_name(&field.to_string()), Some(field));
        }
        for unknown in ["", "ip", "FLAG", "FLAG10", "FLAG-1", "PORT 16", "MAC"] {
            assert_eq!(Field::from_name(unknown), None, "{unknown:?}");
        }
    }
}
