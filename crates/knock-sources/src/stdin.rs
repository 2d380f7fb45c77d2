//! Lines from standard input, to its end. Also from any other descriptor, for pipes of tests.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
};

use crate::{
    Intake, Notice, Source, SourceError, Stop,
    lines::{Cutter, WINDOW},
    wait::{Woken, wait},
};

/// Bytes read together: a large log costs few system calls, and what was read is still in the
/// processor's cache when it is looked at.
const ROOM: usize = 4 * WINDOW;

/// Reads standard input to its end, which may never come: a pipe that stays open is followed.
#[derive(Debug)]
pub struct StdinSource {
    name: String,
    input: Option<File>,
    head: Vec<u8>,
}

impl Default for StdinSource {
    fn default() -> Self {
        Self::new()
    }
}

impl StdinSource {
    /// The process's standard input.
    #[must_use]
    pub fn new() -> Self {
        Self { name: "stdin".to_owned(), input: None, head: Vec::new() }
    }

    /// Another descriptor in the place of standard input, under a name of its own.
    #[must_use]
    pub fn reading(name: impl Into<String>, input: OwnedFd) -> Self {
        Self { name: name.into(), input: Some(File::from(input)), head: Vec::new() }
    }

    /// With these bytes in front, which somebody has read already.
    #[must_use]
    pub fn after(mut self, head: Vec<u8>) -> Self {
        self.head = head;
        self
    }
}

impl Source for StdinSource {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        let failed = |error| SourceError::Read { from: self.name.clone(), error };
        // Not `std::io::stdin()`: what sits in its buffer is invisible to poll.
        let input = match self.input.take() {
            Some(input) => input,
            None => File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?),
        };
        intake.notice(Notice::Started { name: self.name() });
        let head = std::mem::take(&mut self.head);
        let mut has_head = !head.is_empty();
        let mut ready = || match std::mem::take(&mut has_head) {
            // What is here already is not waited for.
            true => Ok(Woken::Ready),
            false => wait(input.as_fd(), stop, None),
        };
        let input = &mut head.chain(&input);
        pump(&self.name, input, &mut ready, intake, LastLine::Used).map(drop)
    }
}

/// What becomes of a last line without newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastLine {
    /// At the end of the input, it is as complete as it gets.
    Used,
    /// More would have come.
    Dropped,
}

/// Hands over what `input` gives to its end, calling `ready` before each read. `Break` when the stop
/// is set or the intake has had enough.
pub(crate) fn pump(
    name: &str,
    input: &mut impl Read,
    ready: &mut dyn FnMut() -> Result<Woken, SourceError>,
    intake: &mut dyn Intake,
    last: LastLine,
) -> Result<ControlFlow<()>, SourceError> {
    // One byte more for a newline that is missing.
    let mut buffer = vec![0; ROOM + 1];
    let mut filled = 0;
    let mut cutter = Cutter::default();
    while ready()? != Woken::Stopped {
        let got = match input.read(&mut buffer[filled..ROOM]) {
            Ok(got) => got,
            // Somebody else may have made our standard input non-blocking.
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {
                continue;
            }
            Err(error) => return Err(SourceError::Read { from: name.to_owned(), error }),
        };
        let ended = got == 0;
        filled += got;
        if ended && last == LastLine::Used && (filled > 0 || cutter.is_skipping()) {
            buffer[filled] = b'\n';
            filled += 1;
        }
        let mut used = 0;
        loop {
            let window = &buffer[used..filled.min(used + WINDOW)];
            let cut = cutter.cut(window);
            if let Some(bytes) = cut.too_long {
                intake.notice(Notice::LineTooLong { from: name.to_owned(), bytes });
            }
            if !cut.lines.is_empty() && intake.lines(&window[cut.lines]) == ControlFlow::Break(()) {
                return Ok(ControlFlow::Break(()));
            }
            if cut.used == 0 {
                break;
            }
            used += cut.used;
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        if ended {
            return Ok(ControlFlow::Continue(()));
        }
    }
    Ok(ControlFlow::Break(()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{lines::MAX_LINE, testing::Collected};

    /// Gives its input in pieces of `piece` bytes, now and then interrupted.
    struct Dribble<'a>(&'a [u8], usize, bool);

    impl Read for Dribble<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.2 = !self.2;
            if self.2 {
                return Err(ErrorKind::Interrupted.into());
            }
            let take = self.1.min(room.len()).min(self.0.len());
            let (now, later) = self.0.split_at(take);
            room[..take].copy_from_slice(now);
            self.0 = later;
            Ok(take)
        }
    }

    fn check(input: &[u8], want: &[&[u8]], notices: &[&str]) {
        for piece in [1, 7, 65_536, usize::MAX] {
            if input.len() / piece > 1_000 {
                continue;
            }
            let mut got = Collected::new();
            let mut ready = || Ok(Woken::Ready);
            let _end = pump(
                "the log",
                &mut Dribble(input, piece, false),
                &mut ready,
                &mut got,
                LastLine::Used,
            )
            .unwrap();
            assert_eq!(got.raw_lines(), want);
            assert_eq!(got.notices(), notices);
        }
    }

    #[test]
    fn reads_lines_to_the_end() {
        check(b"", &[], &[]);
        check(b"one\ntwo\n", &[b"one", b"two"], &[]);
        check(b"one\nno newline", &[b"one", b"no newline"], &[]);
        check(b"\n\na\0b\xff\xfe\n", &[b"", b"", b"a\0b\xff\xfe"], &[]);
        let longest = vec![b'x'; MAX_LINE];
        check(&longest, &[&longest], &[]);
        let mut megabytes = vec![b'x'; 10_000_000];
        check(&megabytes, &[], &["skipped a line of 10000000 bytes from the log"]);
        megabytes.extend_from_slice(b"\nnext");
        check(&megabytes, &[b"next"], &["skipped a line of 10000000 bytes from the log"]);
    }

    #[test]
    fn a_pipe_that_stays_open_is_followed_until_the_stop() {
        let (input, mut output) = io::pipe().unwrap();
        let (got, stop) = (Collected::new(), Stop::new().unwrap());
        let (mut intake, other) = (got.clone(), stop.clone());
        let reader = std::thread::spawn(move || {
            StdinSource::reading("a pipe", input.into()).run(&mut intake, &other)
        });
        output.write_all(b"one\ntw").unwrap();
        assert_eq!(got.await_lines(1), ["one"]);
        output.write_all(b"o\n").unwrap();
        assert_eq!(got.await_lines(2), ["one", "two"]);
        stop.set();
        reader.join().unwrap().unwrap();
    }

    #[test]
    fn ends_at_the_end_and_when_the_intake_has_enough() {
        let (input, mut output) = io::pipe().unwrap();
        output.write_all(b"one\nlast").unwrap();
        drop(output);
        let mut got = Collected::new();
        StdinSource::reading("a pipe", input.into()).run(&mut got, &Stop::new().unwrap()).unwrap();
        assert_eq!(got.lines(), ["one", "last"]);

        let (input, mut output) = io::pipe().unwrap();
        output.write_all(b"one\n").unwrap();
        let mut enough = Collected::breaking_after(1);
        StdinSource::reading("a pipe", input.into())
            .run(&mut enough, &Stop::new().unwrap())
            .unwrap();
        assert_eq!(enough.lines(), ["one"]);
        assert_eq!(StdinSource::reading("a.log", io::pipe().unwrap().0.into()).name(), "a.log");
    }
}
