//! An expression as a tree. Holds only what the parser let through: names that exist, networks
//! and regular expressions that are valid, no more nesting than [`crate::limits::MAX_DEPTH`].

use std::fmt;

use crate::names::Variable;
use crate::network::Network;
use crate::pattern::Pattern;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Undefined,
    Number(f64),
    Text(String),
    Variable(Variable),
    State(Vec<Key>),
    /// `defined(…)`; there is no third thing to ask it about.
    DefinedState(Vec<Key>),
    DefinedVariable(Variable),
    InNetwork(Box<Expr>, Vec<NetworkArg>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    /// A chain of `&&`. Flat, so that a long list of addresses is not a deep tree.
    All(Vec<Expr>),
    /// A chain of `||`.
    Any(Vec<Expr>),
    Binary(Binary, Box<(Expr, Expr)>),
    Match {
        subject: Box<Expr>,
        pattern: Pattern,
        wanted: bool,
    },
    Choose(Box<(Expr, Expr, Expr)>),
}

/// One key of the state variable.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Literal(String),
    Variable(Variable),
}

/// One network of `cidr`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NetworkArg {
    Fixed(Network),
    Computed(Expr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    TextEqual,
    TextNotEqual,
    TextLess,
    TextGreater,
    TextLessOrEqual,
    TextGreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concatenate,
}

impl Binary {
    pub(crate) const ALL: [(&'static str, Self); 18] = [
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        (">", Self::Greater),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("eq", Self::TextEqual),
        ("ne", Self::TextNotEqual),
        ("lt", Self::TextLess),
        ("gt", Self::TextGreater),
        ("le", Self::TextLessOrEqual),
        ("ge", Self::TextGreaterOrEqual),
        ("+", Self::Add),
        ("-", Self::Subtract),
        ("*", Self::Multiply),
        ("/", Self::Divide),
        ("%", Self::Remainder),
        (".", Self::Concatenate),
    ];

    pub(crate) fn symbol(self) -> &'static str {
        Self::ALL.iter().find(|(_, binary)| *binary == self).map_or("", |(symbol, _)| *symbol)
    }
}

/// Prints so that reading it again gives the same tree.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str("undef"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => quote(f, text),
            Self::Variable(variable) => f.write_str(variable.name()),
            Self::State(keys) => write_state(f, keys),
            Self::DefinedState(keys) => {
                f.write_str("defined(")?;
                write_state(f, keys)?;
                f.write_str(")")
            }
            Self::DefinedVariable(variable) => write!(f, "defined({})", variable.name()),
            Self::InNetwork(address, networks) => {
                write!(f, "cidr({address}")?;
                for network in networks {
                    match network {
                        NetworkArg::Fixed(net) => write!(f, ", \"{net}\"")?,
                        NetworkArg::Computed(expr) => write!(f, ", {expr}")?,
                    }
                }
                f.write_str(")")
            }
            Self::Not(inner) => write!(f, "!{}", Operand(inner)),
            Self::Negative(inner) => write!(f, "-{}", Operand(inner)),
            Self::All(parts) => chain(f, parts, "&&"),
            Self::Any(parts) => chain(f, parts, "||"),
            Self::Binary(binary, sides) => {
                write!(f, "{} {} {}", Operand(&sides.0), binary.symbol(), Operand(&sides.1))
            }
            Self::Match { subject, pattern, wanted } => {
                let operator = if *wanted { "=~" } else { "!~" };
                write!(f, "{} {operator} {pattern}", Operand(subject))
            }
            Self::Choose(parts) => {
                write!(f, "{} ? {} : {}", Operand(&parts.0), Operand(&parts.1), Operand(&parts.2))
            }
        }
    }
}

/// An operand, in parentheses unless it is one piece.
struct Operand<'a>(&'a Expr);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Undefined
            | Expr::Number(_)
            | Expr::Text(_)
            | Expr::Variable(_)
            | Expr::State(_)
            | Expr::DefinedState(_)
            | Expr::DefinedVariable(_)
            | Expr::InNetwork(..) => write!(f, "{}", self.0),
            Expr::Not(_)
            | Expr::Negative(_)
            | Expr::All(_)
            | Expr::Any(_)
            | Expr::Binary(..)
            | Expr::Match { .. }
            | Expr::Choose(_) => write!(f, "({})", self.0),
        }
    }
}

fn chain(f: &mut fmt::Formatter<'_>, parts: &[Expr], operator: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            write!(f, " {operator} ")?;
        }
        write!(f, "{}", Operand(part))?;
    }
    Ok(())
}

fn write_state(f: &mut fmt::Formatter<'_>, keys: &[Key]) -> fmt::Result {
    f.write_str("state(")?;
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        match key {
            Key::Literal(text) => quote(f, text)?,
            Key::Variable(variable) => f.write_str(variable.name())?,
        }
    }
    f.write_str(")")
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\x{{{:x}}}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}
