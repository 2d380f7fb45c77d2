//! The block ciphers of RustCrypto behind one face: whole blocks in CBC mode, in place.
//! Knows no headers, paddings or passphrases; a key comes in as the cipher takes it.

use aes::Aes256;
use blowfish::Blowfish;
use camellia::Camellia256;
use cast5::Cast5;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::common::InvalidLength;
use cbc::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit,
    KeyInit,
};
use des::{Des, TdesEde3};
use idea::Idea;
use serpent::Serpent;
use twofish::Twofish;

use super::CipherName;

/// A cipher with its key schedule made.
pub(super) trait Block: Send + Sync {
    /// Enciphers whole blocks. `Err`: these are none, or the IV is not as long as one.
    fn encrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), NotWhole>;

    /// Deciphers whole blocks.
    fn decrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), NotWhole>;
}

/// Bytes that are not a whole number of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotWhole;

impl<C> Block for C
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync,
{
    fn encrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), NotWhole> {
        let length = blocks.len();
        // The mode borrows the cipher, so the key schedule is not done again.
        let mode = cbc::Encryptor::inner_iv_slice_init(self, iv).map_err(|_| NotWhole)?;
        mode.encrypt_padded::<NoPadding>(blocks, length).map_err(|_| NotWhole)?;
        Ok(())
    }

    fn decrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), NotWhole> {
        let mode = cbc::Decryptor::inner_iv_slice_init(self, iv).map_err(|_| NotWhole)?;
        mode.decrypt_padded::<NoPadding>(blocks).map_err(|_| NotWhole)?;
        Ok(())
    }
}

/// What somebody wants with a cipher once it has its key.
pub(super) trait Use {
    /// What comes of it.
    type Out;

    /// Does it.
    fn with<B: Block + 'static>(self, block: B) -> Self::Out;
}

/// Makes the key schedule, where the caller wants it: a cipher for one window stays on the stack.
pub(super) fn keyed<U: Use>(
    name: CipherName,
    key: &[u8],
    user: U,
) -> Result<U::Out, InvalidLength> {
    Ok(match name {
        CipherName::Blowfish => user.with(blowfish(key)?),
        CipherName::Des => user.with(Des::new_from_slice(key)?),
        CipherName::DesEde3 => user.with(TdesEde3::new_from_slice(key)?),
        CipherName::Idea => user.with(Idea::new_from_slice(key)?),
        CipherName::Cast5 => user.with(Cast5::new_from_slice(key)?),
        CipherName::Twofish | CipherName::Twofish256 => user.with(Twofish::new_from_slice(key)?),
        CipherName::Rijndael => user.with(Aes256::new_from_slice(key)?),
        CipherName::Serpent => user.with(Serpent::new_from_slice(key)?),
        CipherName::Camellia => user.with(Camellia256::new_from_slice(key)?),
    })
}

/// Blowfish goes round and round the key's bytes, so a key of fewer than the four that the crate
/// demands is the same key when it is written four times.
fn blowfish(key: &[u8]) -> Result<Blowfish, InvalidLength> {
    let mut four = zeroize::Zeroizing::new([0; 12]);
    if (1..4).contains(&key.len()) {
        let long = key.len() * 4;
        for (to, from) in four.iter_mut().zip(key.iter().cycle()) {
            *to = *from;
        }
        return Blowfish::new_from_slice(four.get(..long).unwrap_or_default());
    }
    Blowfish::new_from_slice(key)
}

/// For a cipher that is kept.
pub(super) struct Boxed;

impl Use for Boxed {
    type Out = Box<dyn Block>;

    fn with<B: Block + 'static>(self, block: B) -> Self::Out {
        Box::new(block)
    }
}

/// For a cipher that serves one window: lent out from where it stands.
pub(super) struct Lend<F>(pub(super) F);

impl<R, F: FnOnce(&dyn Block) -> R> Use for Lend<F> {
    type Out = R;

    fn with<B: Block + 'static>(self, block: B) -> R {
        (self.0)(&block)
    }
}
