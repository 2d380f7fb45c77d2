//! The keys of the configuration: what is known of each, and how to look one up.
//!
//! Validation, suggestions and the generated reference all read the one table in `keys/table.rs`.
//! How a value is taken apart is the model's business.

mod table;

use std::fmt;

use knock_formats::packet::Property;

pub use table::{CIPHERS, KEYS, RUNMODES};

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// The part of the file where it may stand.
    pub within: Within,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is absent, in the words of the file; empty when nothing does.
    pub default: &'static str,
    /// Which program reads it.
    pub used_by: UsedBy,
    /// Whether it may be given more than once in its part of the file.
    pub repeats: Repeats,
    /// One or two sentences for the reference.
    pub about: &'static str,
}

/// A part of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Within {
    /// Outside of all blocks.
    Top,
    /// `<actions>`, which holds actions and templates.
    Actions,
    /// `<action>`.
    Action,
    /// `<template NAME>`.
    Template,
    /// `<logformats>`, which holds formats.
    Logformats,
    /// `<logformat NAME>`, and a file in a `logformats` folder.
    Logformat,
    /// `expressions:` in a logformat.
    Expressions,
    /// `<sample>` in a logformat.
    Sample,
    /// `yields:` in a sample.
    Yields,
    /// `<ethfilters>`, which holds filters.
    Ethfilters,
    /// `<ethfilter NAME>`.
    Ethfilter,
}

impl Within {
    /// All parts, in the order of the reference.
    pub const ALL: &[Self] = &[
        Self::Top,
        Self::Actions,
        Self::Action,
        Self::Template,
        Self::Logformats,
        Self::Logformat,
        Self::Expressions,
        Self::Sample,
        Self::Yields,
        Self::Ethfilters,
        Self::Ethfilter,
    ];
}

impl Within {
    /// The part of the file that a block of this key is; `None` if it holds no keys that are known.
    #[must_use]
    pub fn inside(self, key: &str) -> Option<Self> {
        match (self, key) {
            (Self::Top, "actions") => Some(Self::Actions),
            (Self::Top, "logformats") => Some(Self::Logformats),
            (Self::Top, "ethfilters") => Some(Self::Ethfilters),
            (Self::Top | Self::Ethfilters, "ethfilter") => Some(Self::Ethfilter),
            (Self::Top | Self::Actions, "action") => Some(Self::Action),
            (Self::Top | Self::Actions, "template" | "templates") => Some(Self::Template),
            (Self::Top | Self::Logformats, "logformat") => Some(Self::Logformat),
            (Self::Logformat, "expressions") => Some(Self::Expressions),
            (Self::Logformat, "sample" | "samples") => Some(Self::Sample),
            (Self::Sample, "yields") => Some(Self::Yields),
            _ => None,
        }
    }
}

/// The blocks that have a name of their own, as in `<template open>`.
pub const NAMED: &[&str] = &["action", "template", "templates", "logformat", "ethfilter"];

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Top => "the file",
            Self::Actions => "'actions'",
            Self::Action => "an action",
            Self::Template => "a template",
            Self::Logformats => "'logformats'",
            Self::Logformat => "a logformat",
            Self::Expressions => "'expressions'",
            Self::Sample => "a sample",
            Self::Yields => "'yields'",
            Self::Ethfilters => "'ethfilters'",
            Self::Ethfilter => "an ethfilter",
        })
    }
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `yes` or `no`.
    YesNo,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One or several of these words.
    SomeOf(&'static [&'static str]),
    /// A name.
    Name,
    /// One or several names.
    Names,
    /// Any text.
    Text,
    /// A file or folder.
    Path,
    /// A time: seconds, or with a unit.
    Duration,
    /// A time: milliseconds, or with a unit.
    Milliseconds,
    /// A whole number from 1.
    Count,
    /// A port.
    Port,
    /// A number from 0 to 255.
    Byte,
    /// A number from 0 to 65535.
    Group,
    /// A port, or an expression over the fields of a knock.
    PortNumber,
    /// How long a lease lasts: as a delay, or without an end.
    Lease,
    /// The longest of all leases.
    MaxLease,
    /// Whether a user has leases at one address only, and who a user is.
    OneLease,
    /// The length of a prefix of an IPv4 address.
    Prefix4,
    /// The length of a prefix of an IPv6 address.
    Prefix6,
    /// A host name or an address.
    Host,
    /// An address.
    Address,
    /// The length of a MAC.
    MacLength,
    /// The fields of a knock.
    Fields,
    /// Ports and ranges of ports.
    Ports,
    /// A condition over the fields of a knock.
    Condition,
    /// A time or an expression over the fields of a knock.
    Delay,
    /// An assignment to the state variable.
    StateUpdate,
    /// A shell command with field names in it.
    ShellCommand,
    /// A program and its arguments.
    Arguments,
    /// The arguments of `iptables`.
    FirewallRule,
    /// A regular expression.
    Expression,
    /// What a number in a packet's header must be.
    PacketNumber,
    /// A block of further keys.
    Block,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneOf(words) | Self::SomeOf(words) => {
                if matches!(self, Self::SomeOf(_)) {
                    f.write_str("one or several of ")?;
                }
                for (n, word) in words.iter().enumerate() {
                    let join = if n == 0 {
                        ""
                    } else if n + 1 == words.len() {
                        " or "
                    } else {
                        ", "
                    };
                    write!(f, "{join}'{word}'")?;
                }
                if matches!(self, Self::SomeOf(_)) {
                    f.write_str(", with commas between")?;
                }
                return Ok(());
            }
            Self::YesNo => "'yes' or 'no'",
            Self::Name => "a name",
            Self::Names => "one or several names, with commas between",
            Self::Text => "text",
            Self::Path => "a path",
            Self::Duration => "a time such as 0.5, 30s, 5m or 2h",
            Self::Milliseconds => "milliseconds, or a time such as 50ms or 1s",
            Self::Count => "a whole number, 1 or more",
            Self::Port => "a port, 1-65535",
            Self::Byte => "a number, 0-255",
            Self::Group => "a number, 0-65535",
            Self::PortNumber => "a port, 1-65535, or an expression such as PORT",
            Self::Lease => {
                "minutes, a time such as 90s or 2h, an expression such as TIME, or unlimited"
            }
            Self::MaxLease => "a time such as 30m, 12h or 2d, or unlimited",
            Self::OneLease => "'yes', 'no' or a field of the knock",
            Self::Prefix4 => "a prefix length, 16-32",
            Self::Prefix6 => "a prefix length, 32-128",
            Self::Host => "a host name or an address",
            Self::Address => "an address",
            Self::MacLength => "0, or a number from 4 to 32",
            Self::Fields => "fields with commas between, such as IP,PORT,TIME,CHECKSUM",
            Self::Ports => "ports and ranges, such as 745-1000 or 2000-2127,3000-3127",
            Self::Condition => "a condition such as PORT == 22 && TIME == 0",
            Self::Delay => "minutes, a time such as 90s or 2h, or an expression such as TIME",
            Self::StateUpdate => "an assignment such as state(IP,visits)++",
            Self::ShellCommand => "a shell command",
            Self::Arguments => "a program and its arguments",
            Self::FirewallRule => "the arguments of iptables, such as -I INPUT -s IP -j ACCEPT",
            Self::Expression => "a regular expression",
            Self::PacketNumber => "a number, a range, or symbols such as SYN & !ACK",
            Self::Block => "a block of keys",
        })
    }
}

