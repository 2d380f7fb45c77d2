//! Who keeps the leases of this network: one process, known by things that the kernel takes back when the
//! process ends. Two of them would close each other's openings each minute.
//!
//! What says so is a group of NFLOG, which one process of a network can have, and only one that may change its
//! firewall: nobody else can be in the way, and whose daemon it is does not matter. The group gets no packets. A
//! socket of the abstract kind beside it tells the process, and is all there is where the kernel has no NFLOG.
//! Such a name anybody may take; `holder.rs` says whose counts.

mod holder;

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use knock_rules::KEEPERS_GROUP;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen, shutdown, socket_with,
};

pub use self::holder::Holder;
use crate::error::FirewallError;
use crate::netlink::message::{Question, flags};
use crate::netlink::{Fault, Socket};

const NAME: &[u8] = b"knockdaemon/leases";

/// Of `linux/netfilter/nfnetlink_log.h`: `NFNL_SUBSYS_ULOG` with `NFULNL_MSG_PACKET` and
/// `NFULNL_MSG_CONFIG`; `NFULA_CFG_CMD` with `NFULNL_CFG_CMD_BIND`.
const PACKET: u16 = u16::from_be_bytes([4, 0]);
const CONFIG: u16 = u16::from_be_bytes([4, 1]);
const COMMAND: u16 = 1;
const BIND: u8 = 1;

/// Those who ask for the process at the same time wait here, each for a moment.
const BACKLOG: i32 = 128;
/// Between two who ask. Who asks in a loop costs a hundred short wake-ups a second and no more.
const PACE: Duration = Duration::from_millis(10);
/// Where files have run out, nobody can be taken in.
const SHORTAGE: Duration = Duration::from_secs(1);
/// A full queue has room again within the holder's pace, if the holder takes in anybody.
const PATIENCE: Duration = Duration::from_secs(2);

/// The right to say what is open and what is not; held as long as it lives.
#[derive(Debug)]
pub struct Keeper {
    /// None: this kernel has no NFLOG, or we may not change the firewall anyway.
    group: Option<Socket>,
    name: Result<Name, Unnamed>,
}

/// Why there is no name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Unnamed {
    /// None: whoever has it takes in nobody who asks.
    Taken(Option<Holder>),
    Refused(Errno),
}

impl Keeper {
    /// Takes it.
    ///
    /// # Errors
    /// When another daemon of this network has it.
    pub fn claim() -> Result<Self, FirewallError> {
        match take_group() {
            Ok(group) => Ok(Self { group: Some(group), name: Name::take() }),
            Err(Taken::ByAnother) => {
                let holder = holder().filter(Holder::counts);
                Err(FirewallError::KeptByAnother { holder })
            }
            Err(Taken::NotToBeHad) => Self::by_name(),
        }
    }

    /// For want of a group. Who has the name without a right to the firewall keeps nobody from anything: then
    /// leases go without a name, [`remark`](Self::remark) says so, and it is the owner's to try again later.
    ///
    /// So it is with a queue that stays full, of which nobody can tell whose it is. A daemon takes in all who
    /// ask, so it is either a stranger's, or filled by one all the time. To let no daemon in then would let any
    /// user keep ports shut for as long as he likes; to let one in does harm only where two daemons run, until
    /// the next look finds the other.
    fn by_name() -> Result<Self, FirewallError> {
        let name = Name::take();
        match name {
            Err(Unnamed::Taken(Some(holder))) if holder.counts() => {
                Err(FirewallError::KeptByAnother { holder: Some(holder) })
            }
            name => Ok(Self { group: None, name }),
        }
    }

    /// Why a second daemon would not notice this one; `None`: it would.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let unnamed = self.name.as_ref().err().filter(|_| self.group.is_none());
        unnamed.map(ToString::to_string)
    }
}

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(Some(holder)) => {
                write!(f, "{holder}, without a right to the firewall, has taken the name")?;
            }
            Self::Taken(None) => f.write_str("somebody who does not answer has taken the name")?,
            Self::Refused(error) => {
                write!(f, "there is no way to take the name ({})", std::io::Error::from(*error))?;
            }
        }
        f.write_str(
            " by which one knockdaemon knows of the other, and this kernel has no NFLOG, which would do \
             without; leases work, but nothing would keep a second daemon with leases from undoing them",
        )
    }
}

enum Taken {
    /// Another process of this network has it.
    ByAnother,
    /// Nobody can have it, or we cannot.
    NotToBeHad,
}

fn take_group() -> Result<Socket, Taken> {
    let mut socket = Socket::open().map_err(|_| Taken::NotToBeHad)?;
    let mut bind = Question::raw(CONFIG, flags::ACK, 0, KEEPERS_GROUP);
    bind.bytes(COMMAND, &[BIND]);
    match socket.ask(bind) {
        Ok(()) => Ok(socket),
        // "Another has it" and "you may not" are one error. A question that means nothing is refused with that
        // only where we may not.
        Err(fault) if fault.is_forbidden() => {
            let nothing = socket.ask(Question::raw(PACKET, flags::ACK, 0, 0));
            let may_not = nothing.is_err_and(Fault::is_forbidden);
            Err(if may_not { Taken::NotToBeHad } else { Taken::ByAnother })
        }
        Err(_) => Err(Taken::NotToBeHad),
    }
}

/// Who listens at the name.
fn holder() -> Option<Holder> {
    let ask = || {
        let socket = unix_socket()?;
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        let address = SocketAddrUnix::new_abstract_name(NAME)?;
        retry_on_intr(|| connect(&socket, &address))?;
        Ok::<OwnedFd, Errno>(socket)
    };
    Holder::at_the_other_end(&ask().ok()?)
}

fn unix_socket() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

/// The name; free again when this is dropped.
#[derive(Debug)]
struct Name {
    socket: Arc<OwnedFd>,
    /// Takes in who asks: a queue that is full tells nobody anything.
    receiver: Option<JoinHandle<()>>,
}

impl Name {
    fn take() -> Result<Self, Unnamed> {
        let bound = || {
            let socket = unix_socket()?;
            bind(&socket, &SocketAddrUnix::new_abstract_name(NAME)?)?;
            listen(&socket, BACKLOG)?;
            Ok(Arc::new(socket))
        };
        let socket = bound().map_err(|error| match error {
            Errno::ADDRINUSE => Unnamed::Taken(holder()),
            error => Unnamed::Refused(error),
        })?;
        let theirs = Arc::clone(&socket);
        let receiver = thread::Builder::new().name("keeper".to_owned());
        let receiver = receiver.spawn(move || receive(&theirs));
        let receiver = receiver.map_err(|_| Unnamed::Refused(Errno::AGAIN))?;
        Ok(Self { socket, receiver: Some(receiver) })
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ended = shutdown(&*self.socket, Shutdown::Both);
        // It has the socket open, too.
        if let Some(receiver) = self.receiver.take() {
            receiver.thread().unpark();
            let _ended = receiver.join();
        }
    }
}

/// Sleeps until somebody asks. What they want to know the kernel has told them by then.
fn receive(socket: &OwnedFd) {
    loop {
        let pause = match accept_with(socket, SocketFlags::CLOEXEC) {
            Ok(_) | Err(Errno::INTR | Errno::CONNABORTED) => PACE,
            // Shut down.
            Err(Errno::INVAL | Errno::BADF | Errno::NOTSOCK) => return,
            Err(_) => SHORTAGE,
        };
        thread::park_timeout(pause);
    }
}

#[cfg(test)]
mod tests;
