//! A set of bytes: a class of an expression.

use std::fmt;

use regex_syntax::hir::{Class, Hir, HirKind};

/// Which bytes belong to it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Set {
    bytes: [bool; 256],
    ends_at: EndsAt,
}

/// Which bytes end a run of a set's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndsAt {
    /// Blanks: it is `\S`.
    Blank,
    /// The `=`: it is `[^=]`.
    Sign,
    /// Others.
    Other,
}

impl Set {
    /// No byte.
    pub(super) fn none() -> Self {
        Self::where_(|_| false)
    }

    /// One byte.
    pub(super) fn of(byte: u8) -> Self {
        Self::where_(|other| other == byte)
    }

    /// Those for which this holds.
    pub(super) fn where_(holds: impl Fn(u8) -> bool) -> Self {
        let bytes = std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(&holds));
        let is_all_but =
            |other: fn(u8) -> bool| (0..=u8::MAX).all(|byte| holds(byte) != other(byte));
        let ends_at = match () {
            () if is_all_but(|byte| matches!(byte, b' ' | b'\t'..=b'\r')) => EndsAt::Blank,
            () if is_all_but(|byte| byte == b'=') => EndsAt::Sign,
            () => EndsAt::Other,
        };
        Self { bytes, ends_at }
    }

    /// Of an expression that matches one byte, whichever it is of a class; `None` of any other.
    pub(super) fn of_class(hir: &Hir) -> Option<Self> {
        match hir.kind() {
            HirKind::Class(Class::Bytes(class)) => Some(Self::where_(|byte| {
                class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&byte))
            })),
            HirKind::Literal(literal) => match *literal.0 {
                [byte] => Some(Self::of(byte)),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn has(&self, byte: u8) -> bool {
        self.bytes[usize::from(byte)]
    }

    pub(super) fn ends_at(&self) -> EndsAt {
        self.ends_at
    }

    /// How many of the first bytes belong to it.
    pub(super) fn run(&self, bytes: &[u8]) -> usize {
        bytes.iter().position(|byte| !self.has(*byte)).unwrap_or(bytes.len())
    }

    /// Where the first byte stands that does not belong to it.
    pub(super) fn first_other(&self, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|byte| !self.has(*byte))
    }

    /// Its byte, if it is one alone.
    pub(super) fn only(&self) -> Option<u8> {
        let mut bytes = (0..=u8::MAX).filter(|byte| self.has(*byte));
        bytes.next().filter(|_| bytes.next().is_none())
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.bytes.iter().zip(&other.bytes).any(|(one, other)| *one && *other)
    }

    pub(super) fn with(&self, other: &Self) -> Self {
        Self::where_(|byte| self.has(byte) || other.has(byte))
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = (0..=u8::MAX).filter(|byte| self.has(*byte)).collect();
        write!(f, "[{}]", bytes.escape_ascii())
    }
}
