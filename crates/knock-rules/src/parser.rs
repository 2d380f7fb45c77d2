//! Builds an expression from tokens, by Perl's precedence, and checks names and kinds on the way.
//! What is wrong with names and kinds is collected; a mistake in the grammar ends the reading.

use std::ops::Range;

use knock_wire::Field;

use crate::ast::{Binary, Expr, Key, Network};
use crate::check::{self, Node};
use crate::error::RuleError;
use crate::foreign;
use crate::lexer::{Spanned, Token, lex};
use crate::limits::{MAX_DEPTH, MAX_EXPRESSION};
use crate::memory::{MAX_KEY, MAX_KEYS};
use crate::names::{Lookup, Names};
use crate::net::Net;
use crate::pattern::Pattern;

/// What the expression is for: it tells which mistakes are likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its truth decides.
    Condition,
    /// It is a number of minutes.
    Delay,
}

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
            Purpose::Delay => check::number(node, &mut parser.errors),
        }
    }
    parser.finish(node.map(|node| node.expr))
}

pub(crate) fn parse_update(text: &str, names: &Names) -> Result<Update, Vec<RuleError>> {
    let mut parser = Parser::new(text, names)?;
    let update = parser.update();
    parser.finish(update)
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

    // --- update ---------------------------------------------------------------------------

    fn update(&mut self) -> Parsed<Update> {
        let start = self.tokens.get(self.at).map_or(0..self.text.len(), |first| first.at.clone());
        if self.peek_word("state") {
            let (keys, _) = self.state()?;
            let how = self.how()?;
            let value = match how {
                Some(_) => self.expression(level::ANY)?.expr,
                None => Expr::Number(1.0),
            };
            let how = match how {
                Some(how) => how,
                None if self
                    .tokens
                    .get(self.at - 1)
                    .is_some_and(|t| t.token == Token::Sign("++")) =>
                {
                    How::Add
                }
                None => How::Subtract,
            };
            self.end()?;
            return Ok(Update { keys, how, value });
        }
        let help = "write state(IP,visits)++, or = += -= .= and a value";
        let message = match self.text.trim().is_empty() {
            true => "the update is empty",
            false => "an update starts with state(…)",
        };
        self.stop(RuleError::new(start, message).help_with(help))
    }

    /// The assignment; `None` for `++` and `--`, which take no value.
    fn how(&mut self) -> Parsed<Option<How>> {
        let help = "one of ++ -- = += -= .= comes behind state(…)";
        let Some(found) = self.tokens.get(self.at) else {
            let end = self.text.len();
            return self
                .stop(RuleError::new(end..end, "this update changes nothing").help_with(help));
        };
        self.at += 1;
        match found.token {
            Token::Sign("++" | "--") => Ok(None),
            Token::Sign("=") => Ok(Some(How::Set)),
            Token::Sign("+=") => Ok(Some(How::Add)),
            Token::Sign("-=") => Ok(Some(How::Subtract)),
            Token::Sign(".=") => Ok(Some(How::Append)),
            _ => {
                let at = found.at.clone();
                let message = format!("`{}` is no assignment", slice(self.text, &at));
                self.stop(RuleError::new(at, message).help_with(help))
            }
        }
    }

    // --- operators ------------------------------------------------------------------------

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

    // --- operands -------------------------------------------------------------------------

    fn operand(&mut self) -> Parsed<Node> {
        let Some(Spanned { token, at }) = self.tokens.get(self.at).cloned() else {
            return self.nothing_here();
        };
        match token {
            Token::Number(number) => Ok(self.take(Expr::Number(number), at)),
            Token::Text(text) => Ok(self.take(Expr::Text(text), at)),
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

    fn take(&mut self, expr: Expr, at: Range<usize>) -> Node {
        self.at += 1;
        Node::leaf(expr, at)
    }

    fn nothing_here<T>(&mut self) -> Parsed<T> {
        let end = self.text.len();
        let error = match self.tokens.last().cloned() {
            None => RuleError::new(0..end, "the expression is empty")
                .help_with("leave the line out, or write 1 for always"),
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
                let inner = self.expression(level::WORD_NOT)?;
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
                let error = foreign::bare_function(at.clone(), word)
                    .unwrap_or_else(|| self.names.unknown(at.clone(), word));
                self.errors.push(error);
                Ok(Node::broken(at))
            }
        }
    }

    /// `state(a,b,c)`: the keys, and the bytes of it all.
    fn state(&mut self) -> Parsed<(Vec<Key>, Range<usize>)> {
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
                Lookup::Missing if Field::from_name(word).is_some() => {
                    self.errors.push(self.names.missing(at.clone(), word));
                    Key::Literal(String::new())
                }
                Lookup::Missing | Lookup::Unknown => Key::Literal(word.to_owned()),
            },
            Token::Text(text) => Key::Literal(text),
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
                Expr::Text(text) => match Net::parse(&text) {
                    Some(net) => Network::Fixed(net),
                    None => {
                        let message = format!("{text:?} is neither an address nor a network");
                        self.errors.push(RuleError::new(network.at, message).help_with(HELP));
                        continue;
                    }
                },
                expr => Network::Computed(expr),
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

    // --- tokens ---------------------------------------------------------------------------

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