/// Which program reads a key. The other one accepts it in silence, since both may share a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsedBy {
    /// `knockdaemon`.
    Daemon,
    /// `knockclient`.
    Client,
    /// Both.
    Both,
}

impl fmt::Display for UsedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Daemon => "knockdaemon",
            Self::Client => "knockclient",
            Self::Both => "both",
        })
    }
}

/// Whether a key may be given more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeats {
    /// Once at most.
    Once,
    /// As often as needed.
    Often,
}

/// Looks a key up. A property of a packet may have its header's name before its own.
#[must_use]
pub fn find(within: Within, name: &str) -> Option<&'static Key> {
    let name = match Property::parse(name) {
        Some(property) if within == Within::Ethfilter => property.as_str(),
        Some(_) | None => name,
    };
    KEYS.iter().find(|key| key.within == within && key.name == name)
}

/// The names that may stand in a part of the file, in the table's order.
pub fn names(within: Within) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |key| key.within == within).map(|key| key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice() {
        for (n, key) in KEYS.iter().enumerate() {
            let again =
                KEYS.iter().skip(n + 1).find(|k| (k.within, k.name) == (key.within, key.name));
            assert!(again.is_none(), "{} twice in {}", key.name, key.within);
        }
    }

    #[test]
    fn every_key_is_documented_in_sentences() {
        for key in KEYS {
            assert!(key.about.ends_with('.'), "{}: {:?}", key.name, key.about);
            assert!(key.about.starts_with(char::is_uppercase), "{}: {:?}", key.name, key.about);
            assert!(!key.about.contains("  "), "{}: {:?}", key.name, key.about);
            assert!(!key.name.contains(char::is_uppercase), "{}", key.name);
        }
    }

    #[test]
    fn every_part_of_the_file_has_keys() {
        for within in Within::ALL {
            assert!(names(*within).next().is_some(), "{within}");
        }
    }

    #[test]
    fn ciphers_and_their_settings_are_those_of_the_wire() {
        use knock_wire::{CipherName, KeyDerivation, Padding};
        assert_eq!(CipherName::ALL.map(CipherName::as_str), CIPHERS);
        let words = |name| match find(Within::Top, name).unwrap().kind {
            Kind::OneOf(words) => words,
            kind => panic!("{kind}"),
        };
        assert_eq!(words("keyderivation"), KeyDerivation::ALL.map(KeyDerivation::as_str));
        assert_eq!(words("padding"), Padding::ALL.map(Padding::as_str));
    }

    #[test]
    fn choices_read_like_a_sentence() {
        assert_eq!(Kind::OneOf(&["a", "b", "c"]).to_string(), "'a', 'b' or 'c'");
        assert_eq!(
            Kind::SomeOf(&["a", "b"]).to_string(),
            "one or several of 'a' or 'b', with commas between"
        );
    }

    #[test]
    fn every_property_of_a_packet_has_its_row() {
        let properties: Vec<_> = Property::all().map(Property::as_str).collect();
        assert_eq!(names(Within::Ethfilter).collect::<Vec<_>>(), properties);
        for property in Property::all() {
            let row = find(Within::Ethfilter, property.as_str()).unwrap();
            assert_eq!(row.kind == Kind::Expression, property.is_text(), "{property}");
            for name in property.names() {
                assert_eq!(find(Within::Ethfilter, name).unwrap().name, row.name, "{name}");
            }
        }
    }
}
