//! Chores of the project: generated documents, tidiness checks.

#![forbid(unsafe_code)]

fn main() {}
