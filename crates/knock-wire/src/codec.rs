//! Knocks to ports and windows of ports to knocks: the one thing that client and daemon share.
//! Knows nothing of clocks, queues and clients' histories; a window is judged by itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sha2::{Digest as _, Sha256};

use crate::checksum::checksum;
use crate::cipher::Cipher;
use crate::derive::KeyDerivation;
use crate::field::Field;
use crate::knock::{Knock, Value};
use crate::packing::{self, Unpackable};
use crate::shape::Shape;
use crate::span::PortSpan;

/// The most bytes that a knock may have on the wire; a window of them is kept on the stack.
const MAX_WIRE: usize = 128;

/// Shape, span, cipher and address rule of one kind of knock.
#[derive(Debug)]
pub struct Codec {
    shape: Shape,
    span: PortSpan,
    cipher: Cipher,
    address: AddressRule,
    wire_len: usize,
    checksum: Option<usize>,
}

/// By what a knock is known again: the SHA-256 of what is enciphered of it, without the IV or salt before it
/// and the MAC behind it.
///
/// An IV travels in the open, and where no MAC prevents it anybody can change a knock by changing that.
/// What comes of it has the same digest as the knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// Whether the address inside a knock has to be the one that its packets came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRule {
    /// It has to be the client's.
    MustMatch,
    /// It may be another's: a knock on behalf of somebody.
    Any,
}

impl Codec {
    /// Joins the parts.
    ///
    /// # Errors
    /// When shape and cipher do not go together, or make a knock too long to be one.
    pub fn new(
        shape: Shape,
        span: PortSpan,
        cipher: Cipher,
        address: AddressRule,
    ) -> Result<Self, CodecError> {
        let bytes = shape.bytes();
        if let Err(block) = cipher.takes(bytes) {
            return Err(CodecError::NotWholeBlocks { bytes, block });
        }
        let wire_len = cipher.wire_len(bytes);
        if wire_len > MAX_WIRE {
            return Err(CodecError::TooLong { bytes: wire_len });
        }
        let checksum = shape
            .places()
            .find(|(field, _)| *field == Field::Checksum)
            .map(|(_, place)| place.start);
        Ok(Self { shape, span, cipher, address, wire_len, checksum })
    }

    /// How many ports a knock has: the length of the window.
    #[must_use]
    pub fn slots(&self) -> usize {
        packing::symbols_for(self.wire_len, self.span.bits())
    }

    /// The ports that carry it.
    #[must_use]
    pub fn span(&self) -> &PortSpan {
        &self.span
    }

