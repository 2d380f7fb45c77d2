//! This host's own TCP sockets, from `/proc/net/tcp` and `/proc/net/tcp6`. Knows nothing of what the
//! host passes on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use knock_rules::{Opening, Protocol};

use super::Unknown;

const TCP: &str = "/proc/net/tcp";
const TCP6: &str = "/proc/net/tcp6";

/// States of `net/tcp_states.h`.
const ESTABLISHED: &str = "01";
const FIN_WAIT1: &str = "04";
const FIN_WAIT2: &str = "05";
const CLOSE_WAIT: &str = "08";
const LAST_ACK: &str = "09";
const CLOSING: &str = "0B";

/// How many sessions go through this opening.
pub(super) fn count(opening: &Opening) -> Result<u64, Unknown> {
    if opening.protocol != Protocol::Tcp {
        return Ok(0);
    }
    let mut connections = 0;
    // A client of IPv4 may stand in either: programs that listen on `::` serve both.
    for from in [TCP, TCP6] {
        match File::open(from) {
            Ok(file) => {
                let counted = among(BufReader::new(file), opening);
                connections += counted.map_err(|error| Unknown::NotRead { from, error })?;
            }
            // A kernel without IPv6.
            Err(error) if from == TCP6 && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Unknown::NotRead { from, error }),
        }
    }
    Ok(connections)
}

