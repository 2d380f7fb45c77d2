//! What a cipher is made from: its name, its key, and what goes before and behind the blocks.
//! Judges whether the parts go together; makes nothing of them.

use crate::derive::{KeyDerivation, Salts};
use crate::mac;
use crate::secret::Secret;

use super::{CipherError, CipherName, Padding};

/// Everything that both sides have to agree on.
#[derive(Clone, Debug)]
pub struct CipherSpec {
    /// `cipher`.
    pub name: CipherName,
    /// The passphrase.
    pub key: Secret,
    /// `iv`: where the first block's IV comes from, and what is sent of it.
    pub iv: IvMode,
    /// `keyderivation`.
    pub derivation: KeyDerivation,
    /// `fixedsalt`: a salt that both sides know, where none is sent and the derivation takes one.
    pub salt: Option<[u8; 8]>,
    /// `padding`.
    pub padding: Padding,
    /// `mac`: how many bytes of it are appended; 0, or 4 to 32.
    pub mac: usize,
}

impl CipherSpec {
    /// As the original had it unless it was told otherwise.
    #[must_use]
    pub fn classic(key: Secret) -> Self {
        Self {
            name: CipherName::Blowfish,
            key,
            iv: IvMode::default(),
            derivation: KeyDerivation::Md5Chain,
            salt: None,
            padding: Padding::Standard,
            mac: 0,
        }
    }
}

/// Where the first block's IV comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IvMode {
    /// `iv = no`: both sides know it, nothing is sent. Cut or filled up with zero bytes to the
    /// block's length, as Crypt::CBC 2.x did.
    Fixed(Vec<u8>),
    /// Nothing is sent, and it comes out of the derivation behind the key. No config says so;
    /// Crypt::CBC can.
    Derived,
    /// `iv = yes`: drawn for each knock and sent before it, behind the letters `RandomIV`. For
    /// ciphers with blocks of 8 bytes.
    Random,
    /// `iv = salt`: a salt is drawn for each knock and sent before it, behind the letters
    /// `Salted__`; key and IV are derived from it.
    Salt,
    /// The same, but only the key is derived, and both sides know the IV. No config says so;
    /// Crypt::CBC can.
    SaltAndFixed(Vec<u8>),
    /// `iv = bare`: drawn for each knock and sent before it, without letters.
    Bare,
}

impl Default for IvMode {
    /// The original's `01234567`.
    fn default() -> Self {
        Self::Fixed(b"01234567".to_vec())
    }
}

impl CipherSpec {
    /// Whether the parts go together.
    pub(super) fn judge(&self) -> Result<(), CipherError> {
        let Self { name, derivation, .. } = *self;
        let given = self.key.expose().len();
        if given == 0 {
            return Err(CipherError::EmptyKey);
        }
        let literal = match name {
            CipherName::Blowfish => 1..=name.key_bytes(),
            _ => name.key_bytes()..=name.key_bytes(),
        };
        if derivation == KeyDerivation::Literal && !literal.contains(&given) {
            return Err(CipherError::KeyLength { cipher: name, given });
        }
        let sent = match &self.iv {
            IvMode::Random if name.block_bytes() != 8 => {
                return Err(CipherError::RandomIvBlock { cipher: name });
            }
            IvMode::Derived if derivation.salts() == Salts::None => {
                return Err(CipherError::NoIvDerived { derivation });
            }
            IvMode::Salt | IvMode::SaltAndFixed(_) => true,
            IvMode::Fixed(_) | IvMode::Derived | IvMode::Random | IvMode::Bare => false,
        };
        match (derivation.salts(), sent, self.salt) {
            (_, true, Some(_)) => return Err(CipherError::TwoSalts),
            (Salts::None, true, None) => return Err(CipherError::SaltNotTaken { derivation }),
            (Salts::None, false, Some(_)) => {
                return Err(CipherError::FixedSaltNotTaken { derivation });
            }
            (Salts::Needed, false, None) => return Err(CipherError::SaltMissing { derivation }),
            (Salts::None, false, None)
            | (Salts::Needed, false, Some(_))
            | (Salts::OwnUnlessGiven, false, _)
            | (Salts::Needed | Salts::OwnUnlessGiven, true, None) => (),
        }
        if self.mac != 0 && !mac::LENGTHS.contains(&self.mac) {
            return Err(CipherError::MacLength { given: self.mac });
        }
        Ok(())
    }
}
