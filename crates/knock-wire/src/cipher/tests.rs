//! The cipher by itself: its names, its lengths, what it refuses, and the bytes of the original.

use super::*;

fn decrypt(cipher: &Cipher, wire: &[u8]) -> Result<Vec<u8>, Refusal> {
    cipher.decrypt_in_place(&mut wire.to_vec()).map(<[u8]>::to_vec)
}

fn knock_key() -> Secret {
    Secret::new(b"knock".to_vec())
}

#[test]
fn names_with_and_without_what_perl_adds() {
    for name in ["Blowfish", "blowfish", "BLOWFISH", "Crypt::Blowfish", "Blowfish_PP"] {
        assert_eq!(CipherName::parse(name), Some(CipherName::Blowfish), "{name}");
    }
    for name in ["", "Crypt::", "Blow", "Twofish", "Crypt::CBC"] {
        assert_eq!(CipherName::parse(name), None, "{name}");
    }
}

#[test]
fn an_empty_key_is_refused() {
    let error = Cipher::blowfish(&Secret::new(Vec::new()), Iv::default()).unwrap_err();
    assert_eq!(error, KeyError::Empty);
    assert_eq!(error.at(), 0..0);
}

#[test]
fn fixed_iv_is_cut_and_filled() {
    assert_eq!(Iv::fixed(b"01234567"), Iv::default());
    assert_eq!(Iv::fixed(b"0123456789"), Iv::default());
    assert_eq!(Iv::fixed(b"ab"), Iv::Fixed(*b"ab\0\0\0\0\0\0"));
}

#[test]
fn what_it_did_not_make_is_refused() {
    let fixed = Cipher::blowfish(&knock_key(), Iv::default()).unwrap();
    let random = Cipher::blowfish(&knock_key(), Iv::Random).unwrap();
    let good = random.encrypt(b"payload", || [7; 8]);
    assert_eq!(decrypt(&random, &good).unwrap(), b"payload");

    let mut letters = good.clone();
    letters[0] = b'r';
    assert_eq!(decrypt(&random, &letters), Err(Refusal::Header));
    assert_eq!(decrypt(&random, &good[..15]), Err(Refusal::Header));
    assert_eq!(decrypt(&random, &good[..16]), Err(Refusal::Length));
    assert_eq!(decrypt(&random, &good[..20]), Err(Refusal::Length));
    assert_eq!(decrypt(&fixed, &[]), Err(Refusal::Length));
    assert_eq!(decrypt(&fixed, &good[16..]), Err(Refusal::Padding));
}

#[test]
fn length_on_the_wire() {
    let fixed = Cipher::blowfish(&knock_key(), Iv::default()).unwrap();
    let random = Cipher::blowfish(&knock_key(), Iv::Random).unwrap();
    for (plain, wire) in [(0, 8), (7, 8), (8, 16), (15, 16)] {
        assert_eq!(fixed.wire_len(plain), wire);
        assert_eq!(random.wire_len(plain), wire + 16);
        assert_eq!(fixed.encrypt(&vec![1; plain], || [0; 8]).len(), wire);
        assert_eq!(random.encrypt(&vec![1; plain], || [0; 8]).len(), wire + 16);
        assert_eq!(Cipher::none().wire_len(plain), plain);
    }
}

/// Every ciphertext comes from Perl's Crypt::CBC; see `tests/vectors.rs`.
#[test]
fn ciphertexts_of_the_original_both_ways() {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../tests/data/cipher.json")).unwrap();
    assert_eq!(vectors.len(), 38);
    for vector in &vectors {
        let bytes = |name: &str| {
            let hex = vector[name].as_str().unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(byte).collect::<Vec<u8>>()
        };
        let sent: [u8; BLOCK] = bytes("iv_hex").try_into().unwrap();
        let iv = if vector["header"] == "none" { Iv::Fixed(sent) } else { Iv::Random };
        let cipher = Cipher::blowfish(&Secret::new(bytes("key_hex")), iv).unwrap();
        let (plain, wire) = (bytes("plaintext_hex"), bytes("ciphertext_hex"));
        assert_eq!(cipher.encrypt(&plain, || sent), wire, "{vector}");
        assert_eq!(decrypt(&cipher, &wire).unwrap(), plain, "{vector}");
        assert_eq!(cipher.wire_len(plain.len()), wire.len(), "{vector}");
    }
}
