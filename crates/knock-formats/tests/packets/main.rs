//! Captured packets and ethfilters, through what other crates see of them. The packets are built
//! here; which properties Perl's modules find in such packets, the end-to-end tests ask Perl.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::cast_possible_truncation, reason = "lengths of packets that are built here")]

mod anything;
mod build;
mod filters;
mod headers;
