//! From blocks of lines to hits, in the source's own thread, so that only hits cross to the loop.

use std::ops::ControlFlow;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use knock_formats::{Extractor, Formats};
use knock_sources::{Intake, Notice};
use knock_wire::Hit;

use super::event::Event;
use super::tell;

/// The logformats in use; a reload puts others in without stopping the sources.
#[derive(Clone)]
pub(crate) struct SharedFormats(Arc<Mutex<Arc<Formats>>>);

impl SharedFormats {
    /// Starts with these.
    pub(crate) fn new(formats: Arc<Formats>) -> Self {
        Self(Arc::new(Mutex::new(formats)))
    }

    /// From the next block on, these are used.
    pub(crate) fn replace(&self, formats: Arc<Formats>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = formats;
    }

    fn current(&self) -> Arc<Formats> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The intake of one source: extracts hits and sends them to the loop, a block at a time.
pub(crate) struct ToLoop {
    source: String,
    formats: SharedFormats,
    in_use: Arc<Formats>,
    extractor: Extractor,
    inbox: SyncSender<Event>,
}

impl ToLoop {
    /// For the source of this name.
    pub(crate) fn new(source: String, formats: SharedFormats, inbox: SyncSender<Event>) -> Self {
        let in_use = formats.current();
        let extractor = Extractor::new(Arc::clone(&in_use));
        Self { source, formats, in_use, extractor, inbox }
    }

    fn send(&self, event: Event) -> ControlFlow<()> {
        // A closed inbox means that the loop has ended: nobody is left to read for.
        match self.inbox.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Intake for ToLoop {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        let current = self.formats.current();
        if !Arc::ptr_eq(&current, &self.in_use) {
            self.extractor = Extractor::new(Arc::clone(&current));
            self.in_use = current;
        }
        let mut hits: Vec<Hit> = Vec::new();
        if tell::tells_lines() {
            for line in lines_of(block) {
                let result = self.extractor.examine(line);
                tell::line(line, &result);
                hits.extend(
                    result.into_iter().flat_map(|(hit, times)| (0..times).map(move |_| hit)),
                );
            }
        } else {
            self.extractor.block(block, &mut |_, hit| {
                tell::hit(&hit);
                hits.push(hit);
            });
        }
        if hits.is_empty() { ControlFlow::Continue(()) } else { self.send(Event::Hits(hits)) }
    }

    fn notice(&mut self, notice: Notice) {
        // When the loop is gone nobody is left to tell.
        let _gone = self.send(Event::Notice(self.source.clone(), notice));
    }
}

/// The lines of a block, without their newlines.
pub(crate) fn lines_of(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', block).map(move |end| {
        let line = block.get(start..end).unwrap_or_default();
        start = end + 1;
        line
    })
}

#[cfg(test)]
mod tests {
    use super::lines_of;

    #[test]
    fn a_block_falls_into_its_lines() {
        let lines: Vec<&[u8]> = lines_of(b"one\n\nthree\n").collect();
        assert_eq!(lines, [b"one".as_slice(), b"", b"three"]);
    }
}
