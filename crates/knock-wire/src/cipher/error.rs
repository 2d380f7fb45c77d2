//! Why parts do not make a cipher, and how it is said. Judges nothing.

use std::fmt;

use crate::derive::KeyDerivation;

use super::CipherName;

/// Why parts do not make a cipher. In its sentence, what is to be done stands behind a semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CipherError {
    /// The key has no bytes.
    EmptyKey,
    /// A literal key that is not as long as the cipher's.
    KeyLength {
        /// The cipher.
        cipher: CipherName,
        /// How many bytes it has.
        given: usize,
    },
    /// `iv = yes` with blocks that are not of 8 bytes.
    RandomIvBlock {
        /// The cipher.
        cipher: CipherName,
    },
    /// The derivation takes a salt and there is none.
    SaltMissing {
        /// The derivation.
        derivation: KeyDerivation,
    },
    /// A salt is sent with each knock, and the derivation takes none.
    SaltNotTaken {
        /// The derivation.
        derivation: KeyDerivation,
    },
    /// A salt that both sides know, and the derivation takes none.
    FixedSaltNotTaken {
        /// The derivation.
        derivation: KeyDerivation,
    },
    /// A salt that both sides know, and another that is sent.
    TwoSalts,
    /// The IV should come out of a derivation that yields a key only.
    NoIvDerived {
        /// The derivation.
        derivation: KeyDerivation,
    },
    /// A length that a MAC cannot have.
    MacLength {
        /// The length.
        given: usize,
    },
    /// The derivation gave up.
    Underivable {
        /// The derivation.
        derivation: KeyDerivation,
    },
}

/// A part of a [`super::CipherSpec`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecPart {
    /// The key.
    Key,
    /// Where the IV comes from.
    Iv,
    /// How the key is derived.
    Derivation,
    /// The salt that both sides know.
    Salt,
    /// The length of the MAC.
    Mac,
}

impl CipherError {
    /// Which part is at fault.
    #[must_use]
    pub fn part(&self) -> SpecPart {
        match self {
            Self::EmptyKey | Self::KeyLength { .. } => SpecPart::Key,
            Self::RandomIvBlock { .. } | Self::SaltNotTaken { .. } => SpecPart::Iv,
            Self::SaltMissing { .. } | Self::NoIvDerived { .. } | Self::Underivable { .. } => {
                SpecPart::Derivation
            }
            Self::FixedSaltNotTaken { .. } | Self::TwoSalts => SpecPart::Salt,
            Self::MacLength { .. } => SpecPart::Mac,
        }
    }
}

impl fmt::Display for CipherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyKey => {
                f.write_str("the key is empty, so anybody could knock; give it a value")
            }
            Self::KeyLength { cipher: cipher @ CipherName::Blowfish, given } => write!(
                f,
                "with keyderivation = literal {cipher} takes a key of 1 to 56 bytes, and this one \
                 has {given}; for a passphrase use md5chain, or argon2id on both sides"
            ),
            Self::KeyLength { cipher, given } => write!(
                f,
                "with keyderivation = literal {cipher} takes a key of exactly {} bytes, and this \
                 one has {given}; for a passphrase use md5chain, or argon2id on both sides",
                cipher.key_bytes()
            ),
            Self::RandomIvBlock { cipher } => write!(
                f,
                "iv = yes is for ciphers with blocks of 8 bytes, and those of {cipher} have {}; \
                 use iv = salt, or iv = bare",
                cipher.block_bytes()
            ),
            Self::SaltMissing { derivation } => write!(
                f,
                "keyderivation = {derivation} needs a salt; use iv = salt, which sends one with \
                 each knock, or give both sides the same 8 bytes with fixedsalt"
            ),
            Self::SaltNotTaken { derivation } => write!(
                f,
                "iv = salt needs a keyderivation that takes the salt, and {derivation} does not; \
                 set keyderivation to what the other side has: pbkdf2, opensslv2, opensslv1 or \
                 argon2id"
            ),
            Self::FixedSaltNotTaken { derivation } => write!(
                f,
                "keyderivation = {derivation} takes no salt, so fixedsalt has no meaning; leave it \
                 out, or set keyderivation to pbkdf2, opensslv2, opensslv1 or argon2id"
            ),
            Self::TwoSalts => f.write_str(
                "with iv = salt each knock brings its own salt, so fixedsalt has no meaning; leave \
                 one of them out",
            ),
            Self::NoIvDerived { derivation } => {
                write!(f, "keyderivation = {derivation} yields no IV; give a fixed one")
            }
            Self::MacLength { given } => {
                write!(f, "a mac of {given} bytes is not possible; use 4 to 32, or 0 for none")
            }
            Self::Underivable { derivation } => {
                write!(f, "{derivation} makes no key from this one; use a shorter key")
            }
        }
    }
}

impl std::error::Error for CipherError {}
