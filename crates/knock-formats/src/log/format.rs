//! stub
use super::*;
/// A compiled logformat.
#[derive(Debug)]
pub struct LogFormat {
    name: String,
}
impl LogFormat {
    /// Checks and compiles.
    pub fn compile(spec: &FormatSpec) -> Result<Self, Vec<FormatError>> {
        Ok(Self { name: spec.name.clone() })
    }
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The hit that a line (without its newline) tells of.
    #[must_use]
    pub fn hit(&self, line: &[u8]) -> Option<Hit> {
        self.examine(line).ok()
    }
    /// As `hit`, with the reason.
    pub fn examine(&self, _line: &[u8]) -> Result<Hit, NoHit> {
        Err(NoHit::NotRequired)
    }
}
