//! A passphrase in memory: wiped when dropped, never shown.
//! Knows nothing of where it came from, nor of the cipher's key that is derived from it.

use std::fmt;

use zeroize::Zeroizing;

/// The bytes of a passphrase. There is no `Display`, and `Debug` tells nothing of them, not even
/// how many they are. Comparing two is for configurations, not for what strangers send: it takes as
/// long as they agree.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over. Give them as they were read: a vector that grew while it was filled
    /// has left copies behind that nobody wipes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new(b"swordfish".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), b"swordfish");
    }
}
