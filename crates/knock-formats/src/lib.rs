//! From a log line to a [`knock_wire::Hit`], by named regular expressions on bytes.
//!
//! Knows nothing of where lines come from or of what a knock is.

#![forbid(unsafe_code)]
