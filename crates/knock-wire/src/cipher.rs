//! How the plaintext of a knock is enciphered, in the formats of Perl's Crypt::CBC.
//! Knows nothing of fields and ports: bytes in, bytes out.
//!
//! On the wire stand, in this order: a header (letters with an IV or a salt, or a bare IV, or
//! nothing), the blocks, and a MAC of both if there is one.

mod block;
mod error;
mod name;
mod padding;
mod spec;

use std::fmt;

pub use error::{CipherError, SpecPart};
pub use name::CipherName;
pub use padding::Padding;
pub use spec::{CipherSpec, IvMode};

use crate::codec::{EncodeError, Refusal};
use crate::derive::{Derived, KeyDerivation, derive};
use crate::mac::Mac;
use crate::secret::Secret;
use block::{Block, Boxed, Lend, NotWhole, keyed};

const RANDOM_IV: &[u8; 8] = b"RandomIV";
const SALTED: &[u8; 8] = b"Salted__";
const SALT: usize = 8;
const MAX_BLOCK: usize = 16;

/// A cipher with its key, ready for use. Made once: its key schedule costs more than thousands of
/// windows.
pub struct Cipher(Option<Box<Cbc>>);

struct Cbc {
    name: CipherName,
    derivation: KeyDerivation,
    padding: Padding,
    mac: usize,
    keys: Keys,
}

enum Keys {
    /// One key for all knocks.
    One { block: Box<dyn Block>, mac: Option<Mac>, iv: IvFrom },
    /// One for each salt, and an IV with it unless both sides know that.
    EachSalt { passphrase: Secret, iv: Option<Iv> },
}

enum IvFrom {
    Known(Iv),
    HeaderWithLetters,
    BareHeader,
}

/// As long as the longest block; of ciphers with shorter ones only the beginning counts.
type Iv = [u8; MAX_BLOCK];

impl Cipher {
    /// `encrypt = no`: bytes go on as they are.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// A block cipher in CBC mode. Derives the key, unless each knock has a salt of its own.
    ///
    /// # Errors
    /// When the parts do not go together, or the passphrase is empty: anybody could knock.
    pub fn new(spec: &CipherSpec) -> Result<Self, CipherError> {
        spec.judge()?;
        let CipherSpec { name, derivation, padding, mac, .. } = *spec;
        let keys = match &spec.iv {
            IvMode::Salt => Keys::EachSalt { passphrase: spec.key.clone(), iv: None },
            IvMode::SaltAndFixed(iv) => {
                Keys::EachSalt { passphrase: spec.key.clone(), iv: Some(fixed(iv)) }
            }
            IvMode::Fixed(_) | IvMode::Derived | IvMode::Random | IvMode::Bare => {
                one_key(spec).ok_or(CipherError::Underivable { derivation })?
            }
        };
        Ok(Self(Some(Box::new(Cbc { name, derivation, padding, mac, keys }))))
    }

    /// Enciphers. `random` fills what it is given with random bytes, and is asked only where each
    /// knock has an IV or a salt of its own.
    ///
    /// # Errors
    /// When the text is not whole blocks and nothing is there to fill it up.
    pub fn encrypt(
        &self,
        plain: &[u8],
        mut random: impl FnMut(&mut [u8]),
    ) -> Result<Vec<u8>, EncodeError> {
        match &self.0 {
            None => Ok(plain.to_vec()),
            Some(cbc) => cbc.encrypt(plain, &mut random),
        }
    }

