//! Every example of the guide is read as what it is said to be. Says nothing about its prose.

use std::fmt::Debug;

use knock_rules::{Condition, Delay, Names, RuleError, StateUpdate, Template, TemplateKind};
use knock_wire::Shape;

#[test]
fn the_guides_examples_are_right() {
    let names = Names::new(&Shape::parse("IP,PORT,TIME,FLAG0,FLAG1,CHECKSUM").unwrap());
    let guide = include_str!("../../../docs/guide/rules.md");
    let mut kind = None;
    let mut read = 0;
    for line in guide.lines() {
        match (kind, line.strip_prefix("```")) {
            (None, Some(opened)) => kind = Some(opened),
            (Some(_), Some(_)) => kind = None,
            (None, None) => (),
            (Some(kind), None) => {
                read += 1;
                match kind {
                    "condition" => good(line, Condition::parse(line, &names)),
                    "delay" => good(line, Delay::parse(line, &names)),
                    "state" => good(line, StateUpdate::parse(line, &names)),
                    "system" => good(line, Template::parse_shell(line, &names)),
                    "iptables" => {
                        let kind = TemplateKind::Iptables;
                        good(line, Template::parse_iptables(kind, line, &names));
                    }
                    // Whole files and parts of them.
                    "conf" | "json" => (),
                    other => panic!("no such kind of example: {other}"),
                }
            }
        }
    }
    assert!(read >= 20, "only {read} examples found");
}

fn good<T: Debug>(line: &str, parsed: Result<T, Vec<RuleError>>) {
    if let Err(errors) = parsed {
        panic!("{line}\n{errors:?}");
    }
}
