//! Who keeps the leases of this network: one process, known by a name that the kernel frees when the
//! process ends. Two of them would close each other's openings each minute.
//!
//! The name is a socket's, of the abstract kind, which belongs to the network and not to a folder: two
//! daemons with folders of their own find each other also.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};

use crate::error::FirewallError;

const NAME: &[u8] = b"knockdaemon/leases";

/// The right to say what is open and what is not; held as long as it lives.
#[derive(Debug)]
pub struct Keeper {
    /// None: somebody who has no say in this has taken the name.
    _name: Option<UnixListener>,
}

impl Keeper {
    /// Takes it.
    ///
    /// # Errors
    /// When another daemon of this network has it.
    pub fn claim() -> Result<Self, FirewallError> {
        let name = SocketAddr::from_abstract_name(NAME).and_then(|it| UnixListener::bind_addr(&it));
        match (name, Self::running()) {
            (Ok(name), _) => Ok(Self { _name: Some(name) }),
            (Err(_), Some(process)) => Err(FirewallError::KeptByAnother { process }),
            // Any user may take a name. That is no reason to let nobody in.
            (Err(_), None) => Ok(Self { _name: None }),
        }
    }

    /// The process that has it now: one of root's or of our own user's.
    #[must_use]
    pub fn running() -> Option<i32> {
        // A stranger may have let the queue run full: who waits there, waits for ever.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
        connect(&socket, &SocketAddrUnix::new_abstract_name(NAME).ok()?).ok()?;
        let holder = sockopt::socket_peercred(&socket).ok()?;
        let is_ours = holder.uid.is_root() || holder.uid == rustix::process::geteuid();
        is_ours.then(|| holder.pid.as_raw_nonzero().get())
    }
}
