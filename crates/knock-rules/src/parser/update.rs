//! An assignment to the state variable, `state(IP,visits) += 1`. Knows its form; what stands behind
//! the sign is an expression like any other.

use super::{Parsed, Parser, level, slice};
use crate::ast::{Expr, Key};
use crate::check;
use crate::error::RuleError;
use crate::lexer::Token;
use crate::names::{Lookup, Names};

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

/// One or several, in their order: the original handed the text to Perl, which took a `;` between them.
pub(crate) fn parse_updates(text: &str, names: &Names) -> Result<Vec<Update>, Vec<RuleError>> {
    let mut parser = Parser::new(text, names)?;
    let updates = parser.updates();
    parser.finish(updates)
}

impl Parser<'_> {
    fn updates(&mut self) -> Parsed<Vec<Update>> {
        let mut updates = vec![self.update()?];
        while self.peek_sign(";") && self.at + 1 < self.tokens.len() {
            self.at += 1;
            updates.push(self.update()?);
        }
        self.end()?;
        Ok(updates)
    }

    fn update(&mut self) -> Parsed<Update> {
        let begin = self.here().start;
        let before = self.sign_before();
        if !self.peek_word("state") {
            let error = self.no_update();
            return self.stop(error);
        }
        let (keys, _) = self.state()?;
        let (sign, how) = match before {
            Some(before) => before,
            None => self.how(begin)?,
        };
        let value = if matches!(sign, "++" | "--") {
            Expr::Number(1.0)
        } else {
            let value = self.expression(level::ANY)?;
            if matches!(how, How::Add | How::Subtract) {
                check::operand_number(&value, &format!("`{sign}`"), &mut self.errors);
            }
            value.expr
        };
        if self.peek_sign(",") && self.at + 1 < self.tokens.len() {
            let error = RuleError::new(self.here(), "a second update behind `,`");
            return self.stop(error.help_with("put `;` between two updates"));
        }
        if let Some(word) = ["if", "unless"].into_iter().find(|word| self.peek_word(word)) {
            let error = RuleError::new(self.here(), format!("`{word}` behind an update"));
            return self
                .stop(error.help_with("what it asks belongs into the action's `condition =`"));
        }
        Ok(Update { keys, how, value })
    }

    /// `++` or `--` before the state, which says the same as behind it.
    fn sign_before(&mut self) -> Option<(&'static str, How)> {
        let before = match self.tokens.get(self.at)?.token {
            Token::Sign("++") => ("++", How::Add),
            Token::Sign("--") => ("--", How::Subtract),
            _ => return None,
        };
        let state =
            self.tokens.get(self.at + 1).is_some_and(|next| next.token == Token::Word("state"));
        state.then(|| {
            self.at += 1;
            before
        })
    }

    /// What to say of something that does not begin with `state`.
    fn no_update(&self) -> RuleError {
        const FORM: &str = "write state(IP,visits)++, or = += -= .= and a value";
        let Some(first) = self.tokens.get(self.at) else {
            return RuleError::new(0..self.text.len(), "the update is empty").help_with(FORM);
        };
        let at = first.at.clone();
        match &first.token {
            Token::Word(word) if word.eq_ignore_ascii_case("state") => {
                RuleError::new(at, format!("`{word}` is written small")).help_with("write state(…)")
            }
            Token::Word("undef" | "delete") => {
                let error = RuleError::new(at, "an update starts with state(…)");
                error.help_with("write state(IP,visits) = undef")
            }
            Token::Word("if" | "unless") => {
                let error = RuleError::new(at, "an update starts with state(…)");
                error.help_with("what it asks belongs into the action's `condition =`")
            }
            Token::Word(word) if matches!(self.names.look_up(word), Lookup::Known(_)) => {
                let message =
                    format!("{word} is what the knock or the clock says, and cannot be set");
                RuleError::new(at, message).help_with(FORM)
            }
            _ => RuleError::new(at, "an update starts with state(…)").help_with(FORM),
        }
    }

    /// The sign of the assignment, and what it does.
    fn how(&mut self, begin: usize) -> Parsed<(&'static str, How)> {
        let help = "one of ++ -- = += -= .= comes behind state(…)";
        let Some(found) = self.tokens.get(self.at).cloned() else {
            let error = RuleError::new(0..self.text.len(), "this update changes nothing");
            return self.stop(error.help_with(help));
        };
        self.at += 1;
        let state = slice(self.text, &(begin..found.at.start)).trim();
        match found.token {
            Token::Sign(sign @ ("++" | "+=")) => Ok((sign, How::Add)),
            Token::Sign(sign @ ("--" | "-=")) => Ok((sign, How::Subtract)),
            Token::Sign(sign @ "=") => Ok((sign, How::Set)),
            Token::Sign(sign @ ".=") => Ok((sign, How::Append)),
            Token::Sign(sign @ ("*=" | "/=" | "%=")) => {
                let operator = sign.trim_end_matches('=');
                let error = RuleError::new(found.at, format!("`{sign}` is no assignment here"));
                let value = self.text.get(self.here().start..).unwrap_or_default().trim();
                self.stop(error.help_with(format!("write {state} = {state} {operator} {value}")))
            }
            Token::Sign(sign @ ("||=" | "//=")) => {
                let error = RuleError::new(found.at, format!("`{sign}` is no assignment here"));
                let value = self.text.get(self.here().start..).unwrap_or_default().trim();
                let help = match sign {
                    "||=" => format!("write {state} = {state} || {value}"),
                    _ => format!("write {state} = defined({state}) ? {state} : {value}"),
                };
                self.stop(error.help_with(help))
            }
            Token::Sign("==") => {
                let error = RuleError::new(found.at, "`==` compares; it does not assign");
                self.stop(error.help_with(format!("write {state} = …")))
            }
            Token::Sign("(") => {
                let error = RuleError::new(found.at, "`(` behind the keys of state");
                self.stop(error.help_with("they stand in one pair: state(IP,visits)"))
            }
            _ => {
                let message = format!("`{}` is no assignment", slice(self.text, &found.at));
                self.stop(RuleError::new(found.at, message).help_with(help))
            }
        }
    }
}
