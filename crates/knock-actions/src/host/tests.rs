//! Through `Host`, as the pool does it: a command in, an outcome out.

use std::time::{Duration, SystemTime};

use knock_engine::{Order, Outcome};
use knock_rules::Command;

use knock_firewall::Kind;

use super::*;
use crate::testing::{order, shell, until_it_got_far_enough};

fn run(command: Command) -> Outcome {
    host().run(&order(7, command))
}

fn check(text: &str, expected: &str) {
    let outcome = match run(shell(text)) {
        Outcome::Done => "done".to_owned(),
        Outcome::Failed { why, again: false } => format!("failed: {why}"),
        other => format!("{other:?}"),
    };
    assert_eq!(outcome, expected, "{text}");
}

#[test]
fn an_ending_becomes_an_outcome() {
    check("true", "done");
    check("exit 4", "failed: exit 4");
    check("echo one >&2; echo two >&2; exit 4", "failed: exit 4: two");
    check("echo on the wrong channel; exit 1", "failed: exit 1: on the wrong channel");
    check("echo out; echo err >&2; exit 1", "failed: exit 1: err");
    check(r"printf '\033[2Jred\n' >&2; exit 1", "failed: exit 1: \\u{1b}[2Jred");
    check("kill -9 $$", "failed: killed by signal 9");
}

/// As with the original, so that old scripts find what they found.
#[test]
fn the_surroundings_are_those_that_the_daemon_was_started_with() {
    let lines = [
        &*format!(
            "test \"$(pwd -P)\" = '{}' || exit 11",
            std::env::current_dir().unwrap().display()
        ),
        r#"test "$CARGO_PKG_NAME" = knock-actions || exit 12"#,
        r#"test "$KNOCK_PORT" = 22 || exit 13"#,
        r#"case ":$PATH:" in *:/usr/sbin:*:/sbin:*) ;; *) exit 14 ;; esac"#,
        r#"test -z "$(cat)" || exit 16"#,
        r#"test "$(ps -o pgid= -p $$ | tr -d ' ')" = $$ || exit 17"#,
    ];
    check(&lines.join("\n"), "done");
}

#[test]
fn a_program_gets_its_words_as_they_are() {
    let exec = |words: &[&str]| run(Command::Exec(words.iter().map(|&it| it.to_owned()).collect()));
    assert_eq!(exec(&["test", "a  b'$(c)", "=", "a  b'$(c)"]), Outcome::Done);
    let failed = |why: &str, again| Outcome::Failed { why: why.to_owned(), again };
    assert_eq!(
        exec(&["/no/such\nprogram"]),
        failed("cannot run '/no/such\\nprogram': No such file or directory (os error 2)", true)
    );
    assert_eq!(exec(&[]), failed("there is no program to run", false));
    assert!(matches!(exec(&["echo", "a\0b"]), Outcome::Failed { again: false, .. }));
}

#[test]
fn what_takes_too_long_is_ended() {
    let late = Order { timeout: Duration::from_millis(50), ..order(7, shell("exec sleep 600")) };
    assert_eq!(host().run(&late), Outcome::TimedOut { after: late.timeout });
}

/// at(1) does not wait for us: what opens behind it would stay open.
#[test]
#[allow(clippy::disallowed_methods, reason = "the clock that the order's limit is read from")]
fn what_a_job_takes_back_is_not_begun_after_it_and_ended_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    let opens = shell(&format!("echo >{}; exec sleep 600", begun.display()));
    let expires = |expires| Order { expires: Some(expires), ..order(7, opens.clone()) };
    let late = host().run(&expires(SystemTime::UNIX_EPOCH));
    assert!(matches!(late, Outcome::Failed { again: false, .. }), "{late:?}");
    assert!(!begun.exists());

    until_it_got_far_enough(|limit| {
        let soon = expires(SystemTime::now() + limit);
        let outcome = host().run(&soon);
        let Outcome::TimedOut { after } = outcome else { panic!("{outcome:?}") };
        assert!(after <= limit, "{after:?}");
        begun.exists().then_some(())
    });
    let rule = "-I INPUT -s 192.0.2.7 -j ACCEPT".split(' ').map(str::to_owned).collect();
    let rule = Command::Iptables { family: knock_rules::Family::V4, args: rule };
    let late = Order { expires: Some(SystemTime::UNIX_EPOCH), ..order(7, rule) };
    assert!(matches!(host().run(&late), Outcome::Failed { again: false, .. }));
}

/// The daemon was dead for an hour: at(1) is not asked for a job in the past.
#[test]
fn a_job_whose_minute_has_passed_is_not_handed_over() {
    let past = Order { hand_over: Some(SystemTime::UNIX_EPOCH), ..order(7, shell("true")) };
    let why = "the minute of its job has passed".to_owned();
    assert_eq!(host().run(&past), Outcome::Failed { why, again: false });
}

fn host() -> Host {
    Host::new(Gate::new(Kind::Auto), Arc::new(LeftBehind::by(None, |_| ())))
}
