//! From a log line to a [`knock_wire::Hit`], by named regular expressions on bytes; and from a
//! captured packet, by filters on its headers.
//!
//! Knows nothing of where lines and packets come from or of what a knock is. A firewall log can be
//! forged into; `log/format.rs` tells what holds for every format because of that, whoever wrote it.

#![forbid(unsafe_code)]

mod log;
pub mod packet;

pub use log::{
    ErrorKind, Excerpt, Extractor, FieldName, FormatError, FormatLint, FormatSpec, Formats, Lint,
    LogFormat, MAX_EXPRESSION, MAX_LINE, MAX_REPEATS, NoHit, Proof, RenderError, Sample,
    SampleError, SampleErrorKind, SampleYield,
};
