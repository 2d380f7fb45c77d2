//! Packets that a firewall's NFLOG rule chose, straight from the kernel by netlink: no line is
//! written and none has to be read. What the packets say is not known here.

mod message;

use std::{
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, SystemTime},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind,
        netdevice::index_to_name,
        netlink::{NETFILTER, SocketAddrNetlink},
        recvfrom, sendto, socket_with, sockopt,
    },
    time::{ClockId, clock_gettime},
};

use self::message::{Logged, Message, knock_on_the_door, messages, subscribe};
use crate::{
    ByRule, Intake, Notice, RawPacket, Source, SourceError, Stop,
    wait::{Woken, wait},
};

/// Room in the kernel for packets that wait to be read. A packet takes about a kilobyte of it, so
/// this is a tenth of a second of a flood at full speed. It is only used when we fall behind.
const ROOM: usize = 32 * 1024 * 1024;

/// What the kernel takes for one message: headers, the snapshot, and some room.
const MESSAGE: usize = 8 * 1024;

/// Reads between two looks at the stop.
const BATCH: usize = 256;

/// After an overrun the next packet tells how many are lost. It is waited for so long.
const CALM: Duration = Duration::from_secs(1);

/// Link types of libpcap for packets without a link layer.
const LINK_IPV4: i32 = 228;
const LINK_IPV6: i32 = 229;

const ETHER_IPV4: u16 = 0x0800;
const ETHER_IPV6: u16 = 0x86dd;

/// Takes what rules send to a group: `iptables -j NFLOG --nflog-group N`, or nft's `log group N`.
///
/// A group is one program's at a time. Packets that this host sent are left out.
#[derive(Debug)]
pub struct NflogSource {
    group: u16,
}

impl NflogSource {
    /// The packets of this group, in the network namespace of the process.
    #[must_use]
    pub fn new(group: u16) -> Self {
        Self { group }
    }
}

impl Source for NflogSource {
    fn name(&self) -> String {
        format!("NFLOG group {}", self.group)
    }

    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        let socket = open()?;
        send(&socket, &subscribe(self.group))?;
        let mut reading = Reading::of(self.group, socket);
        loop {
            let limit = reading.overrun.then_some(CALM);
            match wait(reading.socket.as_fd(), stop, limit)? {
                Woken::Stopped => return Ok(()),
                // Nothing came that would have told the number.
                Woken::TimedOut => reading.tell_lost(intake),
                Woken::Ready => {}
            }
            if reading.batch(intake)?.is_break() {
                return Ok(());
            }
        }
    }
}

/// A socket that may subscribe.
fn open() -> Result<OwnedFd, SourceError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(NETFILTER))
        .map_err(|error| SourceError::NflogMissing(error.into()))?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))
        .map_err(|error| SourceError::NflogMissing(error.into()))?;
    // Beyond the system's limit where we may, and up to it otherwise.
    if sockopt::set_socket_recv_buffer_size_force(&socket, ROOM).is_err() {
        let _smaller = sockopt::set_socket_recv_buffer_size(&socket, ROOM);
    }
    // To be refused a group and to be refused everything are the same error, so the latter is asked
    // for first.
    send(&socket, &knock_on_the_door())?;
    let mut room = vec![0; MESSAGE];
    match receive(&socket, &mut room) {
        Ok(Some(datagram)) => match messages(datagram).next() {
            Some(Message::Answer(error)) if is(error, Errno::PERM) => {
                Err(SourceError::NflogForbidden(Errno::PERM.into()))
            }
            // What nobody has registered for is invalid; what is registered is not supported.
            Some(Message::Answer(error)) if is(error, Errno::INVAL) => {
                Err(SourceError::NflogMissing(Errno::PROTONOSUPPORT.into()))
            }
            _ => Ok(socket),
        },
        Ok(None) => Ok(socket),
        Err(error) => Err(failed(error)),
    }
}

fn is(error: i32, errno: Errno) -> bool {
    error == errno.raw_os_error()
}

fn failed(error: Errno) -> SourceError {
    SourceError::Read { from: "the kernel's NFLOG".to_owned(), error: error.into() }
}

fn send(socket: &OwnedFd, message: &[u8]) -> Result<(), SourceError> {
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(socket, message, SendFlags::empty(), &kernel).map_err(failed)?;
    Ok(())
}

