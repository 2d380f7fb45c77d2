//! Whether an interface is there, and the kernel's word that something about interfaces has changed.
//! Captures nothing. The word only wakes; what happened is found by looking.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netdevice::name_to_index,
        netlink::SocketAddrNetlink, recv, socket_with,
    },
};

use crate::SourceError;

/// The group of rtnetlink that tells of interfaces (`RTMGRP_LINK`).
const LINK_CHANGES: u32 = 1;

/// What a look at an interface finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// There is none of this name.
    Missing,
    /// It is there and switched off. The number tells it from a later one of the same name.
    Down(u32),
    /// It is there and on.
    Up(u32),
}

/// Looks at interfaces, and hears of changes.
#[derive(Debug)]
pub(super) struct Links {
    /// Interfaces are asked for through any socket.
    ask: OwnedFd,
    /// Where changes are told.
    word: OwnedFd,
}

impl Links {
    /// Listens from now on.
    pub(super) fn new() -> Result<Self, SourceError> {
        let ask = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            .map_err(|error| SourceError::Wait(error.into()))?;
        let word = listen().map_err(|error| match error {
            Errno::AFNOSUPPORT => SourceError::CaptureUnavailable(error.into()),
            error => SourceError::Wait(error.into()),
        })?;
        Ok(Self { ask, word })
    }

    /// Readable when there is word.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.word.as_fd()
    }

    /// Empties the socket; returns whether there was word.
    pub(super) fn hear(&self) -> bool {
        let mut room = [0; 4096];
        let mut heard = false;
        loop {
            match recv(&self.word, room.as_mut_slice(), RecvFlags::DONTWAIT) {
                // More was told than there was room for: a reason to look all the same.
                Ok(_) | Err(Errno::NOBUFS) => heard = true,
                Err(Errno::INTR) => {}
                Err(_) => return heard,
            }
        }
    }

    /// The number of an interface, if the kernel has one of this name.
    pub(super) fn index(&self, name: &str) -> Option<u32> {
        name_to_index(&self.ask, name).ok()
    }

    /// What there is to see of an interface now.
    pub(super) fn look(&self, name: &str) -> Look {
        let Some(index) = self.index(name) else { return Look::Missing };
        let listed = pcap::Device::list().unwrap_or_default();
        match listed.iter().find(|device| device.name == name) {
            Some(device) if !device.flags.is_up() => Look::Down(index),
            _ => Look::Up(index),
        }
    }

    /// The names of all interfaces, for a message.
    pub(super) fn names(&self) -> Vec<String> {
        let listed = pcap::Device::list().unwrap_or_default();
        let names = listed.into_iter().map(|device| device.name);
        names.filter(|name| name == super::ANY || self.index(name).is_some()).collect()
    }
}

/// Fails where this process may have no packet sockets; libpcap's own error has no code to go by.
pub(super) fn permitted() -> Result<(), SourceError> {
    match socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None) {
        Err(Errno::AFNOSUPPORT) => Err(SourceError::CaptureUnavailable(Errno::AFNOSUPPORT.into())),
        Err(error @ (Errno::PERM | Errno::ACCESS)) => {
            Err(SourceError::CaptureForbidden(error.into()))
        }
        _ => Ok(()),
    }
}

fn listen() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // No protocol is number 0, which for netlink is rtnetlink.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, LINK_CHANGES))?;
    Ok(socket)
}
