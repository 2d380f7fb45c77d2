//! stub
use super::*;
use std::fmt;
use std::time::SystemTime;
/// No line that this format reads back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenderError {
    /// None of the known shapes is read back.
    NoShape {
        /// The format.
        format: String,
    },
}
impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
impl std::error::Error for RenderError {}
impl LogFormat {
    /// A line that this format reads back as this hit, without its newline.
    pub fn render(&self, _hit: &Hit, _wall: SystemTime) -> Result<String, RenderError> {
        Err(RenderError::NoShape { format: self.name().to_owned() })
    }
}
