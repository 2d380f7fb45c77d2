//! The codec by itself: what it refuses and why, and that encode and decode are inverse.

use proptest::prelude::*;

use super::*;
use crate::cipher::{CipherName, CipherSpec, IvMode, Padding};
use crate::derive::{KeyDerivation, Salts};
use crate::secret::Secret;

fn classic() -> CipherSpec {
    CipherSpec::classic(Secret::new(b"knock".to_vec()))
}

fn blowfish(iv: IvMode) -> Cipher {
    Cipher::new(&CipherSpec { iv, ..classic() }).unwrap()
}

fn codec(shape: &str, span: &str, cipher: Cipher) -> Codec {
    let (shape, span) = (Shape::parse(shape).unwrap(), PortSpan::parse(span).unwrap());
    Codec::new(shape, span, cipher, AddressRule::MustMatch).unwrap()
}

fn knock(values: &[(Field, &str)]) -> Knock {
    let mut knock = Knock::new();
    for (field, text) in values {
        let value = match text.parse::<u64>() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::Address(text.parse().unwrap()),
        };
        knock.set(*field, value);
    }
    knock
}

fn symbols(codec: &Codec, ports: &[u16]) -> Vec<u16> {
    ports.iter().map(|port| codec.span().symbol(*port).unwrap()).collect()
}

/// Encodes for an address, decodes for a client, and tells the outcome in a line.
#[track_caller]
fn check_address(shape: &str, inside: &str, client: &str, rule: AddressRule, expected: &str) {
    let mut codec = codec(shape, "745-1000", Cipher::none());
    codec.address = rule;
    let knock = knock(&[(Field::Ip, inside), (Field::Ip6, inside)]);
    let ports = codec.encode(&knock, |_| ()).unwrap();
    let got = match codec.decode(&symbols(&codec, &ports), client.parse().unwrap()) {
        Ok(knock) => format!("accepted {}", knock.get("IP").unwrap()),
        Err(refusal) => format!("{} {refusal}", refusal.code()),
    };
    assert_eq!(got, expected);
}

#[test]
fn the_address_inside_is_the_clients() {
    use AddressRule::{Any, MustMatch};
    let no = |inside| {
        format!("address the address inside it is {inside}, not the one that it came from")
    };
    check_address("IP", "10.0.0.1", "10.0.0.1", MustMatch, "accepted 10.0.0.1");
    check_address("IP", "10.0.0.1", "::ffff:10.0.0.1", MustMatch, "accepted 10.0.0.1");
    check_address("IP", "::ffff:10.0.0.1", "10.0.0.1", MustMatch, "accepted 10.0.0.1");
    check_address("IP", "10.0.0.1", "10.0.0.2", MustMatch, &no("10.0.0.1"));
    check_address("IP", "10.0.0.1", "2001:db8::1", MustMatch, &no("10.0.0.1"));
    check_address("IP", "10.0.0.1", "10.0.0.2", Any, "accepted 10.0.0.1");
    check_address("IP6", "2001:db8::1", "2001:db8::1", MustMatch, "accepted 2001:db8::1");
    check_address("IP6", "2001:db8::1", "2001:db8::2", MustMatch, &no("2001:db8::1"));
    check_address("IP6", "10.0.0.1", "10.0.0.1", MustMatch, "accepted 10.0.0.1");
    check_address("IP6", "10.0.0.1", "10.0.0.2", MustMatch, &no("10.0.0.1"));
}

