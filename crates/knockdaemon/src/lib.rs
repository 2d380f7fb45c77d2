//! The port-knocking server: command line, threads, wiring. Holds no rules of its own.

#![forbid(unsafe_code)]
