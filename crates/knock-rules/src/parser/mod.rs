//! Builds an expression from tokens, by Perl's precedence, and checks names and kinds on the way.
//! What is wrong with names and kinds is collected; a mistake in the grammar ends the reading.

mod operands;
mod update;

use std::ops::Range;

use crate::ast::{Binary, Expr};
use crate::check::{self, Node};
use crate::error::RuleError;
use crate::foreign;
use crate::lexer::{Spanned, Token, lex};
use crate::limits::{MAX_DEPTH, MAX_EXPRESSION};
use crate::names::Names;
use crate::pattern::Pattern;

pub(crate) use update::{How, Update, parse_updates};

/// What the expression is for: it tells which mistakes are likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its truth decides.
    Condition,
    /// It is a number, of what this says.
    Number(&'static str),
}

pub(crate) fn parse_expression(
    text: &str,
    names: &Names,
    purpose: Purpose,
) -> Result<Expr, Vec<RuleError>> {
    let mut parser = Parser::new(text, names)?;
    let node = parser.whole();
    if let Ok(node) = &node {
        match purpose {
            Purpose::Condition => check::condition(node, text, &mut parser.errors),
            Purpose::Number(what) => check::operand_number(node, what, &mut parser.errors),
        }
    }
    parser.finish(node.map(|node| node.expr))
}

/// The error is in the parser's list already.
struct Stop;

type Parsed<T> = Result<T, Stop>;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned<'a>>,
    at: usize,
    names: &'a Names,
    errors: Vec<RuleError>,
    nesting: usize,
}

/// How tightly operators bind, loosest first: the table in perlop.
mod level {
    pub(super) const ANY: u8 = 0;
    pub(super) const WORD_OR: u8 = 1;
    pub(super) const WORD_AND: u8 = 2;
    pub(super) const WORD_NOT: u8 = 3;
    pub(super) const CHOICE: u8 = 4;
    pub(super) const OR: u8 = 5;
    pub(super) const AND: u8 = 6;
    pub(super) const EQUALITY: u8 = 7;
    pub(super) const ORDER: u8 = 8;
    pub(super) const NAMED: u8 = 9;
    pub(super) const SUM: u8 = 10;
    pub(super) const PRODUCT: u8 = 11;
    pub(super) const MATCH: u8 = 12;
    pub(super) const SIGN: u8 = 13;
}

/// An operator between operands.
#[derive(Clone, Copy, PartialEq)]
enum Infix {
    Or,
    And,
    Choice,
    Match(bool),
    Binary(Binary),
    /// `=` where a comparison is meant.
    Assignment,
}

impl Infix {
    fn of(token: &Token<'_>) -> Option<(u8, Self)> {
        let name = match token {
            Token::Sign(sign) => *sign,
            Token::Word(word) => *word,
            _ => return None,
        };
        Some(match name {
            "or" => (level::WORD_OR, Self::Or),
            "and" => (level::WORD_AND, Self::And),
            "||" => (level::OR, Self::Or),
            "&&" => (level::AND, Self::And),
            "?" => (level::CHOICE, Self::Choice),
            "=~" => (level::MATCH, Self::Match(true)),
            "!~" => (level::MATCH, Self::Match(false)),
            "=" => (level::EQUALITY, Self::Assignment),
            _ => {
                let (_, binary) = Binary::ALL.iter().find(|(symbol, _)| *symbol == name)?;
                (binary_level(*binary), Self::Binary(*binary))
            }
        })
    }
}

