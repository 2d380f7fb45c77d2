//! The cipher by itself: its lengths, what it refuses, and the bytes of the original.

use serde_json::Value as Json;

use super::*;

fn spec(name: CipherName, iv: IvMode) -> CipherSpec {
    CipherSpec { name, iv, ..CipherSpec::classic(Secret::new(b"knock".to_vec())) }
}

fn cipher(spec: &CipherSpec) -> Cipher {
    Cipher::new(spec).unwrap()
}

/// What random bytes are drawn: 1, 2, 3, …
fn counting(drawn: &mut [u8]) {
    for (byte, number) in drawn.iter_mut().zip(1..) {
        *byte = number;
    }
}

fn decrypt(cipher: &Cipher, wire: &[u8], plain: usize) -> Result<Vec<u8>, Refusal> {
    cipher.decrypt_in_place(&mut wire.to_vec(), plain).map(<[u8]>::to_vec)
}

#[track_caller]
fn check_error(spec: &CipherSpec, part: SpecPart, expected: &str) {
    let error = Cipher::new(spec).unwrap_err();
    assert_eq!((error.part(), error.to_string().as_str()), (part, expected));
}

#[test]
fn what_does_not_go_together_is_told_with_a_way_out() {
    use CipherName::{Blowfish, Rijndael};
    let classic = spec(Blowfish, IvMode::default());
    check_error(
        &CipherSpec { key: Secret::new(Vec::new()), ..classic.clone() },
        SpecPart::Key,
        "the key is empty, so anybody could knock; give it a value",
    );
    let literal = KeyDerivation::Literal;
    check_error(
        &CipherSpec { derivation: literal, ..spec(Rijndael, IvMode::Bare) },
        SpecPart::Key,
        "with keyderivation = literal Rijndael takes a key of exactly 32 bytes, and this one has \
         5; for a passphrase use md5chain, or argon2id on both sides",
    );
    let long = Secret::new(vec![b'x'; 57]);
    check_error(
        &CipherSpec { derivation: literal, key: long, ..classic.clone() },
        SpecPart::Key,
        "with keyderivation = literal Blowfish takes a key of 1 to 56 bytes, and this one has 57; \
         for a passphrase use md5chain, or argon2id on both sides",
    );
    check_error(
        &spec(Rijndael, IvMode::Random),
        SpecPart::Iv,
        "iv = yes is for ciphers with blocks of 8 bytes, and those of Rijndael have 16; use iv = \
         salt, or iv = bare",
    );
    check_error(
        &spec(Rijndael, IvMode::Salt),
        SpecPart::Iv,
        "iv = salt needs a keyderivation that takes the salt, and md5chain does not; set \
         keyderivation to what the other side has: pbkdf2, opensslv2, opensslv1 or argon2id",
    );
    for derivation in [KeyDerivation::OpensslV1, KeyDerivation::OpensslV2, KeyDerivation::Pbkdf2] {
        check_error(
            &CipherSpec { derivation, ..classic.clone() },
            SpecPart::Derivation,
            &format!(
                "keyderivation = {derivation} needs a salt; use iv = salt, which sends one with \
                 each knock, or give both sides the same 8 bytes with fixedsalt"
            ),
        );
    }
    let salt = Some(*b"saltSALT");
    check_error(
        &CipherSpec { salt, ..classic.clone() },
        SpecPart::Salt,
        "keyderivation = md5chain takes no salt, so fixedsalt has no meaning; leave it out, or set \
         keyderivation to pbkdf2, opensslv2, opensslv1 or argon2id",
    );
    check_error(
        &CipherSpec { salt, derivation: KeyDerivation::Pbkdf2, ..spec(Rijndael, IvMode::Salt) },
        SpecPart::Salt,
        "with iv = salt each knock brings its own salt, so fixedsalt has no meaning; leave one of \
         them out",
    );
    check_error(
        &spec(Blowfish, IvMode::Derived),
        SpecPart::Derivation,
        "keyderivation = md5chain yields no IV; give a fixed one",
    );
    for mac in [1, 3, 33] {
        check_error(
            &CipherSpec { mac, ..classic.clone() },
            SpecPart::Mac,
            &format!("a mac of {mac} bytes is not possible; use 4 to 32, or 0 for none"),
        );
    }
    let error = cipher(&CipherSpec { padding: Padding::None, ..classic })
        .encrypt(b"seven b", counting)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "with padding = none a knock must be whole blocks of 8 bytes, and this one has 7; add or \
         leave out fields, or use padding = standard"
    );
}

