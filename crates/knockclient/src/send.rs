//! Knocking: one SYN to each port, in order, from ordinary sockets.
//! Does not look at what comes back; a closed port answers nothing or a refusal, and both are fine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::connect;
use crate::error::ClientError;

/// How long a socket is kept: long enough for its SYN to leave, and far from the second after which
/// the kernel would send it again and so knock twice.
const HOLD: Duration = Duration::from_millis(1);

/// Knocks on all ports with a pause between them, from this address if the host has it.
pub(crate) fn knock(
    from: Option<IpAddr>,
    remote: SocketAddr,
    ports: &[u16],
    delay: Duration,
) -> Result<(), ClientError> {
    let syn = |port| {
        let mut to = remote;
        to.set_port(port);
        connect::once(from, to, HOLD)
    };
    knock_with(ports, syn, || thread::sleep(delay))
}

fn knock_with(
    ports: &[u16],
    mut syn: impl FnMut(u16) -> io::Result<()>,
    mut pause: impl FnMut(),
) -> Result<(), ClientError> {
    for (place, port) in ports.iter().enumerate() {
        if place > 0 {
            pause();
        }
        match syn(*port) {
            Ok(()) => (),
            Err(error) if connect::packet_left(&error) => (),
            Err(error) => {
                let (place, of) = (place + 1, ports.len());
                return Err(ClientError::Send { port: *port, place, of, error });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// The answers of the ports in their order in; what was done, and how it ended, out.
    #[track_caller]
    fn check(answers: &[Option<ErrorKind>], expected: &str) {
        let done = std::cell::RefCell::new(String::new());
        let ports: Vec<u16> =
            (1..=answers.len()).map(|port| u16::try_from(port).unwrap()).collect();
        let ended = knock_with(
            &ports,
            |port| {
                done.borrow_mut().push_str(&port.to_string());
                answers[usize::from(port) - 1].map_or(Ok(()), |kind| Err(kind.into()))
            },
            || done.borrow_mut().push('.'),
        );
        let ended = match ended {
            Ok(()) => "sent".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(format!("{} {ended}", done.borrow()), expected);
    }

    #[test]
    fn all_in_order_with_pauses_between() {
        use ErrorKind::{ConnectionRefused, HostUnreachable, TimedOut};
        check(&[], " sent");
        check(&[None], "1 sent");
        let answers = [Some(TimedOut), Some(ConnectionRefused), Some(HostUnreachable), None];
        check(&answers, "1.2.3.4 sent");
    }

    #[test]
    fn a_packet_that_cannot_leave_ends_it() {
        check(
            &[Some(ErrorKind::TimedOut), Some(ErrorKind::PermissionDenied), None],
            "1.2 packet 2 of 3, to port 2, was not let out: permission denied; a firewall on this \
             host forbids it, so the knock is not complete",
        );
    }
}
