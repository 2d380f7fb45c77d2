//! stub
use super::*;
use std::fmt;
/// A sample that yields something else than it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleError {
    /// Which sample of the spec, from 0.
    pub sample: usize,
    /// What is wrong.
    pub kind: SampleErrorKind,
}
/// How a sample fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleErrorKind {
    /// Should yield a hit.
    NoHit(NoHit),
}
impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sample {}: {:?}", self.sample, self.kind)
    }
}
impl std::error::Error for SampleError {}
impl LogFormat {
    /// Runs the samples.
    #[must_use]
    pub fn check_samples(&self, _spec: &FormatSpec) -> Vec<SampleError> {
        Vec::new()
    }
}
