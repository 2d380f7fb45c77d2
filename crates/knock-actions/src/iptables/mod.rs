//! Rules of iptables and ip6tables, through the `iptables` crate: put in once, gone is gone.
//! Knows no chain of its own; what a rule says is the template's business.
//!
//! The crate's own helpers cannot be used: `exists` takes every failure for "not there", and an
//! insertion on top of that would double rules. So all goes through its `execute`, and the exit
//! status is read here.

mod answer;
mod intent;
mod lane;
mod quote;
mod script;
mod surplus;
mod watched;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use iptables::IPTables;
use knock_engine::Outcome;
use knock_rules::Family;

use self::answer::Answer;
use self::intent::Intent;
use self::lane::LANE;
use self::quote::{Unpassable, quoted};
use self::surplus::Surplus;
use self::watched::{GoOn, watched};
use crate::deadline::Deadline;
use crate::process::{self, Ending, Trouble};

/// Where the programs are: the folders of [`process::PATH`], in that order, and NixOS's. Spelled out
/// because the crate wants a text that lives as long as the program.
const IPTABLES: &[&str] = &[
    "/usr/local/sbin/iptables",
    "/usr/local/bin/iptables",
    "/usr/sbin/iptables",
    "/usr/bin/iptables",
    "/sbin/iptables",
    "/bin/iptables",
    "/run/current-system/sw/bin/iptables",
];
const IP6TABLES: &[&str] = &[
    "/usr/local/sbin/ip6tables",
    "/usr/local/bin/ip6tables",
    "/usr/sbin/ip6tables",
    "/usr/bin/ip6tables",
    "/sbin/ip6tables",
    "/bin/ip6tables",
    "/run/current-system/sw/bin/ip6tables",
];
/// The first version with `-C`.
const HAS_CHECK: Version = Version(1, 4, 11);
/// The first version with `-w`, which waits for the lock.
const HAS_WAIT: Version = Version(1, 4, 20);
/// The first version whose `-w` takes a number of seconds.
const HAS_WAIT_SECONDS: Version = Version(1, 6, 0);
/// The first version whose iptables-restore has `-w` too.
const HAS_WAITING_RESTORE: Version = Version(1, 6, 2);
/// Most equal rules that are taken out for one. One is expected; a stand-in for iptables that always
/// succeeds must not keep the lane for ever.
const MOST: u32 = 100;

/// What has been found for both families, for all workers: the first opening of each would have to ask
/// a program for its version before it runs it.
static FOUND: (OnceLock<Program>, OnceLock<Program>) = (OnceLock::new(), OnceLock::new());