    /// How many bytes a knock has on the wire.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.wire_len
    }

    /// What it is enciphered with.
    #[must_use]
    pub fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    /// Its fields.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The ports to knock on, in their order. `CHECKSUM` is worked out here whatever the knock
    /// says; `random` fills what it is given with random bytes, and is asked only where each knock has
    /// an IV or a salt of its own.
    ///
    /// # Errors
    /// When a field of the shape is missing, or its value does not go into it.
    pub fn encode(
        &self,
        knock: &Knock,
        random: impl FnMut(&mut [u8]),
    ) -> Result<Vec<u16>, EncodeError> {
        let wire = self.cipher.encrypt(&self.plaintext(knock)?, random)?;
        let symbols = packing::pack(&wire, self.span.bits());
        // Each symbol is below 2^bits, so each has a port and none is lost here.
        Ok(symbols.into_iter().filter_map(|symbol| self.span.port(symbol)).collect())
    }

    /// Judges a window of the span's symbols, as many as there are slots, that came from `client`.
    /// A refusal costs no memory, since anybody can cause one.
    ///
    /// # Errors
    /// The first thing that says that this is no knock; a normal outcome, not a fault.
    pub fn decode(&self, symbols: &[u16], client: IpAddr) -> Result<Knock, Refusal> {
        let mut buffer = [0; MAX_WIRE];
        let wire = buffer.get_mut(..self.wire_len).ok_or(Refusal::Length)?;
        packing::unpack(symbols, self.span.bits(), wire)?;
        let plain = self.cipher.decrypt_in_place(wire, self.shape.bytes())?;
        if let Some(position) = self.checksum
            && plain.get(position) != Some(&checksum(plain, position))
        {
            return Err(Refusal::Checksum);
        }
        self.check_address(plain, client)?;

        let mut knock = Knock::new();
        for (field, bytes) in self.cut(plain) {
            knock.set(field, value(field, bytes));
        }
        Ok(knock)
    }

    /// The slow derivation that judging this window takes, if it takes one: each knock brings a salt,
    /// and the window begins as such knocks do. Strangers can send as many of them as they like, so
    /// who judges windows should bound it.
    #[must_use]
    pub fn slow_derivation(&self, symbols: &[u16]) -> Option<KeyDerivation> {
        let (letters, derivation) = self.cipher.slow_behind()?;
        let mut buffer = [0; MAX_WIRE];
        let wire = buffer.get_mut(..self.wire_len)?;
        packing::unpack(symbols, self.span.bits(), wire).ok()?;
        wire.starts_with(letters).then_some(derivation)
    }

    /// Whether each knock differs from all others, so that one that comes again was sent again.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.cipher.varies()
    }

    /// By what this window is known again, be it a knock or not. `None`: it spells no bytes.
    #[must_use]
    pub fn digest(&self, symbols: &[u16]) -> Option<Digest> {
        let mut buffer = [0; MAX_WIRE];
        let wire = buffer.get_mut(..self.wire_len)?;
        packing::unpack(symbols, self.span.bits(), wire).ok()?;
        Some(Digest(Sha256::digest(self.cipher.blocks(wire)?).into()))
    }

    /// How many bits stand between a guess and an accepted knock: of the windows that begin with
    /// the letters before an IV or a salt, if there are any, what filling, padding, MAC, checksum
    /// and address let through is one in 2^this. Says nothing of people who know the format and need not guess,
    /// where nothing is enciphered.
    #[must_use]
    pub fn guess_bits(&self) -> f64 {
        let bits = usize::try_from(self.span.bits()).unwrap_or_default();
        let fill = self.slots() * bits - 8 * self.wire_len;
        let checksum = if self.checksum.is_some() { 8 } else { 0 };
        let address = match self.address {
            AddressRule::MustMatch => self.address_field().map_or(0, |field| 8 * field.width()),
            AddressRule::Any => 0,
        };
        let all = fill + self.cipher.fixed_bits(self.shape.bytes()) + checksum + address;
        f64::from(u32::try_from(all).unwrap_or(u32::MAX))
    }

    fn plaintext(&self, knock: &Knock) -> Result<Vec<u8>, EncodeError> {
        let mut plain = Vec::with_capacity(self.shape.bytes());
        for field in self.shape.fields() {
            if *field == Field::Checksum {
                plain.push(0);
            } else {
                let value = knock.field(*field).ok_or(EncodeError::Missing { field: *field })?;
                write(&mut plain, *field, value)?;
            }
        }
        if let Some(position) = self.checksum {
            let sum = checksum(&plain, position);
            if let Some(byte) = plain.get_mut(position) {
                *byte = sum;
            }
        }
        Ok(plain)
    }

    fn check_address(&self, plain: &[u8], client: IpAddr) -> Result<(), Refusal> {
        if self.address == AddressRule::Any {
            return Ok(());
        }
        for (field, bytes) in self.cut(plain) {
            if let Value::Address(inside) = value(field, bytes)
                && inside != client.to_canonical()
            {
                return Err(Refusal::Address { inside });
            }
        }
        Ok(())
    }

    fn cut<'a>(&'a self, plain: &'a [u8]) -> impl Iterator<Item = (Field, &'a [u8])> {
        self.shape.places().filter_map(|(field, place)| Some((field, plain.get(place)?)))
    }

    fn address_field(&self) -> Option<Field> {
        self.shape.fields().iter().copied().find(|field| matches!(field, Field::Ip | Field::Ip6))
    }
}

/// Appends a value in its field's width, big-endian.
fn write(plain: &mut Vec<u8>, field: Field, value: Value) -> Result<(), EncodeError> {
    match (field, value) {
        // An IPv4 client may have come through an IPv6 socket, and the other way round.
        (Field::Ip, Value::Address(address)) => match address.to_canonical() {
            IpAddr::V4(address) => plain.extend(address.octets()),
            IpAddr::V6(address) => return Err(EncodeError::NotIpv4 { address }),
        },
        (Field::Ip6, Value::Address(IpAddr::V6(address))) => plain.extend(address.octets()),
        (Field::Ip6, Value::Address(IpAddr::V4(address))) => {
            plain.extend(address.to_ipv6_mapped().octets());
        }
        (Field::Ip | Field::Ip6, Value::Number(_)) | (_, Value::Address(_)) => {
            return Err(EncodeError::WrongKind { field });
        }
        (Field::Port16, Value::Number(number)) => match u16::try_from(number) {
            Ok(number) => plain.extend(number.to_be_bytes()),
            Err(_) => return Err(EncodeError::TooLarge { field, value: number }),
        },
        (Field::Port | Field::Time | Field::Flag(_) | Field::Checksum, Value::Number(number)) => {
            match u8::try_from(number) {
                Ok(number) => plain.push(number),
                Err(_) => return Err(EncodeError::TooLarge { field, value: number }),
            }
        }
    }
    Ok(())
}

/// The value of a field from its bytes; an address in its plain form.
fn value(field: Field, bytes: &[u8]) -> Value {
    let number = bytes.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte));
    match field {
        Field::Ip => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or_default()).into(),
        Field::Ip6 => Value::Address(IpAddr::V6(Ipv6Addr::from_bits(number)).to_canonical()),
        Field::Port | Field::Port16 | Field::Time | Field::Flag(_) | Field::Checksum => {
            Value::Number(u64::try_from(number).unwrap_or_default())
        }
    }
}

