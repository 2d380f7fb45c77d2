//! The kernel's connection tracking, by netlink: what this host passes on, and what reaches it.
//! One question for all of a family and protocol, and its answers; nothing is subscribed to.
//!
//! By netlink and not by `/proc/net/nf_conntrack`, which only root may read and which not every kernel
//! has: here `CAP_NET_ADMIN` is enough, which whoever changes the firewall needs anyway. By hand, as
//! it is one message out and a dozen numbers of `linux/netfilter/nfnetlink_conntrack.h` back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use knock_rules::{Opening, Protocol};
use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto,
    socket_with,
};

use super::Unknown;

/// One read; the kernel fills at most 32 KiB at a time.
const ROOM: usize = 64 * 1024;
/// The kernel answers at once, or is not well.
const PATIENCE: Duration = Duration::from_secs(5);

/// `struct nlmsghdr`, and `struct nfgenmsg` behind it.
const NLMSGHDR: usize = 16;
const HEADS: usize = NLMSGHDR + 4;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;

/// `NFNL_SUBSYS_CTNETLINK` in the upper byte.
const CT_NEW: u16 = 1 << 8;
const CT_GET: u16 = CT_NEW | 1;

const TUPLE_ORIG: u16 = 1;
const PROTOINFO: u16 = 4;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_V4_SRC: u16 = 1;
const IP_V6_SRC: u16 = 3;
const PROTO_NUM: u16 = 1;
const PROTO_DST_PORT: u16 = 3;
const PROTOINFO_TCP: u16 = 1;
const TCP_STATE: u16 = 1;

const IPPROTO_TCP: u8 = 6;
/// `TCP_CONNTRACK_ESTABLISHED`, and behind it those of a connection of which one side has said its last
/// word. The kernel forgets these a minute or two after their last packet, whoever has gone.
const ESTABLISHED: u8 = 3;
const FIN_WAIT: u8 = 4;
const CLOSE_WAIT: u8 = 5;

/// The upper two bits of an attribute's type are flags.
const TYPE: u16 = 0x3fff;

/// How many sessions go through this opening.
pub(super) fn count(opening: &Opening) -> Result<u64, Unknown> {
    if opening.protocol != Protocol::Tcp {
        return Ok(0);
    }
    ask(opening).map_err(|error| match error {
        // No such subsystem: not compiled in, or its module is not there.
        Errno::INVAL | Errno::PROTONOSUPPORT | Errno::OPNOTSUPP => Unknown::NotThere,
        error => Unknown::NotRead { from: "the connections that are tracked", error: error.into() },
    })
}

fn ask(opening: &Opening) -> Result<u64, Errno> {
    let socket = open()?;
    sendto(&socket, &question(opening), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut room = vec![0; ROOM];
    let mut connections = 0;
    loop {
        let (_, length, sender) = match recvfrom(&socket, &mut *room, RecvFlags::empty()) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        // Other programs may send to any netlink socket.
        let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
        if sender.is_none_or(|sender| sender.pid() != 0) {
            continue;
        }
        let read = read(room.get(..length).unwrap_or_default(), opening);
        connections += read.connections;
        match read.end {
            Some(0) => return Ok(connections),
            Some(error) => return Err(Errno::from_raw_os_error(error)),
            None => {}
        }
    }
}

fn open() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(NETFILTER))?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    Ok(socket)
}

/// Asks for every connection of the opening's family.
fn question(opening: &Opening) -> Vec<u8> {
    let family = if opening.network.is_v4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut message = Vec::with_capacity(HEADS);
    message.extend_from_slice(&u32::try_from(HEADS).unwrap_or_default().to_ne_bytes());
    message.extend_from_slice(&CT_GET.to_ne_bytes());
    message.extend_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    // Number and sender: the kernel fills in who asks, and there is one question a socket.
    message.extend_from_slice(&[0; 8]);
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    message.extend_from_slice(&[family, 0, 0, 0]);
    message
}

/// What one read gave.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    connections: u64,
    /// All is told (0), or cannot be (an error).
    end: Option<i32>,
}

/// What makes no sense is left out.
fn read(mut datagram: &[u8], opening: &Opening) -> Read {
    let mut found = Read::default();
    while let Some((kind, body, behind)) = next_message(datagram) {
        datagram = behind;
        match kind {
            NLMSG_ERROR | NLMSG_DONE => {
                let error = body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                found.end = Some(error.saturating_neg());
            }
            CT_NEW => {
                let attributes = body.get(HEADS - NLMSGHDR..).unwrap_or_default();
                found.connections += u64::from(is_through(attributes, opening));
            }
            _ => {}
        }
    }
    found
}

/// Whether a connection goes on, from the opening's network, to its port as the client knows it: before
/// any translation of addresses.
fn is_through(connection: &[u8], opening: &Opening) -> bool {
    let tcp = inner(connection, &[PROTOINFO, PROTOINFO_TCP, TCP_STATE]);
    let ip = inner(connection, &[TUPLE_ORIG, TUPLE_IP]);
    let proto = inner(connection, &[TUPLE_ORIG, TUPLE_PROTO]);
    let (Some(&[state, ..]), Some(ip), Some(proto)) = (tcp, ip, proto) else { return false };
    let is_tcp = inner(proto, &[PROTO_NUM]).and_then(|value| value.first()) == Some(&IPPROTO_TCP);
    let port = inner(proto, &[PROTO_DST_PORT]).and_then(|value| value.first_chunk());
    let port = port.map(|bytes| u16::from_be_bytes(*bytes));
    let v4 = inner(ip, &[IP_V4_SRC]).and_then(|value| <[u8; 4]>::try_from(value).ok());
    let v6 = inner(ip, &[IP_V6_SRC]).and_then(|value| <[u8; 16]>::try_from(value).ok());
    let client = v4
        .map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)))
        .or(v6.map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))));
    is_tcp
        && matches!(state, ESTABLISHED | FIN_WAIT | CLOSE_WAIT)
        && port == Some(opening.port)
        && client.is_some_and(|client| opening.network.holds(client))
}

/// The value at the end of a path of attributes, one within the other.
fn inner<'a>(attributes: &'a [u8], path: &[u16]) -> Option<&'a [u8]> {
    let (first, rest) = path.split_first()?;
    let mut remaining = attributes;
    while let Some((kind, value, behind)) = next_attribute(remaining) {
        remaining = behind;
        if kind == *first {
            return if rest.is_empty() { Some(value) } else { inner(value, rest) };
        }
    }
    None
}

fn next_message(datagram: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*datagram.first_chunk()?)).ok()?;
    let body = datagram.get(NLMSGHDR..length)?;
    let kind = u16::from_ne_bytes(*datagram.get(4..)?.first_chunk()?);
    Some((kind, body, datagram.get(aligned(length)..).unwrap_or_default()))
}

fn next_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let [l0, l1, k0, k1] = *bytes.first_chunk()?;
    let length = usize::from(u16::from_ne_bytes([l0, l1]));
    let value = bytes.get(4..length)?;
    let behind = bytes.get(aligned(length)..).unwrap_or_default();
    Some((u16::from_ne_bytes([k0, k1]) & TYPE, value, behind))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests;
