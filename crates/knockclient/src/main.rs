//! The `knockclient` program.

#![forbid(unsafe_code)]

fn main() {}