    /// Deciphers a text of `plain` bytes without memory of its own, and checks header, MAC and
    /// padding in full. (Argon2 with a salt that is sent takes memory, once the letters are right.)
    ///
    /// # Errors
    /// Says which part of it is not what this cipher makes.
    pub fn decrypt_in_place<'a>(
        &self,
        wire: &'a mut [u8],
        plain: usize,
    ) -> Result<&'a [u8], Refusal> {
        match &self.0 {
            None if wire.len() == plain => Ok(wire),
            None => Err(Refusal::Length),
            Some(cbc) => cbc.decrypt(wire, plain),
        }
    }

    /// Which one it is, if knocks are enciphered at all.
    #[must_use]
    pub fn name(&self) -> Option<CipherName> {
        self.0.as_ref().map(|cbc| cbc.name)
    }

    /// How many bytes go on the wire for so many bytes of plaintext.
    #[must_use]
    pub fn wire_len(&self, plain: usize) -> usize {
        match &self.0 {
            None => plain,
            Some(cbc) => cbc.wire_len(plain),
        }
    }

    /// The letters behind which a window makes us derive a key slowly, whoever sent it, and how.
    pub(crate) fn slow_behind(&self) -> Option<(&'static [u8], KeyDerivation)> {
        let cbc = self.0.as_ref()?;
        match (&cbc.keys, cbc.derivation) {
            (Keys::EachSalt { .. }, slow @ (KeyDerivation::Pbkdf2 | KeyDerivation::Argon2id)) => {
                Some((cbc.letters(), slow))
            }
            (Keys::EachSalt { .. } | Keys::One { .. }, _) => None,
        }
    }

    /// Whether each knock has an IV or a salt of its own, and so looks like no other.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.0.as_ref().is_some_and(|cbc| cbc.header_len() > 0)
    }

    /// What the key alone decides of a text on the wire: the blocks, without header and MAC. Whoever
    /// changes the header of a text keeps these.
    pub(crate) fn blocks<'a>(&self, wire: &'a [u8]) -> Option<&'a [u8]> {
        match &self.0 {
            None => Some(wire),
            Some(cbc) => wire.get(cbc.header_len()..wire.len().checked_sub(cbc.mac)?),
        }
    }

    /// Whether a text of so many bytes can be enciphered; else how long the blocks are.
    pub(crate) fn takes(&self, plain: usize) -> Result<(), usize> {
        match &self.0 {
            Some(cbc)
                if !(plain + cbc.padding_len(plain)).is_multiple_of(cbc.name.block_bytes()) =>
            {
                Err(cbc.name.block_bytes())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// How many bits padding and MAC leave no choice for. The letters before an IV or a salt are
    /// not among them: everybody knows them.
    pub(crate) fn fixed_bits(&self, plain: usize) -> usize {
        match &self.0 {
            None => 0,
            Some(cbc) => 8 * (cbc.padding_len(plain) + cbc.mac),
        }
    }
}

impl Cbc {
    fn encrypt(
        &self,
        plain: &[u8],
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Vec<u8>, EncodeError> {
        let (letters, header, block) = (self.letters(), self.header_len(), self.name.block_bytes());
        let padding = self.padding.bytes(plain.len(), block);
        let mut wire = Vec::with_capacity(self.wire_len(plain.len()));
        wire.extend_from_slice(letters);
        // Behind the letters stands what is drawn for this knock, be it IV or salt.
        wire.resize(header, 0);
        match wire.get_mut(letters.len()..) {
            Some(drawn) if !drawn.is_empty() => random(drawn),
            Some(_) | None => (),
        }
        wire.extend_from_slice(plain);
        wire.extend(padding);
        let not_whole = EncodeError::NotWholeBlocks { bytes: plain.len(), block };
        let head = fixed(wire.get(..header).unwrap_or_default());
        self.with_keys(&head, |cipher, iv, mac| {
            let blocks = wire.get_mut(header..).ok_or(NotWhole)?;
            cipher.encrypt(iv, blocks)?;
            if let Some(mac) = mac {
                mac.append(&mut wire);
            }
            Ok(())
        })
        .and_then(|done: Result<(), NotWhole>| done.ok())
        .ok_or(not_whole)?;
        Ok(wire)
    }

    fn decrypt<'a>(&self, wire: &'a mut [u8], plain: usize) -> Result<&'a [u8], Refusal> {
        let (header, block) = (self.header_len(), self.name.block_bytes());
        if wire.len() != self.wire_len(plain) {
            return Err(Refusal::Length);
        }
        // First of all, since a salt costs a derivation.
        if !wire.starts_with(self.letters()) {
            return Err(Refusal::Header);
        }
        let head = fixed(wire.get(..header).unwrap_or_default());
        self.with_keys(&head, |cipher, iv, mac| {
            let body = match mac {
                Some(mac) => mac.check(wire).ok_or(Refusal::Mac)?,
                None => wire,
            };
            let text = body.get_mut(header..).ok_or(Refusal::Length)?;
            cipher.decrypt(iv, text).map_err(|NotWhole| Refusal::Length)?;
            let (text, padding) = text.split_at_checked(plain).ok_or(Refusal::Length)?;
            let right = padding.iter().copied().eq(self.padding.bytes(plain, block));
            if right { Ok(text) } else { Err(Refusal::Padding) }
        })
        .unwrap_or(Err(Refusal::Padding))
    }

    /// Runs `act` with the cipher, the IV and the MAC that go with a header. `None`: there are none.
    fn with_keys<R>(
        &self,
        header: &Iv,
        act: impl FnOnce(&dyn Block, &[u8], Option<&Mac>) -> R,
    ) -> Option<R> {
        let block_bytes = self.name.block_bytes();
        match &self.keys {
            Keys::One { block, mac, iv } => {
                let iv = match iv {
                    IvFrom::Known(iv) => iv.get(..block_bytes)?,
                    IvFrom::HeaderWithLetters => header.get(RANDOM_IV.len()..)?,
                    IvFrom::BareHeader => header.get(..block_bytes)?,
                };
                Some(act(&**block, iv, mac.as_ref()))
            }
            Keys::EachSalt { passphrase, iv } => {
                let salt = header.last_chunk()?;
                let derived = derive_for(self.name, self.derivation, passphrase, Some(salt))?;
                let iv = match iv {
                    Some(iv) => iv.get(..block_bytes)?,
                    None => derived.iv(),
                };
                let mac = mac_of(&derived, self.mac)?;
                let lend = Lend(|block: &dyn Block| act(block, iv, mac.as_ref()));
                keyed(self.name, derived.key(), lend).ok()
            }
        }
    }

    /// What everybody knows of the header.
    fn letters(&self) -> &'static [u8] {
        match &self.keys {
            Keys::One { iv: IvFrom::Known(_) | IvFrom::BareHeader, .. } => b"",
            Keys::One { iv: IvFrom::HeaderWithLetters, .. } => RANDOM_IV,
            Keys::EachSalt { .. } => SALTED,
        }
    }

    fn header_len(&self) -> usize {
        self.letters().len()
            + match &self.keys {
                Keys::One { iv: IvFrom::Known(_), .. } => 0,
                Keys::One { iv: IvFrom::HeaderWithLetters | IvFrom::BareHeader, .. } => {
                    self.name.block_bytes()
                }
                Keys::EachSalt { .. } => SALT,
            }
    }

    fn wire_len(&self, plain: usize) -> usize {
        self.header_len() + plain + self.padding_len(plain) + self.mac
    }

    fn padding_len(&self, plain: usize) -> usize {
        self.padding.len(plain, self.name.block_bytes())
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({self})")
    }
}

