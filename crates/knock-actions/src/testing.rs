//! What several tests of this crate need. Not compiled otherwise.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command as Program;
use std::time::{Duration, SystemTime};

use knock_engine::{Order, OrderId};
use knock_rules::Command;

/// An order of client `192.0.2.NUMBER` that is due at the epoch.
pub(crate) fn order(number: u8, command: Command) -> Order {
    Order {
        id: OrderId(number.into()),
        client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)),
        action: "open".to_owned(),
        template: "open-ssh".to_owned(),
        due: SystemTime::UNIX_EPOCH,
        delay: Duration::ZERO,
        command,
        environment: vec![("KNOCK_PORT".to_owned(), "22".to_owned())],
        timeout: Duration::from_secs(60),
        attempts: 0,
        user: None,
        on_failure: Vec::new(),
        hand_over: None,
        expires: None,
    }
}

/// A shell command.
pub(crate) fn shell(text: &str) -> Command {
    Command::Shell(text.to_owned())
}

/// A program in `folder` that runs these lines of shell.
pub(crate) fn script(folder: &Path, lines: &str) -> &'static str {
    let path = folder.join("script");
    // Written by a child: a file that is open for writing cannot be run, and the child that some
    // other test has just forked may still hold what we have open.
    let text = format!("#!/bin/sh\n{lines}\n");
    let write = r#"printf %s "$1" >"$0" && chmod 755 "$0""#;
    let written = Program::new("/bin/sh").args(["-c", write]).arg(&path).arg(text).status();
    assert!(written.unwrap().success());
    path.display().to_string().leak()
}

/// Gives a program that never ends more and more time, until it got as far as the test needs before
/// it was ended: how long a shell takes to its first word, no test can know.
pub(crate) fn until_it_got_far_enough<T>(mut attempt: impl FnMut(Duration) -> Option<T>) -> T {
    let mut limit = Duration::from_millis(250);
    while limit < Duration::from_secs(300) {
        if let Some(seen) = attempt(limit) {
            return seen;
        }
        limit *= 2;
    }
    panic!("it does not get that far in any time");
}

/// Runs the rest of the test `name` in namespaces of its own: `unshare OPTIONS`. Returns whether
/// this is the process in there; the other one has seen it succeed.
pub(crate) fn is_inside(name: &str, options: &str) -> bool {
    const INSIDE: &str = "KNOCK_ACTIONS_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let output = Program::new("unshare")
        .args(options.split_whitespace())
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--include-ignored", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("this test needs the program 'unshare' (package util-linux)");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "the part in 'unshare {options}' failed; if it was not even allowed, user namespaces are \
         switched off (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns):\n{said}"
    );
    false
}