/// The kernel goes on in its table by counting: where a socket comes while it is read, the last ones may
/// stand there once more.
fn among(mut table: impl BufRead, opening: &Opening) -> io::Result<u64> {
    let mut sessions = BTreeSet::new();
    let mut line = String::new();
    loop {
        line.clear();
        if table.read_line(&mut line)? == 0 {
            return Ok(u64::try_from(sessions.len()).unwrap_or(u64::MAX));
        }
        if is_session(&line, opening) == Some(true) {
            let ends = line.split_ascii_whitespace().skip(1).take(2);
            sessions.insert(ends.map(str::to_owned).collect::<Vec<_>>());
        }
    }
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …`; `None`
/// for a line of another shape, as the first one is.
fn is_session(line: &str, opening: &Opening) -> Option<bool> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (_, port) = end(words.next()?)?;
    let (client, _) = end(words.next()?)?;
    let state = words.next()?;
    let (unacknowledged, _) = words.next()?.split_once(':')?;
    // The end itself counts as one byte.
    let is_sending = u32::from_str_radix(unacknowledged, 16).ok()? > 1;
    // A socket that its program has closed has no inode, nor one that no program has accepted yet.
    let has_program = words.nth(4)? != "0";
    let goes_on = match state {
        ESTABLISHED => true,
        // One side has said that it sends no more. Somebody here still talks or listens, or the last
        // of the data is on its way.
        CLOSE_WAIT | FIN_WAIT1 | FIN_WAIT2 => has_program || is_sending,
        LAST_ACK | CLOSING => is_sending,
        _ => false,
    };
    Some(goes_on && port == opening.port && opening.network.holds(client))
}

/// `0100007F:0016`: an address in words of the machine's order, and a port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::deadline::Deadline;

    /// The kernel tells nobody that a state has changed, so its table is read again and again.
    #[track_caller]
    fn await_true(what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Deadline::after(Duration::from_secs(30));
        while !is_so() {
            assert!(!deadline.has_passed(), "{what} within 30 s");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn opening(network: &str, port: u16) -> Opening {
        let network = network.parse().unwrap();
        Opening { network, protocol: Protocol::Tcp, port }
    }

    /// Lines as Linux writes them, on a little-endian machine.
    #[cfg(target_endian = "little")]
    #[test]
    fn lines_of_the_kernel_are_read() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 010200C0:0016 070200C0:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1
   2: 010200C0:0016 080200C0:D431 06 00000000:00000000 00:00000000 00000000     0        0 3 1
   3: 010200C0:01BB 070200C0:D432 01 00000000:00000000 00:00000000 00000000     0        0 4 1
   4: 0000000000000000FFFF0000010200C0:0016 0000000000000000FFFF0000090200C0:D431 01 00000000:00000000 00:00000000 00000000 0 0 5 1
   5: B80D0120000000000000000001000000:0016 B80D0120000000000000000007000000:D431 01 00000000:00000000 00:00000000 00000000 0 0 6 1
   6: torn
   7: 010200C0:0016 070200C0:D431 01
   8: 010200C0:0016 070200C0:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1
";
        for (network, port, connections) in [
            ("192.0.2.7", 22, 1),
            ("192.0.2.8", 22, 0),
            ("192.0.2.9", 22, 1),
            ("192.0.2.0/24", 22, 2),
            ("192.0.2.0/24", 443, 1),
            ("2001:db8::/64", 22, 1),
            ("198.51.100.0/24", 22, 0),
        ] {
            let counted = among(table.as_bytes(), &opening(network, port)).unwrap();
            assert_eq!(counted, connections, "{network} {port}");
        }
    }

    /// What is over in one direction is a session as long as somebody uses the other; one that only the
    /// kernel still knows is none, or whoever does not answer any more could keep it.
    #[test]
    fn half_of_a_session_is_one() {
        for (state, queue, inode, is_session) in [
            ("08", "00000000:00000000", "7", true),
            ("08", "00000000:00000000", "0", false),
            ("05", "00000000:00000000", "7", true),
            ("05", "00000000:00000000", "0", false),
            ("04", "00000001:00000000", "0", false),
            ("04", "00000001:00000000", "7", true),
            ("04", "000A0000:00000000", "0", true),
            ("09", "00000001:00000000", "0", false),
            ("09", "00000B00:00000000", "0", true),
            ("0B", "00000001:00000000", "0", false),
            ("06", "00000000:00000000", "0", false),
            ("02", "00000001:00000000", "7", false),
            ("03", "00000000:00000000", "0", false),
        ] {
            let line = format!(
                "1: 0100007F:0016 0100007F:D431 {state} {queue} 00:00000000 00000000 0 0 {inode} 1"
            );
            let counted = super::is_session(&line, &opening("127.0.0.1", 22));
            assert_eq!(counted, Some(is_session), "{line}");
        }
    }

    /// As the kernel counts them: the client has said its last word, then the server instead.
    #[test]
    fn a_real_session_counts_until_both_are_done() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let opening = opening("127.0.0.1", port);
        let await_line = |state: &str| {
            let local = format!("0100007F:{port:04X}");
            let is_there = |line: &str| {
                let mut words = line.split_ascii_whitespace().skip(1);
                words.next() == Some(&local) && words.nth(1) == Some(state)
            };
            await_true(state, || std::fs::read_to_string(TCP).unwrap().lines().any(is_there));
        };
        for client_first in [true, false] {
            let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (served, _) = listener.accept().unwrap();
            if client_first {
                client.shutdown(Shutdown::Write).unwrap();
                await_line(CLOSE_WAIT);
            } else {
                served.shutdown(Shutdown::Write).unwrap();
                await_line(FIN_WAIT2);
            }
            assert_eq!(count(&opening).unwrap(), 1);
            // The program is done, and has read all; the client's half stays open.
            drop(served);
            await_true("no session", || count(&opening).unwrap() == 0);
            drop(client);
        }
    }

    #[test]
    fn a_real_connection_counts_until_it_ends() {
        for (listen, network) in [("127.0.0.1:0", "127.0.0.0/8"), ("[::]:0", "127.0.0.1")] {
            let Ok(listener) = TcpListener::bind(listen) else { continue };
            let port = listener.local_addr().unwrap().port();
            let opening = opening(network, port);
            assert_eq!(count(&opening).unwrap(), 0);
            let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (served, _) = listener.accept().unwrap();
            assert_eq!(count(&opening).unwrap(), 1, "{listen}");
            assert_eq!(count(&Opening { protocol: Protocol::Udp, ..opening }).unwrap(), 0);
            drop(client);
            drop(served);
            await_true("no session", || count(&opening).unwrap() == 0);
        }
    }
}
