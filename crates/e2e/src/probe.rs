//! The service behind the firewall, and attempts to reach it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::lab::{Host, Lab};
use crate::process::{PATIENCE, await_until};
use crate::{LabError, Result};

/// What the service says to whoever reaches it, as sshd would.
pub const BANNER: &str = "SSH-2.0-knockdaemon-e2e\r\n";

/// How long one attempt waits for an answer. A dropped SYN gets none; between two hosts on one
/// machine an answer takes well under a millisecond, unless it is busy. The kernel would send the SYN
/// again after a second.
const ATTEMPT: Duration = Duration::from_millis(500);

/// A TCP service on the server, on all its addresses.
pub struct Service;

impl Service {
    /// Starts it. It ends with the lab's namespace at the latest when the process does.
    ///
    /// # Errors
    /// When the port is taken or the namespace cannot be entered.
    pub fn start(lab: &Lab, port: u16) -> Result<Self> {
        let namespace = File::open(format!("/run/netns/{}", lab.namespace(Host::Server)))?;
        let (ready, is_ready) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let entered =
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
            // The thread must not hold the namespace longer than its own life in it does.
            drop(namespace);
            let listener = entered
                .map_err(std::io::Error::from)
                .and_then(|()| TcpListener::bind(("::", port)));
            let listener = match listener {
                Ok(listener) => {
                    let _gone = ready.send(Ok(()));
                    listener
                }
                Err(error) => {
                    let _gone = ready.send(Err(error));
                    return;
                }
            };
            for mut stream in listener.incoming().flatten() {
                let _closed = stream.write_all(BANNER.as_bytes());
            }
        });
        is_ready.recv().map_err(|error| LabError(error.to_string()))??;
        Ok(Self)
    }
}

/// Whether the client gets the service's banner in one attempt.
#[must_use]
pub fn answers(lab: &Lab, from: IpAddr, to: IpAddr, port: u16) -> bool {
    lab.within(Host::Client, || try_once(from, SocketAddr::new(to, port)).is_some())
        .unwrap_or(false)
}

/// Waits until the service answers.
///
/// # Errors
/// When it does not.
pub fn await_open(lab: &Lab, from: IpAddr, to: IpAddr, port: u16) -> Result<()> {
    if await_until(PATIENCE, || answers(lab, from, to, port)) {
        return Ok(());
    }
    Err(LabError(format!("port {port} of {to} does not open for {from}")))
}

/// Waits until the service does not answer any more.
///
/// # Errors
/// When it goes on answering.
pub fn await_closed(lab: &Lab, from: IpAddr, to: IpAddr, port: u16) -> Result<()> {
    // Once more: one attempt without an answer may be one that the machine was too busy for.
    let is_closed = || !answers(lab, from, to, port) && !answers(lab, from, to, port);
    if await_until(PATIENCE + Duration::from_secs(60), is_closed) {
        return Ok(());
    }
    Err(LabError(format!("port {port} of {to} stays open for {from}")))
}

/// Sends one SYN from a chosen address, as any program does that starts a connection; the socket is
/// closed before the kernel would send it again.
///
/// # Errors
/// When the address is not the client's, or the namespace cannot be entered.
pub fn send_syn(lab: &Lab, from: IpAddr, to: IpAddr, port: u16) -> Result<()> {
    keep_connecting(lab, from, to, port).map(drop)
}

/// As [`send_syn`], with the socket kept: the kernel sends the SYN again and again.
pub fn keep_connecting(lab: &Lab, from: IpAddr, to: IpAddr, port: u16) -> Result<OwnedFd> {
    lab.within(Host::Client, || start_connecting(from, SocketAddr::new(to, port)))?
        .map_err(|error| LabError(format!("no SYN from {from} to port {port}: {error}")))
}

fn try_once(from: IpAddr, to: SocketAddr) -> Option<()> {
    let mut stream = connect(from, to)?;
    // It is open; the service says so as soon as it gets to it.
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut banner = [0; BANNER.len()];
    stream.read_exact(&mut banner).ok()?;
    (banner == BANNER.as_bytes()).then_some(())
}

/// A connection from a chosen address, given up before the kernel would send the SYN again.
fn connect(from: IpAddr, to: SocketAddr) -> Option<TcpStream> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let socket = start_connecting(from, to).ok()?;
    let limit = Timespec::try_from(ATTEMPT).ok()?;
    let mut wait = [PollFd::new(&socket, PollFlags::OUT)];
    if poll(&mut wait, Some(&limit)).ok()? == 0 {
        return None;
    }
    rustix::net::sockopt::socket_error(&socket).ok()?.ok()?;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false).ok()?;
    Some(stream)
}

/// A socket whose SYN is on its way.
pub(crate) fn start_connecting(from: IpAddr, to: SocketAddr) -> rustix::io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddr::new(from, 0))?;
    match connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}
