//! The kernel's lines in systemd's journal, read by journalctl as a child: its file format is not
//! ours to know. The lines become what /dev/kmsg would have had, so that formats see no difference.

mod child;
mod entry;

use std::{
    cell::RefCell,
    io::{self, Read},
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

use self::{child::Journalctl, entry::Entry};
use crate::{
    Entries, EntryLine, EntryPlace, Intake, JournalCursor, Notice, Source, SourceError, Stop,
    Taken,
    lines::MAX_LINE,
    notice::LostPlace,
    pump::{LastLine, pump},
};

const NAME: &str = "the journal";

/// The kernel's entries since the machine started, and nobody else's.
const OF_THE_KERNEL: [&str; 4] = ["-k", "-o", "json", "--no-pager"];

/// Reads the journal's entries of the kernel, from now on.
///
/// A journalctl that ends is an error; run again, the source goes on behind the last entry that it
/// has handed over.
#[derive(Debug)]
pub struct JournalSource {
    program: PathBuf,
    arguments: Vec<String>,
    /// Where an earlier run stopped, until it has been looked for.
    resume: Option<JournalCursor>,
    begun: bool,
    reached: Reached,
}

/// How far reading has come.
#[derive(Debug, Default)]
struct Reached {
    /// The entry behind which it goes on.
    last: Option<EntryPlace>,
    /// An earlier run dealt with what was taken by then.
    known_to: Option<Taken>,
    /// What was taken by then stood there when this run began.
    backlog_to: Option<Taken>,
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
        let arguments = arguments.iter().map(|&one| one.to_owned()).collect();
        let (resume, begun, reached) = (None, false, Reached::default());
        Self { program, arguments, resume, begun, reached }
    }

    /// Begins behind this entry of an earlier run instead, if the machine is still in the same run and
    /// the journal still has it. What came since counts as [`Age::Backlog`](crate::Age).
    #[must_use]
    pub fn resuming(mut self, cursor: Option<JournalCursor>) -> Self {
        self.resume = cursor;
        self
    }

    /// Finds the last entry there is. So a place to go on from is known before the first line comes,
    /// and what journalctl has against being run shows at once.
    fn begin(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        let mut reached = Reached::default();
        let Some(complaints) = self.look(&["-n", "1"], &mut reached, stop)? else {
            return Ok(());
        };
        if !complaints.is_empty() {
            // It may be that it shows nothing to this user, which it does not call an error.
            intake.notice(Notice::Says { from: "journalctl".to_owned(), text: complaints });
        }
        let is_there = reached.last.is_some() || self.has_files(stop)?;
        // If that fails, the next try has to look for the same place.
        let resumed = match self.resume.clone() {
            Some(cursor) => Some(self.go_back(cursor, &mut reached, stop)?),
            None => None,
        };
        if stop.is_set() {
            return Ok(());
        }
        if let Some(last) = &reached.last {
            intake.begins_behind(last);
        }
        intake.notice(match resumed {
            None => Notice::Started { name: NAME.to_owned() },
            Some(Ok(())) => Notice::WentOn { name: NAME.to_owned() },
            Some(Err(why)) => Notice::PlaceLost { name: NAME.to_owned(), why },
        });
        if !is_there {
            intake.notice(Notice::NoJournal);
        }
        self.reached = reached;
        self.resume = None;
        self.begun = true;
        Ok(())
    }

    /// Puts reading back to where an earlier run stopped, unless that cannot be found.
    fn go_back(
        &self,
        cursor: JournalCursor,
        reached: &mut Reached,
        stop: &Stop,
    ) -> Result<Result<(), LostPlace>, SourceError> {
        let Some(newest) = &reached.last else { return Ok(Err(LostPlace::Vacuumed)) };
        if newest.boot != cursor.from.boot {
            return Ok(Err(LostPlace::OtherBoot));
        }
        // Asked for one that it has not, journalctl begins at some other.
        let mut there = Reached::default();
        let asked = format!("--cursor={}", cursor.from.name);
        match self.look(&[&asked, "-n", "1"], &mut there, stop) {
            Ok(_) | Err(SourceError::Journal { .. }) => {}
            Err(error) => return Err(error),
        }
        if there.last.is_none_or(|there| there.name != cursor.from.name) {
            return Ok(Err(LostPlace::Vacuumed));
        }
        let to = Taken { micros: newest.taken.micros, tie: u32::MAX };
        let JournalCursor { from, done } = cursor;
        *reached = Reached { last: Some(from), known_to: done, backlog_to: Some(to) };
        Ok(Ok(()))
    }

    /// Whether there is a journal at all. With entries as JSON journalctl does not say.
    fn has_files(&self, stop: &Stop) -> Result<bool, SourceError> {
        let told =
            self.read(&["-n", "1", "--no-pager"], &mut Reached::default(), &mut Nothing, stop)?;
        Ok(told.is_none_or(|told| !told.contains("No journal files")))
    }

    /// Finds out how far entries of the kernel reach, and hands none over.
    fn look(
        &self,
        at: &[&str],
        reached: &mut Reached,
        stop: &Stop,
    ) -> Result<Option<String>, SourceError> {
        self.read(&[&OF_THE_KERNEL, at].concat(), reached, &mut Nothing, stop)
    }

    /// Runs journalctl to its end. What it complained of; nothing if it did not end by itself.
    fn read(
        &self,
        asked: &[&str],
        reached: &mut Reached,
        intake: &mut dyn Intake,
        stop: &Stop,
    ) -> Result<Option<String>, SourceError> {
        let asked = asked.iter().map(|&one| one.to_owned());
        let arguments: Vec<String> = self.arguments.iter().cloned().chain(asked).collect();
        let child = RefCell::new(Journalctl::start(&self.program, &arguments)?);
        let mut ready = || child.borrow_mut().ready(stop);
        let mut entries = Following { reached, intake, block: Vec::new(), lines: Vec::new() };
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
        if self.begun {
            intake.notice(Notice::Started { name: self.name() });
        } else {
            self.begin(intake, stop)?;
        }
        if stop.is_set() {
            return Ok(());
        }
        // Where there was no entry at the beginning, all that there are came since.
        let after = self.reached.last.as_ref().map(|last| format!("--after-cursor={}", last.name));
        let follow = OF_THE_KERNEL.into_iter().chain(["-f", "--no-tail"]);
        let follow: Vec<&str> = follow.chain(after.as_deref()).collect();
        let mut reached = std::mem::take(&mut self.reached);
        let read = self.read(&follow, &mut reached, intake, stop);
        self.reached = reached;
        match read? {
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
struct Following<'a> {
    reached: &'a mut Reached,
    intake: &'a mut dyn Intake,
    block: Vec<u8>,
    lines: Vec<EntryLine>,
}

impl Following<'_> {
    /// Whether it was handed over before: a cursor that has been rotated away leads to an older place.
    fn is_known(&self, entry: &Entry) -> bool {
        self.reached
            .last
            .as_ref()
            .is_some_and(|last| entry.taken < last.taken.micros || entry.cursor == last.name)
    }

    fn take(&mut self, entry: Entry, now: Moment) {
        entry.write_line(&mut self.block);
        let tie = match &self.reached.last {
            Some(last) if last.taken.micros == entry.taken => last.taken.tie.saturating_add(1),
            _ => 0,
        };
        let taken = Taken { micros: entry.taken, tie };
        let written = now.wall_of(taken, entry.dated);
        self.lines.push(EntryLine { end: self.block.len(), taken, written });
        self.reached.last = Some(EntryPlace { boot: entry.boot, name: entry.cursor, taken });
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        let (false, Some(last)) = (self.block.is_empty(), &self.reached.last) else {
            return ControlFlow::Continue(());
        };
        let Reached { known_to, backlog_to, .. } = *self.reached;
        let of = Entries { lines: &self.lines, last, known_to, backlog_to };
        let flow = self.intake.entries(&self.block, &of);
        self.block.clear();
        self.lines.clear();
        flow
    }
}

impl Intake for Following<'_> {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        let now = Moment::now();
        for line in block.split(|byte| *byte == b'\n') {
            let Some(entry) = Entry::parse(line) else { continue };
            if self.is_known(&entry) {
                continue;
            }
            // An entry never becomes longer than it was in JSON, but for its time.
            if self.block.len() + line.len() + 32 > MAX_LINE {
                self.hand_over()?;
            }
            self.take(entry, now);
        }
        self.hand_over()
    }

    fn notice(&mut self, notice: Notice) {
        self.intake.notice(notice);
    }
}

/// A point in time, by the clock that the journal takes entries by and the one on the wall.
#[derive(Clone, Copy, Debug)]
struct Moment {
    monotonic: Duration,
    /// How long the machine has slept since it started, which the former does not count.
    slept: Duration,
    wall: SystemTime,
}

impl Moment {
    fn now() -> Self {
        let since = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        let wall = SystemTime::UNIX_EPOCH + since(ClockId::Realtime);
        let monotonic = since(ClockId::Monotonic);
        Self { monotonic, slept: since(ClockId::Boottime).saturating_sub(monotonic), wall }
    }

    /// When it was, by the wall's clock of now. Somebody may have set that since, so the date of then is
    /// believed only as far as the machine may have slept in between.
    fn wall_of(self, taken: Taken, dated: Option<u64>) -> SystemTime {
        let awake = self.monotonic.saturating_sub(Duration::from_micros(taken.micros));
        let by_date = dated.and_then(|micros| {
            let date = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros))?;
            self.wall.duration_since(date).ok()
        });
        let most = awake.saturating_add(self.slept);
        let ago = by_date.map_or(awake, |ago| ago.clamp(awake, most));
        self.wall.checked_sub(ago).unwrap_or(self.wall)
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
