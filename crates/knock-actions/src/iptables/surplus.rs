//! One of two equal rules taken out again, by iptables-restore in one step: the other stays where it
//! is, and there is no moment without it. What is put in first and looked at afterwards is in place
//! a program sooner; see docs/decisions/0024-latency.md.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::process::{Command, Output};

use rustix::fs::{MemfdFlags, memfd_create};

use super::answer::Complaint;
use super::intent;
use crate::deadline::Deadline;
use crate::output::first_line;

/// What iptables-restore reads.
#[derive(Debug)]
pub(super) struct Surplus(String);

impl Surplus {
    /// For a rule that is put in at the top of its chain, where the first of two equal ones is the new
    /// one. `None` for all others, and for words that the program would take for something else.
    pub(super) fn of(args: &[String]) -> Option<Self> {
        let lines = intent::first_of_two(args)?;
        let [delete, check] = lines.map(|words| line(&words));
        // The check fails unless there is another one, and then nothing is deleted.
        Some(Self(format!("*filter\n{}\n{}\nCOMMIT\n", delete?, check?)))
    }

    /// Whether there were two.
    pub(super) fn take_out(&self, restore: &str, deadline: Deadline) -> Answer {
        let run = self.run(restore, deadline);
        match &run {
            // iptables-legacy says no more than that.
            Ok(output) if output.status.code() == Some(1) && is_alone(output) => Answer::Alone,
            _ => match super::Answer::of(restore, run.map_err(Into::into)) {
                super::Answer::Yes => Answer::TakenOut,
                super::Answer::NotThere(complaint)
                | super::Answer::ThereAlready(complaint)
                | super::Answer::Failed(complaint) => Answer::Failed(complaint),
            },
        }
    }

    fn run(&self, restore: &str, deadline: Deadline) -> io::Result<Output> {
        let wait = deadline.left().as_secs().saturating_sub(1).clamp(1, 3600).to_string();
        let mut command = Command::new(restore);
        command.args(["--noflush", "-w", &wait]).stdin(self.in_memory()?).output()
    }

    fn in_memory(&self) -> io::Result<File> {
        let mut file = File::from(memfd_create("knockdaemon-rule", MemfdFlags::CLOEXEC)?);
        file.write_all(self.0.as_bytes())?;
        file.rewind()?;
        Ok(file)
    }
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Answer {
    /// There were two, and now there is one.
    TakenOut,
    /// There was one, and it is there still.
    Alone,
    /// Neither is known.
    Failed(Complaint),
}

/// The check is on the third line.
fn is_alone(output: &Output) -> bool {
    first_line(&output.stderr).is_some_and(|said| said.contains("line 3 failed"))
}

/// Nothing that has a meaning of its own there.
fn line(words: &[String]) -> Option<String> {
    let passes = |word: &String| {
        !word.is_empty() && !word.contains(['"', '\'', '\\']) && !word.contains(char::is_control)
    };
    let quoted = |word: &String| {
        if word.contains(' ') { format!("\"{word}\"") } else { word.clone() }
    };
    words.iter().all(passes).then(|| words.iter().map(quoted).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> Option<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Surplus::of(&words).map(|surplus| surplus.0)
    }

    #[test]
    fn only_what_stands_at_the_top_of_its_chain_is_looked_at_afterwards() {
        assert_eq!(
            text("-I INPUT -s 192.0.2.7 -j ACCEPT").as_deref(),
            Some(
                "*filter\n-D INPUT -s 192.0.2.7 -j ACCEPT\n-C INPUT -s 192.0.2.7 -j ACCEPT\nCOMMIT\n"
            )
        );
        for line in [
            "-A INPUT -s 192.0.2.7 -j ACCEPT",
            "-I INPUT 3 -s 192.0.2.7 -j ACCEPT",
            "-t nat -I OUTPUT -j ACCEPT",
            "-I OUTPUT --table=nat -j ACCEPT",
            "-tnat -I OUTPUT -j ACCEPT",
            "-w -I INPUT -j ACCEPT",
            "-I INPUT -m comment --comment it's -j ACCEPT",
            "-D INPUT -s 192.0.2.7 -j ACCEPT",
        ] {
            assert_eq!(text(line), None, "{line}");
        }
    }
}
