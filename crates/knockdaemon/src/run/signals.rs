//! Signals become events of whoever listens: SIGTERM, SIGINT and SIGHUP. What they mean is the listener's
//! to say.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// Starts the thread that waits for signals. Closing the handle ends it.
pub(crate) fn listen<E: Send + 'static>(
    inbox: SyncSender<E>,
    event: impl Fn(i32) -> E + Send + 'static,
) -> io::Result<Handle> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = signals.handle();
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if inbox.send(event(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(handle)
}
