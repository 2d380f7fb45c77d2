//! What stands between operators: literals, names, parentheses, and the language's functions. Knows
//! no precedence but that of a sign before its operand.

use std::ops::Range;

use super::{Parsed, Parser, level, slice};
use crate::ast::{Expr, Key, NetworkArg};
use crate::check::{self, Node};
use crate::error::RuleError;
use crate::foreign;
use crate::lexer::{Spanned, Token, WORD_OPERATORS};
use crate::memory::{MAX_KEY, MAX_KEYS};
use crate::names::Lookup;
use crate::network::Network;

impl<'a> Parser<'a> {
    pub(super) fn operand(&mut self) -> Parsed<Node> {
        let Some(Spanned { token, at }) = self.tokens.get(self.at).cloned() else {
            return self.nothing_here();
        };
        match token {
            Token::Number(number) => Ok(self.take(Expr::Number(number), at)),
            Token::Text(text) => Ok(match self.names.quoted_field(&text) {
                Some(field) => self.take(Expr::Variable(field), at),
                None => self.take(Expr::Text(text), at),
            }),
            Token::Broken => {
                self.at += 1;
                Ok(Node::broken(at))
            }
            Token::Word(word) => self.named(word, at),
            Token::Sign("(") => {
                self.at += 1;
                let inner = self.expression(level::ANY)?;
                let end = self.close(&at)?;
                Ok(inner.in_parentheses(at.start..end))
            }
            Token::Sign(sign @ ("!" | "-" | "+")) => {
                if let Some(letter) = self.file_test(&at) {
                    let error = foreign::file_test(at.start..at.end + 1, letter);
                    return self.stop_for_good(error);
                }
                self.at += 1;
                let inner = self.expression(level::SIGN)?;
                let at = at.start..inner.at.end;
                Ok(match sign {
                    "!" => check::not(inner, at),
                    "-" => check::negative(inner, at, &mut self.errors),
                    _ => inner,
                })
            }
            Token::Duration | Token::Regex { .. } | Token::Sign(_) => {
                let found = Spanned { token, at };
                let error = foreign::in_operands_place(&found, self.text);
                self.stop(error)
            }
        }
    }

