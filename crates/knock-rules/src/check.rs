//! Puts checked nodes together: what is a number, what an address, and which combinations can only
//! be a slip. Perl would go on and be silently wrong, with a port open.

use std::net::IpAddr;
use std::ops::Range;

use crate::ast::{Binary, Expr};
use crate::error::RuleError;
use crate::network::Network;
use crate::parser::slice;
use crate::pattern::Pattern;
use crate::value::leading_number;

/// An expression with what is known of it while it is put together.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) expr: Expr,
    pub(crate) at: Range<usize>,
    pub(crate) depth: usize,
    /// Something in it was refused already: no more is said about it.
    pub(crate) broken: bool,
    /// Literals whose truth is asked: `23` in `PORT == 22 || 23`.
    always: Vec<Range<usize>>,
    /// A `!` without parentheses: it binds tighter than `==`.
    bare_not: bool,
}

impl Node {
    pub(crate) fn leaf(expr: Expr, at: Range<usize>) -> Self {
        let suspicious = match &expr {
            Expr::Number(number) => *number != 0.0 && (*number - 1.0).abs() > f64::EPSILON,
            Expr::Text(text) => !text.is_empty() && text != "0" && text != "1",
            _ => false,
        };
        let always = if suspicious { vec![at.clone()] } else { Vec::new() };
        Self { expr, at, depth: 1, broken: false, always, bare_not: false }
    }

    /// Stands for what was refused.
    pub(crate) fn broken(at: Range<usize>) -> Self {
        Self {
            expr: Expr::Undefined,
            at,
            depth: 1,
            broken: true,
            always: Vec::new(),
            bare_not: false,
        }
    }

    fn branch(expr: Expr, at: Range<usize>, depth: usize, broken: bool) -> Self {
        Self { expr, at, depth: depth + 1, broken, always: Vec::new(), bare_not: false }
    }

    pub(crate) fn in_parentheses(self, at: Range<usize>) -> Self {
        Self { at, bare_not: false, ..self }
    }

    /// `not`, unlike `!`, binds loosely.
    pub(crate) fn in_words(self) -> Self {
        Self { bare_not: false, ..self }
    }

    pub(crate) fn deeper(self, depth: usize) -> Self {
        Self { depth: depth + 1, ..self }
    }

    pub(crate) fn is_address(&self) -> bool {
        matches!(&self.expr, Expr::Variable(variable) if variable.is_address())
    }
}

/// The last look at a condition.
pub(crate) fn condition(node: &Node, text: &str, errors: &mut Vec<RuleError>) {
    for at in &node.always {
        let literal = slice(text, at);
        if *at == node.at || literal.len() == text.trim().len() {
            let error = RuleError::new(at.clone(), format!("`{literal}` is always true"));
            errors.push(match literal.trim_matches(['"', '\'']) {
                inner if inner.len() < literal.len() => {
                    error.help_with(format!("a condition stands without quotes: {inner}"))
                }
                _ => error.help_with("write 1 for a condition that always holds"),
            });
        } else {
            let message = format!("`{literal}` on its own is always true");
            let help = format!("write the comparison out: PORT == 22 || PORT == {literal}");
            errors.push(RuleError::new(at.clone(), message).help_with(help));
        }
    }
}

pub(crate) fn address(node: &Node, help: &str, errors: &mut Vec<RuleError>) {
    let ok = match &node.expr {
        _ if node.broken || node.is_address() => true,
        Expr::State(_) | Expr::Choose(_) | Expr::All(_) | Expr::Any(_) => true,
        Expr::Text(text) => text.parse::<IpAddr>().is_ok(),
        _ => false,
    };
    if !ok {
        let error = RuleError::new(node.at.clone(), "cidr asks about an address");
        errors.push(error.help_with(help));
    }
}

pub(crate) fn chain(all: bool, left: Node, right: Node) -> Node {
    let at = left.at.start..right.at.end;
    let broken = left.broken || right.broken;
    let mut always = left.always;
    always.extend(right.always);
    let (mut parts, left_depth) = match (all, left.expr) {
        (true, Expr::All(parts)) | (false, Expr::Any(parts)) => (parts, left.depth - 1),
        (_, other) => (vec![other], left.depth),
    };
    parts.push(right.expr);
    let depth = left_depth.max(right.depth);
    let expr = if all { Expr::All(parts) } else { Expr::Any(parts) };
    Node { always, ..Node::branch(expr, at, depth, broken) }
}

pub(crate) fn choice(test: Node, yes: Node, no: Node) -> Node {
    let at = test.at.start..no.at.end;
    let depth = test.depth.max(yes.depth).max(no.depth);
    let broken = test.broken || yes.broken || no.broken;
    let expr = Expr::Choose(Box::new((test.expr, yes.expr, no.expr)));
    Node { always: test.always, ..Node::branch(expr, at, depth, broken) }
}

pub(crate) fn not(inner: Node, at: Range<usize>) -> Node {
    let expr = Expr::Not(Box::new(inner.expr));
    let always = inner.always;
    Node { always, bare_not: true, ..Node::branch(expr, at, inner.depth, inner.broken) }
}

pub(crate) fn negative(inner: Node, at: Range<usize>, errors: &mut Vec<RuleError>) -> Node {
    operand_number(&inner, "`-`", errors);
    Node::branch(Expr::Negative(Box::new(inner.expr)), at, inner.depth, inner.broken)
}

