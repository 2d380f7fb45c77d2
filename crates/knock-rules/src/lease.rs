//! What a lease is made of, as expressions: which port, and for how long. Opens nothing; bounds on the
//! time are the engine's business.

use std::time::Duration;

use crate::ast::Expr;
use crate::delay::{bounded, constant, with_units};
use crate::error::{EvalError, RuleError};
use crate::eval::evaluate;
use crate::names::{Clock, Names, Variable};
use crate::parser::{Purpose, parse_expression};
use crate::scope::Scope;
use crate::value::number_text;

/// The port that a template opens or closes, read and checked: `22`, `PORT`, `8000 + FLAG0`.
#[derive(Clone, Debug, PartialEq)]
pub struct PortNumber {
    expr: Expr,
}

impl PortNumber {
    /// Reads a number or an expression.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, names: &Names) -> Result<Self, Vec<RuleError>> {
        let expr = parse_expression(text, names, Purpose::Number("a port"))?;
        if let Some(number) = constant(&expr)
            && port(number).is_none()
        {
            let message = format!("{} is no port", number_text(number));
            let error = RuleError::new(0..text.len(), message);
            return Err(vec![error.help_with("a port is a number, 1-65535")]);
        }
        Ok(Self { expr })
    }

    /// Which it is, where it is the same for every knock and can be seen to be.
    #[must_use]
    pub fn fixed(&self) -> Option<u16> {
        constant(&self.expr).and_then(port)
    }

    /// Which it is for this knock.
    ///
    /// # Errors
    /// When it has no result for these values, or one that is no port.
    pub fn of(&self, scope: &Scope<'_>) -> Result<u16, EvalError> {
        let number = evaluate(&self.expr, scope)?.to_number()?;
        port(number).ok_or_else(|| EvalError::NotAPort { number: number_text(number) })
    }
}

fn port(number: f64) -> Option<u16> {
    let in_range = (1.0..=f64::from(u16::MAX)).contains(&number) && number.fract() == 0.0;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number in the range of ports"
    )]
    in_range.then_some(number as u16)
}

/// How long a lease is wanted for, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseTime {
    length: Length,
}

#[derive(Clone, Debug, PartialEq)]
enum Length {
    /// Until it is closed.
    Unlimited,
    Fixed(Duration),
    Minutes(Expr),
}

impl LeaseTime {
    /// Reads `unlimited`, or what a delay may be: a number or an expression in minutes, or `90s`,
    /// `5m`, `2h`, `1d`, `1h 30m`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, names: &Names) -> Result<Self, Vec<RuleError>> {
        let length = if text.trim().eq_ignore_ascii_case("unlimited") {
            Length::Unlimited
        } else if let Some(seconds) = with_units(text) {
            Length::Fixed(bounded(seconds))
        } else {
            match parse_expression(text, names, Purpose::Number("a lease"))? {
                // Years, silently: the manual's word for the time of day.
                Expr::Variable(Variable::Clock(Clock::Now)) if text.trim() == "TIME" => {
                    return Err(vec![names.missing(0..text.len(), "TIME")]);
                }
                expr => match constant(&expr) {
                    Some(minutes) if minutes >= 0.0 => Length::Fixed(bounded(minutes * 60.0)),
                    Some(_) => return Err(vec![no_time(text, "a lease below 0 lies in the past")]),
                    None => Length::Minutes(expr),
                },
            }
        };
        if length == Length::Fixed(Duration::ZERO) {
            return Err(vec![no_time(text, "a lease of no time opens nothing")]);
        }
        Ok(Self { length })
    }

    /// One that ends only when it is closed.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.length == Length::Unlimited
    }

    /// How long it is, where it is the same for every knock and can be seen to be.
    #[must_use]
    pub fn fixed(&self) -> Option<Duration> {
        match &self.length {
            Length::Fixed(length) => Some(*length),
            Length::Unlimited | Length::Minutes(_) => None,
        }
    }

    /// How long it is for this knock; `None`: it has no end of its own. That is what `unlimited` says,
    /// and what a knock says with 0: in the article that this comes from, a TIME of 0 opens until
    /// another knock closes.
    ///
    /// # Errors
    /// When it has no result for these values, or one that is less than nothing.
    pub fn after(&self, scope: &Scope<'_>) -> Result<Option<Duration>, EvalError> {
        let minutes = match &self.length {
            Length::Unlimited => return Ok(None),
            Length::Fixed(length) => return Ok(Some(*length)),
            Length::Minutes(expr) => evaluate(expr, scope)?.to_number()?,
        };
        if minutes.is_nan() || minutes < 0.0 {
            return Err(EvalError::NoLeaseTime { minutes: number_text(minutes) });
        }
        Ok((minutes > 0.0).then(|| bounded(minutes * 60.0)))
    }
}

