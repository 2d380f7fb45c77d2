//! From the fields of a knock to the ports that carry it, and back.
//!
//! Knows spans, shapes, ciphers and checksums, and [`Hit`], one packet at one port. Reads no file,
//! knows no config and no clock. `Codec` is the only thing that client and daemon share about the
//! format of a knock: one encodes with it, the other decodes.

#![forbid(unsafe_code)]

mod hit;
mod knock;

pub use hit::{Hit, Interface, LineTime, Protocol};
pub use knock::{Field, Knock, Value};
