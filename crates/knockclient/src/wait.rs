//! Waiting for a port: probing with ordinary connections until one is accepted.

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::clock::Deadline;
use crate::connect;
use crate::error::ClientError;

/// The first pause between two probes; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause, and the longest that a probe waits for an answer: less than the second after
/// which the kernel would send its SYN again, which a firewall's log would show as one more hit.
const LONGEST: Duration = Duration::from_millis(900);

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The port accepted a connection.
    Open,
    /// It did not in time.
    Closed,
}

/// Probes until the port accepts a connection or the time is up; always probes once. `from` is the
/// address that it shall open for, so another of this host's would wait in vain.
pub(crate) fn until_open(
    from: Option<IpAddr>,
    door: SocketAddr,
    within: Duration,
) -> Result<Outcome, ClientError> {
    let deadline = Deadline::after(within);
    let mut pause = FIRST_PAUSE;
    loop {
        let patience = deadline.left().unwrap_or(FIRST_PAUSE).min(LONGEST);
        match connect::once(from, door, patience) {
            Ok(()) => return Ok(Outcome::Open),
            Err(error) if connect::packet_left(&error) => (),
            Err(error) => return Err(ClientError::Probe { port: door.port(), error }),
        }
        let Some(left) = deadline.left() else { return Ok(Outcome::Closed) };
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn open_and_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = listener.local_addr().unwrap();
        assert_eq!(until_open(None, door, Duration::ZERO).unwrap(), Outcome::Open);
        drop(listener);
        assert_eq!(until_open(None, door, Duration::ZERO).unwrap(), Outcome::Closed);
    }
}
