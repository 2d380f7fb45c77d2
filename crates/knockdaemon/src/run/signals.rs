//! Signals become events: SIGTERM and SIGINT stop cleanly, SIGHUP reloads.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::event::Event;

/// Starts the thread that waits for signals. Closing the handle ends it.
pub(crate) fn listen(inbox: SyncSender<Event>) -> io::Result<Handle> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = signals.handle();
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::Stop };
            if inbox.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(handle)
}
