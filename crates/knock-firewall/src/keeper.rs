//! Who keeps the leases of this network: one process, known by things that the kernel takes back when the
//! process ends. Two of them would close each other's openings each minute.
//!
//! What says so is a group of NFLOG, which one process of a network can have, and only one that may change its
//! firewall: nobody else can be in the way, and whose daemon it is does not matter. The group gets no packets. A
//! socket of the abstract kind beside it tells the process. Such a name anybody may take; alone, where the kernel
//! has no NFLOG, it counts only if it is root's or our own user's.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::error::FirewallError;
use crate::netlink::message::{Question, flags};
use crate::netlink::{Fault, Socket};

const NAME: &[u8] = b"knockdaemon/leases";

/// The letters kd: far from the small numbers that people choose.
const GROUP: u16 = u16::from_be_bytes(*b"kd");

/// Of `linux/netfilter/nfnetlink_log.h`: `NFNL_SUBSYS_ULOG` with `NFULNL_MSG_PACKET` and
/// `NFULNL_MSG_CONFIG`; `NFULA_CFG_CMD` with `NFULNL_CFG_CMD_BIND`.
const PACKET: u16 = u16::from_be_bytes([4, 0]);
const CONFIG: u16 = u16::from_be_bytes([4, 1]);
const COMMAND: u16 = 1;
const BIND: u8 = 1;

/// The right to say what is open and what is not; held as long as it lives.
#[derive(Debug)]
pub struct Keeper {
    /// None: this kernel has no NFLOG, or we may not change the firewall anyway.
    _group: Option<Socket>,
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
        let holder = if name.is_ok() { None } else { holder() };
        let process = holder.and_then(|holder| holder.process);
        let group = match take_group() {
            Ok(group) => Some(group),
            Err(Taken::ByAnother) => return Err(FirewallError::KeptByAnother { process }),
            Err(Taken::NotToBeHad) => None,
        };
        if group.is_none() && holder.is_some_and(|holder| holder.is_believed) {
            return Err(FirewallError::KeptByAnother { process });
        }
        Ok(Self { _group: group, _name: name.ok() })
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
    let mut bind = Question::raw(CONFIG, flags::ACK, 0, GROUP);
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
#[derive(Clone, Copy)]
struct Holder {
    /// None in another namespace of processes.
    process: Option<i32>,
    /// Root's, or our own user's.
    is_believed: bool,
}

fn holder() -> Option<Holder> {
    // A stranger may have let the queue run full: who waits there, waits for ever.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    connect(&socket, &SocketAddrUnix::new_abstract_name(NAME).ok()?).ok()?;
    let holder = socket_peercred(&socket).ok()?;
    let process = Some(holder.pid.as_raw_nonzero().get()).filter(|process| *process > 0);
    let is_believed = holder.uid.is_root() || holder.uid == rustix::process::geteuid();
    Some(Holder { process, is_believed })
}
