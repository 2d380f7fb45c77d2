//! Capture files as tcpdump and wireshark write them, whole and broken, from files and from pipes.

use std::{
    io::{Seek, SeekFrom},
    time::{Duration, SystemTime},
};

use super::*;
use crate::testing::Collected;

/// libpcap's number for Ethernet.
const ETHERNET: u16 = 1;

/// A `.pcap` file with microseconds; the first packet comes at 1000 s.
fn pcap(packets: &[&[u8]]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4u32.to_le_bytes());
    file.extend([2u16, 4].into_iter().flat_map(u16::to_le_bytes));
    file.extend([0u32, 0, 65_535, ETHERNET.into()].into_iter().flat_map(u32::to_le_bytes));
    for (second, packet) in (1000u32..).zip(packets) {
        let length = u32::try_from(packet.len()).unwrap();
        file.extend([second, 250_000, length, length].into_iter().flat_map(u32::to_le_bytes));
        file.extend(*packet);
    }
    file
}

/// A `.pcapng` file: a section, an interface, a packet in each block.
fn pcapng(packets: &[&[u8]]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = u32::try_from(body.len() + 12).unwrap();
        file.extend(kind.to_be_bytes());
        file.extend(length.to_be_bytes());
        file.extend(body);
        file.extend(length.to_be_bytes());
    };
    block(0x0a0d_0d0a, b"\x1a\x2b\x3c\x4d\0\x01\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    block(1, b"\0\x01\0\0\0\0\xff\xff");
    for packet in packets {
        let length = u32::try_from(packet.len()).unwrap().to_be_bytes();
        let mut body = vec![0; 12];
        body.extend(length);
        body.extend(length);
        body.extend(*packet);
        body.resize(body.len().next_multiple_of(4), 0);
        block(6, &body);
    }
    file
}

fn on_disk(bytes: &[u8]) -> PcapFileSource {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    // Somebody has read in it; libpcap begins at the beginning all the same.
    file.seek(SeekFrom::Start(3)).unwrap();
    PcapFileSource::reading("knocks.pcap", file.into())
}

fn read_all(mut source: PcapFileSource) -> (Vec<Vec<u8>>, Vec<String>) {
    let mut got = Collected::new();
    source.run(&mut got, &Stop::new().unwrap()).unwrap();
    (got.packets().into_iter().map(|packet| packet.bytes).collect(), got.notices())
}

#[test]
fn packets_come_with_link_type_and_time() {
    let mut got = Collected::new();
    on_disk(&pcap(&[b"one", b"two"])).run(&mut got, &Stop::new().unwrap()).unwrap();
    let packets = got.packets();
    assert_eq!(packets.len(), 2);
    assert_eq!(packets[1].bytes, b"two");
    assert_eq!(packets[1].link, i32::from(ETHERNET));
    let time = packets[1].time.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(time, Duration::from_millis(1_001_250));
    assert_eq!(got.notices(), [""; 0]);
}

#[test]
fn the_newer_file_format_is_read_too() {
    let (packets, notices) = read_all(on_disk(&pcapng(&[b"one", b"three"])));
    assert_eq!(packets, [b"one".to_vec(), b"three".to_vec()]);
    assert_eq!(notices, [""; 0]);
}

#[test]
fn a_file_that_is_cut_off_gives_what_is_whole_and_says_so() {
    let whole = pcap(&[b"one", b"two", b"three"]);
    let (packets, notices) = read_all(on_disk(&whole[..whole.len() - 2]));
    assert_eq!(packets, [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].starts_with("knocks.pcap cannot be read to its end: "), "{notices:?}");
    assert!(notices[0].ends_with("; read 2 packets"), "{notices:?}");

    // In the middle of a packet's header.
    let (packets, notices) = read_all(on_disk(&whole[..24 + 5]));
    assert!(packets.is_empty());
    assert!(notices[0].ends_with("; read 0 packets"), "{notices:?}");

    // Without any packet it is whole.
    assert_eq!(read_all(on_disk(&whole[..24])), (vec![], vec![]));
}

#[test]
fn what_is_no_capture_is_an_error_with_the_files_name() {
    for bytes in [b"Nov 21 07:00:00 h kernel: IN=eth0".as_slice(), &pcap(&[])[..20], b""] {
        let error = on_disk(bytes).run(&mut Collected::new(), &Stop::new().unwrap()).unwrap_err();
        assert!(matches!(&error, SourceError::NotACapture { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with("cannot read knocks.pcap as a capture file: "), "{text}");
        assert!(!text.contains("/proc"), "{text}");
    }
}

#[test]
fn from_a_pipe_whose_first_bytes_have_been_read() {
    // Longer than a pipe holds, so that both sides have to wait for the other.
    let packet = vec![7; 1400];
    let packets = vec![packet.as_slice(); 500];
    let bytes = pcap(&packets);
    let (reader, mut writer) = io::pipe().unwrap();
    let rest = bytes[12..].to_vec();
    let feeder = thread::spawn(move || writer.write_all(&rest));
    let source = PcapFileSource::reading("stdin", reader.into()).after(bytes[..12].to_vec());
    let (got, notices) = read_all(source);
    assert_eq!(got, packets);
    assert_eq!(notices, [""; 0]);
    feeder.join().unwrap().unwrap();
}

#[test]
fn a_pipe_that_stays_open_holds_up_neither_a_stop_nor_an_intake_that_has_enough() {
    let bytes = pcap(&[b"one", b"two"]);
    let open_pipe = || {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&bytes).unwrap();
        (PcapFileSource::reading("stdin", reader.into()), writer)
    };
    let (mut source, _open) = open_pipe();
    let (got, stop) = (Collected::new(), Stop::new().unwrap());
    let (mut its_intake, its_stop) = (got.clone(), stop.clone());
    let reading = thread::spawn(move || source.run(&mut its_intake, &its_stop).is_ok());
    got.await_packets(2);
    stop.set();
    assert!(reading.join().unwrap());

    let (mut source, _open) = open_pipe();
    let mut enough = Collected::breaking_after(1);
    source.run(&mut enough, &Stop::new().unwrap()).unwrap();
    assert_eq!(enough.packets().len(), 1);
}
