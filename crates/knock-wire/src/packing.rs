//! Bytes to symbols and back: one string of bits, most significant first, cut into k-bit pieces.
//! Knows nothing of ports; a symbol is the number of a port within its span.

/// How many symbols of `bits` bits hold so many bytes.
pub(crate) fn symbols_for(bytes: usize, bits: u32) -> usize {
    let bits = usize::try_from(bits).unwrap_or(usize::MAX).max(1);
    bytes.saturating_mul(8).div_ceil(bits)
}

/// Cuts `bytes` into symbols of `bits` bits (1 to 15); the last is filled with zero bits.
pub(crate) fn pack(bytes: &[u8], bits: u32) -> Vec<u16> {
    let mut symbols = Vec::with_capacity(symbols_for(bytes.len(), bits));
    // Never more than 14 old bits and 8 new ones, so 32 are plenty.
    let mut held: u32 = 0;
    let mut count: u32 = 0;
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        count += 8;
        while count >= bits {
            count -= bits;
            symbols.push(low_bits(held >> count, bits));
        }
    }
    if count > 0 {
        symbols.push(low_bits(held << (bits - count), bits));
    }
    symbols
}

/// What is wrong with symbols that do not spell bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpackable {
    /// Not as many symbols as the bytes need, or one that is too large for the span.
    Length,
    /// The bits that fill up the last symbol are not zero.
    Fill,
}

/// The way back, into all of `bytes`.
pub(crate) fn unpack(symbols: &[u16], bits: u32, bytes: &mut [u8]) -> Result<(), Unpackable> {
    if symbols.len() != symbols_for(bytes.len(), bits) {
        return Err(Unpackable::Length);
    }
    let mut symbols = symbols.iter();
    let mut held: u32 = 0;
    let mut count: u32 = 0;
    for byte in bytes {
        while count < 8 {
            let symbol = u32::from(*symbols.next().ok_or(Unpackable::Length)?);
            if symbol >> bits != 0 {
                return Err(Unpackable::Length);
            }
            held = (held << bits) | symbol;
            count += bits;
        }
        count -= 8;
        let [.., low] = (held >> count).to_be_bytes();
        *byte = low;
        // Bits that are used up go, so that `held` never grows beyond 7 + 15 bits.
        held &= (1 << count) - 1;
    }
    if held == 0 { Ok(()) } else { Err(Unpackable::Fill) }
}

fn low_bits(value: u32, bits: u32) -> u16 {
    let [.., high, low] = (value & ((1 << bits) - 1)).to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], bits: u32, symbols: &[u16]) {
        assert_eq!(pack(bytes, bits), symbols);
        let mut back = vec![0; bytes.len()];
        assert_eq!(unpack(symbols, bits, &mut back), Ok(()));
        assert_eq!(back, bytes);
    }

    #[test]
    fn most_significant_bit_first() {
        check(&[], 8, &[]);
        check(&[0xa5], 1, &[1, 0, 1, 0, 0, 1, 0, 1]);
        check(&[0xa5], 4, &[0xa, 0x5]);
        check(&[0xa5, 0x0f], 8, &[0xa5, 0x0f]);
        check(&[0xff, 0x01], 12, &[0xff0, 0x100]);
        check(&[0x80, 0x00, 0x03], 15, &[0x4000, 0x00c0]);
        check(&[0xff; 16], 15, &[0x7fff; 8].iter().copied().chain([0x7f80]).collect::<Vec<_>>());
    }

    #[test]
    fn odd_windows_are_told_apart() {
        let mut byte = [0];
        assert_eq!(unpack(&[0xff0, 0], 12, &mut byte), Err(Unpackable::Length), "one too many");
        assert_eq!(unpack(&[], 12, &mut byte), Err(Unpackable::Length), "one too few");
        assert_eq!(unpack(&[0x1000], 12, &mut byte), Err(Unpackable::Length), "not in the span");
        assert_eq!(unpack(&[0xff1], 12, &mut byte), Err(Unpackable::Fill));
        assert_eq!(unpack(&[0xff0], 12, &mut byte), Ok(()));
        assert_eq!(byte, [0xff]);
    }
}
