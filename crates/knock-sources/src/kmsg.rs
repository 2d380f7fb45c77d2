//! The kernel's own log, read record by record from /dev/kmsg.
//! Needs no log daemon, and no local user can forge its lines: user records say so and are dropped.

mod record;

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    ops::ControlFlow,
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

use record::Record;
use rustix::{fs::OFlags, io::Errno};

use crate::{
    Intake, Notice, Source, SourceError, Start, Stop,
    lines::MAX_LINE,
    wait::{Woken, wait},
};

const DEVICE: &str = "/dev/kmsg";

/// Room for one record. The kernel never makes one longer than 8 KiB and answers EINVAL when the
/// buffer is too small.
const RECORD: usize = 16 * 1024;

/// Reads the kernel's ring buffer; each record of the kernel becomes a line as dmesg prints it:
/// `[ 1679.232768] text`. What user space wrote there is left out.
///
/// The kernel defers a reader's wake-up by about two milliseconds; that is the latency.
#[derive(Debug)]
pub struct KmsgSource {
    device: PathBuf,
    start: Start,
    /// Kept when it fails, so that the next run goes on behind the last record.
    records: Records,
}

impl KmsgSource {
    /// The log of the running kernel.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self { device: Path::new(DEVICE).to_owned(), start, records: Records::default() }
    }

    fn open(&self) -> Result<File, SourceError> {
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let mut file =
            OpenOptions::new().read(true).custom_flags(nonblock).open(&self.device).map_err(
                |error| match error.kind() {
                    ErrorKind::PermissionDenied => SourceError::KmsgForbidden(error),
                    ErrorKind::NotFound => SourceError::KmsgMissing(error),
                    _ => SourceError::KmsgOpen(error),
                },
            )?;
        if self.start == Start::AtEnd && self.records.expected.is_none() {
            file.seek(SeekFrom::End(0)).map_err(SourceError::KmsgOpen)?;
        }
        Ok(file)
    }
}

impl Source for KmsgSource {
    fn name(&self) -> String {
        DEVICE.to_owned()
    }

    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        let device = self.open()?;
        intake.notice(Notice::Started { name: self.name() });
        let records = &mut self.records;
        while wait(device.as_fd(), stop, None)? != Woken::Stopped {
            if records.read_all(&mut |room| (&device).read(room), intake, stop)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Turns records into blocks of lines and keeps count of what was missed.
#[derive(Debug)]
struct Records {
    room: Vec<u8>,
    block: Vec<u8>,
    /// Number that the next record should have; unknown before the first one.
    expected: Option<u64>,
    /// The kernel said that records are gone, and the next one has not come yet.
    overrun: bool,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            room: vec![0; RECORD],
            block: Vec::with_capacity(MAX_LINE),
            expected: None,
            overrun: false,
        }
    }
}

impl Records {
    /// Reads until there is nothing more for now, or `stop` is set. `read` gives one record a call.
    fn read_all(
        &mut self,
        read: &mut dyn FnMut(&mut [u8]) -> io::Result<usize>,
        intake: &mut dyn Intake,
        stop: &Stop,
    ) -> Result<ControlFlow<()>, SourceError> {
        loop {
            // In a flood there is always more, so waiting for its end would be deaf to a stop.
            if stop.is_set() {
                let _ = self.hand_over(intake);
                return Ok(ControlFlow::Break(()));
            }
            match read(&mut self.room) {
                Ok(0) => return Ok(self.hand_over(intake)),
                Ok(length) => {
                    if self.take(length, intake).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(self.hand_over(intake));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Overwritten before we came. The kernel has moved us to the oldest record left, so
                // reading on is all there is to do; the next number tells how many are gone.
                Err(error) if error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) => {
                    self.overrun = true;
                }
                Err(error) => {
                    return Err(SourceError::Read { from: DEVICE.to_owned(), error });
                }
            }
        }
    }

    fn take(&mut self, length: usize, intake: &mut dyn Intake) -> ControlFlow<()> {
        // What is no record is no line either; the format is the kernel's and has only grown.
        let Some(record) = Record::parse(self.room.get(..length).unwrap_or_default()) else {
            return ControlFlow::Continue(());
        };
        // Read before a failure; the device was opened anew.
        if self.expected.is_some_and(|expected| record.sequence < expected) {
            return ControlFlow::Continue(());
        }
        let gap = self.expected.map_or(0, |expected| record.sequence.saturating_sub(expected));
        let lost = gap > 0 || self.overrun;
        self.expected = Some(record.sequence.saturating_add(1));
        self.overrun = false;
        let mut flow = ControlFlow::Continue(());
        if lost {
            // The lines before the gap go first, so that the notice stands at its place.
            flow = hand_over(&mut self.block, intake);
            intake.notice(Notice::Lost { records: gap });
        }
        if record.is_kernel() {
            // A record is never longer than the room, so the block stays within it and 64 KiB.
            if self.block.len() + length + 32 > MAX_LINE && flow.is_continue() {
                flow = hand_over(&mut self.block, intake);
            }
            record.write_line(&mut self.block);
        }
        flow
    }

    fn hand_over(&mut self, intake: &mut dyn Intake) -> ControlFlow<()> {
        hand_over(&mut self.block, intake)
    }
}

fn hand_over(block: &mut Vec<u8>, intake: &mut dyn Intake) -> ControlFlow<()> {
    if block.is_empty() {
        return ControlFlow::Continue(());
    }
    let flow = intake.lines(block);
    block.clear();
    flow
}

#[cfg(test)]
mod tests;
