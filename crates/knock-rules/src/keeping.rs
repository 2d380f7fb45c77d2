//! What those who read a configuration and those who keep leases must agree on. Keeps nothing itself.

/// The group of NFLOG that whoever keeps the leases of a network has, so that there is only one; it gets no
/// packets. The letters kd, 27492: far from the small numbers that people choose.
pub const KEEPERS_GROUP: u16 = u16::from_be_bytes(*b"kd");
