//! The small language of actions: conditions, delays, state, templates.
//!
//! Closed and typed: names are checked when the config is read, values are numbers and addresses,
//! and nothing from a knock is ever evaluated as code. Runs nothing, reads no clock.

#![forbid(unsafe_code)]
