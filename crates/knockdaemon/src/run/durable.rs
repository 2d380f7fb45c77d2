//! The store, and what could not be written to it yet.
//!
//! What was done but not struck out on disk goes in front of the next write, in the same transaction:
//! were a closing struck out and its opening not, a restart would open again with nothing left to close.

use std::time::Duration;

use knock_actions::{Store, StoreError};
use knock_engine::Change;

/// What could not be written is tried again so often, if nothing else is written before.
const PAUSE: Duration = Duration::from_secs(10);

/// Where changes are made durable.
#[derive(Debug)]
pub(crate) struct Durable {
    store: Store,
    unsaved: Vec<Change>,
    next_try: Duration,
    /// Why the last write failed, if it did.
    failed: Option<String>,
}

impl Durable {
    /// On an open store.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, unsaved: Vec::new(), next_try: Duration::ZERO, failed: None }
    }

    /// Durable on return, with everything that could not be written before.
    pub(crate) fn append(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let written = if self.unsaved.is_empty() {
            self.store.append(changes)
        } else {
            let all: Vec<Change> = self.unsaved.iter().chain(changes).cloned().collect();
            self.store.append(&all).inspect(|()| self.unsaved.clear())
        };
        self.failed = written.as_ref().err().map(ToString::to_string);
        written
    }

    /// Why the last write failed, and how much waits for the next.
    pub(crate) fn trouble(&self) -> Option<String> {
        let failed = self.failed.as_ref()?;
        Some(format!("{failed} ({} changes wait for the next write)", self.unsaved.len()))
    }

    /// As [`Store::take_over`]. Asked for at the start only, when nothing waits to be written.
    pub(crate) fn take_over(
        &mut self,
        changes: &[Change],
        generation: u64,
    ) -> Result<(), StoreError> {
        self.store.take_over(changes, generation)
    }

    /// As [`Store::generation`].
    pub(crate) fn generation(&self) -> u64 {
        self.store.generation()
    }

    /// For what has happened already: written now, or with the next write that succeeds.
    pub(crate) fn append_sooner_or_later(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.append(changes).inspect_err(|_| self.unsaved.extend_from_slice(changes))
    }

    /// When what could not be written is to be tried again, if there is any.
    pub(crate) fn next_catch_up(&self) -> Option<Duration> {
        (!self.unsaved.is_empty()).then_some(self.next_try)
    }

    /// Tries it, if it is time. Returns how many changes are durable now that were not.
    pub(crate) fn catch_up(&mut self, uptime: Duration) -> Option<Result<usize, StoreError>> {
        let waiting = self.unsaved.len();
        if waiting == 0 || uptime < self.next_try {
            return None;
        }
        self.next_try = uptime + PAUSE;
        Some(self.append(&[]).map(|()| waiting))
    }

    /// The last chance for what could not be written.
    ///
    /// # Errors
    /// With the number of changes that stay unwritten.
    pub(crate) fn close(mut self) -> Result<(), (usize, StoreError)> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        self.append(&[]).map_err(|error| (self.unsaved.len(), error))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use knock_engine::{Order, OrderId};
    use knock_rules::Command;

    use super::*;

    fn order(id: u64) -> Order {
        Order {
            id: OrderId(id),
            client: "192.0.2.7".parse().unwrap(),
            action: "any".into(),
            template: "any".into(),
            due: SystemTime::UNIX_EPOCH,
            delay: Duration::ZERO,
            command: Command::Shell("true".into()),
            environment: Vec::new(),
            timeout: Duration::from_secs(1),
            attempts: 0,
            user: None,
            on_failure: Vec::new(),
            hand_over: None,
            expires: None,
        }
    }

    #[test]
    fn an_opening_that_could_not_be_struck_out_goes_with_its_closing() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _, _) = Store::open(folder.path()).unwrap();
        let mut durable = Durable::new(store);
        let (open, close) = (order(1), order(2));
        durable.append(&[Change::Scheduled(open), Change::Scheduled(close)]).unwrap();

        // The disk is not to be had while the opening is struck out, and back for the closing.
        let (file, aside) = (folder.path().join("knockdaemon.db"), folder.path().join("aside"));
        fs::rename(&file, &aside).unwrap();
        durable.append_sooner_or_later(&[Change::Finished(OrderId(1))]).unwrap_err();
        fs::rename(&aside, &file).unwrap();
        durable.append_sooner_or_later(&[Change::Finished(OrderId(2))]).unwrap();
        durable.close().unwrap();

        let (_, ledger, _) = Store::open(folder.path()).unwrap();
        assert_eq!(ledger.orders().count(), 0, "a restart would open again");
    }
}