#[test]
fn every_refusal_has_a_window_that_earns_it() {
    let client: IpAddr = "10.0.0.1".parse().unwrap();
    let values = knock(&[(Field::Ip, "10.0.0.1"), (Field::Port, "22"), (Field::Time, "15")]);
    let shape = "IP,PORT,TIME,CHECKSUM";

    let plain = codec(shape, "745-1000", Cipher::none());
    let good = symbols(&plain, &plain.encode(&values, |_| ()).unwrap());
    assert_eq!(good, [10, 0, 0, 1, 22, 15, 48]);
    assert!(plain.decode(&good, client).is_ok());
    assert_eq!(plain.decode(&good[1..], client), Err(Refusal::Length));
    assert_eq!(plain.decode(&[10, 0, 0, 1, 22, 15, 256], client), Err(Refusal::Length));
    assert_eq!(plain.decode(&[10, 0, 0, 1, 22, 15, 49], client), Err(Refusal::Checksum));
    assert_eq!(plain.decode(&[10, 0, 0, 1, 22, 16, 48], client), Err(Refusal::Checksum));
    let inside = "10.0.0.2".parse().unwrap();
    assert_eq!(plain.decode(&[10, 0, 0, 2, 22, 15, 49], client), Err(Refusal::Address { inside }));

    // 56 bits on ports of 15 bits: the fourth has four bits to spare.
    let wide = codec(shape, "1-32768", Cipher::none());
    let mut window = symbols(&wide, &wide.encode(&values, |_| ()).unwrap());
    assert!(wide.decode(&window, client).is_ok());
    *window.last_mut().unwrap() |= 1;
    assert_eq!(wide.decode(&window, client), Err(Refusal::Fill));

    let random = codec(shape, "745-1000", blowfish(IvMode::Random));
    let mut window = symbols(&random, &random.encode(&values, |iv| iv.fill(9)).unwrap());
    assert!(random.decode(&window, client).is_ok());
    window[3] ^= 1;
    assert_eq!(random.decode(&window, client), Err(Refusal::Header));

    let fixed = codec(shape, "745-1000", blowfish(IvMode::default()));
    let window = symbols(&fixed, &fixed.encode(&values, |_| ()).unwrap());
    let mut noise = window.clone();
    noise.rotate_left(1);
    assert_eq!(fixed.decode(&noise, client), Err(Refusal::Padding));

    // Six bytes enciphered where seven are expected: their padding is not that of seven.
    let short = codec("IP,PORT,TIME", "745-1000", blowfish(IvMode::default()));
    let window = symbols(&short, &short.encode(&values, |_| ()).unwrap());
    assert_eq!(fixed.decode(&window, client), Err(Refusal::Padding));
}

