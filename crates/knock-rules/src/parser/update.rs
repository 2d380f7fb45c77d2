//! An assignment to the state variable, `state(IP,visits) += 1`. Knows its form; what stands behind
//! the sign is an expression like any other.

use super::{Parsed, Parser, level, slice};
use crate::ast::{Expr, Key};
use crate::check;
use crate::error::RuleError;
use crate::lexer::Token;
use crate::names::Names;

/// A parsed assignment to the state variable.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Update {
    pub(crate) keys: Vec<Key>,
    pub(crate) how: How,
    pub(crate) value: Expr,
}

/// How the new value comes from the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Set,
    Add,
    Subtract,
    Append,
}

pub(crate) fn parse_update(text: &str, names: &Names) -> Result<Update, Vec<RuleError>> {
    let mut parser = Parser::new(text, names)?;
    let update = parser.update();
    parser.finish(update)
}

impl Parser<'_> {
    fn update(&mut self) -> Parsed<Update> {
        if !self.peek_word("state") {
            let at = self.tokens.first().map_or(0..self.text.len(), |first| first.at.clone());
            let message = match self.tokens.is_empty() {
                true => "the update is empty",
                false => "an update starts with state(…)",
            };
            let help = "write state(IP,visits)++, or = += -= .= and a value";
            return self.stop(RuleError::new(at, message).help_with(help));
        }
        let (keys, _) = self.state()?;
        let (sign, how) = self.how()?;
        let value = if matches!(sign, "++" | "--") {
            Expr::Number(1.0)
        } else {
            let value = self.expression(level::ANY)?;
            if matches!(how, How::Add | How::Subtract) {
                check::operand_number(&value, &format!("`{sign}`"), &mut self.errors);
            }
            value.expr
        };
        if self.peek_sign(";") && self.at + 1 < self.tokens.len() {
            let error = RuleError::new(self.here(), "a second update behind `;`");
            return self.stop(error.help_with("one update each; write `state =` once more"));
        }
        self.end()?;
        Ok(Update { keys, how, value })
    }

    /// The sign of the assignment, and what it does.
    fn how(&mut self) -> Parsed<(&'static str, How)> {
        let help = "one of ++ -- = += -= .= comes behind state(…)";
        let Some(found) = self.tokens.get(self.at).cloned() else {
            let error = RuleError::new(0..self.text.len(), "this update changes nothing");
            return self.stop(error.help_with(help));
        };
        self.at += 1;
        match found.token {
            Token::Sign(sign @ ("++" | "+=")) => Ok((sign, How::Add)),
            Token::Sign(sign @ ("--" | "-=")) => Ok((sign, How::Subtract)),
            Token::Sign(sign @ "=") => Ok((sign, How::Set)),
            Token::Sign(sign @ ".=") => Ok((sign, How::Append)),
            _ => {
                let message = format!("`{}` is no assignment", slice(self.text, &found.at));
                self.stop(RuleError::new(found.at, message).help_with(help))
            }
        }
    }
}
