//! Hands an order to at(1), which keeps it in its own spool and runs it at a full minute.
//!
//! What is handed over needs nothing of this program any more, so what needs this process's
//! capabilities is not handed over: atd runs a job with the rights of its user. And it counts as handed
//! over only if at(1) had nothing to object to: a job that no atd looks for would leave a port open.

mod script;

use std::fmt;
use std::io::{self};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use knock_engine::{Order, Outcome};
use rustix::process::geteuid;
use rustix::thread::no_new_privs;

use crate::account::{find_program, rights_beyond_the_user};
use crate::deadline::left_until;
use crate::iptables::Iptables;
use crate::output::Tail;
use crate::process::{self, Ended, Ending, Trouble, status_text};

/// How long at(1) may take; it only writes a file and wakes atd.
const LIMIT: Duration = Duration::from_secs(10);
/// at(1) reads its time in this zone, so that no summer time moves it. The job itself unsets it.
const ZONE: (&str, &str) = ("TZ", "UTC0");
/// at(1) always says this; everything else that it says beside the job's number is a complaint.
const USUAL: &str = "warning: commands will be executed using /bin/sh";

/// Why a job would not do what its order would have done.
const NO_RIGHTS: &str = "at(1) runs jobs as this process's user, without its capabilities";

/// What keeps this process from handing anything over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtError {
    /// There is no such program.
    Missing,
    /// Jobs would have fewer rights than what this process runs itself.
    NoRights,
    /// This process may start no program that changes its user, as at(1) has to.
    NoNewPrivileges,
}

impl AtError {
    /// The way out.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Missing => "install the package 'at' and see that atd runs",
            Self::NoRights | Self::NoNewPrivileges => {
                "let the daemon be root (under systemd: knockdaemon-root.conf), or take \
                 'scheduler = agenda'"
            }
        }
    }
}

impl fmt::Display for AtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no at(1) on this machine",
            Self::NoRights => NO_RIGHTS,
            Self::NoNewPrivileges => "at(1) is setuid, and this process may start nothing such",
        })
    }
}

impl std::error::Error for AtError {}

/// Sees whether at(1) could be given anything, as far as one can tell without doing it.
///
/// # Errors
/// Why not.
pub fn can_hand_over() -> Result<(), AtError> {
    if find_program("at").is_none() {
        Err(AtError::Missing)
    } else if rights_beyond_the_user() {
        Err(AtError::NoRights)
    } else if !geteuid().is_root() && no_new_privs().unwrap_or(false) {
        Err(AtError::NoNewPrivileges)
    } else {
        Ok(())
    }
}

/// Gives at(1) what this order would have run, for this minute.
pub(crate) fn hand_over(iptables: &mut Iptables, order: &Order, minute: SystemTime) -> Outcome {
    let failed = |why: String| Outcome::Failed { why, again: false };
    // The daemon was dead for a while. Nothing is left to plan then: the agenda does it at once.
    if left_until(minute).is_zero() {
        return failed("the minute of its job has passed".to_owned());
    }
    let text = match script::of(iptables, order) {
        Ok(text) => text,
        Err(outcome) => return outcome,
    };
    let input = match process::in_memory(&text) {
        Ok(input) => input,
        Err(error) => return failed(format!("no room for what at(1) is to read: {error}")),
    };
    let minute = DateTime::<Utc>::from(minute).format("%Y%m%d%H%M").to_string();
    // Nothing of our own environment gets into the job, which at(1) would keep in its spool.
    let mut environment = order.environment.clone();
    environment.push((ZONE.0.to_owned(), ZONE.1.to_owned()));
    let ended = process::run_fed("at", ["-t", &minute], &environment, LIMIT, input);
    match ended {
        Ok(Ended { how: Ending::TimedOut, .. }) => Outcome::TimedOut { after: LIMIT },
        Ok(Ended { how: Ending::Exited(status), stderr, .. }) => match answer(&stderr) {
            Answer { job: Some(job), complaint: None } if status.success() => {
                Outcome::HandedOver { job }
            }
            Answer { job, complaint } => {
                let complaint = complaint.unwrap_or_else(|| status_text(status));
                failed(format!("at(1): {complaint}{}", job.map(take_back).unwrap_or_default()))
            }
        },
        Err(Trouble::NotStarted(error)) if error.kind() == io::ErrorKind::NotFound => {
            failed("there is no at(1) here; install the package 'at'".to_owned())
        }
        Err(error) => failed(format!("cannot run at(1): {error}")),
    }
}

/// What at(1) said.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    job: Option<u64>,
    complaint: Option<String>,
}

fn answer(stderr: &Tail) -> Answer {
    let mut answer = Answer { job: None, complaint: None };
    for line in stderr.lines() {
        let number = line.strip_prefix("job ").and_then(|rest| rest.split_once(" at "));
        if let Some(job) = number.and_then(|(number, _)| number.parse().ok()) {
            answer.job = Some(job);
        } else if line != USUAL {
            answer.complaint = Some(line);
        }
    }
    answer
}

/// A job that at(1) has doubts about is not left to it. What follows if it stays: it runs twice.
fn take_back(job: u64) -> String {
    let removed = process::run("atrm", [job.to_string()], &[], LIMIT);
    match removed {
        Ok(Ended { how: Ending::Exited(status), .. }) if status.success() => String::new(),
        Ok(_) | Err(_) => format!(" (and its job {job} could not be removed)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, job: Option<u64>, complaint: Option<&str>) {
        let mut stderr = Tail::default();
        stderr.push(said.as_bytes());
        let complaint = complaint.map(str::to_owned);
        assert_eq!(answer(&stderr), Answer { job, complaint }, "{said}");
    }

    /// As at 3.2.5 says it.
    #[test]
    fn a_job_counts_only_without_a_complaint() {
        let job = format!("{USUAL}\njob 7 at Sat Nov 21 10:39:00 2026\n");
        check(&job, Some(7), None);
        let no_atd = "Can't open /run/atd.pid to signal atd. No atd running?";
        check(&format!("{job}{no_atd}\n"), Some(7), Some(no_atd));
        let dead = "Warning: at daemon not running";
        check(&format!("{job}{dead}\n"), Some(7), Some(dead));
        let denied = "You do not have permission to use at.";
        check(denied, None, Some(denied));
        check("", None, None);
        check("job seven at noon\n", None, Some("job seven at noon"));
    }
}