/// One read; nothing if it came from somebody else than the kernel.
fn receive<'a>(socket: &OwnedFd, room: &'a mut [u8]) -> rustix::io::Result<Option<&'a [u8]>> {
    let (_, length, sender) = recvfrom(socket, &mut *room, RecvFlags::DONTWAIT)?;
    let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
    // A program with the right to do so may send to any netlink socket, and would forge packets.
    Ok(sender.filter(|sender| sender.pid() == 0).and_then(|_| room.get(..length)))
}

/// Turns messages into packets and keeps count of what was missed.
struct Reading {
    group: u16,
    socket: OwnedFd,
    room: Vec<u8>,
    /// The number that the next packet should have. The kernel counts from the subscription on.
    expected: u32,
    /// Packets that are known to be lost and have not been told.
    lost: u64,
    /// The kernel said that packets are lost, and the next one has not come yet.
    overrun: bool,
    /// The interface of the last packet, by number and name.
    interface: Option<(u32, String)>,
}

impl Reading {
    fn of(group: u16, socket: OwnedFd) -> Self {
        Self {
            group,
            socket,
            room: vec![0; MESSAGE],
            expected: 0,
            lost: 0,
            overrun: false,
            interface: None,
        }
    }

    /// Hands over what is there, a bounded number of packets.
    fn batch(&mut self, intake: &mut dyn Intake) -> Result<ControlFlow<()>, SourceError> {
        // An interface may have been renamed since.
        self.interface = None;
        let mut room = std::mem::take(&mut self.room);
        let mut flow = Ok(ControlFlow::Continue(()));
        for _ in 0..BATCH {
            match receive(&self.socket, &mut room) {
                Ok(datagram) => {
                    for message in messages(datagram.unwrap_or_default()) {
                        flow = self.take(message, intake);
                        if !matches!(flow, Ok(ControlFlow::Continue(()))) {
                            return flow;
                        }
                    }
                }
                Err(Errno::WOULDBLOCK) => break,
                Err(Errno::INTR) => {}
                // There was no room for some. What there was room for is still to be read, and the
                // number behind the gap tells how many are missing.
                Err(Errno::NOBUFS) => self.overrun = true,
                Err(error) => flow = Err(failed(error)),
            }
            if flow.is_err() {
                break;
            }
        }
        self.room = room;
        let handed_over = intake.packets_done();
        if self.lost > 0 {
            self.tell_lost(intake);
        }
        flow.map(|_| handed_over)
    }

    fn take(
        &mut self,
        message: Message<'_>,
        intake: &mut dyn Intake,
    ) -> Result<ControlFlow<()>, SourceError> {
        match message {
            Message::Answer(0) => {
                intake.notice(Notice::Started { name: format!("NFLOG group {}", self.group) });
                Ok(ControlFlow::Continue(()))
            }
            Message::Answer(error) if is(error, Errno::PERM) || is(error, Errno::BUSY) => {
                Err(SourceError::NflogTaken { group: self.group })
            }
            Message::Answer(error) => Err(failed(Errno::from_raw_os_error(error))),
            Message::Packet(packet) => Ok(self.packet(&packet, intake)),
        }
    }

    fn packet(&mut self, packet: &Logged<'_>, intake: &mut dyn Intake) -> ControlFlow<()> {
        if let Some(number) = packet.sequence {
            let gap = number.wrapping_sub(self.expected);
            self.lost += u64::from(gap);
            self.expected = number.wrapping_add(1);
            self.overrun &= gap == 0;
        }
        let link = match packet.protocol {
            ETHER_IPV4 => LINK_IPV4,
            ETHER_IPV6 => LINK_IPV6,
            _ => return ControlFlow::Continue(()),
        };
        let Some(index) = packet.came_in_by else { return ControlFlow::Continue(()) };
        if self.interface.as_ref().is_none_or(|(known, _)| *known != index) {
            // One that is gone by now has no name any more, and its packets count all the same.
            let name = index_to_name(&self.socket, index).unwrap_or_default();
            self.interface = Some((index, name));
        }
        let interface = self.interface.as_ref().map_or("", |(_, name)| name);
        intake.packet(&RawPacket {
            link,
            bytes: packet.bytes,
            time: SystemTime::UNIX_EPOCH.checked_add(packet.time.unwrap_or_else(now)),
            rule: Some(ByRule { prefix: packet.prefix, interface }),
        })
    }

    fn tell_lost(&mut self, intake: &mut dyn Intake) {
        self.overrun = false;
        intake.notice(Notice::Unread { packets: std::mem::take(&mut self.lost) });
    }
}

/// Where the kernel has stamped no time: rules for packets that go out, and those have gone before.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Realtime)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
