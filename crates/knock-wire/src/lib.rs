//! From the fields of a knock to the ports that carry it, and back.
//!
//! Knows spans, shapes, ciphers and checksums, and [`Hit`], one packet at one port. Reads no file,
//! knows no config and no clock. [`Codec`] is the only thing that client and daemon share about the
//! format of a knock: one encodes with it, the other decodes.
//!
//! ```
//! use knock_wire::{
//!     AddressRule, Cipher, CipherSpec, Codec, Field, Knock, PortSpan, Secret, Shape, Value,
//! };
//!
//! let codec = Codec::new(
//!     Shape::parse("IP,PORT,TIME,CHECKSUM")?,
//!     PortSpan::parse("745-1000")?,
//!     Cipher::new(&CipherSpec::classic(Secret::new(b"knock".to_vec())))?,
//!     AddressRule::MustMatch,
//! )?;
//! let client = std::net::Ipv4Addr::new(10, 0, 0, 1);
//! let mut knock = Knock::new();
//! knock.set(Field::Ip, client.into());
//! knock.set(Field::Port, Value::Number(22));
//! knock.set(Field::Time, Value::Number(15));
//!
//! let ports = codec.encode(&knock, |_| ())?;
//! assert_eq!(ports, [986, 845, 946, 789, 809, 954, 930, 803]);
//!
//! let symbols: Vec<u16> = ports.iter().filter_map(|port| codec.span().symbol(*port)).collect();
//! let back = codec.decode(&symbols, client.into())?;
//! assert_eq!(back.get("PORT"), Some(Value::Number(22)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod checksum;
mod cipher;
mod codec;
mod derive;
mod field;
mod hit;
mod knock;
mod mac;
mod packing;
mod secret;
mod shape;
mod span;

pub use cipher::{Cipher, CipherError, CipherName, CipherSpec, IvMode, Padding, SpecPart};
pub use codec::{AddressRule, Codec, CodecError, Digest, EncodeError, Refusal};
pub use derive::{KeyDerivation, Salts};
pub use field::Field;
pub use hit::{Hit, Interface, LineTime, Protocol};
pub use knock::{Knock, Value};
pub use mac::LENGTHS as MAC_LENGTHS;
pub use secret::Secret;
pub use shape::{Shape, ShapeError};
pub use span::{PortSpan, SpanError};
