//! The logformats that are built into the program, so that it needs no other file.
//!
//! The folder has them; a test holds this list against it.

/// Name and text of each.
pub const SHIPPED_FORMATS: &[(&str, &str)] = &[];
