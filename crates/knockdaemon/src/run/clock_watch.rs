//! Wakes the loop when somebody sets the wall clock. The kernel tells: no time is spent on looking.
//! What the loop then makes of it is the engine's business.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::SyncSender;
use std::thread;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::event::Event;

/// The year 2200, in seconds since 1970: the timer is there to be cancelled.
const NEVER: i64 = 7_258_118_400;

/// Starts the thread that waits for the kernel's word; it ends with the process. Without it the loop
/// sees at its next turn what was done to the clock, hence no error.
pub(crate) fn start(inbox: SyncSender<Event>) {
    let started = timer().and_then(|timer| {
        let name = thread::Builder::new().name("clock".to_owned());
        name.spawn(move || wait(&timer, &inbox))
    });
    if let Err(error) = started {
        tracing::debug!("the kernel does not tell when the clock is set: {error}");
    }
}

fn timer() -> io::Result<OwnedFd> {
    Ok(timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC)?)
}

fn wait(timer: &OwnedFd, inbox: &SyncSender<Event>) {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let never = Itimerspec { it_interval: zero, it_value: Timespec { tv_sec: NEVER, tv_nsec: 0 } };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    let mut was_set = false;
    loop {
        // Armed before the loop looks: a clock that is set meanwhile cancels it again.
        let armed = timerfd_settime(timer, flags, &never);
        if was_set && inbox.send(Event::ClockSet).is_err() {
            return;
        }
        was_set = match armed.and_then(|_| rustix::io::read(timer, &mut [0; 8])) {
            Err(Errno::CANCELED) => true,
            Err(Errno::INTR) => false,
            Ok(_) | Err(_) => return,
        };
    }
}
