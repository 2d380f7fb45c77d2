//! stub
use super::*;
/// A warning about a format that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatLint {
    /// The expression it is about.
    pub field: FieldName,
    /// What about it.
    pub kind: Lint,
}
impl std::fmt::Display for FormatLint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
impl FormatLint {
    /// The way out.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        None
    }
}
/// What may go wrong with a format that works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lint {
    /// The group may capture nothing at all.
    EmptyCapture,
}
impl LogFormat {
    /// Warnings for `check`: the format runs all the same.
    #[must_use]
    pub fn lint(&self) -> Vec<FormatLint> {
        Vec::new()
    }
}
