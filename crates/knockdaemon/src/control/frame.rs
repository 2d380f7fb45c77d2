//! Lines of bounded length over a local socket, within a bounded time.
//! Knows nothing of what is in them.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::run::Clock;

/// Why there is no line.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// It is longer than allowed.
    TooLong {
        /// The most bytes.
        most: usize,
    },
    /// The other side has ended before the line was whole.
    Ended,
    /// It did not come, or was not taken, in time.
    TooLate,
    /// The socket failed.
    Socket(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { most } => write!(f, "a line has at most {most} bytes"),
            Self::Ended => f.write_str("the connection ended within a line"),
            Self::TooLate => f.write_str("the line did not come in time"),
            Self::Socket(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What an expired time limit of a socket is called, by the system at hand.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TooLate,
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Ended,
            _ => Self::Socket(error),
        }
    }
}

/// A connection that will be over at a certain time, however slowly the other side writes or reads.
pub(crate) struct Line<'a> {
    stream: &'a UnixStream,
    clock: Clock,
    deadline: Duration,
}

impl<'a> Line<'a> {
    /// From now on it has so long.
    pub(crate) fn within(stream: &'a UnixStream, limit: Duration) -> Self {
        let clock = Clock::new();
        Self { stream, deadline: clock.uptime().saturating_add(limit), clock }
    }

    /// One line without its newline, of at most so many bytes.
    pub(crate) fn read(&self, most: usize) -> Result<Vec<u8>, FrameError> {
        let mut line = Vec::new();
        let mut block = [0; 4096];
        loop {
            self.stream.set_read_timeout(Some(self.left()?))?;
            let length = match (&mut &*self.stream).read(&mut block) {
                Ok(0) => return Err(FrameError::Ended),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let read = block.get(..length).unwrap_or_default();
            let end = memchr::memchr(b'\n', read);
            line.extend_from_slice(read.get(..end.unwrap_or(length)).unwrap_or_default());
            if line.len() > most {
                return Err(FrameError::TooLong { most });
            }
            if end.is_some() {
                return Ok(line);
            }
        }
    }

    /// Writes a line and its newline.
    pub(crate) fn write(&self, line: &[u8]) -> Result<(), FrameError> {
        for part in [line, b"\n"] {
            let mut rest = part;
            while !rest.is_empty() {
                self.stream.set_write_timeout(Some(self.left()?))?;
                match (&mut &*self.stream).write(rest) {
                    Ok(0) => return Err(FrameError::Ended),
                    Ok(length) => rest = rest.get(length..).unwrap_or_default(),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn left(&self) -> Result<Duration, FrameError> {
        let left = self.deadline.saturating_sub(self.clock.uptime());
        if left.is_zero() { Err(FrameError::TooLate) } else { Ok(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_line_comes_whole_or_not_at_all() {
        let (near, far) = UnixStream::pair().unwrap();
        Line::within(&far, LONG).write(b"one").unwrap();
        assert_eq!(Line::within(&near, LONG).read(3).unwrap(), b"one");
        Line::within(&far, LONG).write(b"four").unwrap();
        let error = Line::within(&near, LONG).read(3).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { most: 3 }));
        (&far).write_all(b"half").unwrap();
        drop(far);
        assert!(matches!(Line::within(&near, LONG).read(9), Err(FrameError::Ended)));
    }

    #[test]
    fn who_writes_one_byte_at_a_time_gets_no_more_time_for_it() {
        let (near, far) = UnixStream::pair().unwrap();
        let drip = std::thread::spawn(move || while (&far).write_all(b"x").is_ok() {});
        let error = Line::within(&near, Duration::from_millis(50)).read(usize::MAX);
        assert!(matches!(error, Err(FrameError::TooLate)), "{error:?}");
        drop(near);
        drip.join().unwrap();
    }

    #[test]
    fn who_does_not_read_is_not_written_to_for_ever() {
        let (near, _far) = UnixStream::pair().unwrap();
        let line = vec![b'x'; 8 * 1024 * 1024];
        let error = Line::within(&near, Duration::from_millis(50)).write(&line);
        assert!(matches!(error, Err(FrameError::TooLate)), "{error:?}");
    }
}
