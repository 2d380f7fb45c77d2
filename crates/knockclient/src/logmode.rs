//! `-logtofile`: the lines that a firewall would log of the knock, appended to a file.
//! For tests of a daemon without a firewall; nothing is sent.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::thread;
use std::time::Duration;

use knock_formats::LogFormat;
use knock_wire::{Hit, Protocol};

use crate::clock::{self, Turn};
use crate::error::ClientError;

/// The ports from which Linux connects.
const EPHEMERAL: Range<u16> = 32_768..61_000;

/// A packet that is like one of the sixteen before it counts as sent again. No two in so many are alike.
const BLOCK: u16 = 20;

/// A call has a block of ports for so long, and all blocks last for eleven seconds: a second longer than a
/// packet is remembered. That holds for calls one after the other; two within one turn have the same block. To
/// mix in who calls would help those, and give some that follow each other the same one.
const TURN: Duration = Duration::from_millis(8);

/// Appends a line for each port, all in one write, so that a daemon sees whole lines only.
pub(crate) fn append(
    log: &Path,
    format: &LogFormat,
    client: IpAddr,
    server: Option<IpAddr>,
    ports: &[u16],
) -> Result<(), ClientError> {
    let (now, turn) = (clock::time_of_day(), clock::turn(TURN));
    let mut lines = String::new();
    // From a port of its own each, as a real client's, and from others in the next call: the same
    // one twice is a repeated packet.
    for (port, from) in ports.iter().zip(block(turn.number).cycle()) {
        let mut hit = Hit::new(client, *port);
        // A line of both families would be no firewall's.
        hit.server = server.filter(|server| server.is_ipv4() == client.is_ipv4());
        hit.protocol = Some(Protocol::TCP);
        hit.source_port = Some(from);
        lines.push_str(&format.render(&hit, now).map_err(ClientError::Render)?);
        lines.push('\n');
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .and_then(|mut file| file.write_all(lines.as_bytes()))
        .map_err(|error| ClientError::Log { path: log.to_path_buf(), error })?;
    let Turn { ends, .. } = turn;
    if let Some(left) = ends.left() {
        // So that a call after this one has a block of its own, however soon it comes.
        thread::sleep(left);
    }
    Ok(())
}

/// The ports from which packets come in this turn.
fn block(turn: u64) -> Range<u16> {
    let blocks = EPHEMERAL.len() as u64 / u64::from(BLOCK);
    let place = u16::try_from(turn % blocks).unwrap_or_default();
    let start = EPHEMERAL.start + place * BLOCK;
    start..start + BLOCK
}

#[cfg(test)]
mod tests {
    use knock_config::{ReadOptions, find_format};

    use super::*;

    #[test]
    fn the_same_knock_at_once_has_other_source_ports() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("kern.log");
        let format = find_format("iptables", &[], None, &ReadOptions::default()).value.unwrap();
        let client = "10.0.0.1".parse().unwrap();
        for _again in 0..3 {
            append(&log, &format, client, None, &[7; 16]).unwrap();
        }
        let text = std::fs::read_to_string(&log).unwrap();
        let mut ports: Vec<u16> = text
            .lines()
            .map(|line| format.hit(line.as_bytes()).unwrap().source_port.unwrap())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 3 * 16, "{text}");
    }

    #[test]
    fn no_two_calls_within_ten_seconds_have_a_source_port_in_common() {
        let turns = 10_000 / u64::try_from(TURN.as_millis()).unwrap();
        // Where the blocks begin anew, too.
        for first in [0, 1_000, u64::MAX - turns] {
            let mut ports: Vec<u16> = (first..=first + turns).flat_map(block).collect();
            assert!(ports.iter().all(|port| EPHEMERAL.contains(port)));
            let all = ports.len();
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), all, "from turn {first}");
        }
    }
}
