//! Random expressions against the values that Perl itself gave them; `tests/data/perl.pl` made them.

use super::*;
use crate::parser::{Purpose, parse_expression};
use crate::testing::{SHAPE, names, setting, told};

#[test]
fn perl_gives_the_same_values() {
    let names = names(SHAPE);
    let memory = "10.1.2.3/visits=3 state/10.1.2.3/name=tcp state/10.1.2.3/kind=6x";
    let mut setting = setting(&format!("state/{memory}"));
    let path = vec!["10.1.2.3".to_owned(), "zero".to_owned()];
    let value = Some(MemoryValue::Text("0.0".to_owned()));
    assert!(setting.memory.apply(&crate::MemoryChange { path, value }));
    let mut wrong = Vec::new();
    for line in include_str!("../../tests/data/perl.txt").lines() {
        let (text, perl) = line.rsplit_once('\t').unwrap();
        let ours = match parse_expression(text, &names, Purpose::Condition) {
            Ok(expr) => match evaluate(&expr, &setting.scope()) {
                Ok(value) => format!("={}", value.into_text().replace('\t', "\\t")),
                Err(EvalError::DivisionByZero) => "zero".to_owned(),
                Err(fault) => fault.to_string(),
            },
            Err(errors) => told(&[text], &errors),
        };
        if ours != perl {
            wrong.push(format!("{text}\n  perl {perl}\n  ours {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
