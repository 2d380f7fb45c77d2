//! How the plaintext of a knock is enciphered, in the formats of Perl's Crypt::CBC.
//! Knows nothing of fields and ports: bytes in, bytes out.
//!
//! A further cipher is a further [`Kind`] with its [`CipherName`]; nothing outside this file and
//! `derive.rs` asks which one it is.

use std::fmt;
use std::ops::Range;

use blowfish::Blowfish;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};

use crate::codec::Refusal;
use crate::derive::md5_chain;
use crate::secret::Secret;

const BLOCK: usize = 8;
const BLOWFISH_KEY: usize = 56;
const RANDOM_IV: &[u8; 8] = b"RandomIV";
const HEADER: usize = RANDOM_IV.len() + BLOCK;

/// A cipher with its key, ready for use. Made once: its key schedule costs more than thousands of
/// windows.
pub struct Cipher(Kind);

enum Kind {
    None,
    Blowfish { block: Box<Blowfish>, iv: Iv },
}

/// Where the first block's IV comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iv {
    /// `iv = no`: both sides know it, nothing is sent.
    Fixed([u8; 8]),
    /// `iv = yes`: drawn for each knock and sent before it, behind the letters `RandomIV`.
    Random,
}

impl Iv {
    /// A fixed IV from its text, cut or filled up with zero bytes as Crypt::CBC 2.x did.
    #[must_use]
    pub fn fixed(text: &[u8]) -> Self {
        let mut iv = [0; BLOCK];
        for (to, from) in iv.iter_mut().zip(text) {
            *to = *from;
        }
        Self::Fixed(iv)
    }
}

impl Default for Iv {
    /// The original's `01234567`.
    fn default() -> Self {
        Self::Fixed(*b"01234567")
    }
}

impl Cipher {
    /// `encrypt = no`: bytes go on as they are.
    #[must_use]
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// Blowfish in CBC mode with a 56-byte key derived from the passphrase.
    ///
    /// # Errors
    /// When the passphrase is empty: anybody could knock.
    pub fn blowfish(key: &Secret, iv: Iv) -> Result<Self, KeyError> {
        if key.expose().is_empty() {
            return Err(KeyError::Empty);
        }
        let key = md5_chain::<BLOWFISH_KEY>(key.expose());
        let block = Box::new(Blowfish::new((&*key).into()));
        Ok(Self(Kind::Blowfish { block, iv }))
    }

    /// Enciphers; `iv` is asked only where each knock has its own.
    pub(crate) fn encrypt(&self, plain: &[u8], iv: impl FnOnce() -> [u8; 8]) -> Vec<u8> {
        match &self.0 {
            Kind::None => plain.to_vec(),
            Kind::Blowfish { block, iv: Iv::Fixed(iv) } => encrypt_blocks(block, iv, plain),
            Kind::Blowfish { block, iv: Iv::Random } => {
                let iv = iv();
                let mut wire = Vec::with_capacity(self.wire_len(plain.len()));
                wire.extend_from_slice(RANDOM_IV);
                wire.extend_from_slice(&iv);
                wire.extend(encrypt_blocks(block, &iv, plain));
                wire
            }
        }
    }

    /// Deciphers without memory of its own, and checks header and padding in full.
    ///
    /// # Errors
    /// Says which part of it is not what this cipher makes.
    pub(crate) fn decrypt_in_place<'a>(&self, wire: &'a mut [u8]) -> Result<&'a [u8], Refusal> {
        match &self.0 {
            Kind::None => Ok(wire),
            Kind::Blowfish { block, iv: Iv::Fixed(iv) } => decrypt_blocks(block, iv, wire),
            Kind::Blowfish { block, iv: Iv::Random } => {
                let (header, blocks) =
                    wire.split_first_chunk_mut::<HEADER>().ok_or(Refusal::Header)?;
                let iv = header.strip_prefix(RANDOM_IV).ok_or(Refusal::Header)?;
                let iv = iv.try_into().map_err(|_| Refusal::Header)?;
                decrypt_blocks(block, iv, blocks)
            }
        }
    }

    /// How many bytes go on the wire for so many bytes of plaintext.
    pub(crate) fn wire_len(&self, plain: usize) -> usize {
        match &self.0 {
            Kind::None => plain,
            // A text that fills its last block is followed by a block of padding.
            Kind::Blowfish { iv, .. } => header_len(*iv) + (plain / BLOCK + 1) * BLOCK,
        }
    }

    /// How many bits the padding leaves no choice for. The letters before a random IV are not
    /// among them: everybody knows them.
    pub(crate) fn padding_bits(&self, plain: usize) -> usize {
        match &self.0 {
            Kind::None => 0,
            Kind::Blowfish { iv, .. } => 8 * (self.wire_len(plain) - header_len(*iv) - plain),
        }
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::None => f.write_str("Cipher(none)"),
            Kind::Blowfish { iv, .. } => write!(f, "Cipher(Blowfish, {iv:?})"),
        }
    }
}

fn header_len(iv: Iv) -> usize {
    match iv {
        Iv::Fixed(_) => 0,
        Iv::Random => HEADER,
    }
}

fn encrypt_blocks(block: &Blowfish, iv: &[u8; BLOCK], plain: &[u8]) -> Vec<u8> {
    // The mode borrows the cipher, so the key schedule is not done again.
    cbc::Encryptor::inner_iv_init(block, iv.into()).encrypt_padded_vec::<Pkcs7>(plain)
}

fn decrypt_blocks<'a>(
    block: &Blowfish,
    iv: &[u8; BLOCK],
    wire: &'a mut [u8],
) -> Result<&'a [u8], Refusal> {
    if wire.is_empty() || !wire.len().is_multiple_of(BLOCK) {
        return Err(Refusal::Length);
    }
    cbc::Decryptor::inner_iv_init(block, iv.into())
        .decrypt_padded::<Pkcs7>(wire)
        .map_err(|_| Refusal::Padding)
}

/// The ciphers that a config may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherName {
    /// Blowfish, with the 56-byte key that Crypt::CBC gives it.
    Blowfish,
}

impl CipherName {
    /// Every cipher, for messages that list them.
    pub const ALL: [Self; 1] = [Self::Blowfish];

    /// By its name without regard to case, with or without Perl's `Crypt::` and `_PP`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("crypt::").unwrap_or(&name);
        let name = name.strip_suffix("_pp").unwrap_or(name);
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
    }

    /// The name as configs spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blowfish => "Blowfish",
        }
    }
}

impl fmt::Display for CipherName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// It has no bytes.
    Empty,
}

impl KeyError {
    /// Which bytes of the key's text are at fault.
    #[must_use]
    pub fn at(&self) -> Range<usize> {
        match self {
            Self::Empty => 0..0,
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the key is empty, so anybody could knock; give it a value"),
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests;