/// Why parts do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// More bytes than a window may have.
    TooLong {
        /// How many they would be.
        bytes: usize,
    },
    /// A plaintext that is not whole blocks, and no padding to fill it up.
    NotWholeBlocks {
        /// How many bytes it has.
        bytes: usize,
        /// How many a block has.
        block: usize,
    },
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(
                f,
                "a knock of {bytes} bytes is too long; {MAX_WIRE} is the most, so leave fields out"
            ),
            Self::NotWholeBlocks { bytes, block } => not_whole(f, *bytes, *block),
        }
    }
}

impl std::error::Error for CodecError {}

/// Why a knock cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The shape has a field that the knock has not.
    Missing {
        /// The field.
        field: Field,
    },
    /// A number that needs more bytes than its field has.
    TooLarge {
        /// The field.
        field: Field,
        /// The number.
        value: u64,
    },
    /// An IPv6 address in the four bytes of `IP`.
    NotIpv4 {
        /// The address.
        address: Ipv6Addr,
    },
    /// A plaintext that is not whole blocks, and no padding to fill it up.
    NotWholeBlocks {
        /// How many bytes it has.
        bytes: usize,
        /// How many a block has.
        block: usize,
    },
    /// A number where an address belongs, or an address where a number belongs.
    WrongKind {
        /// The field.
        field: Field,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { field } => {
                write!(f, "the knock format has a field {field}, and no value was given for it")
            }
            Self::TooLarge { field: Field::Port, value } => write!(
                f,
                "{value} does not fit: PORT is one byte: 0-255; use PORT16 in the knock format of \
                 both sides"
            ),
            Self::TooLarge { field, value } => {
                let (bytes, most) = match field.width() {
                    1 => ("one byte", 255),
                    _ => ("two bytes", 65_535),
                };
                write!(f, "{value} does not fit: {field} is {bytes}: 0-{most}")
            }
            Self::NotIpv4 { address } => write!(
                f,
                "{address} does not fit: IP is an IPv4 address; use IP6 in the knock format of both \
                 sides, or knock over IPv4"
            ),
            Self::NotWholeBlocks { bytes, block } => not_whole(f, *bytes, *block),
            Self::WrongKind { field: field @ (Field::Ip | Field::Ip6) } => {
                write!(f, "{field} holds an address, not a number")
            }
            Self::WrongKind { field } => write!(f, "{field} holds a number, not an address"),
        }
    }
}

impl std::error::Error for EncodeError {}

fn not_whole(f: &mut fmt::Formatter<'_>, bytes: usize, block: usize) -> fmt::Result {
    write!(
        f,
        "with padding = none a knock must be whole blocks of {block} bytes, and this one has \
         {bytes}; add or leave out fields, or use padding = standard"
    )
}

/// Why a window is not accepted. Nearly every window is no knock, so this is an outcome, not a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The bits that fill up the last port's number are not zero.
    Fill,
    /// The letters before a random IV or a salt are missing.
    Header,
    /// The MAC is not that of the other bytes: another key, or noise.
    Mac,
    /// Not judged: too many others came at the time that cost a slow key derivation as well.
    Busy,
    /// The padding is not what the cipher makes: another key, or noise.
    Padding,
    /// Not as many ports or bytes as the knock format has.
    Length,
    /// The checksum is not that of the other bytes.
    Checksum,
    /// The address inside is not the client's.
    Address {
        /// The one inside.
        inside: IpAddr,
    },
    /// It is a knock, and it was accepted before. Who judges windows has to remember that: a codec
    /// judges each by itself.
    Replayed,
}

impl Refusal {
    /// A short name that does not change, for logs and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Header => "header",
            Self::Mac => "mac",
            Self::Busy => "busy",
            Self::Padding => "padding",
            Self::Length => "length",
            Self::Checksum => "checksum",
            Self::Address { .. } => "address",
            Self::Replayed => "replayed",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fill => f.write_str("the last port carries bits beyond the end of a knock"),
            Self::Header => {
                f.write_str("it does not begin with the letters of the knock format's header")
            }
            Self::Mac => f.write_str("its mac is wrong: another key, or no knock at all"),
            Self::Busy => f.write_str(
                "it is not judged: it would cost a key derivation, and there are too many of these",
            ),
            Self::Padding => f.write_str("it does not decrypt: another key, or no knock at all"),
            Self::Length => f.write_str("it is not as long as the knock format"),
            Self::Checksum => f.write_str("the checksum is wrong"),
            Self::Address { inside } => {
                write!(f, "the address inside it is {inside}, not the one that it came from")
            }
            Self::Replayed => {
                f.write_str("this knock was accepted before, and each is accepted once")
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Unpackable> for Refusal {
    fn from(what: Unpackable) -> Self {
        match what {
            Unpackable::Length => Self::Length,
            Unpackable::Fill => Self::Fill,
        }
    }
}

#[cfg(test)]
mod tests;
