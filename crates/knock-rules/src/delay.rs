//! A delay: how long after the knock an action's command runs. Waits for nothing itself.

use std::time::Duration;

use crate::ast::{Binary, Expr};
use crate::error::{EvalError, RuleError};
use crate::eval::evaluate;
use crate::lexer::unit_seconds;
use crate::names::Names;
use crate::parser::{Purpose, parse_expression};
use crate::scope::Scope;

/// The longest delay; longer ones are cut to it.
pub const MAX_DELAY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A delay, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay {
    length: Length,
}

#[derive(Clone, Debug, PartialEq)]
enum Length {
    Fixed(Duration),
    Minutes(Expr),
}

impl Delay {
    /// Reads one: a number or an expression in minutes, or `90s`, `5m`, `2h`, `1d`, `1h 30m`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, names: &Names) -> Result<Self, Vec<RuleError>> {
        let length = match with_units(text) {
            Some(seconds) => Length::Fixed(bounded(seconds)),
            None => Length::Minutes(minutes(text, names)?),
        };
        Ok(Self { length })
    }

    /// How long it is, where it is the same for every knock and can be seen to be.
    #[must_use]
    pub fn fixed(&self) -> Option<Duration> {
        match &self.length {
            Length::Fixed(length) => Some(*length),
            Length::Minutes(Expr::Number(minutes)) => Some(bounded(minutes * 60.0)),
            Length::Minutes(_) => None,
        }
    }

    /// How long to wait after this knock: never less than nothing, never more than [`MAX_DELAY`].
    ///
    /// # Errors
    /// When it has no result for these values.
    pub fn after(&self, scope: &Scope<'_>) -> Result<Duration, EvalError> {
        match &self.length {
            Length::Fixed(length) => Ok(*length),
            Length::Minutes(expr) => Ok(bounded(evaluate(expr, scope)?.to_number()? * 60.0)),
        }
    }
}

/// An expression that can be seen to lie in the past is a mistake: the original's at(1) refused it, and nothing ran.
fn minutes(text: &str, names: &Names) -> Result<Expr, Vec<RuleError>> {
    let expr = parse_expression(text, names, Purpose::Number("a delay"))?;
    if constant(&expr).is_some_and(|minutes| minutes < 0.0) {
        let error = RuleError::new(0..text.len(), "a delay below 0 lies in the past");
        return Err(vec![error.help_with("leave it out to run the command at once")]);
    }
    Ok(expr)
}

/// The value of an expression of numbers alone.
pub(crate) fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Number(number) => Some(*number),
        Expr::Negative(inner) => Some(-constant(inner)?),
        Expr::Binary(binary, sides) => {
            let (left, right) = (constant(&sides.0)?, constant(&sides.1)?);
            match binary {
                Binary::Add => Some(left + right),
                Binary::Subtract => Some(left - right),
                Binary::Multiply => Some(left * right),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(crate) fn bounded(seconds: f64) -> Duration {
    // Milliseconds, so that 0.1 minutes are six seconds and not a little more.
    let seconds = (seconds * 1000.0).round() / 1000.0;
    if seconds >= MAX_DELAY.as_secs_f64() {
        return MAX_DELAY;
    }
    // What is left to fail is a negative number, or none.
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// The seconds of `90s` or `1h 30m`: numbers, each with its unit. `None` for anything else.
pub(crate) fn with_units(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(number);
        let behind = behind.trim_start();
        let unit = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        seconds += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = behind.trim_start();
    }
    Some(seconds)
}

#[cfg(test)]
mod tests;
