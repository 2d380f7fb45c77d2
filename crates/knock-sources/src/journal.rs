//! The kernel's lines in systemd's journal, read by journalctl as a child: its file format is not
//! ours to know. The lines become what /dev/kmsg would have had, so that formats see no difference.

mod child;
mod entry;

use std::{
    cell::RefCell,
    io::{self, Read},
    ops::ControlFlow,
    path::PathBuf,
};

use self::{child::Journalctl, entry::Entry};
use crate::{
    Intake, Notice, Source, SourceError, Stop,
    lines::MAX_LINE,
    pump::{LastLine, pump},
};

const NAME: &str = "the journal";

/// Reads the journal's entries of the kernel, from now on.
///
/// A journalctl that ends is an error; run again, the source goes on behind the last entry that it
/// has handed over.
#[derive(Debug)]
pub struct JournalSource {
    program: PathBuf,
    arguments: Vec<String>,
    begun: bool,
    last: Option<Last>,
}

/// The entry behind which reading goes on.
#[derive(Clone, Debug)]
struct Last {
    cursor: String,
    taken: u64,
}

impl Default for JournalSource {
    fn default() -> Self {
        Self::new()
    }
}

impl JournalSource {
    /// The journal of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self::by("journalctl".into(), &[])
    }

    fn by(program: PathBuf, arguments: &[&str]) -> Self {
        // `-k` is the kernel's entries since the machine started, and nobody else's.
        let always = ["-k", "-o", "json", "--no-pager"];
        let arguments = arguments.iter().chain(&always).map(|&one| one.to_owned()).collect();
        Self { program, arguments, begun: false, last: None }
    }

    /// Finds the last entry there is. So a place to go on from is known before the first line comes,
    /// and what journalctl has against being run shows at once.
    fn begin(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        let mut none = Nothing;
        let complaints = self.read(&["-n".to_owned(), "1".to_owned()], &mut none, stop)?;
        let Some(complaints) = complaints else { return Ok(()) };
        if !complaints.is_empty() {
            // It may be that it shows nothing to this user, which it does not call an error.
            intake.notice(Notice::Says { from: "journalctl".to_owned(), text: complaints });
        }
        self.begun = true;
        Ok(())
    }

    /// Runs journalctl to its end. What it complained of; nothing if it did not end by itself.
    fn read(
        &mut self,
        more: &[String],
        intake: &mut dyn Intake,
        stop: &Stop,
    ) -> Result<Option<String>, SourceError> {
        let arguments: Vec<String> = self.arguments.iter().chain(more).cloned().collect();
        let child = RefCell::new(Journalctl::start(&self.program, &arguments)?);
        let mut ready = || child.borrow_mut().ready(stop);
        let mut entries = Entries { last: &mut self.last, intake, block: Vec::new() };
        let read = pump(NAME, &mut Output(&child), &mut ready, &mut entries, LastLine::Dropped)?;
        if read.is_break() {
            return Ok(None);
        }
        let (status, complaints) = child.into_inner().end();
        match status {
            Ok(status) if status.success() => Ok(Some(complaints)),
            Ok(status) => Err(SourceError::Journal { why: said(&status.to_string(), &complaints) }),
            Err(error) => Err(SourceError::Wait(error)),
        }
    }
}

impl Source for JournalSource {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        if !self.begun {
            self.begin(intake, stop)?;
        }
        if stop.is_set() {
            return Ok(());
        }
        intake.notice(Notice::Started { name: self.name() });
        // Where there was no entry at the beginning, all that there are came since.
        let mut more = vec!["-f".to_owned(), "--no-tail".to_owned()];
        more.extend(self.last.as_ref().map(|last| format!("--after-cursor={}", last.cursor)));
        match self.read(&more, intake, stop)? {
            None => Ok(()),
            // It was to follow without end.
            Some(complaints) => Err(SourceError::Journal { why: said("it ended", &complaints) }),
        }
    }
}

fn said(how: &str, complaints: &str) -> String {
    if complaints.is_empty() { how.to_owned() } else { format!("{how}: {complaints}") }
}

/// What journalctl prints. It is read and waited for in turns.
struct Output<'a>(&'a RefCell<Journalctl>);

impl Read for Output<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        (&mut *self.0.borrow_mut()).read(room)
    }
}

/// Turns blocks of entries into blocks of lines.
struct Entries<'a> {
    last: &'a mut Option<Last>,
    intake: &'a mut dyn Intake,
    block: Vec<u8>,
}

impl Entries<'_> {
    /// Whether it was handed over before: a cursor that has been rotated away leads to an older place.
    fn is_known(&self, entry: &Entry) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| entry.taken < last.taken || entry.cursor == last.cursor)
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        if self.block.is_empty() {
            return ControlFlow::Continue(());
        }
        let flow = self.intake.lines(&self.block);
        self.block.clear();
        flow
    }
}

impl Intake for Entries<'_> {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        for line in block.split(|byte| *byte == b'\n') {
            let Some(entry) = Entry::parse(line) else { continue };
            if self.is_known(&entry) {
                continue;
            }
            // An entry never becomes longer than it was in JSON, but for its time.
            if self.block.len() + line.len() + 32 > MAX_LINE {
                self.hand_over()?;
            }
            entry.write_line(&mut self.block);
            *self.last = Some(Last { cursor: entry.cursor, taken: entry.taken });
        }
        self.hand_over()
    }

    fn notice(&mut self, notice: Notice) {
        self.intake.notice(notice);
    }
}

/// Wants nothing: only the place of the last entry is of use.
struct Nothing;

impl Intake for Nothing {
    fn lines(&mut self, _block: &[u8]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn notice(&mut self, _notice: Notice) {}
}

#[cfg(test)]
mod tests;
