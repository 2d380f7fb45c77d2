//! One connection request, from the address that the knock speaks for where this host has it.
//! Tells only whether the request left; what else an answer means is for who asks. Not std's, which cannot bind a socket before it connects.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

/// Asks for a connection, waits so long for an answer, and closes whatever came of it.
pub(crate) fn once(from: Option<IpAddr>, to: SocketAddr, patience: Duration) -> io::Result<()> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    if let Some(from) = from {
        speak_from(&socket, from, to)?;
    }
    match connect(&socket, &to) {
        Err(Errno::INPROGRESS) => answer(&socket, patience),
        other => Ok(other?),
    }
}

/// A host with several addresses must knock from the one inside the knock, or it is refused there.
/// One that this host has not is fine: somebody knocks for another, or from behind a router that
/// translates addresses; then the routing table chooses.
fn speak_from(socket: &OwnedFd, from: IpAddr, to: SocketAddr) -> io::Result<()> {
    let bound = match (from.to_canonical(), to) {
        (IpAddr::V4(from), SocketAddr::V4(_)) => bind(socket, &SocketAddrV4::new(from, 0)),
        // A link-local address is one only together with its interface.
        (IpAddr::V6(from), SocketAddr::V6(to)) => {
            bind(socket, &SocketAddrV6::new(from, 0, 0, to.scope_id()))
        }
        (IpAddr::V4(_), SocketAddr::V6(_)) | (IpAddr::V6(_), SocketAddr::V4(_)) => Ok(()),
    };
    match bound {
        // The second: link-local, and the way to the other side names no interface.
        Err(Errno::ADDRNOTAVAIL | Errno::INVAL) => Ok(()),
        other => Ok(other?),
    }
}

fn answer(socket: &OwnedFd, patience: Duration) -> io::Result<()> {
    // Longer than the kernel can count is as good as for ever.
    let limit = Timespec::try_from(patience).ok();
    loop {
        let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::OUT)];
        match poll(&mut fds, limit.as_ref()) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(sockopt::socket_error(socket)??),
            Err(Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the packet left although no connection came of it. That there is a route at all was
/// seen before, so "unreachable" is somebody's answer.
pub(crate) fn packet_left(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::TimedOut
            | ErrorKind::WouldBlock
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Who the listener sees when a client says that it is `from`.
    #[track_caller]
    fn check(from: Option<&str>, to: &str, expected: &str) {
        let door = TcpListener::bind((to, 0)).unwrap();
        let from = from.map(|from| from.parse().unwrap());
        once(from, door.local_addr().unwrap(), Duration::from_secs(60)).unwrap();
        let (_, peer) = door.accept().unwrap();
        assert_eq!(peer.ip().to_string(), expected);
    }

    #[test]
    fn from_the_address_that_it_speaks_of_if_it_has_it() {
        check(None, "127.0.0.1", "127.0.0.1");
        check(Some("127.0.0.2"), "127.0.0.1", "127.0.0.2");
        check(Some("::ffff:127.0.0.2"), "127.0.0.1", "127.0.0.2");
        // Not this host's, and of another family.
        check(Some("192.0.2.77"), "127.0.0.1", "127.0.0.1");
        check(Some("2001:db8::1"), "127.0.0.1", "127.0.0.1");
    }

    #[test]
    fn a_closed_port_answers_with_a_refusal() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = once(None, closed, Duration::from_secs(60)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