#[test]
fn a_knock_that_does_not_fit_is_told_why() {
    let message = |shape, values: &[(Field, &str)]| {
        let codec = codec(shape, "745-1000", Cipher::none());
        codec.encode(&knock(values), |_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        message("PORT", &[(Field::Port, "8080")]),
        "8080 does not fit: PORT is one byte: 0-255; use PORT16 in the knock format of both sides"
    );
    assert_eq!(
        message("FLAG3", &[(Field::Flag(3), "256")]),
        "256 does not fit: FLAG3 is one byte: 0-255"
    );
    assert_eq!(
        message("PORT16", &[(Field::Port16, "65536")]),
        "65536 does not fit: PORT16 is two bytes: 0-65535"
    );
    assert_eq!(
        message("IP,TIME", &[(Field::Ip, "10.0.0.1")]),
        "the knock format has a field TIME, and no value was given for it"
    );
    assert_eq!(
        message("IP", &[(Field::Ip, "2001:db8::1")]),
        "2001:db8::1 does not fit: IP is an IPv4 address; use IP6 in the knock format of both \
         sides, or knock over IPv4"
    );
    assert_eq!(message("IP", &[(Field::Ip, "17")]), "IP holds an address, not a number");
    assert_eq!(message("TIME", &[(Field::Time, "::1")]), "TIME holds a number, not an address");
}

/// Draws the same bytes each time it is told the same number.
fn drawn(number: u8) -> impl FnMut(&mut [u8]) {
    move |bytes| bytes.fill(number)
}

#[test]
fn a_knock_is_known_again_by_its_blocks() {
    let client: IpAddr = "10.0.0.1".parse().unwrap();
    let values = |time| knock(&[(Field::Ip, "10.0.0.1"), (Field::Port, "22"), (Field::Time, time)]);
    let shape = "IP,PORT,TIME,CHECKSUM";
    let salted = CipherSpec { derivation: KeyDerivation::OpensslV2, iv: IvMode::Salt, ..classic() };
    for (spec, header) in [
        (classic(), 0),
        (CipherSpec { iv: IvMode::Random, ..classic() }, 16),
        (CipherSpec { iv: IvMode::Bare, ..classic() }, 8),
        (CipherSpec { iv: IvMode::Bare, mac: 4, ..classic() }, 8),
        (salted, 16),
    ] {
        let codec = codec(shape, "745-1000", Cipher::new(&spec).unwrap());
        let window =
            |time, number| symbols(&codec, &codec.encode(&values(time), drawn(number)).unwrap());
        let first = window("15", 1);
        let known = codec.digest(&first).unwrap();
        assert_eq!(codec.digest(&first), Some(known));
        assert_ne!(codec.digest(&window("16", 1)), Some(known));
        assert_eq!(codec.varies(), header > 0);
        assert_eq!(codec.digest(&window("15", 2)) != Some(known), codec.varies(), "{codec:?}");
        // What anybody can change makes no other knock of it: the IV, and so what is deciphered.
        let mut changed = first.clone();
        for symbol in changed.iter_mut().take(header) {
            *symbol ^= 1;
        }
        assert_eq!(codec.digest(&changed), Some(known));
        let mac = first.len() - codec.cipher().wire_len(7) + spec.mac;
        if let Some(last) = changed.len().checked_sub(mac + 1) {
            changed[last] ^= 1;
        }
        assert_ne!(codec.digest(&changed), Some(known));
    }
    let plain = codec(shape, "745-1000", Cipher::none());
    let window = symbols(&plain, &plain.encode(&values("15"), |_| ()).unwrap());
    assert!(plain.decode(&window, client).is_ok() && !plain.varies());
    let Digest([first, second, third, ..]) = plain.digest(&window).unwrap();
    assert_eq!([first, second, third], SHA_256);
    assert_eq!(plain.digest(&window[1..]), None);
}

/// How the SHA-256 of `printf '\12\0\0\1\26\17\60'` begins.
const SHA_256: [u8; 3] = [0x54, 0x98, 0x06];

#[test]
fn bits_between_a_guess_and_a_knock() {
    let bits = |shape, span, cipher| codec(shape, span, cipher).guess_bits();
    let classic_shape = "IP,PORT,TIME,CHECKSUM";
    assert_eq!(bits(classic_shape, "745-1000", Cipher::none()), 40.0);
    assert_eq!(bits(classic_shape, "745-1000", blowfish(IvMode::default())), 48.0);
    // The letters before it are no secret, so they make nothing harder to guess.
    assert_eq!(bits(classic_shape, "745-1000", blowfish(IvMode::Random)), 48.0);
    assert_eq!(bits(classic_shape, "1-32768", Cipher::none()), 44.0);
    assert_eq!(bits("IP6", "1-256", Cipher::none()), 128.0);
    assert_eq!(bits("PORT", "1-256", Cipher::none()), 0.0);
    assert_eq!(bits("PORT", "1-256", blowfish(IvMode::default())), 56.0);
    let with =
        |name, padding, mac| Cipher::new(&CipherSpec { name, padding, mac, ..classic() }).unwrap();
    let aes = with(CipherName::Rijndael, Padding::Standard, 0);
    assert_eq!(bits(classic_shape, "745-1000", aes), 8.0 + 32.0 + 72.0);
    let mac = with(CipherName::Blowfish, Padding::Null, 8);
    assert_eq!(bits(classic_shape, "745-1000", mac), 48.0 + 64.0);
    let bare = with(CipherName::Blowfish, Padding::None, 4);
    assert_eq!(bits("IP,PORT16,TIME,CHECKSUM", "745-1000", bare), 8.0 + 32.0 + 32.0);
}

#[test]
fn the_longest_knock_that_can_be_written_fits() {
    let all =
        "IP6,PORT16,TIME,FLAG0,FLAG1,FLAG2,FLAG3,FLAG4,FLAG5,FLAG6,FLAG7,FLAG8,FLAG9,CHECKSUM";
    assert_eq!(codec(all, "1-2", blowfish(IvMode::Random)).slots(), 8 * 48);
    let longest = CipherSpec {
        name: CipherName::Rijndael,
        derivation: KeyDerivation::OpensslV1,
        iv: IvMode::Salt,
        mac: 32,
        ..classic()
    };
    assert_eq!(codec(all, "1-2", Cipher::new(&longest).unwrap()).slots(), 8 * 80);
}

/// Spans of every size, of one piece or many, in any order.
fn any_span() -> impl Strategy<Value = PortSpan> {
    (1_u32..=15, 1_usize..6, any::<u64>()).prop_map(|(bits, pieces, seed)| {
        let size = 1_u32 << bits;
        let pieces = u32::try_from(pieces).unwrap().min(size);
        let (mut items, mut next, mut left) =
            (Vec::new(), 1 + u32::try_from(seed % 900).unwrap(), size);
        for piece in (1..=pieces).rev() {
            let count = if piece == 1 { left } else { (left / piece).max(1) };
            items.push(format!("{next}-{}", next + count - 1));
            next += count + 1 + u32::try_from((seed >> (8 + piece)) % 500).unwrap();
            left -= count;
        }
        let turn = usize::try_from(seed >> 32).unwrap() % items.len();
        items.rotate_left(turn);
        PortSpan::parse(&items.join(",")).unwrap()
    })
}

/// Any fields in any order, but never two of one name.
fn any_shape() -> impl Strategy<Value = Shape> {
    Just(Field::ALL.to_vec())
        .prop_shuffle()
        .prop_flat_map(|fields| (Just(fields), 1_usize..=16))
        .prop_map(|(fields, count)| {
            let mut names: Vec<Field> = Vec::new();
            for field in fields.into_iter().take(count) {
                if names.iter().all(|known| known.rule_name() != field.rule_name()) {
                    names.push(field);
                }
            }
            let names: Vec<String> = names.iter().map(Field::to_string).collect();
            Shape::parse(&names.join(",")).unwrap()
        })
}

/// Every cipher with every header, derivation, padding and MAC that go together, but for `slow`
/// derivations where they are not wanted.
fn any_cipher(slow: Slow) -> impl Strategy<Value = Cipher> {
    let parts = (
        proptest::sample::select(&CipherName::ALL[..]),
        proptest::sample::select(&KeyDerivation::ALL[..]),
        proptest::sample::select(&Padding::ALL[..]),
        prop_oneof![Just(0_usize), 4_usize..=32],
        0..6_u8,
    );
    let texts = (
        proptest::collection::vec(any::<u8>(), 1..80),
        proptest::collection::vec(any::<u8>(), 0..20),
        any::<[u8; 8]>(),
    );
    (parts, texts).prop_map(move |((name, derivation, padding, mac, iv), (key, fixed, salt))| {
        let derivation = match (derivation, slow) {
            (KeyDerivation::Argon2id | KeyDerivation::Pbkdf2, Slow::No) => KeyDerivation::OpensslV2,
            (derivation, _) => derivation,
        };
        let iv = match iv {
            0 if name.block_bytes() == 8 => IvMode::Random,
            1 if derivation.salts() != Salts::None => IvMode::Salt,
            2 if derivation.salts() != Salts::None => IvMode::Derived,
            3 if derivation.salts() != Salts::None => IvMode::SaltAndFixed(fixed),
            4 => IvMode::Bare,
            _ => IvMode::Fixed(fixed),
        };
        let salt = match (&iv, derivation.salts()) {
            (IvMode::Salt | IvMode::SaltAndFixed(_), _) | (_, Salts::None) => None,
            (_, Salts::Needed | Salts::OwnUnlessGiven) => Some(salt),
        };
        let key = match derivation {
            KeyDerivation::Literal => key.into_iter().cycle().take(name.key_bytes()).collect(),
            _ => key,
        };
        let spec = CipherSpec { name, key: Secret::new(key), iv, derivation, salt, padding, mac };
        Cipher::new(&spec).unwrap()
    })
}

/// Whether derivations that are slow on purpose take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    Yes,
    No,
}

