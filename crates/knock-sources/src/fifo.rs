//! Lines from a named pipe, as a syslog daemon writes them: its writers come and go, and it stays.
//! Keeps nothing and resumes nowhere: what is in a pipe is read once.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::OFlags;

use crate::{
    Intake, Notice, Source, SourceError, Stop,
    pump::{LastLine, pump},
    wait::{Woken, wait},
};

/// While nothing comes it is seen so often whether the pipe is still the one at its path: no writer
/// finds one that was removed.
const LOOK: Duration = Duration::from_secs(30);

/// Reads a named pipe. When the last writer goes it waits for the next one, which costs nothing.
#[derive(Debug)]
pub struct FifoSource {
    path: PathBuf,
    look: Duration,
}

impl FifoSource {
    /// The pipe at this path.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, look: LOOK }
    }

    /// Whether a named pipe stands there now.
    #[must_use]
    pub fn stands_at(path: &Path) -> bool {
        path.metadata().is_ok_and(|there| there.file_type().is_fifo())
    }

    fn open(&self) -> Result<File, SourceError> {
        let failed = |error| SourceError::Read { from: self.name(), error };
        // Not to wait for a writer in `open`, where no stop is heard.
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(nonblock)
            .open(&self.path)
            .map_err(failed)?;
        if pipe.metadata().map_err(failed)?.file_type().is_fifo() {
            return Ok(pipe);
        }
        let error = io::Error::new(ErrorKind::InvalidInput, "it was a named pipe and is none now");
        Err(failed(error))
    }

    /// Waits for a writer, or for another pipe in the place of this one.
    fn ready(&self, pipe: &File, stop: &Stop) -> Result<Woken, SourceError> {
        loop {
            match wait(pipe.as_fd(), stop, Some(self.look))? {
                Woken::TimedOut => self.still_there(pipe).map_err(|error| {
                    // The next try opens what stands there then.
                    SourceError::Read { from: self.name(), error }
                })?,
                woken => return Ok(woken),
            }
        }
    }

    fn still_there(&self, pipe: &File) -> io::Result<()> {
        let (ours, there) = (pipe.metadata()?, self.path.metadata()?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(());
        }
        Err(io::Error::other("the named pipe was removed, and something else is in its place"))
    }
}

impl Source for FifoSource {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        let name = self.name();
        let mut pipe = self.open()?;
        intake.notice(Notice::Started { name: name.clone() });
        loop {
            let mut ready = || self.ready(&pipe, stop);
            // The line that a writer left behind when it died has an end that nobody knows.
            if pump(&name, &mut &pipe, &mut ready, intake, LastLine::Dropped)?.is_break() {
                return Ok(());
            }
            // Opened anew, since the old one would tell of the end without end. The old one is
            // closed afterwards, so that a writer finds a reader at any time.
            pipe = self.open()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::testing::Collected;

    fn fifo(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("kern.fifo");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        path
    }

    #[test]
    fn writers_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        assert!(FifoSource::stands_at(&path) && !FifoSource::stands_at(folder.path()));
        let (got, stop) = (Collected::new(), Stop::new().unwrap());
        let (mut intake, other, there) = (got.clone(), stop.clone(), path.clone());
        let reader = std::thread::spawn(move || FifoSource::new(there).run(&mut intake, &other));
        got.await_notice("following");
        for round in 0..20 {
            // Opening waits for a reader, so this fails to end where nobody reads any more.
            let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
            writeln!(writer, "one {round}").unwrap();
            write!(writer, "torn").unwrap();
            drop(writer);
        }
        // A writer that comes before the last one was seen to go writes on where it stopped.
        let lines = got.await_lines(20);
        assert!(lines.iter().all(|line| line.contains("one ")), "{lines:?}");
        assert_eq!(lines[0], "one 0");
        stop.set();
        reader.join().unwrap().unwrap();
    }

    #[test]
    fn a_pipe_that_is_made_anew_is_read_from_the_next_try_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        let (got, stop) = (Collected::new(), Stop::new().unwrap());
        let (mut intake, other) = (got.clone(), stop.clone());
        let mut source = FifoSource { path: path.clone(), look: Duration::from_millis(5) };
        let reader = std::thread::spawn(move || {
            let error = source.run(&mut intake, &other).unwrap_err();
            source.run(&mut intake, &other).unwrap();
            error.to_string()
        });
        got.await_notice("following");
        // Kept, or the new one may get its number.
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        fifo(&folder);
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writeln!(writer, "new").unwrap();
        let _ = got.await_lines(1);
        stop.set();
        let error = reader.join().unwrap();
        // Between the two, nothing may have stood there.
        assert!(error.contains("in its place") || error.contains("No such file"), "{error}");
    }

    #[test]
    fn a_pipe_that_is_gone_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        let (got, stop) = (Collected::new(), Stop::new().unwrap());
        let (mut intake, there) = (got.clone(), path.clone());
        let reader = std::thread::spawn(move || FifoSource::new(there).run(&mut intake, &stop));
        got.await_notice("following");
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        writeln!(writer, "last").unwrap();
        drop(writer);
        let error = reader.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("kern.fifo") && error.contains("No such file"), "{error}");
        assert_eq!(got.lines(), ["last"]);
    }
}