fn no_time(text: &str, message: &str) -> RuleError {
    RuleError::new(0..text.len(), message)
        .help_with("write a time such as 30m, an expression such as TIME, or unlimited")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{names, only, setting, told};

    const SHAPE: &str = "IP,PORT,TIME,FLAG0,CHECKSUM";

    #[track_caller]
    fn lasts(lease: &str, values: &str, expected: &str) {
        let parsed = LeaseTime::parse(lease, &names(SHAPE)).unwrap();
        let told = match parsed.after(&setting(values).scope()) {
            Ok(Some(length)) => format!("{} s", length.as_secs_f64()),
            Ok(None) => "no end".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(told, expected, "{lease} with {values}");
    }

    #[test]
    fn a_lease_has_a_time() {
        lasts("15", "", "900 s");
        lasts("90s", "", "90 s");
        lasts("TIME", "TIME=5", "300 s");
        lasts("TIME || 30", "TIME=0", "1800 s");
        lasts("unlimited", "", "no end");
        lasts(" Unlimited ", "", "no end");
        lasts("TIME", "TIME=0", "no end");
        lasts("TIME - 5", "TIME=4", "-1 minutes is no time for a lease");
        lasts("60 / FLAG0", "FLAG0=0", "division by zero");
        lasts("TIME / 100", "TIME=1", "0.6 s");
    }

    #[test]
    fn what_is_no_time_is_told() {
        let refused = |text: &str, shape: &str| {
            told(&[text], &LeaseTime::parse(text, &names(shape)).unwrap_err())
        };
        let help = "write a time such as 30m, an expression such as TIME, or unlimited";
        assert_eq!(refused("0", SHAPE), format!("[0] a lease of no time opens nothing -- {help}"));
        assert_eq!(
            refused("0s", SHAPE),
            format!("[0s] a lease of no time opens nothing -- {help}")
        );
        assert_eq!(
            refused("-5", SHAPE),
            format!("[-5] a lease below 0 lies in the past -- {help}")
        );
        assert_eq!(
            refused("TIME", "IP,PORT"),
            "[TIME] the knock format IP,PORT has no TIME -- add TIME to `knock`"
        );
    }

    #[test]
    fn a_port_is_a_number_in_its_range() {
        let shape = names("IP,PORT16,TIME,FLAG0,CHECKSUM");
        let port = |text: &str, values: &str| {
            let parsed = PortNumber::parse(text, &shape).unwrap();
            match parsed.of(&only(&format!("IP=10.1.2.3 {values}")).scope()) {
                Ok(port) => port.to_string(),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(port("22", ""), "22");
        assert_eq!(port("PORT", "PORT16=8443"), "8443");
        assert_eq!(port("8000 + FLAG0", "FLAG0=7"), "8007");
        assert_eq!(port("PORT", "PORT16=0"), "0 is no port, 1-65535");
        assert_eq!(port("PORT * 2", "PORT16=40000"), "80000 is no port, 1-65535");
        assert_eq!(port("PORT / 2", "PORT16=3"), "1.5 is no port, 1-65535");
        for bad in ["0", "65536", "-1", "1.5"] {
            let errors = PortNumber::parse(bad, &shape).unwrap_err();
            let said = told(&[bad], &errors);
            assert_eq!(said, format!("[{bad}] {bad} is no port -- a port is a number, 1-65535"));
        }
        assert_eq!(PortNumber::parse("22", &shape).unwrap().fixed(), Some(22));
        assert_eq!(PortNumber::parse("PORT", &shape).unwrap().fixed(), None);
    }
}
