//! The text of a job: what an order would have run, for a shell that knows nothing else.
//!
//! Every word is quoted, and nothing in it comes from a knock but numbers and addresses. Runs nothing
//! itself, though it looks for iptables and for the user.

use std::time::Duration;

use knock_engine::{Order, Outcome};
use knock_rules::Command;

use super::NO_RIGHTS;
use crate::account::{Account, AccountError, rights_beyond_the_user};
use crate::iptables::Iptables;
use crate::shell::quoted;

/// How long iptables may take to tell its version.
const PROBE: Duration = Duration::from_secs(5);

/// The job of an order: its command, and what stands in for it where that fails.
///
/// # Errors
/// When the machine lacks what the command needs.
pub(super) fn of(iptables: &mut Iptables, order: &Order) -> Result<String, Outcome> {
    let first = (&order.command, &order.user);
    let others = order.on_failure.iter().map(|fallback| (&fallback.command, &fallback.user));
    if rights_beyond_the_user() {
        return Err(Outcome::Failed { why: NO_RIGHTS.to_owned(), again: false });
    }
    let mut commands = Vec::new();
    for (command, user) in std::iter::once(first).chain(others) {
        commands.push(part(iptables, command, user.as_deref())?);
    }
    // TZ was at(1)'s own.
    Ok(format!("unset TZ\n{}\n", commands.join(" ||\n")))
}

fn part(iptables: &mut Iptables, command: &Command, user: Option<&str>) -> Result<String, Outcome> {
    let words = match command {
        Command::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
        Command::Exec(words) => words.clone(),
        Command::Iptables { family, args } => return iptables.script(*family, args, PROBE),
        Command::Open { .. } | Command::Close { .. } | Command::CountConnections { .. } => {
            let why = format!("'{command}' is a lease's, which the daemon keeps itself");
            return Err(Outcome::Failed { why, again: false });
        }
    };
    let mut all = match user {
        Some(user) => prefix(user)
            .map_err(|error| Outcome::Failed { why: error.to_string(), again: false })?,
        None => Vec::new(),
    };
    all.extend(words);
    // The shell reads the job from its standard input, and a command must not eat the rest of it.
    Ok(format!("{} </dev/null", quoted(&all)))
}

/// `env` and `setpriv`, with what they need.
fn prefix(user: &str) -> Result<Vec<String>, AccountError> {
    let account = Account::find(user)?;
    let variables =
        account.environment().into_iter().map(|(name, value)| format!("{name}={value}"));
    let mut words = vec!["/usr/bin/env".to_owned()];
    words.extend(variables);
    words.extend(account.becoming()?);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command as Program, Stdio};

    use knock_engine::Fallback;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{order, shell};

    fn exec(words: &[&str]) -> Command {
        Command::Exec(words.iter().map(|&word| word.to_owned()).collect())
    }

    /// What the job prints, run as atd does: a shell that reads it from its standard input.
    fn output(order: &Order) -> String {
        let text = of(&mut Iptables::default(), order).unwrap();
        let mut sh = Program::new("/bin/sh")
            .env("TZ", "UTC0")
            .envs(order.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        String::from_utf8(sh.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn a_job_does_what_the_order_would_have_done() {
        assert_eq!(
            output(&order(1, exec(&["printf", "%s.", "a b", "$(id)", "'", ""]))),
            "a b.$(id).'.."
        );
        assert_eq!(
            output(&order(1, shell("echo $KNOCK_PORT 'x'; echo \"$0\""))),
            "22 x\n/bin/sh\n"
        );
        // What reads does not read the job.
        assert_eq!(output(&order(1, shell("cat; echo end"))), "end\n");
        assert_eq!(output(&order(1, shell("echo ${TZ-none}"))), "none\n");
    }

    #[test]
    fn what_stands_in_runs_after_a_failure_only() {
        let fallback = |command| Fallback {
            template: "other".to_owned(),
            command,
            user: None,
            timeout: Duration::from_secs(1),
        };
        let on_failure =
            vec![fallback(shell("echo two; exit 3")), fallback(exec(&["echo", "three"]))];
        let fails = Order { on_failure: on_failure.clone(), ..order(1, shell("echo one; false")) };
        assert_eq!(output(&fails), "one\ntwo\nthree\n");
        let works = Order { on_failure, ..order(1, shell("echo one")) };
        assert_eq!(output(&works), "one\n");
    }

    #[test]
    fn a_user_that_is_not_there_has_no_job() {
        let nobody = Order { user: Some("no such user".to_owned()), ..order(1, shell("true")) };
        let outcome = of(&mut Iptables::default(), &nobody).unwrap_err();
        assert!(matches!(outcome, Outcome::Failed { why, .. } if why.contains("no such user")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Through a real shell, whatever the words hold: they arrive as they are.
        #[test]
        fn words_arrive_as_they_are(words in prop::collection::vec("[^\0]{0,12}", 1..6)) {
            let mut all = vec!["printf".to_owned(), "%s\\037".to_owned()];
            all.extend(words.iter().cloned());
            let printed = output(&order(1, Command::Exec(all)));
            let expected: String = words.iter().map(|word| format!("{word}\x1f")).collect();
            prop_assert_eq!(printed, expected);
        }

        /// A shell template is one word on its way, and means there what it means here.
        #[test]
        fn a_shell_text_arrives_as_it_is(text in "[^\0]{0,40}") {
            let quoted = crate::shell::quoted(std::slice::from_ref(&text));
            prop_assert_eq!(output(&order(1, shell(&format!("printf %s {quoted}")))), text);
        }
    }
}
