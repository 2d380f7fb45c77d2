//! What it takes to open, when it is known for whom: iptables as a program, with and without a shell,
//! on a short chain and behind 5,000 rules.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use super::Timings;
use super::way::bare_rule;
use crate::lab::{Host, Lab};
use crate::process::now;
use crate::{LabError, Result};

/// Rules in place for "with 5,000 rules".
const MANY: u32 = 5_000;

/// One thing to time, and what takes it back.
struct Action {
    name: &'static str,
    words: Vec<String>,
    undo: Vec<String>,
}

/// Times each of them so often, in turns. For a lab whose firewall is shut.
///
/// # Errors
/// When a program fails.
pub fn alone(lab: &Lab, times: usize) -> Result<Vec<(String, Timings)>> {
    let mut told = Vec::new();
    let put_in = ["-I", "-D", "-C"].map(|verb| bare_rule(verb, "10.99.255.1"));
    let [insert, delete, check] = put_in.map(|rule| iptables(&rule));
    let in_shell = vec!["sh".to_owned(), "-c".to_owned(), insert.join(" ")];
    let actions = vec![
        Action { name: "`iptables -I`", words: insert.clone(), undo: delete.clone() },
        Action { name: "`sh -c 'iptables -I'`", words: in_shell, undo: delete.clone() },
    ];
    time(lab, "", &actions, times, &mut told)?;
    fill(lab)?;
    let actions = vec![
        Action { name: "`iptables -I`", words: insert.clone(), undo: delete.clone() },
        Action { name: "`iptables -D` of the first", words: delete, undo: insert },
        Action { name: "`iptables -C` of none", words: check, undo: Vec::new() },
    ];
    // The second takes out what the first has put in: it begins with it there.
    time(lab, ", 5,000 rules in place", &actions, times.min(20), &mut told)?;
    Ok(told)
}

/// The time from a program's start to its end. What it says is not shown.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn run(words: &[String]) -> Result<Duration> {
    let Some((program, rest)) = words.split_first() else { return Ok(Duration::ZERO) };
    let mut command = Command::new(program);
    command.args(rest);
    let began = now();
    let output = command.output()?;
    let took = began.elapsed();
    let is_check = words.iter().any(|word| word == "-C");
    if output.status.success() || is_check {
        return Ok(took);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(LabError(format!("{words:?}: {}: {}", output.status, said.trim())))
}

fn time(
    lab: &Lab,
    where_: &str,
    actions: &[Action],
    times: usize,
    told: &mut Vec<(String, Timings)>,
) -> Result<()> {
    let mut all = vec![Timings::default(); actions.len()];
    lab.within(Host::Server, || {
        for round in 0..=times {
            for (action, timings) in actions.iter().zip(&mut all) {
                let puts_back = action.words.iter().any(|word| word == "-D");
                if puts_back {
                    run(&action.undo)?;
                }
                let took = run(&action.words)?;
                if !puts_back {
                    run(&action.undo)?;
                }
                // The first is a warm-up.
                if round > 0 {
                    timings.push(took);
                }
            }
        }
        Ok::<_, LabError>(())
    })??;
    let names = actions.iter().map(|action| format!("{}{where_}", action.name));
    told.extend(names.zip(all));
    Ok(())
}

fn iptables(rule: &str) -> Vec<String> {
    let words = rule.split_whitespace().map(str::to_owned);
    std::iter::once("iptables".to_owned()).chain(words).collect()
}

fn fill(lab: &Lab) -> Result<()> {
    let mut text = "*filter\n".to_owned();
    for number in 0..MANY {
        let client = format!("10.98.{}.{}", number / 250, number % 250 + 1);
        let _infallible = writeln!(text, "{}", bare_rule("-A", &client));
    }
    text.push_str("COMMIT\n");
    let file = lab.write("many.rules", &text)?;
    let line = format!("iptables-restore --noflush {}", file.display());
    lab.on(Host::Server, &line).map(drop)
}
