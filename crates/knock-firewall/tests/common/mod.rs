//! A network namespace for each test, programs and rules of everybody in it.

#![allow(dead_code, reason = "each test program uses a part of it")]

/// Serves the tests inside of the crate, too.
#[path = "../../src/testing.rs"]
mod testing;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use knock_firewall::{Firewall, Kind, Ran, ToolError, Tools};
use knock_rules::Opening;
use testing::{again_inside, level};

/// A limit that only a failing test comes to.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) const WAYS: [Kind; 3] = [Kind::Nftables, Kind::Ipset, Kind::Iptables];
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn firewall(kind: Kind) -> Firewall {
    firewall_by(kind, Shell)
}

/// The same, with programs that are the test's.
pub(crate) fn firewall_by(kind: Kind, tools: impl Tools + 'static) -> Firewall {
    #[allow(clippy::disallowed_methods, reason = "the kernel's clock is the real one")]
    fn now() -> SystemTime {
        SystemTime::now()
    }
    Firewall::new(kind, Box::new(tools), now).unwrap()
}

/// Makes the static part; nothing of it may fail.
pub(crate) fn apply(firewall: &Firewall) -> Vec<String> {
    let work = firewall.apply(LONG).unwrap();
    assert_eq!(work.failed, []);
    work.done
}

pub(crate) fn remove(firewall: &Firewall) -> Vec<String> {
    let work = firewall.remove(LONG).unwrap();
    assert_eq!(work.failed, []);
    work.done
}

pub(crate) fn in_time(left: Duration) -> Option<SystemTime> {
    #[allow(clippy::disallowed_methods, reason = "the kernel's clock is the real one")]
    let now = SystemTime::now();
    Some(now + left)
}

pub(crate) fn opening(text: &str) -> Opening {
    text.parse().unwrap()
}

/// Some rules of everybody: iptables with both families, a table of nft, bans.
pub(crate) fn foreign_rules() {
    for program in ["iptables", "ip6tables"] {
        run(&format!("{program} -P INPUT DROP"));
        run(&format!("{program} -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"));
        run(&format!("{program} -A INPUT -p tcp --dport 80 -m comment --comment mine -j ACCEPT"));
        run(&format!("{program} -N knockdaemon-of-mine"));
    }
    nft("table inet filter {
           chain input {
             type filter hook input priority 0; policy drop;
             ct state established,related accept
             tcp dport 80 accept comment \"mine\"
           }
           chain forward { type filter hook forward priority 0; policy drop; }
         }
         table inet bans {
           set bad { type ipv4_addr; elements = { 192.0.2.66 }; }
           chain input {
             type filter hook input priority -1
             tcp dport { 22, 80 } ip saddr @bad reject
           }
         }");
    run("ipset create mine hash:ip timeout 0");
    run("ipset add mine 192.0.2.5");
}

/// All rules of everybody, without counters and the numbers that a set is made with.
pub(crate) fn all_rules() -> String {
    let all = ["nft -s list ruleset", "ipset save", "iptables -S", "ip6tables -S"].map(run);
    let lines = all.iter().flat_map(|text| text.lines());
    let lines = lines.map(|line| line.split(" initval ").next().unwrap_or(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

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

/// What becomes of a program: its name, its words, and how to run it after all.
type Around = dyn Fn(&str, &[&str], &dyn Fn() -> Result<Ran, ToolError>) -> Result<Ran, ToolError>
    + Send
    + Sync;

/// The same programs, while something else goes on.
pub(crate) struct Meddled(Box<Around>);

impl Meddled {
    pub(crate) fn by(
        around: impl Fn(&str, &[&str], &dyn Fn() -> Result<Ran, ToolError>) -> Result<Ran, ToolError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Box::new(around))
    }
}

impl std::fmt::Debug for Meddled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meddled")
    }
}

impl Tools for Meddled {
    fn has(&self, program: &str) -> bool {
        Shell.has(program)
    }

    fn run(
        &self,
        program: &str,
        args: &[&str],
        input: &str,
        limit: Duration,
    ) -> Result<Ran, ToolError> {
        (self.0)(program, args, &|| Shell.run(program, args, input, limit))
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
    match level() {
        Some(_) => work(),
        None => again_inside(name, "1", "-Urn"),
    }
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