/// In words, for people who compare two sides: `Blowfish, key by md5chain, no header`.
impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(cbc) = &self.0 else { return f.write_str("none") };
        let header = match &cbc.keys {
            Keys::One { iv: IvFrom::Known(_), .. } => "no header",
            Keys::One { iv: IvFrom::HeaderWithLetters, .. } => "header RandomIV and an IV",
            Keys::One { iv: IvFrom::BareHeader, .. } => "header a bare IV",
            Keys::EachSalt { .. } => "header Salted__ and a salt",
        };
        write!(f, "{}, key by {}, {header}", cbc.name, cbc.derivation)?;
        match cbc.padding {
            Padding::Standard => (),
            padding => write!(f, ", padding {padding}")?,
        }
        match cbc.mac {
            0 => Ok(()),
            mac => write!(f, ", mac of {mac} bytes"),
        }
    }
}

fn one_key(spec: &CipherSpec) -> Option<Keys> {
    let derived = derive_for(spec.name, spec.derivation, &spec.key, spec.salt.as_ref())?;
    let iv = match &spec.iv {
        IvMode::Fixed(iv) => IvFrom::Known(fixed(iv)),
        IvMode::Random => IvFrom::HeaderWithLetters,
        IvMode::Bare => IvFrom::BareHeader,
        IvMode::Derived | IvMode::Salt | IvMode::SaltAndFixed(_) => {
            IvFrom::Known(fixed(derived.iv()))
        }
    };
    let mac = mac_of(&derived, spec.mac)?;
    Some(Keys::One { block: keyed(spec.name, derived.key(), Boxed).ok()?, mac, iv })
}

fn derive_for(
    name: CipherName,
    derivation: KeyDerivation,
    passphrase: &Secret,
    salt: Option<&[u8; SALT]>,
) -> Option<Derived> {
    let key = match derivation {
        // Blowfish takes keys of many lengths.
        KeyDerivation::Literal => passphrase.expose().len(),
        _ => name.key_bytes(),
    };
    derive(derivation, passphrase.expose(), salt, key, name.block_bytes()).ok()
}

/// The MAC that goes with a key, or none if none is wanted. The outer `None` means failure, so that
/// one can never be taken for the other.
#[allow(clippy::option_option, reason = "a MAC that is not wanted and one that cannot be made")]
fn mac_of(derived: &Derived, length: usize) -> Option<Option<Mac>> {
    match length {
        0 => Some(None),
        _ => Mac::new(derived.key(), length).map(Some),
    }
}

/// Cut, or filled up with zero bytes.
fn fixed(bytes: &[u8]) -> Iv {
    let mut iv = [0; MAX_BLOCK];
    for (to, from) in iv.iter_mut().zip(bytes) {
        *to = *from;
    }
    iv
}

#[cfg(test)]
mod tests;
