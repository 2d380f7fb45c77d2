//! A network namespace for each test, and programs in it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use knock_firewall::{Ran, ToolError, Tools};

/// A limit that only a failing test comes to.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Runs programs without a limit.
#[derive(Debug)]
pub(crate) struct Shell;

impl Tools for Shell {
    fn has(&self, program: &str) -> bool {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|folder| std::path::Path::new(folder).join(program).exists())
    }

    fn run(
        &self,
        program: &str,
        args: &[&str],
        input: &str,
        _: Duration,
    ) -> Result<Ran, ToolError> {
        let not_run = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => ToolError::Missing,
            _ => ToolError::NotRun(error.to_string()),
        };
        let mut child = Command::new(program)
            .args(args)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(not_run)?;
        // Dropped at once, which ends the program's input.
        child.stdin.take().unwrap().write_all(input.as_bytes()).map_err(not_run)?;
        let output = child.wait_with_output().map_err(not_run)?;
        Ok(Ran {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Runs a program that must succeed, and returns what it printed.
pub(crate) fn run(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    of(Shell.run(words[0], &words[1..], "", LONG), line)
}

/// Gives these lines to nft.
pub(crate) fn nft(script: &str) {
    of(Shell.run("nft", &["-f", "-"], &format!("{script}\n"), LONG), script);
}

/// Runs a shell script.
pub(crate) fn sh(script: &str) {
    of(Shell.run("sh", &["-s"], script, LONG), script);
}

fn of(ran: Result<Ran, ToolError>, what: &str) -> String {
    let ran = ran.unwrap_or_else(|error| {
        panic!("{what}: {error:?}; `.ci/install-tools test` installs what the tests need")
    });
    assert_eq!(ran.status, Some(0), "{what}: {}", ran.stderr);
    ran.stdout
}

/// Looks until it is so.
pub(crate) fn await_true(mut seen: impl FnMut() -> bool, what: &str) {
    for _ in 0..6000 {
        if seen() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{what} does not come");
}

/// Runs the rest of the test `name` as root of namespaces of its own.
pub(crate) fn inside(name: &str, work: impl FnOnce()) {
    const INSIDE: &str = "KNOCK_FIREWALL_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return work();
    }
    let output = Command::new("unshare")
        .args(["-Urn", "--"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--include-ignored", "--nocapture"])
        .env(INSIDE, "1")
        // iptables-legacy's lock is root's, and there it is not.
        .env("XTABLES_LOCKFILE", "/dev/null")
        .output()
        .unwrap_or_else(|error| panic!("unshare (package util-linux): {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "the part in 'unshare -Urn' failed; if it was not even allowed, user namespaces are \
         switched off (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns):\n{said}"
    );
}

/// Does something in a thread that has no rights.
pub(crate) fn without_rights<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let none = CapabilitySets {
                effective: CapabilitySet::empty(),
                permitted: CapabilitySet::empty(),
                inheritable: CapabilitySet::empty(),
            };
            set_capabilities(None, none).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}