fn any_cipher_or_none() -> impl Strategy<Value = Cipher> {
    prop_oneof![1 => Just(()).prop_map(|()| Cipher::none()), 9 => any_cipher(Slow::No)]
}

fn fill(shape: &Shape, client: IpAddr, seed: u64) -> Knock {
    let mut knock = Knock::new();
    for (place, field) in shape.fields().iter().enumerate() {
        let noise = seed.rotate_left(u32::try_from(place * 7).unwrap());
        match field {
            Field::Ip | Field::Ip6 => knock.set(*field, Value::Address(client)),
            Field::Port16 => knock.set(*field, Value::Number(noise % 65_536)),
            Field::Port | Field::Time | Field::Flag(_) => {
                knock.set(*field, Value::Number(noise % 256));
            }
            Field::Checksum => (),
        }
    }
    knock
}

/// A codec of these, or none where there is no padding and the fields are not whole blocks.
fn joined(shape: Shape, span: PortSpan, cipher: Cipher) -> Option<Codec> {
    let takes = cipher.takes(shape.bytes());
    match Codec::new(shape, span, cipher, AddressRule::MustMatch) {
        Ok(codec) => Some(codec),
        Err(error) => {
            assert!(matches!(error, CodecError::NotWholeBlocks { .. }), "{error}");
            assert!(takes.is_err());
            None
        }
    }
}

