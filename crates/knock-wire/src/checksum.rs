//! The checksum of a knock: the sum of all *other* bytes of the plaintext, mod 255.
//! A guard against chance, not against people: whoever has no key cannot aim at it anyway.

/// Over `plain` without the byte at `position`, which is the checksum's own place. A `position`
/// beyond the end leaves nothing out.
pub(crate) fn checksum(plain: &[u8], position: usize) -> u8 {
    let sum: u64 = plain
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != position)
        .map(|(_, byte)| u64::from(*byte))
        .sum();
    u8::try_from(sum % 255).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_its_own_byte_out_wherever_it_stands() {
        for (plain, position, sum) in [
            (&[10, 0, 0, 1, 22, 15, 99][..], 6, 48),
            (&[99, 10, 0, 0, 1, 22, 15], 0, 48),
            (&[10, 0, 99, 0, 1, 22, 15], 2, 48),
            (&[255, 255, 0], 2, 0),
            (&[255, 254, 0], 2, 254),
            (&[7], 0, 0),
        ] {
            assert_eq!(checksum(plain, position), sum, "{plain:?}");
        }
    }
}
