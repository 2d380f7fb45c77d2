//! What a hit means and what should happen: queues, decoding, deciding, the agenda as plain data.
//!
//! Reads no clock, does no I/O, starts no thread: time comes in as [`Now`], and what is to be done
//! goes out as orders and changes.

#![forbid(unsafe_code)]
