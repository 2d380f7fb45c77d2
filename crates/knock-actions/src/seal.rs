//! A number over what was written, kept beside it: tells bits that turned on the disk.
//! No protection against people; who can write the file can write the seal.

/// FNV-1a, 64 bits: short, and fixed for ever, unlike the standard library's hashes. A single
/// changed byte always changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal(u64);

impl Seal {
    /// Of a row of this table.
    pub(crate) fn of(table: &str) -> Self {
        Self(0xcbf2_9ce4_8422_2325).text(table)
    }

    /// With its length, so that a letter that moves to the next column does not go unnoticed.
    pub(crate) fn text(self, text: &str) -> Self {
        self.blob(text.as_bytes())
    }

    pub(crate) fn blob(self, bytes: &[u8]) -> Self {
        self.bytes(bytes).bytes(&bytes.len().to_le_bytes())
    }

    pub(crate) fn number(self, number: i64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// As SQLite has it: all integers have a sign there.
    pub(crate) fn column(self) -> i64 {
        self.0.cast_signed()
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let step =
            |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }
}