pub(crate) fn matching(
    subject: Node,
    pattern: Pattern,
    wanted: bool,
    end: Range<usize>,
    text: &str,
    errors: &mut Vec<RuleError>,
) -> Node {
    if subject.bare_not {
        let inner = slice(text, &subject.at).trim_start_matches('!').trim_start();
        let message = "`!` belongs to the name alone, not to the match";
        let help = format!("write {inner} !~ {}", slice(text, &end));
        errors.push(RuleError::new(subject.at.clone(), message).help_with(help));
    }
    let at = subject.at.start..end.end;
    let expr = Expr::Match { subject: Box::new(subject.expr), pattern, wanted };
    Node::branch(expr, at, subject.depth, subject.broken)
}

pub(crate) fn binary(
    binary: Binary,
    left: Node,
    right: Node,
    text: &str,
    errors: &mut Vec<RuleError>,
) -> Node {
    use Binary as B;
    let sides = [&left, &right];
    match binary {
        B::Equal | B::NotEqual if sides.iter().any(|side| side.is_address()) => {
            for side in sides {
                equals_address(side, errors);
            }
        }
        B::Equal | B::NotEqual => {
            negation(&left, &right, binary, text, errors);
            for side in sides {
                compared_number(side, binary, errors);
            }
        }
        B::Less | B::Greater | B::LessOrEqual | B::GreaterOrEqual => {
            for side in sides {
                compared_number(side, binary, errors);
            }
        }
        B::Add | B::Subtract | B::Multiply | B::Divide | B::Remainder => {
            for side in sides {
                operand_number(side, &format!("`{}`", binary.symbol()), errors);
            }
        }
        B::TextEqual
        | B::TextNotEqual
        | B::TextLess
        | B::TextGreater
        | B::TextLessOrEqual
        | B::TextGreaterOrEqual
        | B::Concatenate => (),
    }
    let at = left.at.start..right.at.end;
    let depth = left.depth.max(right.depth);
    let broken = left.broken || right.broken;
    Node::branch(Expr::Binary(binary, Box::new((left.expr, right.expr))), at, depth, broken)
}

/// `!PORT == 22` asks whether 1 or nothing is 22.
fn negation(left: &Node, right: &Node, binary: Binary, text: &str, errors: &mut Vec<RuleError>) {
    if left.bare_not && !right.always.is_empty() {
        let inner = slice(text, &left.at).trim_start_matches('!').trim_start();
        let other = if binary == Binary::Equal { "!=" } else { "==" };
        let message = format!("`!` belongs to {inner} alone, not to the comparison");
        let help = format!("write {inner} {other} {}", slice(text, &right.at));
        errors.push(RuleError::new(left.at.clone(), message).help_with(help));
    }
}

fn equals_address(side: &Node, errors: &mut Vec<RuleError>) {
    let at = side.at.clone();
    match &side.expr {
        Expr::Text(text) if text.parse::<IpAddr>().is_ok() => (),
        Expr::Text(text) if Network::parse(text).is_some() => {
            let error = RuleError::new(at, format!("{text:?} is a network, not an address"));
            errors.push(error.help_with(format!("write cidr(IP, \"{text}\")")));
        }
        Expr::Text(text) => {
            let error = RuleError::new(at, format!("{text:?} is not an address"));
            errors.push(error.help_with("compare with one such as \"192.0.2.7\", or use =~ /…/"));
        }
        Expr::Number(_) | Expr::Negative(_) => {
            let error = RuleError::new(at, "a number is not an address");
            errors.push(error.help_with("compare with one such as \"192.0.2.7\""));
        }
        _ => (),
    }
}

fn compared_number(side: &Node, binary: Binary, errors: &mut Vec<RuleError>) {
    let symbol = binary.symbol();
    match &side.expr {
        Expr::Text(text) if !counts(text) => {
            let at = side.at.clone();
            let words = match binary {
                Binary::Equal => "eq",
                Binary::NotEqual => "ne",
                Binary::Less => "lt",
                Binary::Greater => "gt",
                Binary::LessOrEqual => "le",
                _ => "ge",
            };
            let message = format!("`{symbol}` compares numbers, and {text:?} is none");
            errors.push(RuleError::new(at, message).help_with(format!("texts: use {words}")));
        }
        _ if side.is_address() => {
            let message = format!("`{symbol}` compares numbers, and an address is none");
            let error = RuleError::new(side.at.clone(), message);
            errors.push(error.help_with("write cidr(IP, \"10.0.0.0/8\") for a range"));
        }
        _ => (),
    }
}

/// `user` needs a number: an operator, or the delay itself.
pub(crate) fn operand_number(side: &Node, user: &str, errors: &mut Vec<RuleError>) {
    let at = side.at.clone();
    match &side.expr {
        Expr::Text(text) if !counts(text) => {
            let message = format!("{user} needs a number, and {text:?} is none");
            errors.push(RuleError::new(at, message));
        }
        _ if side.is_address() => {
            let message = format!("{user} needs a number, and an address is none");
            errors.push(RuleError::new(at, message).help_with("a dot joins texts: IP . \"-a\""));
        }
        _ => (),
    }
}

/// Whether Perl makes a number of it without a warning worth heeding. The empty text is how old
/// configs ask for an entry that is not there.
fn counts(text: &str) -> bool {
    text.is_empty() || leading_number(text).is_some()
}
