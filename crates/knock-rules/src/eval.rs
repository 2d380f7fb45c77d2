//! Gives an expression its value for one knock, as Perl would have. Pure: the scope is all it sees.

use crate::ast::{Binary, Expr, Key, NetworkArg};
use crate::error::EvalError;
use crate::limits::MAX_COMPUTED;
use crate::memory::{MAX_KEY, MemoryValue};
use crate::network::Network;
use crate::scope::Scope;
use crate::value::Value;

pub(crate) fn evaluate(expr: &Expr, scope: &Scope<'_>) -> Result<Value, EvalError> {
    match expr {
        Expr::Undefined => Ok(Value::Undefined),
        Expr::Number(number) => Ok(Value::Number(*number)),
        Expr::Text(text) => Ok(Value::Text(text.clone())),
        Expr::Variable(variable) => scope.value(*variable),
        Expr::State(keys) => Ok(match scope.memory.get(&path(keys, scope)?) {
            None => Value::Undefined,
            Some(MemoryValue::Number(number)) => Value::Number(*number),
            Some(MemoryValue::Text(text)) => Value::Text(text.clone()),
        }),
        Expr::DefinedState(keys) => Ok(Value::from_bool(scope.memory.has(&path(keys, scope)?))),
        Expr::DefinedVariable(variable) => Ok(Value::from_bool(scope.value(*variable).is_ok())),
        Expr::InNetwork(address, networks) => in_network(address, networks, scope),
        Expr::Not(inner) => Ok(Value::from_bool(!evaluate(inner, scope)?.is_true())),
        Expr::Negative(inner) => Ok(Value::Number(-evaluate(inner, scope)?.to_number()?)),
        Expr::All(parts) => first(parts, scope, |value| !value.is_true()),
        Expr::Any(parts) => first(parts, scope, Value::is_true),
        Expr::Binary(binary, sides) => {
            apply(*binary, evaluate(&sides.0, scope)?, evaluate(&sides.1, scope)?)
        }
        Expr::Match { subject, pattern, wanted } => {
            let text = evaluate(subject, scope)?.into_text();
            Ok(Value::from_bool(pattern.is_match(&text) == *wanted))
        }
        Expr::Choose(parts) => {
            let chosen = if evaluate(&parts.0, scope)?.is_true() { &parts.1 } else { &parts.2 };
            evaluate(chosen, scope)
        }
    }
}

/// The keys' texts for this knock.
pub(crate) fn path(keys: &[Key], scope: &Scope<'_>) -> Result<Vec<String>, EvalError> {
    let text = |key: &Key| match key {
        Key::Literal(text) => Ok(text.clone()),
        Key::Variable(variable) => Ok(scope.value(*variable)?.into_text()),
    };
    let path = keys.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    match path.iter().all(|key| key.len() <= MAX_KEY) {
        true => Ok(path),
        false => Err(EvalError::KeyTooLong { limit: MAX_KEY }),
    }
}

/// The first value that decides a chain, or the last one, as Perl's `&&` and `||` give it.
fn first(
    parts: &[Expr],
    scope: &Scope<'_>,
    decides: impl Fn(&Value) -> bool,
) -> Result<Value, EvalError> {
    let mut last = Value::Undefined;
    for part in parts {
        last = evaluate(part, scope)?;
        if decides(&last) {
            break;
        }
    }
    Ok(last)
}

fn in_network(
    address: &Expr,
    networks: &[NetworkArg],
    scope: &Scope<'_>,
) -> Result<Value, EvalError> {
    let Some(address) = evaluate(address, scope)?.to_address() else {
        return Ok(Value::from_bool(false));
    };
    for network in networks {
        let net = match network {
            NetworkArg::Fixed(net) => *net,
            NetworkArg::Computed(expr) => {
                let text = evaluate(expr, scope)?.into_text();
                Network::parse(&text).ok_or(EvalError::NotANetwork { text })?
            }
        };
        if net.holds(address) {
            return Ok(Value::from_bool(true));
        }
    }
    Ok(Value::from_bool(false))
}

fn apply(binary: Binary, left: Value, right: Value) -> Result<Value, EvalError> {
    let truth = |truth: bool| Ok(Value::from_bool(truth));
    match binary {
        Binary::Equal => truth(equal(&left, &right)?),
        Binary::NotEqual => truth(!equal(&left, &right)?),
        Binary::Less => truth(left.to_number()? < right.to_number()?),
        Binary::Greater => truth(left.to_number()? > right.to_number()?),
        Binary::LessOrEqual => truth(left.to_number()? <= right.to_number()?),
        Binary::GreaterOrEqual => truth(left.to_number()? >= right.to_number()?),
        Binary::TextEqual => truth(left.into_text() == right.into_text()),
        Binary::TextNotEqual => truth(left.into_text() != right.into_text()),
        Binary::TextLess => truth(left.into_text() < right.into_text()),
        Binary::TextGreater => truth(left.into_text() > right.into_text()),
        Binary::TextLessOrEqual => truth(left.into_text() <= right.into_text()),
        Binary::TextGreaterOrEqual => truth(left.into_text() >= right.into_text()),
        Binary::Add => Ok(Value::Number(left.to_number()? + right.to_number()?)),
        Binary::Subtract => Ok(Value::Number(left.to_number()? - right.to_number()?)),
        Binary::Multiply => Ok(Value::Number(left.to_number()? * right.to_number()?)),
        Binary::Divide => match right.to_number()? {
            0.0 => Err(EvalError::DivisionByZero),
            divisor => Ok(Value::Number(left.to_number()? / divisor)),
        },
        Binary::Remainder => remainder(left.to_number()?, right.to_number()?).map(Value::Number),
        Binary::Concatenate => concatenate(left, right),
    }
}

/// `==`: two addresses are compared as addresses, whichever way they are written.
fn equal(left: &Value, right: &Value) -> Result<bool, EvalError> {
    match (left, right) {
        (Value::Address(_), _) | (_, Value::Address(_)) => {
            Ok(match (left.to_address(), right.to_address()) {
                (Some(left), Some(right)) => left == right,
                (None, _) | (_, None) => false,
            })
        }
        #[expect(clippy::float_cmp, reason = "Perl's == is this exact one")]
        (Value::Undefined | Value::Number(_) | Value::Text(_), _) => {
            Ok(left.to_number()? == right.to_number()?)
        }
    }
}

/// Perl's `%`: of whole numbers, with the sign of the right one.
fn remainder(left: f64, right: f64) -> Result<f64, EvalError> {
    let (left, right) = (left.trunc(), right.trunc());
    if right == 0.0 {
        return Err(EvalError::DivisionByZero);
    }
    let rest = left % right;
    Ok(if rest != 0.0 && (rest < 0.0) != (right < 0.0) { rest + right } else { rest })
}

pub(crate) fn concatenate(left: Value, right: Value) -> Result<Value, EvalError> {
    let mut text = left.into_text();
    text.push_str(&right.into_text());
    match text.len() <= MAX_COMPUTED {
        true => Ok(Value::Text(text)),
        false => Err(EvalError::TextTooLong { limit: MAX_COMPUTED }),
    }
}

#[cfg(test)]
mod tests;
