//! That our ethfilters see in a packet what the original's did: its modules, NetPacket as Debian
//! packages it, are asked for the properties of the same packets.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use knock_formats::packet::{Captured, EthFilter, EthFilterSpec, LinkType, Packet, Property};

/// What the Perl program says to this input, line by line.
fn perl(what: &str, input: &str) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/perl/netpacket.pl");
    let mut perl = Command::new("perl")
        .arg(script)
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, input) = (perl.stdin.take().unwrap(), input.to_owned());
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = perl.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}; .ci/install-tools test installs the modules");
    assert_eq!(said, "");
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn byte(&mut self) -> u8 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.to_be_bytes()[1]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    fn one_of(&mut self, all: &[u8]) -> u8 {
        all[usize::from(self.byte()) % all.len()]
    }
}

/// A frame with arbitrary values in all fields but those that say what follows.
fn frame(dice: &mut Dice) -> Vec<u8> {
    let proto = dice.one_of(&[6, 6, 6, 17, 17, 1, 47]);
    let v6 = dice.byte().is_multiple_of(3);
    let len = 20 + usize::from(dice.byte() % 40);
    let mut inside = dice.bytes(len);
    inside[12] = ((dice.byte() % 11 + 5) << 4) | (dice.byte() & 0x0f);
    let mut ip = if v6 { ipv6(dice, proto, &mut inside) } else { ipv4(dice, proto, inside.len()) };
    ip.extend(inside);
    let mut frame = dice.bytes(12);
    if dice.byte().is_multiple_of(4) {
        frame.extend([0x81, 0x00, 0x00, dice.byte()]);
    }
    frame.extend(if v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
    frame.extend(ip);
    // What fills a short frame up, or nothing.
    let padding = usize::from(dice.byte() % 8);
    frame.extend(dice.bytes(padding));
    frame
}

fn ipv4(dice: &mut Dice, proto: u8, payload: usize) -> Vec<u8> {
    let hlen = dice.byte() % 11 + 5;
    let mut ip = dice.bytes(usize::from(hlen) * 4);
    let len = u16::try_from(ip.len() + payload).unwrap();
    ip[0] = 0x40 | hlen;
    ip[2..4].copy_from_slice(&len.to_be_bytes());
    // A later fragment has no ports: of those the modules make some up, and we do not.
    ip[6..8].copy_from_slice(&[dice.byte() & 0xe0, 0]);
    ip[9] = proto;
    ip
}

fn ipv6(dice: &mut Dice, proto: u8, inside: &mut Vec<u8>) -> Vec<u8> {
    let mut next = proto;
    for _ in 0..dice.byte() % 4 {
        let kind = dice.one_of(&[0, 43, 44, 51, 60, 135]);
        let mut header = match kind {
            44 => dice.bytes(8),
            51 => dice.bytes(24),
            _ => dice.bytes(16),
        };
        header[0] = next;
        match kind {
            44 => header[2..4].copy_from_slice(&[0, 1]),
            51 => header[1] = 4,
            _ => header[1] = 1,
        }
        header.append(inside);
        *inside = header;
        next = kind;
    }
    let mut ip = dice.bytes(40);
    ip[0] = 0x60 | (ip[0] & 0x0f);
    ip[4..6].copy_from_slice(&u16::try_from(inside.len()).unwrap().to_be_bytes());
    ip[6] = next;
    // No address that also has an IPv4 form.
    ip[8] = 0x20;
    ip[24] = 0x20;
    ip
}

fn parse(frame: &[u8]) -> Packet {
    Packet::parse(&Captured { link: LinkType::ETHERNET, bytes: frame, time: None }).unwrap()
}

#[test]
fn every_property_is_what_netpacket_says() {
    let mut dice = Dice(2004);
    let frames: Vec<Vec<u8>> = (0..3000).map(|_| frame(&mut dice)).collect();
    let hex = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let input: Vec<String> = frames.iter().map(hex).collect();
    let said = perl("packets", &(input.join("\n") + "\n"));
    assert_eq!(said.len(), frames.len());
    let mut compared: BTreeMap<String, usize> = BTreeMap::new();
    for (frame, said) in frames.iter().zip(&said) {
        let packet = parse(frame);
        for pair in said.split(' ') {
            let (name, value) = pair.split_once('=').unwrap();
            let ours = Property::parse(&name.replace("ip6.", "ip.")).unwrap();
            let shown = packet.value(ours).map(|value| value.to_string());
            assert_eq!(shown.as_deref(), Some(value), "{name} of {}", hex(frame));
            *compared.entry(name.to_owned()).or_default() += 1;
        }
        // What the modules do not find, we do not find either.
        for (header, wanted) in [("tcp.", said.contains("tcp.")), ("udp.", said.contains("udp."))] {
            let of_header = |name: &&&str| name.starts_with(header);
            let names = Property::all().filter(|p| p.names().iter().any(|n| of_header(&n)));
            for property in names {
                assert_eq!(
                    packet.value(property).is_some(),
                    wanted,
                    "{property} of {}",
                    hex(frame)
                );
            }
        }
    }
    assert_eq!(compared.len(), 12 + 7 + 10 + 4);
    assert!(compared.values().all(|times| *times > 300), "{compared:?}");
}

/// A packet with a number in one place of its IPv4 header, or of its TCP header.
fn with(at: usize, number: u8, proto: u8) -> Packet {
    let mut frame = vec![0; 14 + 40];
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    frame[14] = 0x45;
    frame[14 + 2..14 + 4].copy_from_slice(&40_u16.to_be_bytes());
    frame[14 + 9] = proto;
    frame[14 + 20 + 12] = 0x50;
    frame[at] = number;
    parse(&frame)
}

#[test]
fn every_symbol_has_the_value_that_netpacket_gives_it() {
    let symbols = perl("symbols", "");
    assert!(symbols.len() > 75, "{symbols:?}");
    for symbol in symbols {
        let (name, value) = symbol.split_once('=').unwrap();
        // The number of the packet that has it, and that of one that has not.
        let number: u32 = value.parse().unwrap();
        let byte = u8::try_from(number.min(255)).unwrap();
        let (property, packet, other) = match name {
            _ if name.starts_with("IP_PROTO_") => {
                ("proto", with(14 + 9, byte, 0), with(14 + 9, byte + 1, 0))
            }
            _ if name.starts_with("IP_FLAG_") => {
                ("ip.flags", with(14 + 6, byte << 5, 6), with(14 + 6, !(byte << 5), 6))
            }
            _ if name.starts_with("IPTOS_") => {
                ("tos", with(14 + 1, byte, 6), with(14 + 1, if byte == 0 { 1 } else { !byte }, 6))
            }
            "MAXTTL" | "IPDEFTTL" | "IPFRAGTTL" | "IPTTLDEC" => {
                ("ttl", with(14 + 8, byte, 6), with(14 + 8, byte ^ 1, 6))
            }
            // Never those of such a packet: that the name is known must do.
            "IP_VERSION_IPv4" | "IP_MSS" | "IP_MAXPACKET" => {
                let property = if name == "IP_VERSION_IPv4" { "ver" } else { "len" };
                filter(property, name);
                continue;
            }
            flag => {
                assert!(number.is_power_of_two() && number < 256, "{flag}");
                ("flags", with(14 + 33, byte, 6), with(14 + 33, !byte, 6))
            }
        };
        for written in [name.to_owned(), name.to_lowercase()] {
            let filter = filter(property, &written);
            assert!(filter.matches(&packet), "{property} = {name}");
            assert!(!filter.matches(&other), "{property} = {name}");
        }
    }
}

fn filter(property: &str, value: &str) -> EthFilter {
    let properties = vec![(Property::parse(property).unwrap(), value.to_owned())];
    EthFilter::compile(&EthFilterSpec { name: "t".to_owned(), properties }).unwrap()
}