#[test]
fn a_fixed_iv_is_cut_and_filled() {
    let wire = |name, iv: &[u8]| {
        cipher(&spec(name, IvMode::Fixed(iv.to_vec()))).encrypt(b"payload", counting).unwrap()
    };
    let (small, large) = (CipherName::Des, CipherName::Serpent);
    assert_eq!(wire(small, b"0123456789abcdefgh"), wire(small, b"01234567"));
    assert_eq!(wire(large, b"0123456789abcdefgh"), wire(large, b"0123456789abcdef"));
    assert_eq!(wire(small, b"ab"), wire(small, b"ab\0\0\0\0\0\0"));
    assert_eq!(wire(large, b"01234567"), wire(large, b"01234567\0\0\0\0\0\0\0\0"));
    assert_ne!(wire(small, b"ab"), wire(small, b"ac"));
}

#[test]
fn what_it_did_not_make_is_refused() {
    let fixed = cipher(&spec(CipherName::Blowfish, IvMode::default()));
    let random = cipher(&spec(CipherName::Blowfish, IvMode::Random));
    let good = random.encrypt(b"payload", counting).unwrap();
    assert_eq!(decrypt(&random, &good, 7).unwrap(), b"payload");
    assert_eq!(good[..16], *b"RandomIV\x01\x02\x03\x04\x05\x06\x07\x08");

    let mut letters = good.clone();
    letters[0] = b'r';
    assert_eq!(decrypt(&random, &letters, 7), Err(Refusal::Header));
    for length in [0, 15, 16, 20] {
        assert_eq!(decrypt(&random, &good[..length], 7), Err(Refusal::Length));
    }
    assert_eq!(decrypt(&fixed, &[], 7), Err(Refusal::Length));
    assert_eq!(decrypt(&fixed, &good[16..], 7), Err(Refusal::Padding), "another IV");
    // The padding tells the length, so that of a text of seven bytes is wrong for one of six.
    assert_eq!(decrypt(&random, &good, 6), Err(Refusal::Padding));
    assert_eq!(decrypt(&random, &good, 8), Err(Refusal::Length));
    assert_eq!(decrypt(&Cipher::none(), b"payload", 6), Err(Refusal::Length));
}

#[test]
fn a_changed_byte_anywhere_is_what_the_mac_refuses() {
    for iv in [IvMode::Random, IvMode::default(), IvMode::Bare, IvMode::Salt] {
        let derivation = match iv {
            IvMode::Salt => KeyDerivation::OpensslV2,
            _ => KeyDerivation::Md5Chain,
        };
        let name = CipherName::Cast5;
        let cipher = cipher(&CipherSpec { mac: 6, derivation, ..spec(name, iv) });
        let good = cipher.encrypt(b"payload", counting).unwrap();
        assert_eq!(decrypt(&cipher, &good, 7).unwrap(), b"payload");
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x80;
            let expected = if bad.starts_with(cipher.0.as_ref().unwrap().letters()) {
                Refusal::Mac
            } else {
                Refusal::Header
            };
            assert_eq!(decrypt(&cipher, &bad, 7), Err(expected), "{cipher:?}, byte {place}");
        }
    }
}

