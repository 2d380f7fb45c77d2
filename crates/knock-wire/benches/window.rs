//! What one full window costs: the work that a stranger can make the daemon do per packet.
//! `cargo bench -p knock-wire`; where it lists no allocations, there are none.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to tell")]

use std::net::{IpAddr, Ipv4Addr};

use divan::{AllocProfiler, Bencher, black_box};
use knock_wire::{
    AddressRule, Cipher, CipherName, CipherSpec, Codec, Field, IvMode, KeyDerivation, Knock,
    PortSpan, Secret, Shape, Value,
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const SPANS: [&str; 3] = ["745-1000", "1024-33791", "1024-5000,6000-25000,26000-35789"];
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

fn main() {
    divan::main();
}

#[divan::bench(args = SPANS)]
fn refused_encrypted(bencher: Bencher<'_, '_>, span: &str) {
    refused(bencher, &codec(span, blowfish()));
}

#[divan::bench(args = SPANS)]
fn refused_plain(bencher: Bencher<'_, '_>, span: &str) {
    refused(bencher, &codec(span, Cipher::none()));
}

#[divan::bench(args = SPANS)]
fn accepted_encrypted(bencher: Bencher<'_, '_>, span: &str) {
    accepted(bencher, &codec(span, blowfish()));
}

#[divan::bench(args = SPANS)]
fn accepted_plain(bencher: Bencher<'_, '_>, span: &str) {
    accepted(bencher, &codec(span, Cipher::none()));
}

/// The other ciphers, over the classic span.
#[divan::bench(args = CipherName::ALL)]
fn refused_by(bencher: Bencher<'_, '_>, name: CipherName) {
    let spec = CipherSpec { name, ..CipherSpec::classic(key()) };
    refused(bencher, &codec("745-1000", Cipher::new(&spec).unwrap()));
}

/// A window behind the letters `Salted__`, which costs its derivation before it is refused.
#[divan::bench(args = [
    KeyDerivation::OpensslV1,
    KeyDerivation::OpensslV2,
    KeyDerivation::Pbkdf2,
    KeyDerivation::Argon2id,
])]
fn refused_salted(bencher: Bencher<'_, '_>, derivation: KeyDerivation) {
    let name = CipherName::Rijndael;
    let spec = CipherSpec { name, derivation, iv: IvMode::Salt, ..CipherSpec::classic(key()) };
    let codec = codec("745-1000", Cipher::new(&spec).unwrap());
    let mut window = window(&codec);
    *window.last_mut().unwrap() ^= 1;
    assert!(codec.decode(&window, CLIENT).is_err());
    bencher.bench(|| black_box(&codec).decode(black_box(&window), CLIENT));
}

/// Most packets end here: is the port ours, and which number has it?
#[divan::bench(args = SPANS)]
fn port_to_symbol(bencher: Bencher<'_, '_>, span: &str) {
    let span = PortSpan::parse(span).unwrap();
    bencher.bench(|| black_box(&span).symbol(black_box(800)));
}

fn refused(bencher: Bencher<'_, '_>, codec: &Codec) {
    let mut window = window(codec);
    // The first bit, so that the filling at the end stays right and the cipher has to work.
    window[0] ^= 1;
    assert!(codec.decode(&window, CLIENT).is_err());
    bencher.bench(|| black_box(codec).decode(black_box(&window), CLIENT));
}

fn accepted(bencher: Bencher<'_, '_>, codec: &Codec) {
    let window = window(codec);
    assert!(codec.decode(&window, CLIENT).is_ok());
    bencher.bench(|| black_box(codec).decode(black_box(&window), CLIENT));
}

fn codec(span: &str, cipher: Cipher) -> Codec {
    let shape = Shape::parse("IP,PORT,TIME,CHECKSUM").unwrap();
    Codec::new(shape, PortSpan::parse(span).unwrap(), cipher, AddressRule::MustMatch).unwrap()
}

fn key() -> Secret {
    Secret::new(b"knock".to_vec())
}

fn blowfish() -> Cipher {
    Cipher::new(&CipherSpec::classic(key())).unwrap()
}

fn window(codec: &Codec) -> Vec<u16> {
    let mut knock = Knock::new();
    knock.set(Field::Ip, Value::Address(CLIENT));
    knock.set(Field::Port, Value::Number(22));
    knock.set(Field::Time, Value::Number(15));
    let ports = codec.encode(&knock, |_| ()).unwrap();
    ports.iter().map(|port| codec.span().symbol(*port).unwrap()).collect()
}
