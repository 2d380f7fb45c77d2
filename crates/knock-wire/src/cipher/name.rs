//! The ciphers that a config may name: their names and sizes.
//! Not the ciphers themselves; `block.rs` has them.

use std::fmt;

/// A block cipher, with the key length that Crypt::CBC gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CipherName {
    /// The original's default.
    Blowfish,
    /// Single DES. Its 56 bits have long been searched through; for old set-ups only.
    Des,
    /// DES three times with three keys.
    DesEde3,
    /// IDEA.
    Idea,
    /// CAST5, also known as CAST-128.
    Cast5,
    /// Twofish with the 16-byte key of Perl's Crypt::Twofish.
    Twofish,
    /// Twofish with a 32-byte key.
    Twofish256,
    /// AES-256, by the name that it had when the original was written.
    Rijndael,
    /// Serpent.
    Serpent,
    /// Camellia.
    Camellia,
}

impl CipherName {
    /// Every cipher, for messages that list them.
    pub const ALL: [Self; 10] = [
        Self::Blowfish,
        Self::Des,
        Self::DesEde3,
        Self::Idea,
        Self::Cast5,
        Self::Twofish,
        Self::Twofish256,
        Self::Rijndael,
        Self::Serpent,
        Self::Camellia,
    ];

    /// By its name without regard to case, with or without Perl's `Crypt::` and `_PP`. `AES` is
    /// Rijndael.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("crypt::").unwrap_or(&name);
        let name = name.strip_suffix("_pp").unwrap_or(name);
        if name == "aes" {
            return Some(Self::Rijndael);
        }
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
    }

    /// The name as configs spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blowfish => "Blowfish",
            Self::Des => "DES",
            Self::DesEde3 => "DES_EDE3",
            Self::Idea => "IDEA",
            Self::Cast5 => "CAST5",
            Self::Twofish => "Twofish",
            Self::Twofish256 => "Twofish256",
            Self::Rijndael => "Rijndael",
            Self::Serpent => "Serpent",
            Self::Camellia => "Camellia",
        }
    }

    /// How many bytes of key a derivation makes for it.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Blowfish => 56,
            Self::Des => 8,
            Self::DesEde3 => 24,
            Self::Idea | Self::Cast5 | Self::Twofish => 16,
            Self::Twofish256 | Self::Rijndael | Self::Serpent | Self::Camellia => 32,
        }
    }

    /// How many bytes it enciphers at a time.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Blowfish | Self::Des | Self::DesEde3 | Self::Idea | Self::Cast5 => 8,
            Self::Twofish | Self::Twofish256 | Self::Rijndael | Self::Serpent | Self::Camellia => {
                16
            }
        }
    }
}

impl fmt::Display for CipherName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_what_perl_adds() {
        for name in ["Blowfish", "blowfish", " BLOWFISH ", "Crypt::Blowfish", "Blowfish_PP"] {
            assert_eq!(CipherName::parse(name), Some(CipherName::Blowfish), "{name}");
        }
        for (name, cipher) in [
            ("Crypt::DES_PP", CipherName::Des),
            ("crypt::des_ede3", CipherName::DesEde3),
            ("Crypt::CAST5_PP", CipherName::Cast5),
            ("Crypt::Rijndael_PP", CipherName::Rijndael),
            ("AES", CipherName::Rijndael),
            ("Twofish256", CipherName::Twofish256),
        ] {
            assert_eq!(CipherName::parse(name), Some(cipher), "{name}");
        }
        for name in ["", "Crypt::", "_PP", "Blow", "Crypt::CBC", "AES128"] {
            assert_eq!(CipherName::parse(name), None, "{name}");
        }
        for cipher in CipherName::ALL {
            assert_eq!(CipherName::parse(cipher.as_str()), Some(cipher));
        }
    }
}
