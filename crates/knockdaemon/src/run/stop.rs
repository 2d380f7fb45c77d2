//! The end: what runs is waited for, what waits stays in the agenda on disk.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::event::Event;
use super::{Daemon, announce};

/// At the end, running orders get this long to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Also when those took all of that, the copy of the state gets this long.
const LAST_WRITE: Duration = Duration::from_secs(1);

impl Daemon {
    /// Lets running orders finish and strikes them out; what waits stays in the agenda on disk.
    pub(super) fn stop(mut self, inbox: &Receiver<Event>) {
        for source in self.readers.states() {
            announce::source(source, self.clock.uptime());
        }
        let places = self.places(None);
        self.respond.keep(&places, "how far the log was read");
        self.readers.stop_all();
        let deadline = self.clock.now().uptime + GRACE;
        while self.respond.running() > 0 {
            let left = deadline.saturating_sub(self.clock.now().uptime);
            if left.is_zero() {
                tracing::warn!("an order is still running; it runs again after the next start");
                break;
            }
            // Hits that come now are not answered: their orders could not run any more.
            if let Ok(Event::Finished(id, outcome)) = inbox.recv_timeout(left) {
                self.finished(id, &outcome);
            }
        }
        let left = deadline.saturating_sub(self.clock.now().uptime);
        self.respond.close(&self.engine, left.max(LAST_WRITE));
        let waiting = self.engine.ledger().orders().count();
        let leases = self.engine.leases().count();
        tracing::info!(
            waiting,
            leases,
            "stopped; what waits in the agenda runs after the next start"
        );
    }
}
