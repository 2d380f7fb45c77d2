//! From a passphrase to a cipher's key, and where there is a salt, to its IV as well.
//! Knows no cipher; only how many bytes are wanted.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use md5::{Digest, Md5};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The longest key and the longest IV that any cipher has.
const MAX_KEY: usize = 56;
const MAX_IV: usize = 16;

const PBKDF2_ROUNDS: u32 = 10_000;
const ARGON2_SALT: &[u8] = b"knockdaemon/v1";
// The second of the two settings that RFC 9106 recommends: for hosts that cannot spare 2 GiB.
const ARGON2_KIB: u32 = 64 * 1024;
const ARGON2_PASSES: u32 = 3;
const ARGON2_LANES: u32 = 4;

/// How the cipher's key is made from the passphrase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyDerivation {
    /// What Crypt::CBC did in the original's day, and calls `randomiv` now.
    #[default]
    Md5Chain,
    /// The passphrase's bytes are the key.
    Literal,
    /// OpenSSL's `EVP_BytesToKey` with MD5, one pass.
    OpensslV1,
    /// The same with SHA-256.
    OpensslV2,
    /// PBKDF2 with HMAC-SHA-256, 10,000 rounds.
    Pbkdf2,
    /// Argon2id, version 1.3, with 64 MiB, 3 passes and 4 lanes.
    Argon2id,
}

impl KeyDerivation {
    /// Every derivation, for messages that list them.
    pub const ALL: [Self; 6] = [
        Self::Md5Chain,
        Self::Literal,
        Self::OpensslV1,
        Self::OpensslV2,
        Self::Pbkdf2,
        Self::Argon2id,
    ];

    /// By its name in configs, without regard to case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
    }

    /// The name as configs spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5Chain => "md5chain",
            Self::Literal => "literal",
            Self::OpensslV1 => "opensslv1",
            Self::OpensslV2 => "opensslv2",
            Self::Pbkdf2 => "pbkdf2",
            Self::Argon2id => "argon2id",
        }
    }

    /// Whether it takes a salt.
    #[must_use]
    pub const fn salts(self) -> Salts {
        match self {
            Self::Md5Chain | Self::Literal => Salts::None,
            Self::OpensslV1 | Self::OpensslV2 | Self::Pbkdf2 => Salts::Needed,
            Self::Argon2id => Salts::OwnUnlessGiven,
        }
    }
}

impl fmt::Display for KeyDerivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a derivation has to do with salts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salts {
    /// It takes none, and yields no IV.
    None,
    /// It has to get one.
    Needed,
    /// It has one, the same for everybody, where it gets no other.
    OwnUnlessGiven,
}

/// A key, and the IV behind it. Wiped when dropped.
pub(crate) struct Derived {
    bytes: Zeroizing<[u8; MAX_KEY + MAX_IV]>,
    key: usize,
    iv: usize,
}

impl Derived {
    pub(crate) fn key(&self) -> &[u8] {
        self.bytes.get(..self.key).unwrap_or_default()
    }

    pub(crate) fn iv(&self) -> &[u8] {
        self.bytes.get(self.key..self.key + self.iv).unwrap_or_default()
    }
}

/// No key comes of this. Never for a passphrase and a salt as the config lets them through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Underivable;

/// Derives so many bytes of key, then of IV. A derivation that takes no salt leaves the IV zero.
/// Only Argon2 takes memory for it.
pub(crate) fn derive(
    derivation: KeyDerivation,
    passphrase: &[u8],
    salt: Option<&[u8; 8]>,
    key: usize,
    iv: usize,
) -> Result<Derived, Underivable> {
    let mut bytes = Zeroizing::new([0; MAX_KEY + MAX_IV]);
    let both = bytes.get_mut(..key + iv).ok_or(Underivable)?;
    match (derivation, salt) {
        (KeyDerivation::Md5Chain, None) => {
            md5_chain(passphrase, both.get_mut(..key).ok_or(Underivable)?);
        }
        (KeyDerivation::Literal, None) if passphrase.len() == key => copy(passphrase, both),
        (KeyDerivation::OpensslV1, Some(salt)) => openssl::<Md5>(passphrase, salt, both),
        (KeyDerivation::OpensslV2, Some(salt)) => openssl::<Sha256>(passphrase, salt, both),
        (KeyDerivation::Pbkdf2, Some(salt)) => {
            pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, salt, PBKDF2_ROUNDS, both);
        }
        (KeyDerivation::Argon2id, salt) => {
            argon2id(passphrase, salt.map_or(ARGON2_SALT, |salt| salt), both)?;
        }
        (
            KeyDerivation::Md5Chain
            | KeyDerivation::Literal
            | KeyDerivation::OpensslV1
            | KeyDerivation::OpensslV2
            | KeyDerivation::Pbkdf2,
            _,
        ) => return Err(Underivable),
    }
    Ok(Derived { bytes, key, iv })
}

