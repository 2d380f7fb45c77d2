//! A log file, followed by its path through every kind of rotation.
//! Joins the follower, which looks, with the file events, which tell when; decides nothing itself.

mod again;
mod family;
mod follower;
mod held;
mod past;
mod resume;
mod watch;

use std::{
    io,
    ops::ControlFlow,
    os::fd::AsFd,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, Timespec, clock_gettime};

use self::{
    follower::{Follower, Looked},
    past::Moment,
    watch::Watch,
};
use crate::{
    FileCursor, Intake, Notice, Pace, PollReason, Source, SourceError, Start, Stop,
    wait::{Woken, wait},
};

/// Where events work, a look is taken so often all the same. Some things no event tells: a folder
/// further up that may not be read is renamed, a file system is mounted over it, a writer writes
/// through a memory map.
const SLOW: Duration = Duration::from_secs(30);

/// Follows a log file by its path: each line once, in order, however the file is rotated (renamed and
/// made anew, copied and truncated, deleted, a symlink turned), also if it appears late or may not be
/// read for a time.
///
/// What cannot be seen:
/// - lines that a rotation destroys before anybody could look: written between copy and truncation,
///   in a file that is deleted or compressed unread, or that is moved to another folder and its
///   successor too;
/// - the copy of a file that came and was copied and truncated between two looks;
/// - a truncation after which the file has, before the next look, grown to where it was with the same
///   first 1024 bytes and the same 1024 bytes before the place that was read to. With others it is
///   seen, whatever the size;
/// - which lines of a file are new that was edited so that the last 1024 bytes read are not in it any
///   more: then reading goes on at its end, or at its beginning if its first 1024 bytes are others;
/// - whether a file that is emptied and written anew in small pieces gets old lines or new ones.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    pace: Pace,
    slow: Duration,
    start: Start,
    resume: Option<FileCursor>,
    make_watcher: watch::Maker,
}

impl FileSource {
    /// Follows whatever stands at `path`. File events wake it; where they do not work, it looks at
    /// this pace.
    #[must_use]
    pub fn new(path: PathBuf, pace: impl Into<Pace>, start: Start) -> Self {
        Self {
            path,
            pace: pace.into(),
            slow: SLOW,
            start,
            resume: None,
            make_watcher: |callback| notify::recommended_watcher(callback),
        }
    }

    /// Begins at this place of an earlier run instead, in whichever file it is by now, and reads all
    /// that came after it. If it is nowhere any more, the file is read from its beginning, since its
    /// lines have come since; they count as [`Age::Backlog`](crate::Age).
    #[must_use]
    pub fn resuming(mut self, cursor: Option<FileCursor>) -> Self {
        self.resume = cursor;
        self
    }
}

impl Source for FileSource {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let mut watch = Watch::new(self.make_watcher).map_err(SourceError::Wait)?;
        // Once: a source that is run again goes on where it is then.
        let resume = self.resume.take();
        let mut follower = Follower::begin(path.clone(), self.start, resume, now()?);
        follower.tell_beginning(intake);
        let mut events = watch.aim(&path, &follower.apart());
        let mut said = None;
        loop {
            if let Err(why) = &events
                && said.as_ref() != Some(why)
            {
                said = Some(why.clone());
                intake.notice(Notice::Polling { path: path.clone(), why: why.clone() });
            }
            let looked = match follower.look(now()?, intake, stop) {
                ControlFlow::Continue(looked) => looked,
                ControlFlow::Break(()) => return Ok(()),
            };
            // Whatever happened before the watch was in place is found by the look after that.
            if looked.shifted && !stop.is_set() {
                events = keep(events, watch.aim(&path, &follower.apart()));
                continue;
            }
            let pause = if events.is_ok() { self.slow } else { self.pace.interval() };
            let rest =
                follower.rest(now()?).map_or(pause, |rest| rest.max(Pace::SHORTEST).min(pause));
            match wait(watch.as_fd(), stop, Some(rest))? {
                Woken::Stopped => return Ok(()),
                Woken::Ready => {
                    if watch.hear() {
                        events = keep(events, watch.aim(&path, &follower.apart()));
                    }
                }
                Woken::TimedOut if rest == self.slow && events.is_ok() => {
                    let looked = match follower.look(now()?, intake, stop) {
                        ControlFlow::Continue(looked) => looked,
                        ControlFlow::Break(()) => return Ok(()),
                    };
                    let is_unannounced = looked == (Looked { news: true, shifted: false });
                    // The event may be under way.
                    if is_unannounced
                        && wait(watch.as_fd(), stop, Some(self.pace.interval()))? == Woken::TimedOut
                    {
                        events = Err(PollReason::Unannounced);
                    } else {
                        events = keep(events, watch.aim(&path, &follower.apart()));
                    }
                }
                Woken::TimedOut => {}
            }
        }
    }
}

/// Once events have failed to come, aiming well again does not bring the trust back.
fn keep(before: Result<(), PollReason>, now: Result<(), PollReason>) -> Result<(), PollReason> {
    match before {
        Err(PollReason::Unannounced) => before,
        _ => now,
    }
}

/// A source blocks in a thread of its own, so nobody can hand it the time; what looks at files takes
/// it as a value all the same. The wall clock is the coarse one, which stamps files.
fn now() -> Result<Moment, SourceError> {
    let uptime = clock_gettime(ClockId::Monotonic);
    let wall = clock_gettime(ClockId::RealtimeCoarse);
    let since = |time: Timespec| {
        Duration::try_from(time).map_err(|_| SourceError::Wait(io::ErrorKind::InvalidData.into()))
    };
    Ok(Moment { uptime: since(uptime)?, wall: SystemTime::UNIX_EPOCH + since(wall)? })
}

#[cfg(test)]
mod tests;
