//! `replay` of capture files: the packets of a knock, whole and cut off, among logs and in a pipe.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{CONFIG, Folder, KNOCK, events, knock_log, pcap, syn};
use serde_json::json;

/// The classic actions, for packets.
fn network_config() -> String {
    let mode = "runmode = network\ninterface = eth0\nuseethfilter = knocks\n\
                <ethfilter knocks>\n  proto = IP_PROTO_TCP\n  dest_ip = ^203\\.0\\.113\\.1$\n</ethfilter>\n";
    CONFIG.replace("logfile = /var/log/messages\n", mode)
}

/// A knock with a packet to another host in its middle.
fn knock_frames() -> Vec<Vec<u8>> {
    let mut frames: Vec<_> =
        (40_000..).zip(KNOCK).map(|(from, port)| syn([203, 0, 113, 1], from, port)).collect();
    frames.insert(4, syn([203, 0, 113, 9], 50_000, 746));
    frames
}

#[test]
fn a_knock_in_a_capture_goes_through_the_ethfilters() {
    let folder = Folder::new();
    folder.write("k.conf", network_config());
    let frames = knock_frames();
    // Its name does not matter.
    folder.write("messages", pcap(&frames));
    let ended = folder.run(&["replay", "--json", "-conf", "k.conf", "messages"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let events = events(&ended.out);
    assert_eq!(events.len(), 2, "{}", ended.out);
    assert_eq!(events[0]["packet"], 9);
    assert_eq!(events[0].get("line"), None);
    assert_eq!(
        events[0]["fields"],
        json!({"IP": "10.0.0.1", "PORT": 22, "TIME": 15, "CHECKSUM": 48})
    );
    let bytes: usize = frames.iter().map(Vec::len).sum();
    for (name, value) in
        [("lines", 0), ("packets", 9), ("bytes", bytes), ("hits", 8), ("knocks", 1)]
    {
        assert_eq!(events[1][name], value, "{name}");
    }
    let seconds = events[1]["seconds"].as_f64().unwrap();
    assert!(seconds > 0.0 && seconds < 3600.0, "{seconds}");
}

#[test]
fn the_same_from_a_pipe_for_people() {
    let folder = Folder::new();
    folder.write("k.conf", network_config());
    let file = pcap(&knock_frames());
    let ended = folder.run_with_input(&["-conf=k.conf", "replay", "-"], &file);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(
        ended.out.starts_with("packet 9: 10.0.0.1 knocked: IP=10.0.0.1 PORT=22 TIME=15"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("\n9 packets, "), "{}", ended.out);
    assert!(ended.out.contains(" packets/s"), "{}", ended.out);
}

#[test]
fn the_packets_own_time_counts() {
    // Ten seconds lie between two packets, so the queue is forgotten before it is full.
    let folder = Folder::new();
    folder.write("k.conf", format!("queuetimeout = 5s\n{}", network_config()));
    folder.write("k.pcap", pcap(&knock_frames()));
    let ended = folder.run(&["replay", "--json", "-conf", "k.conf", "k.pcap"]);
    assert_eq!(events(&ended.out).last().unwrap()["knocks"], 0, "{}", ended.out);
}

#[test]
fn half_a_knock_in_a_log_and_half_in_a_capture_that_is_cut_off() {
    let folder = Folder::new();
    folder.write("k.conf", network_config());
    let log: String = knock_log().split_inclusive('\n').take(4).collect();
    folder.write("log", log);
    let mut second = pcap(&knock_frames()[5..]);
    second.extend(b"the beginning of another packet");
    folder.write("capture", second);
    let ended = folder.run(&["replay", "-conf", "k.conf", "log", "capture"]);
    assert_eq!(ended.code, 0);
    assert!(ended.out.starts_with("capture:4: 10.0.0.1 knocked: "), "{}", ended.out);
    assert!(ended.out.contains("4 lines, 4 packets, "), "{}", ended.out);
    assert!(ended.err.contains("capture cannot be read to its end: "), "{}", ended.err);
    assert!(ended.err.contains("read 4 packets"), "{}", ended.err);
}

#[test]
fn with_a_configuration_for_logs_the_default_filter_serves_and_that_is_said() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let mut frames = knock_frames();
    frames.remove(4);
    folder.write("k.pcap", pcap(&frames));
    let ended = folder.run(&["replay", "-conf", "k.conf", "k.pcap"]);
    assert!(ended.out.starts_with("packet 8: 10.0.0.1 knocked"), "{}", ended.out);
    assert!(ended.err.contains("the configuration is for logs"), "{}", ended.err);
    assert!(ended.err.contains("by the ethfilter default"), "{}", ended.err);
}

#[test]
fn a_filter_that_a_configuration_for_logs_names_serves_unless_it_is_broken() {
    let folder = Folder::new();
    let mut frames = knock_frames();
    frames.remove(4);
    folder.write("k.pcap", pcap(&frames));
    for (filter, knocks, name) in
        [("proto = IP_PROTO_UDP", 0, "mine"), ("proto = IP_PROTO_XYZ", 1, "default")]
    {
        let filters = format!("useethfilter = mine\n<ethfilter mine>\n{filter}\n</ethfilter>\n");
        folder.write("k.conf", format!("{CONFIG}{filters}"));
        let ended = folder.run(&["replay", "--json", "-conf", "k.conf", "k.pcap"]);
        assert_eq!(events(&ended.out).last().unwrap()["knocks"], knocks, "{filter}");
        assert!(ended.err.contains(&format!("by the ethfilter {name}")), "{}", ended.err);
    }
}

/// A `.pcapng` file whose packets were captured so many microseconds after 1970.
fn pcapng(frames: &[Vec<u8>], microseconds: u64) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = u32::try_from(body.len() + 12).unwrap().to_be_bytes();
        file.extend(kind.to_be_bytes());
        file.extend(length);
        file.extend(body);
        file.extend(length);
    };
    let words =
        |words: &[u32]| -> Vec<u8> { words.iter().copied().flat_map(u32::to_be_bytes).collect() };
    block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 0x0001_0000, u32::MAX, u32::MAX]));
    block(1, &words(&[1 << 16, 65_535]));
    let high = u32::try_from(microseconds >> 32).unwrap();
    let low = u32::try_from(microseconds & u64::from(u32::MAX)).unwrap();
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        let mut body = words(&[0, high, low, length, length]);
        body.extend(frame);
        body.resize(body.len().next_multiple_of(4), 0);
        block(6, &body);
    }
    file
}

