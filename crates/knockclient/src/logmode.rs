//! `-logtofile`: the lines that a firewall would log of the knock, appended to a file.
//! For tests of a daemon without a firewall; nothing is sent.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;

use knock_formats::LogFormat;
use knock_wire::{Hit, Protocol};

use crate::clock;
use crate::error::ClientError;

/// The ports from which Linux connects.
const EPHEMERAL: std::ops::Range<u16> = 32_768..61_000;

/// Appends a line for each port, all in one write, so that a daemon sees whole lines only.
pub(crate) fn append(
    log: &Path,
    format: &LogFormat,
    client: IpAddr,
    server: Option<IpAddr>,
    ports: &[u16],
    [low, high, ..]: [u8; 8],
) -> Result<(), ClientError> {
    let now = clock::time_of_day();
    let mut lines = String::new();
    // From a port of its own each, as a real client's, and from others in the next call: the same
    // one twice is a repeated packet.
    let start = usize::from(u16::from_ne_bytes([low, high]));
    for (port, from) in ports.iter().zip(EPHEMERAL.cycle().skip(start % EPHEMERAL.len())) {
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
        .map_err(|error| ClientError::Log { path: log.to_path_buf(), error })
}
