//! The one place where a source blocks: until there is input, a stop, or a time is over.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{SourceError, Stop};

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Reading gives something, be it the end or an error.
    Ready,
    /// The stop was set.
    Stopped,
    /// The time is over.
    TimedOut,
}

/// Blocks until `input` is readable, `stop` is set, or `limit` is over.
pub(crate) fn wait(
    input: BorrowedFd<'_>,
    stop: &Stop,
    limit: Option<Duration>,
) -> Result<Woken, SourceError> {
    wait_either(input, stop.as_fd(), stop, limit)
}

/// The same with two inputs; which of them is ready is the caller's to find out.
pub(crate) fn wait_either(
    one: BorrowedFd<'_>,
    other: BorrowedFd<'_>,
    stop: &Stop,
    limit: Option<Duration>,
) -> Result<Woken, SourceError> {
    // A limit too long for the kernel's type is as good as none.
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    loop {
        let mut fds = [
            PollFd::new(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(one, PollFlags::IN),
            PollFd::from_borrowed_fd(other, PollFlags::IN),
        ];
        match poll(&mut fds, limit.as_ref()) {
            Ok(0) => return Ok(Woken::TimedOut),
            Ok(_) if stop.is_set() => return Ok(Woken::Stopped),
            Ok(_) => return Ok(Woken::Ready),
            // A signal. Waiting the whole time again is right: a look is late, not lost.
            Err(Errno::INTR) => {}
            Err(error) => return Err(SourceError::Wait(error.into())),
        }
    }
}
