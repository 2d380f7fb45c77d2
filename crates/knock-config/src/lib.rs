//! Two syntaxes, one model, and every mistake with its place.
//!
//! Reads the files it is told to and the files named in them; logs nothing, opens no device.

#![forbid(unsafe_code)]

pub mod keys;