    /// The letter of `-e "/path"` and its kin, where the sign at `minus` begins one.
    fn file_test(&self, minus: &Range<usize>) -> Option<&'a str> {
        let [letter, operand] = self.tokens.get(self.at + 1..self.at + 3)? else { return None };
        let Token::Word(word) = letter.token else { return None };
        let glued = slice(self.text, minus) == "-" && minus.end == letter.at.start;
        let of_something = matches!(
            operand.token,
            Token::Text(_) | Token::Word(_) | Token::Regex { .. } | Token::Broken
        );
        (glued && of_something && word.len() == 1 && word.bytes().all(|b| b.is_ascii_alphabetic()))
            .then_some(word)
    }

    fn take(&mut self, expr: Expr, at: Range<usize>) -> Node {
        self.at += 1;
        Node::leaf(expr, at)
    }

    fn nothing_here<T>(&mut self) -> Parsed<T> {
        let end = self.text.len();
        let error = match self.tokens.last().cloned() {
            None => {
                RuleError::new(0..end, "the expression is empty").help_with("leave the line out")
            }
            Some(last) => {
                let message = format!("nothing follows `{}`", slice(self.text, &last.at));
                RuleError::new(last.at, message)
                    .help_with("a field, a number, a text in quotes or ( stands there")
            }
        };
        self.stop(error)
    }

    fn named(&mut self, word: &'a str, at: Range<usize>) -> Parsed<Node> {
        let called =
            matches!(self.tokens.get(self.at + 1).map(|next| &next.token), Some(Token::Sign("(")));
        match word {
            "state" => {
                let (keys, at) = self.state()?;
                return Ok(Node::leaf(Expr::State(keys), at));
            }
            "defined" => return self.defined(at),
            "cidr" if called => return self.cidr(at),
            "undef" if !called => return Ok(self.take(Expr::Undefined, at)),
            "not" => {
                self.at += 1;
                // Before a parenthesis Perl's `not` is a function of what stands in it, and no more:
                // `not (a) && b` is `(not a) && b`.
                let inner = match self.peek_sign("(") {
                    true => self.operand()?,
                    false => self.expression(level::WORD_NOT)?,
                };
                let at = at.start..inner.at.end;
                return Ok(check::not(inner, at).in_words());
            }
            _ => (),
        }
        if let Some(error) = foreign::statement(at.clone(), word) {
            return self.stop(error);
        }
        if called {
            self.errors.push(foreign::function(at.clone(), word));
            self.at += 1;
            let end = self.skip_parentheses();
            return Ok(Node::broken(at.start..end));
        }
        self.at += 1;
        match self.names.look_up(word) {
            Lookup::Known(variable) => Ok(Node::leaf(Expr::Variable(variable), at)),
            Lookup::Missing => {
                self.errors.push(self.names.missing(at.clone(), word));
                Ok(Node::broken(at))
            }
            Lookup::Unknown => {
                let error = match foreign::bare_function(at.clone(), word) {
                    // `length IP > 3`: what follows makes no sense without it.
                    Some(error) if self.operand_follows() => return self.stop_for_good(error),
                    Some(error) => error,
                    None => self.names.unknown(at.clone(), word),
                };
                self.errors.push(error);
                Ok(Node::broken(at))
            }
        }
    }

    /// Whether what comes next can be the argument of a function without parentheses.
    fn operand_follows(&self) -> bool {
        match self.tokens.get(self.at).map(|next| &next.token) {
            None => false,
            Some(Token::Sign(sign)) => matches!(*sign, "{" | "[" | "\\" | "$" | "@"),
            Some(Token::Word(word)) => !WORD_OPERATORS.contains(word),
            Some(
                Token::Number(_)
                | Token::Duration
                | Token::Text(_)
                | Token::Regex { .. }
                | Token::Broken,
            ) => true,
        }
    }

    /// `state(a,b,c)`: the keys, and the bytes of it all.
    pub(super) fn state(&mut self) -> Parsed<(Vec<Key>, Range<usize>)> {
        let word = self.here();
        self.at += 1;
        if !self.peek_sign("(") {
            let error = RuleError::new(word, "the keys of state stand in parentheses");
            return self.stop(error.help_with("write state(IP,visits)"));
        }
        let open = self.here();
        self.at += 1;
        let mut keys = Vec::new();
        if self.peek_sign(")") {
            let error = RuleError::new(word.start..open.end + 1, "state() without a key");
            return self.stop(error.help_with("write state(IP,visits)"));
        }
        loop {
            keys.push(self.key(&open)?);
            if !self.peek_sign(",") {
                break;
            }
            self.at += 1;
        }
        let end = self.close(&open)?;
        if keys.len() > MAX_KEYS {
            let message = format!("state with {} keys", keys.len());
            let error = RuleError::new(word.start..end, message);
            self.errors.push(error.help_with(format!("at most {MAX_KEYS} are kept")));
        }
        Ok((keys, word.start..end))
    }

    fn key(&mut self, open: &Range<usize>) -> Parsed<Key> {
        let Some(Spanned { token, at }) = self.tokens.get(self.at).cloned() else {
            return self.unclosed(open);
        };
        self.at += 1;
        let key = match token {
            Token::Word(word) => match self.names.look_up(word) {
                Lookup::Known(variable) => Key::Variable(variable),
                Lookup::Missing => {
                    self.errors.push(self.names.missing(at.clone(), word));
                    Key::Literal(String::new())
                }
                Lookup::Unknown => Key::Literal(word.to_owned()),
            },
            Token::Text(text) => match self.names.quoted_field(&text) {
                Some(field) => Key::Variable(field),
                None => Key::Literal(text),
            },
            Token::Number(_) | Token::Duration => Key::Literal(slice(self.text, &at).to_owned()),
            Token::Broken => Key::Literal(String::new()),
            Token::Regex { .. } | Token::Sign(_) => {
                let message = format!("`{}` is no key of state", slice(self.text, &at));
                let help = "keys are words, texts in quotes and fields: state(IP,\"a b\",num)";
                return self.stop(RuleError::new(at, message).help_with(help));
            }
        };
        if matches!(&key, Key::Literal(text) if text.len() > MAX_KEY) {
            let error = RuleError::new(at, "this key is too long");
            self.errors.push(error.help_with(format!("at most {MAX_KEY} bytes are kept")));
        }
        let next = self.tokens.get(self.at);
        match next {
            None => self.unclosed(open),
            Some(Spanned { token: Token::Sign("," | ")"), .. }) => Ok(key),
            Some(next) => {
                let at = next.at.clone();
                let message = format!("`{}` in a key of state", slice(self.text, &at));
                let help = "keys are separated by commas; quote one that is more than a word";
                self.stop(RuleError::new(at, message).help_with(help))
            }
        }
    }

    fn defined(&mut self, word: Range<usize>) -> Parsed<Node> {
        self.at += 1;
        let inner = self.expression(level::NAMED + 1)?;
        let at = word.start..inner.at.end;
        match inner.expr {
            Expr::State(keys) => Ok(Node::leaf(Expr::DefinedState(keys), at)),
            Expr::Variable(name) => Ok(Node::leaf(Expr::DefinedVariable(name), at)),
            _ if inner.broken => Ok(Node::broken(at)),
            _ => {
                let error = RuleError::new(inner.at, "defined asks about state or a field");
                self.errors.push(error.help_with("write defined(state(IP,visits))"));
                Ok(Node::broken(at))
            }
        }
    }

    fn cidr(&mut self, word: Range<usize>) -> Parsed<Node> {
        const HELP: &str = "write cidr(IP, \"10.0.0.0/8\")";
        self.at += 1;
        let open = self.here();
        self.at += 1;
        let address = self.expression(level::CHOICE)?;
        let mut networks = Vec::new();
        let mut depth = address.depth;
        while self.peek_sign(",") {
            self.at += 1;
            let network = self.expression(level::CHOICE)?;
            depth = depth.max(network.depth);
            networks.push(match network.expr {
                Expr::Text(text) => match Network::parse(&text) {
                    Some(net) => NetworkArg::Fixed(net),
                    None => {
                        let message = format!("{text:?} is neither an address nor a network");
                        self.errors.push(RuleError::new(network.at, message).help_with(HELP));
                        continue;
                    }
                },
                expr => NetworkArg::Computed(expr),
            });
        }
        let end = self.close(&open)?;
        let at = word.start..end;
        if networks.is_empty() && self.errors.is_empty() {
            self.errors.push(RuleError::new(at.clone(), "cidr needs a network").help_with(HELP));
        }
        check::address(&address, HELP, &mut self.errors);
        Ok(Node::leaf(Expr::InNetwork(Box::new(address.expr), networks), at).deeper(depth))
    }
}