/// Computed with OpenSSL and Python's hmac from the words of the specification.
#[test]
fn the_mac_is_hmac_of_header_and_blocks() {
    let name = CipherName::Rijndael;
    let derivation = KeyDerivation::Literal;
    let key = Secret::new((0..32).collect());
    let spec = CipherSpec { mac: 32, derivation, key, ..spec(name, IvMode::Bare) };
    let wire = cipher(&spec).encrypt(b"eleven byte", counting).unwrap();
    let hex: String = wire.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "0102030405060708090a0b0c0d0e0f10c3cdaf666400006a3c2246acc3f105c8\
         b9844d41a57712bf2e3a38f7e9e4be2fa4b87cf747694b46b9e770c1e20add48"
    );
}

#[test]
fn length_on_the_wire() {
    let length = |spec: &CipherSpec, plain| {
        let cipher = cipher(spec);
        let wire = cipher.encrypt(&vec![1; plain], counting).unwrap();
        assert_eq!(cipher.wire_len(plain), wire.len());
        wire.len()
    };
    use CipherName::{Blowfish, Rijndael};
    for (plain, small, large) in [(0, 8, 16), (7, 8, 16), (8, 16, 16), (15, 16, 16), (16, 24, 32)] {
        assert_eq!(length(&spec(Blowfish, IvMode::default()), plain), small);
        assert_eq!(length(&spec(Blowfish, IvMode::Random), plain), 16 + small);
        assert_eq!(length(&spec(Blowfish, IvMode::Bare), plain), 8 + small);
        assert_eq!(length(&spec(Rijndael, IvMode::default()), plain), large);
        assert_eq!(length(&spec(Rijndael, IvMode::Bare), plain), 16 + large);
        let derivation = KeyDerivation::OpensslV1;
        let salted = CipherSpec { derivation, mac: 8, ..spec(Rijndael, IvMode::Salt) };
        assert_eq!(length(&salted, plain), 16 + large + 8);
        assert_eq!(Cipher::none().wire_len(plain), plain);
    }
    let none = CipherSpec { padding: Padding::None, ..spec(Blowfish, IvMode::Bare) };
    assert_eq!(length(&none, 8), 16);
}

#[test]
fn short_literal_keys_go_round_as_blowfish_has_them_go() {
    let wire = |key: &[u8]| {
        let key = Secret::new(key.to_vec());
        let derivation = KeyDerivation::Literal;
        let spec = CipherSpec { derivation, ..CipherSpec::classic(key) };
        cipher(&spec).encrypt(b"payload", counting).unwrap()
    };
    assert_eq!(wire(b"a"), wire(b"aaaa"));
    assert_eq!(wire(b"ab"), wire(b"abababab"));
    assert_eq!(wire(b"abc"), wire(b"abcabc"));
    assert_ne!(wire(b"abc"), wire(b"abca"));
}

/// Every ciphertext comes from Perl's Crypt::CBC; see `tests/vectors.rs`.
#[test]
fn ciphertexts_of_the_original_both_ways() {
    let vectors: Vec<Json> =
        serde_json::from_str(include_str!("../../tests/data/cipher.json")).unwrap();
    assert_eq!(vectors.len(), 270);
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let sent = bytes(vector, "iv_hex");
        let salt = vector["salt_hex"].is_string().then(|| bytes(vector, "salt_hex"));
        let (iv, known_salt, drawn) = match (text("header"), text("iv_source")) {
            ("none", "given") => (IvMode::Fixed(sent), salt, Vec::new()),
            ("none", "derived") => (IvMode::Derived, salt, Vec::new()),
            ("randomiv", "given") => (IvMode::Random, None, sent),
            ("salt", "derived") => (IvMode::Salt, None, salt.unwrap()),
            ("salt", "given") => (IvMode::SaltAndFixed(sent), None, salt.unwrap()),
            other => panic!("{other:?}"),
        };
        let derivation = match text("pbkdf") {
            "randomiv" => KeyDerivation::Md5Chain,
            name => KeyDerivation::parse(name).unwrap(),
        };
        let cipher = cipher(&CipherSpec {
            name: CipherName::parse(text("cipher")).unwrap(),
            key: Secret::new(bytes(vector, "key_hex")),
            iv,
            derivation,
            salt: known_salt.map(|salt| salt.try_into().unwrap()),
            padding: Padding::Standard,
            mac: 0,
        });
        let (plain, wire) = (bytes(vector, "plaintext_hex"), bytes(vector, "ciphertext_hex"));
        let random = |to: &mut [u8]| to.copy_from_slice(&drawn);
        assert_eq!(cipher.encrypt(&plain, random).unwrap(), wire, "{vector}");
        assert_eq!(decrypt(&cipher, &wire, plain.len()).unwrap(), plain, "{vector}");
        assert_eq!(cipher.wire_len(plain.len()), wire.len(), "{vector}");
    }
}

