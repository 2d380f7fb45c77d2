//! A short text that is compared with places in a line, as a number where it is short enough.

/// A text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    bytes: Vec<u8>,
    /// Its first eight bytes as a number, and which bits of that count.
    head: u64,
    mask: u64,
}

impl Text {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let (mut head, mut mask) = ([0; 8], [0; 8]);
        for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(&bytes) {
            (*head, *mask) = (*byte, u8::MAX);
        }
        Self { bytes, head: u64::from_le_bytes(head), mask: u64::from_le_bytes(mask) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it stands there.
    #[inline]
    pub(super) fn is_at(&self, line: &[u8], start: usize) -> bool {
        let Some(there) = line.get(start..) else { return false };
        match there.first_chunk::<8>() {
            Some(head) if u64::from_le_bytes(*head) & self.mask != self.head => false,
            Some(_) if self.bytes.len() <= 8 => true,
            _ => there.starts_with(&self.bytes),
        }
    }
}
