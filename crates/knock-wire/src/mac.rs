//! The authentication code behind a knock: HMAC-SHA-256, cut to as many bytes as one likes to send.
//! Knows nothing of what it stands behind.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

const INFO: &[u8] = b"knockdaemon mac v1";

/// The least and the most bytes that are sent of it.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 4..=32;

/// A code with its key, and how many bytes of it are sent.
pub(crate) struct Mac {
    keyed: Hmac<Sha256>,
    length: usize,
}

impl Mac {
    /// Its key comes out of the cipher's by HKDF, so that neither tells of the other. `None` for no
    /// code at all.
    pub(crate) fn new(cipher_key: &[u8], length: usize) -> Option<Self> {
        if length == 0 {
            return None;
        }
        let mut key = Zeroizing::new([0; 32]);
        // Neither can fail: 32 bytes are within what HKDF yields, and HMAC takes any key.
        Hkdf::<Sha256>::new(None, cipher_key).expand(INFO, &mut *key).ok()?;
        Some(Self { keyed: Hmac::new_from_slice(&*key).ok()?, length })
    }

    /// Appends the code of all that is there.
    pub(crate) fn append(&self, wire: &mut Vec<u8>) {
        let code = self.keyed.clone().chain_update(&*wire).finalize().into_bytes();
        wire.extend(code.into_iter().take(self.length));
    }

    /// Takes the code off again if it is right. How long that takes does not tell where it is wrong.
    pub(crate) fn check<'a>(&self, wire: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (body, code) = wire.split_at_mut_checked(wire.len().checked_sub(self.length)?)?;
        let right = self.keyed.clone().chain_update(&*body).verify_truncated_left(code).is_ok();
        right.then_some(body)
    }
}
