//! The format against what Perl's Crypt::CBC made: every ciphertext and port list in `data/` comes
//! from that module, which the first knockdaemon used, with the ciphers of Perl (`Crypt::CBC` 3.04 with
//! `pbkdf => 'randomiv'`). Nothing here is computed by us.

#![allow(clippy::unwrap_used, reason = "a test's helpers report by panicking")]

use std::net::{IpAddr, Ipv4Addr};

use knock_wire::{
    AddressRule, Cipher, CipherName, CipherSpec, Codec, Field, IvMode, Knock, PortSpan, Secret,
    Shape, Value,
};
use serde_json::Value as Json;

#[test]
fn knocks_both_ways() {
    for_each(include_str!("data/knock.json"), 63, |vector| {
        let (cipher, iv) = cipher(vector);
        let shape = Shape::parse("IP,PORT,TIME,CHECKSUM").unwrap();
        let span = PortSpan::parse(vector["span"].as_str().unwrap()).unwrap();
        assert_eq!(Some(u64::from(span.size())), vector["span_ports"].as_u64());
        let codec = Codec::new(shape, span, cipher, AddressRule::MustMatch).unwrap();

        let fields = &vector["fields"];
        let client: Ipv4Addr = fields["ip"].as_str().unwrap().parse().unwrap();
        let number = |name: &str| Value::Number(fields[name].as_u64().unwrap());
        let mut knock = Knock::new();
        knock.set(Field::Ip, client.into());
        knock.set(Field::Port, number("port"));
        knock.set(Field::Time, number("time"));

        let ports = codec.encode(&knock, |to| to.copy_from_slice(&iv)).unwrap();
        let ports: Vec<u64> = ports.iter().map(|port| (*port).into()).collect();
        let expected: Vec<u64> =
            vector["ports"].as_array().unwrap().iter().map(|port| port.as_u64().unwrap()).collect();
        assert_eq!(ports, expected);
        assert_eq!(codec.slots(), expected.len());

        let symbols: Vec<u16> = expected
            .iter()
            .map(|port| codec.span().symbol(u16::try_from(*port).unwrap()).unwrap())
            .collect();
        knock.set(Field::Checksum, number("checksum"));
        assert_eq!(codec.decode(&symbols, IpAddr::V4(client)).unwrap(), knock);
    });
}

/// Runs `check` on each of `count` vectors; a failure tells which one.
fn for_each(json: &str, count: usize, check: impl Fn(&Json) + std::panic::RefUnwindSafe) {
    let vectors: Vec<Json> = serde_json::from_str(json).unwrap();
    assert_eq!(vectors.len(), count);
    for vector in &vectors {
        if std::panic::catch_unwind(|| check(vector)).is_err() {
            panic!("vector {}", serde_json::to_string_pretty(vector).unwrap());
        }
    }
}

/// The cipher of a vector, and the IV that it was made with.
fn cipher(vector: &Json) -> (Cipher, Vec<u8>) {
    let sent = bytes(vector, "iv_hex");
    let iv = match vector["header"].as_str().unwrap() {
        "none" => IvMode::Fixed(sent.clone()),
        "randomiv" => IvMode::Random,
        other => panic!("{other}"),
    };
    let name = CipherName::parse(vector["cipher"].as_str().unwrap()).unwrap();
    let key = Secret::new(bytes(vector, "key_hex"));
    (Cipher::new(&CipherSpec { name, iv, ..CipherSpec::classic(key) }).unwrap(), sent)
}

fn bytes(vector: &Json, name: &str) -> Vec<u8> {
    let hex = vector[name].as_str().unwrap();
    let pairs = (0..hex.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