/// MD5 of the passphrase; while that is shorter than the key, MD5 of *everything so far* is
/// appended; cut to the key's length. (Not OpenSSL's chain, which hashes the last digest only.)
fn md5_chain(passphrase: &[u8], key: &mut [u8]) {
    let mut so_far = Md5::new();
    let mut digest: Zeroizing<[u8; 16]> = Zeroizing::new(Md5::digest(passphrase).into());
    for part in key.chunks_mut(digest.len()) {
        copy(&*digest, part);
        so_far.update(*digest);
        *digest = so_far.clone().finalize().into();
    }
}

/// OpenSSL's `EVP_BytesToKey` with one pass: each digest is of the one before, the passphrase and
/// the salt.
fn openssl<D: Digest>(passphrase: &[u8], salt: &[u8], both: &mut [u8]) {
    let mut last = Zeroizing::new([0_u8; 32]);
    let mut length = 0;
    for part in both.chunks_mut(<D as Digest>::output_size()) {
        let before = last.get(..length).unwrap_or_default();
        let digest = D::new().chain_update(before).chain_update(passphrase).chain_update(salt);
        let digest = digest.finalize();
        copy(&digest, &mut *last);
        length = digest.len();
        copy(&digest, part);
    }
}

fn argon2id(passphrase: &[u8], salt: &[u8], both: &mut [u8]) -> Result<(), Underivable> {
    let params = Params::new(ARGON2_KIB, ARGON2_PASSES, ARGON2_LANES, Some(both.len()))
        .map_err(|_| Underivable)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, both)
        .map_err(|_| Underivable)
}

fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CipherName;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Keys and IVs that Crypt::CBC derived, from its own log of them.
    #[test]
    fn the_keys_and_ivs_that_perl_made() {
        let vectors: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../tests/data/cipher.json")).unwrap();
        let mut ivs = 0;
        for vector in &vectors {
            let text = |name: &str| vector[name].as_str();
            let bytes = |hex: &str| -> Vec<u8> {
                (0..hex.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                    .collect()
            };
            let derivation = match text("pbkdf").unwrap() {
                "randomiv" => KeyDerivation::Md5Chain,
                name => KeyDerivation::parse(name).unwrap(),
            };
            let cipher = CipherName::parse(text("cipher").unwrap()).unwrap();
            let salt: Option<[u8; 8]> =
                text("salt_hex").map(|salt| bytes(salt).try_into().unwrap());
            let passphrase = bytes(text("key_hex").unwrap());
            let (key, iv) = (cipher.key_bytes(), cipher.block_bytes());
            let derived = derive(derivation, &passphrase, salt.as_ref(), key, iv).unwrap();
            assert_eq!(hex(derived.key()), text("derived_key_hex").unwrap(), "{vector}");
            if text("iv_source") == Some("derived") {
                assert_eq!(hex(derived.iv()), text("iv_hex").unwrap(), "{vector}");
                ivs += 1;
            }
        }
        assert_eq!((vectors.len(), ivs), (270, 93));
    }

    /// From argon2(1), the reference implementation: `argon2 SALT -id -v 13 -t 3 -k 65536 -p 4`.
    #[test]
    fn argon2id_as_its_authors_have_it() {
        let all = |salt: Option<&[u8; 8]>, key, iv| {
            let derived = derive(KeyDerivation::Argon2id, b"knock", salt, key, iv).unwrap();
            hex(derived.key()) + &hex(derived.iv())
        };
        assert_eq!(
            all(None, 32, 16),
            "2e12ba75ca7e0eb827e9d22a8509a80981dde3ebcd5314c7982e1662bfadc984\
             2751de73b53cfc93f78e843459e770ee"
        );
        assert_eq!(
            all(Some(b"saltSALT"), 56, 8),
            "1b64c9999eff134f230e3b477a95f7c02946eb506c0e33ef9fba05ebbe2494df\
             4f21d5b721a6acb8bdfe4543b466e99b39101b9e0dacac317fff9133854bb67c"
        );
    }

    #[test]
    fn names() {
        for derivation in KeyDerivation::ALL {
            let name = derivation.as_str().to_uppercase();
            assert_eq!(KeyDerivation::parse(&name), Some(derivation));
        }
        assert_eq!(KeyDerivation::parse("randomiv"), None);
    }

    #[test]
    fn what_does_not_go_together_derives_nothing() {
        let salt = Some(b"saltSALT");
        for (derivation, passphrase, salt) in [
            (KeyDerivation::Md5Chain, "x", salt),
            (KeyDerivation::Literal, "fifteen letters", None),
            (KeyDerivation::Literal, "sixteen letters!", salt),
            (KeyDerivation::OpensslV1, "x", None),
            (KeyDerivation::OpensslV2, "x", None),
            (KeyDerivation::Pbkdf2, "x", None),
        ] {
            assert!(derive(derivation, passphrase.as_bytes(), salt, 16, 8).is_err());
        }
    }
}
