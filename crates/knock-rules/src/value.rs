//! Values while a rule is asked, and how Perl turned one kind into another.
//! Knows no names and no knock.

use std::net::IpAddr;

use crate::error::EvalError;

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

    pub(crate) fn from_bool(truth: bool) -> Self {
        if truth { Self::Number(1.0) } else { Self::Text(String::new()) }
    }

    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Undefined => false,
            Self::Number(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty() && text != "0",
            Self::Address(_) => true,
        }
    }

    /// Perl would take the 10 of 10.0.0.1, and so hold all of 10.0.0.0/8 for equal.
    pub(crate) fn to_number(&self) -> Result<f64, EvalError> {
        match self {
            Self::Undefined => Ok(0.0),
            Self::Number(number) => Ok(*number),
            Self::Text(text) => Ok(leading_number(text).unwrap_or(0.0)),
            Self::Address(address) => Err(EvalError::AddressAsNumber { address: *address }),
        }
    }

    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Undefined => String::new(),
            Self::Number(number) => number_text(number),
            Self::Text(text) => text,
            Self::Address(address) => address.to_string(),
        }
    }

    pub(crate) fn to_address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Text(text) => text.parse().ok().map(|address: IpAddr| address.to_canonical()),
            Self::Undefined | Self::Number(_) => None,
        }
    }
}

/// The number that a text starts with, as Perl reads it: `22/tcp` is 22, `ssh` none.
pub(crate) fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let digits =
        |from: &str| from.len() - from.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let after = |at: usize| text.get(at..).unwrap_or_default();

    let sign = usize::from(text.starts_with(['+', '-']));
    let whole = digits(after(sign));
    let mut end = sign + whole;
    let mut fraction = 0;
    if let Some(rest) = after(end).strip_prefix('.') {
        fraction = digits(rest);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return None;
    }
    if let Some(rest) = after(end).strip_prefix(['e', 'E']) {
        let sign = usize::from(rest.starts_with(['+', '-']));
        let exponent = digits(rest.get(sign..).unwrap_or_default());
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    text.get(..end)?.parse().ok()
}

/// A number as Perl prints it: whole ones in full, others with 15 digits and no trailing zeros.
pub(crate) fn number_text(number: f64) -> String {
    const DIGITS: i32 = 15;
    const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Inf" } else { "-Inf" }.to_owned();
    }
    if number.fract() == 0.0 && number.abs() <= LARGEST_WHOLE {
        return format!("{:.0}", number + 0.0); // + 0.0: no minus before a zero
    }
    let scientific = format!("{number:.14e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..DIGITS).contains(&exponent) {
        let places = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        trimmed(&format!("{number:.places$}"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_perl() {
        // Each made with perl -e 'print …'.
        for (number, text) in [
            (22.0, "22"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
            (2.5, "2.5"),
            (1e15, "1000000000000000"),
            (1e100, "1e+100"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-1.5e-7, "-1.5e-07"),
            (123_456_789_012_345.6, "123456789012346"),
            (f64::INFINITY, "Inf"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }

    #[test]
    fn a_text_counts_as_the_number_that_it_starts_with() {
        for (text, number) in [
            ("22", Some(22.0)),
            (" 22/tcp", Some(22.0)),
            ("-1.5x", Some(-1.5)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3", Some(1000.0)),
            ("1e", Some(1.0)),
            ("0x10", Some(0.0)),
            ("ssh", None),
            ("", None),
            (".", None),
            ("-", None),
        ] {
            assert_eq!(leading_number(text), number, "{text:?}");
        }
    }
}