/// What any codec has to do: to read what it wrote, and to read nothing else.
fn there_and_back(codec: &Codec, client: IpAddr, seed: u64) -> Result<(), TestCaseError> {
    let knock = fill(codec.shape(), client, seed);
    let random = |to: &mut [u8]| {
        for (place, byte) in to.iter_mut().enumerate() {
            *byte = seed.to_le_bytes()[place % 8].wrapping_add(u8::try_from(place).unwrap());
        }
    };
    let ports = codec.encode(&knock, random).unwrap();
    prop_assert_eq!(ports.len(), codec.slots());
    let mut window = symbols(codec, &ports);
    let back = codec.decode(&window, client).unwrap();
    prop_assert_eq!(back.iter().count(), codec.shape().fields().len());
    for (field, value) in back.iter() {
        if field != Field::Checksum {
            prop_assert_eq!(knock.field(field), Some(value), "{}", field);
        }
    }
    // One flipped symbol may make another knock where nothing checks it, but never a panic.
    let mask = u16::try_from(codec.span().size() - 1).unwrap();
    let place = usize::try_from(seed % 1000).unwrap() % window.len();
    window[place] ^= (u16::try_from(seed >> 48).unwrap() & mask).max(1);
    let changed = codec.decode(&window, client);
    // Behind a MAC of 8 bytes or more nothing gets through at all.
    if codec.cipher().fixed_bits(codec.shape().bytes()) > 8 * (16 + 8) {
        prop_assert!(changed.is_err());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn slow_derivations_too(
        span in any_span(),
        shape in any_shape(),
        cipher in any_cipher(Slow::Yes),
        seed in any::<u64>(),
    ) {
        let client = IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(seed >> 32).unwrap()));
        if let Some(codec) = joined(shape, span, cipher) {
            there_and_back(&codec, client, seed)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_encoded_is_decoded(
        span in any_span(),
        shape in any_shape(),
        cipher in any_cipher_or_none(),
        v4 in any::<u32>(),
        v6 in any::<u128>(),
        seed in any::<u64>(),
    ) {
        let client = match shape.fields().contains(&Field::Ip) {
            true => IpAddr::V4(Ipv4Addr::from_bits(v4)),
            false => IpAddr::V6(Ipv6Addr::from_bits(v6)).to_canonical(),
        };
        if let Some(codec) = joined(shape, span, cipher) {
            there_and_back(&codec, client, seed)?;
        }
    }

    #[test]
    fn no_window_makes_it_panic(
        span in any_span(),
        shape in any_shape(),
        cipher in any_cipher_or_none(),
        window in proptest::collection::vec(any::<u16>(), 0..500),
        v4 in any::<u32>(),
    ) {
        let Some(codec) = joined(shape, span, cipher) else { return Ok(()) };
        let client = IpAddr::V4(Ipv4Addr::from_bits(v4));
        let _ = codec.decode(&window, client);
        let mask = u16::try_from(codec.span().size() - 1).unwrap();
        let right: Vec<u16> =
            window.iter().cycle().take(codec.slots()).map(|symbol| symbol & mask).collect();
        if let Ok(knock) = codec.decode(&right, client) {
            // What is taken for a knock is one: written again, it gives the same window.
            // (None gets past the letters of a random IV by chance, so the IV is of no account.)
            let ports = codec.encode(&knock, |_| ()).unwrap();
            prop_assert_eq!(symbols(&codec, &ports), right);
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[0-9,\\- A-Z]{0,40}", any in any::<String>()) {
        for text in [text, any] {
            for at in [
                PortSpan::parse(&text).err().map(|error| (error.at(), error.to_string())),
                Shape::parse(&text).err().map(|error| (error.at(), error.to_string())),
            ].into_iter().flatten() {
                prop_assert!(text.get(at.0).is_some(), "{}", at.1);
            }
        }
    }
}