/// Both programs, as far as they have been needed.
#[derive(Debug, Default)]
pub(crate) struct Iptables {
    v4: Option<Program>,
    v6: Option<Program>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Program {
    path: &'static str,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Iptables {
    /// Carries out one rule's words: `-I INPUT -s 192.0.2.7 -j ACCEPT`. Whole: no other rule of
    /// ours comes between the look and the deed.
    pub(crate) fn apply(&mut self, family: Family, args: &[String], limit: Duration) -> Outcome {
        let deadline = Deadline::after(limit);
        let program = match self.program(family, deadline) {
            Ok(program) => program,
            Err(outcome) => return outcome,
        };
        match steps(program, args) {
            Ok(steps) => carry_out(program, steps, deadline),
            Err(outcome) => outcome,
        }
    }

    /// The same for a shell that runs it later, without us.
    pub(crate) fn script(
        &mut self,
        family: Family,
        args: &[String],
        limit: Duration,
    ) -> Result<String, Outcome> {
        Ok(self.program(family, Deadline::after(limit))?.script(args))
    }

    fn program(&mut self, family: Family, deadline: Deadline) -> Result<Program, Outcome> {
        let (known, paths) = match family {
            Family::V4 => (&mut self.v4, IPTABLES),
            Family::V6 => (&mut self.v6, IP6TABLES),
        };
        if let Some(program) = known {
            return Ok(*program);
        }
        let found = match family {
            Family::V4 => &FOUND.0,
            Family::V6 => &FOUND.1,
        };
        if let Some(program) = found.get() {
            return Ok(*known.insert(*program));
        }
        let path = paths
            .iter()
            .find(|path| Path::new(path).exists())
            .ok_or_else(|| Outcome::Failed { why: missing(family.program()), again: true })?;
        let program = Program::probe(path, deadline)?;
        Ok(*known.insert(*found.get_or_init(|| program)))
    }
}

impl Program {
    fn probe(path: &'static str, deadline: Deadline) -> Result<Self, Outcome> {
        let failed = |why: String| Outcome::Failed { why, again: true };
        let ended = match process::run(path, ["--version"], &[], deadline.left()) {
            Ok(ended) => ended,
            Err(Trouble::NotStarted(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(failed(missing(path)));
            }
            Err(error) => return Err(failed(format!("cannot run {path}: {error}"))),
        };
        if let Ending::TimedOut = ended.how {
            return Err(deadline.missed());
        }
        let said = ended.stdout.last_line().unwrap_or_default();
        let Some(version) = Version::find(&said) else {
            return Err(failed(format!("{path} --version does not tell a version: '{said}'")));
        };
        if version < HAS_CHECK {
            let why = format!("{path} is {version}, at least {HAS_CHECK} is needed; use 'system'");
            return Err(Outcome::Failed { why, again: false });
        }
        Ok(Self { path, version })
    }

    /// The program beside it that carries out several calls in one step, if it can be used. Both are
    /// names of one file, or else they may speak of different rules: nftables' and the legacy ones.
    fn restore(self) -> Option<String> {
        let path = format!("{}-restore", self.path);
        let file = |path: &str| Path::new(path).canonicalize().ok();
        let is_one = file(self.path).is_some_and(|own| file(&path) == Some(own));
        (self.version >= HAS_WAITING_RESTORE && is_one).then_some(path)
    }

    fn takes_wait_seconds(self) -> bool {
        self.version >= HAS_WAIT_SECONDS
    }

    /// With a limit of our own on the wait for the lock, the crate must not ask for one without.
    fn crate_handle(self) -> IPTables {
        IPTables {
            cmd: self.path,
            has_check: true,
            has_wait: !self.takes_wait_seconds(),
            is_numeric: false,
        }
    }
}

fn missing(path: &str) -> String {
    format!(
        "there is no {path} here; install the package 'iptables', or use 'system' or 'exec' with what this host has"
    )
}

impl Version {
    /// In `iptables v1.8.9 (nf_tables)`.
    fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            let mut numbers = word.strip_prefix('v')?.split('.').map(|part| part.parse().ok());
            Some(Self(numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)))
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What to run for one order, as the crate takes it, still without a limit on the wait for the lock.
#[derive(Debug)]
struct Steps {
    /// Whether the rule is there, where that is to be known before.
    check: Option<String>,
    /// Program and text that take the rule out again where there was one, if that can be done after.
    surplus: Option<(String, Surplus)>,
    act: String,
    intent: Intent,
    /// Whether that limit is ours to set.
    limits_wait: bool,
}

fn steps(program: Program, args: &[String]) -> Result<Steps, Outcome> {
    let refused =
        |unpassable: Unpassable| Outcome::Failed { why: unpassable.to_string(), again: false };
    let check = intent::check(args).map(|args| quoted(&args)).transpose().map_err(refused)?;
    let surplus = program.restore().zip(Surplus::of(args));
    Ok(Steps {
        check: check.filter(|_| surplus.is_none()),
        surplus,
        act: quoted(args).map_err(refused)?,
        intent: Intent::of(args),
        limits_wait: program.takes_wait_seconds() && !intent::names_a_wait(args),
    })
}

impl Steps {
    /// iptables gives up on the lock a second before we give up on iptables, so that it is iptables
    /// who says what was wrong. It takes whole seconds, from 1. Asked anew for each run: the lane
    /// and the run before have taken their time.
    fn limited(&self, line: &str, deadline: Deadline) -> String {
        if !self.limits_wait {
            return line.to_owned();
        }
        let wait = deadline.left().as_secs().saturating_sub(1).clamp(1, 3600);
        format!("-w {wait} {line}")
    }
}

fn carry_out(program: Program, steps: Steps, deadline: Deadline) -> Outcome {
    let Some(pass) = LANE.enter(deadline) else { return deadline.missed() };
    watched(deadline, move |go_on| {
        // Whoever is stuck in here keeps the others out: what it still does must not come between
        // what they do.
        let _pass = pass;
        let iptables = program.crate_handle();
        let execute = |line: &str| {
            let line = steps.limited(line, deadline);
            Answer::of(program.path, iptables.execute("filter", &line))
        };
        if let Some(check) = &steps.check {
            match execute(check) {
                Answer::Yes => return Outcome::AlreadySo,
                Answer::NotThere(_) => {}
                Answer::ThereAlready(complaint) | Answer::Failed(complaint) => {
                    return complaint.into();
                }
            }
        }
        if !go_on.is_wanted() {
            return deadline.missed();
        }
        match (execute(&steps.act), steps.intent) {
            (Answer::Yes, Intent::PutIn) => match &steps.surplus {
                Some((restore, surplus)) => once(restore, surplus, go_on, deadline),
                None => Outcome::Done,
            },
            // Another may have been put in by whoever was ended half-way, and would stay.
            (Answer::Yes, Intent::TakeOut) => {
                out_altogether(|| execute(&steps.act), go_on, deadline)
            }
            (Answer::Yes, _) => Outcome::Done,
            (Answer::NotThere(_), Intent::TakeOut | Intent::TakeChain) => Outcome::AlreadySo,
            (Answer::ThereAlready(_), Intent::MakeChain) => Outcome::AlreadySo,
            (
                Answer::NotThere(complaint)
                | Answer::ThereAlready(complaint)
                | Answer::Failed(complaint),
                Intent::PutIn
                | Intent::TakeOut
                | Intent::TakeChain
                | Intent::MakeChain
                | Intent::Other,
            ) => complaint.into(),
        }
    })
}

/// The rule is in; sees to it that it is in once. What is ended here is done again as a whole.
fn once(restore: &str, surplus: &Surplus, go_on: &GoOn, deadline: Deadline) -> Outcome {
    for taken_out in 0..MOST {
        if !go_on.is_wanted() {
            return deadline.missed();
        }
        match surplus.take_out(restore, deadline) {
            surplus::Answer::TakenOut => {}
            surplus::Answer::Alone if taken_out == 0 => return Outcome::Done,
            surplus::Answer::Alone => break,
            surplus::Answer::Failed(complaint) => return complaint.into(),
        }
    }
    Outcome::AlreadySo
}

/// One is out; takes out the others.
fn out_altogether(take_out: impl Fn() -> Answer, go_on: &GoOn, deadline: Deadline) -> Outcome {
    for _ in 0..MOST {
        if !go_on.is_wanted() {
            return deadline.missed();
        }
        match take_out() {
            Answer::Yes => {}
            Answer::NotThere(_) => break,
            Answer::ThereAlready(complaint) | Answer::Failed(complaint) => return complaint.into(),
        }
    }
    Outcome::Done
}

#[cfg(test)]
mod tests;
