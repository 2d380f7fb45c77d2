//! A condition: whether an action answers a knock.

use std::fmt;

use crate::ast::Expr;
use crate::error::{EvalError, RuleError};
use crate::eval::evaluate;
use crate::names::Names;
use crate::parser::{Purpose, parse_expression};
use crate::scope::Scope;

/// A condition, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    expr: Expr,
}

impl Condition {
    /// Reads one; names are checked against the knock format.
    ///
    /// # Errors
    /// Every mistake in it, in the order of the text.
    pub fn parse(text: &str, names: &Names) -> Result<Self, Vec<RuleError>> {
        parse_expression(text, names, Purpose::Condition).map(|expr| Self { expr })
    }

    /// The condition of an action that has none: it always holds.
    #[must_use]
    pub fn always() -> Self {
        Self { expr: Expr::Number(1.0) }
    }

    /// Whether it holds for this knock.
    ///
    /// # Errors
    /// When it has no result for these values, for example after a division by zero.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, EvalError> {
        Ok(evaluate(&self.expr, scope)?.is_true())
    }
}

/// In one spelling, whatever the config's was; reading it again gives the same condition.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.expr)
    }
}

#[cfg(test)]
mod tests;