#[test]
fn packets_of_a_time_that_cannot_be_are_read_all_the_same() {
    let folder = Folder::new();
    folder.write("k.conf", network_config());
    for microseconds in [1_700_000_000_000_000, u64::MAX / 2, u64::MAX] {
        folder.write("k.pcapng", pcapng(&knock_frames(), microseconds));
        let ended = folder.run(&["replay", "--json", "-debug", "-conf", "k.conf", "k.pcapng"]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert_eq!(events(&ended.out).last().unwrap()["knocks"], 1, "{}", ended.out);
    }
}

#[test]
fn debug_says_of_each_packet_what_it_is() {
    let folder = Folder::new();
    folder.write("k.conf", network_config());
    folder.write("k.pcap", pcap(&knock_frames()));
    let ended = folder.run(&["replay", "-debug", "-conf", "k.conf", "k.pcap"]);
    assert!(ended.err.contains("no hit: "), "{}", ended.err);
    assert!(ended.err.contains("packet=5"), "{}", ended.err);
    assert!(ended.err.contains("queued 7/8"), "{}", ended.err);
    assert_eq!(ended.err.matches(" hit: client=10.0.0.1").count(), 8, "{}", ended.err);
}

#[test]
fn what_only_begins_like_a_capture_is_an_error_and_formats_want_lines() {
    let folder = Folder::new();
    folder.write("k.conf", network_config());
    let whole = pcap(&knock_frames());
    folder.write("k.pcap", &whole[..20]);
    let ended = folder.run(&["replay", "-conf", "k.conf", "k.pcap"]);
    assert_eq!(ended.code, 74);
    assert!(ended.err.contains("cannot read k.pcap as a capture file"), "{}", ended.err);

    folder.write("k.pcap", whole);
    let ended = folder.run(&["formats", "--test", "k.pcap"]);
    assert_eq!(ended.code, 74);
    assert!(ended.err.contains("k.pcap: is a capture file"), "{}", ended.err);
}

#[test]
fn a_pipe_with_less_than_the_first_bytes_of_a_capture_is_a_log() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    for (input, lines) in [(b"".as_slice(), "0 lines"), (b"\n", "1 lines"), (b"\n\r", "2 lines")] {
        let ended = folder.run_with_input(&["-conf", "k.conf", "replay", "-"], input);
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert!(ended.out.starts_with(lines), "{}", ended.out);
    }
}
