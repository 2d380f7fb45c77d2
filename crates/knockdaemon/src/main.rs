//! The `knockdaemon` program.

#![forbid(unsafe_code)]

fn main() {}
