//! Lines from a descriptor that can only be read forward: standard input, a named pipe, what a program
//! prints. Keeps what is left over of a line; places in files are not its business.

use std::{
    io::{ErrorKind, Read},
    ops::ControlFlow,
};

use crate::{
    Intake, Notice, SourceError,
    lines::{Cutter, WINDOW},
    wait::Woken,
};

/// Bytes read together: a large log costs few system calls, and what was read is still in the
/// processor's cache when it is looked at.
const ROOM: usize = 4 * WINDOW;

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
    use std::io;

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
}
