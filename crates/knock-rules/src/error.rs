//! What can be wrong with a rule: with its text when the config is read, with its values when a
//! knock comes. Knows places inside one text only; the config adds file and line.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use crate::memory::{MAX_BYTES, MAX_ENTRIES};

/// A mistake in the text of a rule.
///
/// Its sentences are made by the checks that find the mistakes: there are near a hundred, each
/// with a way out that quotes the text, and nobody ever asks which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The bytes of the text that it is about.
    pub at: Range<usize>,
    /// Which text, where there are several: the index of the word of an `exec` list, else 0.
    pub part: usize,
    message: String,
    help: Option<String>,
}

impl RuleError {
    pub(crate) fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, part: 0, message: message.into(), help: None }
    }

    pub(crate) fn help_with(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn in_part(mut self, part: usize) -> Self {
        self.part = part;
        self
    }

    /// The way out, where there is one.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        self.help.clone()
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RuleError {}

/// Why a rule that reads well has no result for this knock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvalError {
    /// A division or a remainder by zero.
    DivisionByZero,
    /// The knock lacks a field that its format promised.
    NoValue {
        /// The field's name.
        name: &'static str,
    },
    /// An address stands where a number is needed.
    AddressAsNumber {
        /// The address.
        address: IpAddr,
    },
    /// The second argument of `cidr` is neither an address nor a network.
    NotANetwork {
        /// What it is.
        text: String,
    },
    /// A text grew longer than we keep.
    TextTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A key of the state variable is longer than we keep.
    KeyTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The state variable has as many entries or bytes as it may have.
    MemoryFull,
    /// A rule for one family of addresses, a client of the other.
    WrongFamily {
        /// The address that the knock has.
        address: IpAddr,
        /// What the template has that does not go with it.
        template: String,
    },
    /// A prefix such as the `/24` of `IP/24`, written for IPv4, and an IPv6 client: taken
    /// literally it would open the door to a good part of the world.
    PrefixOfOtherFamily {
        /// The address that the knock has.
        address: IpAddr,
        /// The prefix length that the template has.
        bits: u8,
    },
    /// What is to be opened or closed is no port.
    NotAPort {
        /// What it is, as a rule prints it.
        number: String,
    },
    /// The time of a lease lies in the past, or is no number.
    NoLeaseTime {
        /// What it is, in minutes, as a rule prints it.
        minutes: String,
    },
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DivisionByZero => f.write_str("division by zero"),
            Self::NoValue { name } => write!(f, "the knock has no {name}"),
            Self::AddressAsNumber { address } => {
                write!(f, "the address {address} stands where a number is needed")
            }
            Self::NotANetwork { text } => {
                write!(f, "{text:?} is neither an address nor a network such as 10.0.0.0/8")
            }
            Self::TextTooLong { limit } => write!(f, "a text grew beyond {limit} bytes"),
            Self::KeyTooLong { limit } => {
                write!(f, "a key of the state variable is longer than {limit} bytes")
            }
            Self::MemoryFull => {
                write!(f, "the state variable is full: {MAX_ENTRIES} entries or {MAX_BYTES} bytes")
            }
            Self::WrongFamily { address, template } => {
                write!(f, "the template has {template}, which does not go with {address}")
            }
            Self::PrefixOfOtherFamily { address, bits } => write!(
                f,
                "the template's /{bits} is meant for IPv4 and would open a huge network to {address}"
            ),
            Self::NotAPort { number } => write!(f, "{number} is no port, 1-65535"),
            Self::NoLeaseTime { minutes } => write!(f, "{minutes} minutes is no time for a lease"),
        }
    }
}

impl std::error::Error for EvalError {}