fn binary_level(binary: Binary) -> u8 {
    use Binary as B;
    match binary {
        B::Equal | B::NotEqual | B::TextEqual | B::TextNotEqual => level::EQUALITY,
        B::Less
        | B::Greater
        | B::LessOrEqual
        | B::GreaterOrEqual
        | B::TextLess
        | B::TextGreater
        | B::TextLessOrEqual
        | B::TextGreaterOrEqual => level::ORDER,
        B::Add | B::Subtract | B::Concatenate => level::SUM,
        B::Multiply | B::Divide | B::Remainder => level::PRODUCT,
    }
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, names: &'a Names) -> Result<Self, Vec<RuleError>> {
        if text.len() > MAX_EXPRESSION {
            let message = format!("an expression of {} bytes", text.len());
            let error = RuleError::new(0..0, message);
            return Err(vec![error.help_with(format!("at most {MAX_EXPRESSION} are read"))]);
        }
        let (tokens, errors) = lex(text);
        Ok(Self { text, tokens, at: 0, names, errors, nesting: 0 })
    }

    fn finish<T>(mut self, result: Parsed<T>) -> Result<T, Vec<RuleError>> {
        match result {
            Ok(value) if self.errors.is_empty() => Ok(value),
            Ok(_) | Err(Stop) => {
                self.errors.sort_by_key(|error| (error.at.start, error.at.end));
                self.errors.dedup();
                Err(self.errors)
            }
        }
    }

    fn whole(&mut self) -> Parsed<Node> {
        let node = self.expression(level::ANY)?;
        self.end()?;
        Ok(node)
    }

    fn end(&mut self) -> Parsed<()> {
        // The original handed the text to Perl, which took a last semicolon.
        if self.peek_sign(";") && self.at + 1 == self.tokens.len() {
            self.at += 1;
        }
        match self.tokens.get(self.at) {
            None => Ok(()),
            Some(found) => {
                let error = foreign::in_operators_place(found, self.text);
                self.stop(error)
            }
        }
    }

    fn expression(&mut self, least: u8) -> Parsed<Node> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            let at = self.here();
            return self.stop(too_deep(at));
        }
        let mut left = self.operand()?;
        while let Some((level, infix)) = self.peek_infix() {
            if level < least {
                break;
            }
            let operator = self.here();
            self.at += 1;
            left = self.join(left, level, infix, operator)?;
            if left.depth > MAX_DEPTH {
                return self.stop(too_deep(left.at));
            }
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn join(&mut self, left: Node, level: u8, infix: Infix, at: Range<usize>) -> Parsed<Node> {
        match infix {
            Infix::Or | Infix::And => {
                let right = self.expression(level + 1)?;
                Ok(check::chain(infix == Infix::And, left, right))
            }
            Infix::Choice => {
                let yes = self.expression(level::CHOICE)?;
                if !self.peek_sign(":") {
                    let error = RuleError::new(at, "this `?` has no `:`");
                    return self.stop(error.help_with("write a ? b : c"));
                }
                self.at += 1;
                let no = self.expression(level::CHOICE)?;
                Ok(check::choice(left, yes, no))
            }
            Infix::Match(wanted) => self.matching(left, wanted, at),
            Infix::Binary(binary) => {
                let right = self.expression(level + 1)?;
                self.refuse_comparison_chain(level, &left, &right)?;
                Ok(check::binary(binary, left, right, self.text, &mut self.errors))
            }
            Infix::Assignment => {
                let right = self.expression(level + 1)?;
                self.refuse_comparison_chain(level, &left, &right)?;
                let (equal, binary) = match right.expr {
                    Expr::Text(_) if !left.is_address() => ("eq", Binary::TextEqual),
                    _ => ("==", Binary::Equal),
                };
                let (l, r) = (slice(self.text, &left.at), slice(self.text, &right.at));
                let error = RuleError::new(at, "`=` assigns; it does not compare");
                self.errors.push(error.help_with(format!("use {equal}: {l} {equal} {r}")));
                Ok(check::binary(binary, left, right, self.text, &mut self.errors))
            }
        }
    }

    /// `1 < PORT < 9`: Perl refuses it, and what it would mean is not what it says.
    fn refuse_comparison_chain(&mut self, level: u8, left: &Node, right: &Node) -> Parsed<()> {
        if !matches!(level, level::EQUALITY | level::ORDER) {
            return Ok(());
        }
        match self.peek_infix() {
            Some((next, _)) if next == level => {
                let at = self.here();
                let first = slice(self.text, &(left.at.start..right.at.end)).to_owned();
                let middle = slice(self.text, &right.at).to_owned();
                let operator = slice(self.text, &at).to_owned();
                let error = RuleError::new(at, "comparisons cannot be chained");
                self.stop(error.help_with(format!("write {first} && {middle} {operator} …")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn matching(&mut self, subject: Node, wanted: bool, at: Range<usize>) -> Parsed<Node> {
        let Some(Spanned { token, at: found }) = self.tokens.get(self.at).cloned() else {
            let sign = slice(self.text, &at);
            let error = RuleError::new(at.clone(), format!("nothing follows `{sign}`"));
            return self.stop(error.help_with("a regular expression stands there: IP =~ /^10\\./"));
        };
        let Token::Regex { source, source_at, flags, flags_at } = token else {
            if token == Token::Broken {
                self.at += 1;
                return Ok(Node::broken(subject.at.start..found.end));
            }
            let text = slice(self.text, &found).trim_matches(['"', '\'']);
            let error = RuleError::new(found.clone(), "a regular expression stands in slashes");
            return self.stop(error.help_with(format!("write /{text}/")));
        };
        self.at += 1;
        match Pattern::compile(source, source_at, flags, flags_at) {
            Ok(pattern) => {
                Ok(check::matching(subject, pattern, wanted, found, self.text, &mut self.errors))
            }
            Err(errors) => {
                self.errors.extend(errors);
                Ok(Node::broken(subject.at.start..found.end))
            }
        }
    }

    fn peek_infix(&self) -> Option<(u8, Infix)> {
        Infix::of(&self.tokens.get(self.at)?.token)
    }

    fn peek_sign(&self, sign: &'static str) -> bool {
        self.tokens.get(self.at).is_some_and(|next| next.token == Token::Sign(sign))
    }

    fn peek_word(&self, word: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|next| next.token == Token::Word(word))
    }

    /// The bytes of the next token, or the end of the text.
    fn here(&self) -> Range<usize> {
        let end = self.text.len();
        self.tokens.get(self.at).map_or(end..end, |next| next.at.clone())
    }

    /// Takes the `)` of the `(` at `open`; answers where it ends.
    fn close(&mut self, open: &Range<usize>) -> Parsed<usize> {
        if self.peek_sign(")") {
            let end = self.here().end;
            self.at += 1;
            return Ok(end);
        }
        match self.tokens.get(self.at).cloned() {
            None => self.unclosed(open),
            Some(found) => {
                let error = foreign::in_operators_place(&found, self.text);
                self.stop(error)
            }
        }
    }

    fn unclosed<T>(&mut self, open: &Range<usize>) -> Parsed<T> {
        self.stop(RuleError::new(open.clone(), "this `(` is never closed").help_with("add `)`"))
    }

    fn skip_parentheses(&mut self) -> usize {
        let mut depth = 0_usize;
        while let Some(next) = self.tokens.get(self.at) {
            self.at += 1;
            match next.token {
                Token::Sign("(") => depth += 1,
                Token::Sign(")") => depth = depth.saturating_sub(1),
                _ => (),
            }
            if depth == 0 {
                return next.at.end;
            }
        }
        self.text.len()
    }

    /// For a piece of Perl that has more pieces of Perl behind it: one word about them is enough.
    fn stop_for_good<T>(&mut self, error: RuleError) -> Parsed<T> {
        self.errors.retain(|known| known.at.start < error.at.start);
        self.errors.push(error);
        Err(Stop)
    }

    fn stop<T>(&mut self, error: RuleError) -> Parsed<T> {
        // Where a token was refused, the grammar behind it is not worth a second complaint.
        let after_refusal = self.errors.iter().any(|known| known.at.start <= error.at.start)
            && self.tokens.iter().take(self.at + 1).any(|t| t.token == Token::Broken);
        if !after_refusal {
            self.errors.push(error);
        }
        Err(Stop)
    }
}

pub(crate) fn slice<'a>(text: &'a str, at: &Range<usize>) -> &'a str {
    text.get(at.clone()).unwrap_or_default()
}

fn too_deep(at: Range<usize>) -> RuleError {
    RuleError::new(at, "this expression is nested too deeply")
        .help_with(format!("at most {MAX_DEPTH} levels are read"))
}
