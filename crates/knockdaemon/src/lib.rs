//! The port-knocking server: command line, threads, wiring. Holds no rules of its own.
//!
//! Read `run` first: it is the story of the daemon from top to bottom.

#![forbid(unsafe_code)]

pub mod cli;
mod control;
mod exit;
mod lease_words;
mod linetime;
mod logging;
mod run;
mod shown;

pub use cli::main_with;
