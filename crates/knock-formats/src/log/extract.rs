//! stub
use super::*;
use std::sync::Arc;
/// The most hits that one "last message repeated" line stands for.
pub const MAX_REPEATS: u32 = 1000;
/// Lines of one source to hits.
#[derive(Debug)]
pub struct Extractor {
    formats: Arc<Formats>,
}
impl Extractor {
    /// For one source.
    #[must_use]
    pub fn new(formats: Arc<Formats>) -> Self {
        Self { formats }
    }
    /// Hands each hit of the next line to `sink`.
    pub fn hits(&mut self, line: &[u8], sink: &mut dyn FnMut(Hit)) {
        if let Some(hit) = self.formats.hit(line) {
            sink(hit);
        }
    }
}
