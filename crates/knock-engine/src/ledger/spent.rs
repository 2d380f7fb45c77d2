//! Knocks that are not accepted again. Only accepted ones get here, so strangers fill nothing; and none
//! ever leaves, so this grows with them: 17 bytes each, and room for up to twice as many.

use std::collections::HashSet;

use knock_wire::Digest;

/// Half of each digest. On disk stands all of it; 128 bits tell any two knocks apart as well.
#[derive(Debug, Default)]
pub(crate) struct Spent(HashSet<u128>);

impl Spent {
    pub(crate) fn insert(&mut self, digest: &Digest) {
        self.0.insert(half(digest));
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.0.contains(&half(digest))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn half(Digest(bytes): &Digest) -> u128 {
    bytes.first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}
