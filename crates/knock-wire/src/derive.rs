//! From a passphrase to a cipher's key, as Crypt::CBC made it in the original's day.
//! Knows no cipher; says nothing of the IV, which this derivation does not yield.

use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// MD5 of the passphrase; while that is shorter than the key, MD5 of *everything so far* is
/// appended; cut to the key's length. (Not OpenSSL's chain, which hashes the last digest only.)
pub(crate) fn md5_chain<const KEY: usize>(passphrase: &[u8]) -> Zeroizing<[u8; KEY]> {
    // Room for the last digest too, so that the buffer never moves and leaves a copy behind.
    let mut chain = Zeroizing::new(Vec::with_capacity(KEY + 16));
    chain.extend_from_slice(&*md5(passphrase));
    while chain.len() < KEY {
        let next = md5(&chain);
        chain.extend_from_slice(&*next);
    }
    let mut key = Zeroizing::new([0; KEY]);
    for (to, from) in key.iter_mut().zip(chain.iter()) {
        *to = *from;
    }
    key
}

fn md5(bytes: &[u8]) -> Zeroizing<[u8; 16]> {
    Zeroizing::new(Md5::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that Crypt::CBC derived, from its own log of them.
    #[test]
    fn the_keys_that_perl_made() {
        let vectors: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../tests/data/cipher.json")).unwrap();
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap().to_owned();
            let passphrase: Vec<u8> = (0..text("key_hex").len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text("key_hex")[at..at + 2], 16).unwrap())
                .collect();
            let key = md5_chain::<56>(&passphrase);
            let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, text("derived_key_hex"), "{vector}");
        }
    }
}
