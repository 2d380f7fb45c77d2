//! Values while a rule is asked, and how Perl turned one kind into another.
//! Knows no names and no knock.

use std::net::IpAddr;

/// A value. Perl's truth is the number 1, its falsehood the empty text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Undefined,
    Number(f64),
    Text(String),
    Address(IpAddr),
}

impl Value {
    /// Fields are at most 16 bits wide and the clock's seconds far below 2^53, so nothing is lost.
    #[expect(clippy::cast_precision_loss, reason = "argued above")]
    pub(crate) fn from_integer(number: u64) -> Self {
        Self::Number(number as f64)
    }
}

/// A number as Perl prints it: 15 significant digits, no trailing zeros.
pub(crate) fn number_text(number: f64) -> String {
    number.to_string()
}