/// What our strict reading makes of a ciphertext: the text, if any length has the right padding.
fn strict(cipher: &Cipher, wire: &[u8]) -> Option<Vec<u8>> {
    (0..=wire.len()).find_map(|plain| decrypt(cipher, wire, plain).ok())
}

/// Ciphertexts of garbage, which Crypt::CBC 3.04 cuts by their last byte whatever it is. Ours are
/// only those whose padding is right in full.
#[test]
fn odd_ciphertexts_that_todays_perl_takes() {
    let vectors: Vec<Json> =
        serde_json::from_str(include_str!("../../tests/data/decrypt_edge.json")).unwrap();
    let mut taken = Vec::new();
    for vector in &vectors {
        let name = CipherName::parse(vector["cipher"].as_str().unwrap()).unwrap();
        let key = Secret::new(bytes(vector, "key_hex"));
        let iv = IvMode::Fixed(bytes(vector, "iv_hex"));
        let cipher = cipher(&CipherSpec { name, iv, ..CipherSpec::classic(key) });
        if let Some(plain) = strict(&cipher, &bytes(vector, "ciphertext_hex")) {
            assert_eq!(plain, bytes(vector, "plaintext_hex"), "{vector}");
            taken.push(vector["id"].as_u64().unwrap());
        }
    }
    // "One block whose last byte decrypts to 1": by chance a right padding.
    assert_eq!((vectors.len(), taken), (25, vec![26]));
}

/// What Crypt::CBC 2.08 and 2.12 made, and what they made of odd ciphertexts.
#[test]
fn what_the_releases_of_the_originals_day_made() {
    let vectors: Vec<Json> =
        serde_json::from_str(include_str!("../../tests/data/legacy.json")).unwrap();
    let mut taken = Vec::new();
    for vector in &vectors {
        let name = CipherName::parse(vector["cipher"].as_str().unwrap()).unwrap();
        let key = Secret::new(bytes(vector, "key_hex"));
        let (input, output) = (bytes(vector, "input_hex"), bytes(vector, "output_hex"));
        let iv = bytes(vector, "iv_hex");
        let at = |iv| cipher(&CipherSpec { name, iv, ..CipherSpec::classic(key.clone()) });
        if vector["op"] == "encrypt" {
            let (header, mode) = match vector["prepend_iv"].as_u64() {
                Some(0) => (0, IvMode::Fixed(iv)),
                // Eight bytes of IV before blocks of sixteen: not to be had any more, here or in
                // Crypt::CBC; but the blocks are the same.
                _ => (16, IvMode::Fixed(output[8..16].to_vec())),
            };
            let cipher = at(mode);
            assert_eq!(cipher.encrypt(&input, counting).unwrap(), output[header..], "{vector}");
            assert_eq!(decrypt(&cipher, &output[header..], input.len()).unwrap(), input);
            continue;
        }
        let mode = if input.starts_with(RANDOM_IV) { IvMode::Random } else { IvMode::Fixed(iv) };
        if let Some(plain) = strict(&at(mode), &input) {
            assert_eq!(plain, output, "{vector}");
            taken.push(vector["id"].as_u64().unwrap());
        }
    }
    assert_eq!((vectors.len(), taken), (43, vec![1, 66, 68, 69, 70, 71, 73, 79, 81, 82]));
}

fn bytes(vector: &Json, name: &str) -> Vec<u8> {
    let hex = vector[name].as_str().unwrap();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}
