//! What a run of iptables said, by its exit status and its complaint.
//!
//! The status alone does not tell: 1 is "no such rule", but also any refusal of the kernel. A
//! removal that took the latter for the former would leave a port open.

use std::error::Error;
use std::io;
use std::process::Output;

use knock_engine::Outcome;
use knock_firewall::LOCK_ADVICE;

use super::missing;
use crate::output::first_line;
use crate::process::status_text;

/// An answer of iptables.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Status 0.
    Yes,
    /// There is no such rule or chain.
    NotThere(Complaint),
    /// There is such a chain already.
    ThereAlready(Complaint),
    /// Anything else.
    Failed(Complaint),
}

/// Why not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    why: String,
    again: bool,
}

pub(super) const NOT_THERE: [&str; 2] =
    ["does a matching rule exist in that chain", "No chain/target/match by that name"];
pub(super) const THERE_ALREADY: &str = "Chain already exists";
/// In a second line, where the first says that "Can't lock" failed.
const LOCKED: &str = "holding the xtables lock";
/// iptables-legacy as a user who is not root.
const NO_LOCK: &str = "open lock file";
const NOT_PERMITTED: [&str; 2] = ["Permission denied", "Operation not permitted"];
/// iptables' status for words that it does not understand.
const BAD_SYNTAX: i32 = 2;

impl Answer {
    pub(super) fn of(path: &str, run: Result<Output, Box<dyn Error>>) -> Self {
        let output = match run {
            Ok(output) if output.status.success() => return Self::Yes,
            Ok(output) => output,
            Err(error) => return Self::Failed(not_run(path, error.as_ref())),
        };
        let whole = String::from_utf8_lossy(&output.stderr);
        let has = |part: &&str| whole.contains(*part);
        // The first line: after it come two of advice.
        let said = first_line(&output.stderr).unwrap_or_default();
        let again = output.status.code() != Some(BAD_SYNTAX);
        let advice = if has(&LOCKED) {
            "another program has the firewall locked"
        } else if has(&NO_LOCK) {
            LOCK_ADVICE
        } else if NOT_PERMITTED.iter().any(has) {
            "this needs CAP_NET_ADMIN, and for iptables-legacy CAP_NET_RAW"
        } else {
            ""
        };
        let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
        let complaint = Complaint {
            why: format!("{path}: {}: {said}{advice}", status_text(output.status)),
            again,
        };
        match output.status.code() {
            Some(1) if NOT_THERE.iter().any(has) => Self::NotThere(complaint),
            Some(1) if has(&THERE_ALREADY) => Self::ThereAlready(complaint),
            _ => Self::Failed(complaint),
        }
    }
}

impl From<Complaint> for Outcome {
    fn from(Complaint { why, again }: Complaint) -> Self {
        Self::Failed { why, again }
    }
}

fn not_run(path: &str, error: &(dyn Error + 'static)) -> Complaint {
    let is_missing = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
    let why = if is_missing { missing(path) } else { format!("cannot run {path}: {error}") };
    Complaint { why, again: true }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn check(code: i32, stderr: &str, expected: &str) {
        let status = ExitStatus::from_raw(code << 8);
        let output = Output { status, stdout: Vec::new(), stderr: stderr.as_bytes().to_vec() };
        let answer = match Answer::of("iptables", Ok(output)) {
            Answer::Yes => "yes".to_owned(),
            Answer::NotThere(complaint) => format!("not there, {}", tell(&complaint)),
            Answer::ThereAlready(complaint) => format!("there already, {}", tell(&complaint)),
            Answer::Failed(complaint) => format!("failed, {}", tell(&complaint)),
        };
        assert_eq!(answer, expected);
    }

    fn tell(Complaint { why, again }: &Complaint) -> String {
        format!("{}: {why}", if *again { "again" } else { "for good" })
    }

    #[test]
    fn what_iptables_says_is_understood() {
        check(0, "# a warning", "yes");
        check(
            1,
            "iptables: Bad rule (does a matching rule exist in that chain?).\n",
            "not there, again: iptables: exit 1: iptables: Bad rule (does a matching rule exist in \
             that chain?).",
        );
        check(
            1,
            "iptables: No chain/target/match by that name.",
            "not there, again: iptables: exit 1: iptables: No chain/target/match by that name.",
        );
        check(
            1,
            "iptables: Chain already exists.",
            "there already, again: iptables: exit 1: iptables: Chain already exists.",
        );
        check(
            1,
            "iptables: Memory allocation problem.",
            "failed, again: iptables: exit 1: iptables: Memory allocation problem.",
        );
        check(
            2,
            "iptables v1.8.9 (nf_tables): unknown option \"--bogus\"\nTry `iptables -h'",
            "failed, for good: iptables: exit 2: iptables v1.8.9 (nf_tables): unknown option \
             \"--bogus\"",
        );
        check(
            4,
            "Another app is currently holding the xtables lock. Stopped waiting after 1s.",
            "failed, again: iptables: exit 4: Another app is currently holding the xtables lock. \
             Stopped waiting after 1s.; another program has the firewall locked",
        );
        check(
            4,
            "Could not fetch rule set generation id: Permission denied (you must be root)",
            "failed, again: iptables: exit 4: Could not fetch rule set generation id: Permission \
             denied (you must be root); this needs CAP_NET_ADMIN, and for iptables-legacy \
             CAP_NET_RAW",
        );
        check(
            4,
            "Fatal: can't open lock file /run/xtables.lock: Permission denied",
            &format!(
                "failed, again: iptables: exit 4: Fatal: can't open lock file /run/xtables.lock: \
                 Permission denied; {LOCK_ADVICE}"
            ),
        );
    }
}
