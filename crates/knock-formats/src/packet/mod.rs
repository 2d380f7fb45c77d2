//! Captured packets: the headers of one are read, filters choose among them, and what they choose
//! is a hit. Where packets come from is not known here.

mod capture;
mod error;
mod filter;
mod link;
mod lint;
mod nohit;
mod numbers;
mod parse;
mod property;
mod symbols;
mod text;

use std::time::SystemTime;

pub use error::{FilterError, FilterErrorKind};
pub use filter::{EthFilter, EthFilterSpec, EthFilters};
pub use link::LinkType;
pub use lint::{FilterLint, FilterLintKind};
pub use nohit::NoPacketHit;
pub use parse::Packet;
pub use property::{Property, PropertyValue};

/// A packet as it was captured, perhaps cut short.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// What it begins with.
    pub link: LinkType,
    /// As much of it as was captured, from its first byte.
    pub bytes: &'a [u8],
    /// When, if the capture tells.
    pub time: Option<SystemTime>,
}
