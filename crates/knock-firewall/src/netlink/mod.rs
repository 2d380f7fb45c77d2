//! Questions to the kernel's netfilter, and its answers, over one socket that stays open.
//! Which questions there are is the subsystems' business.

pub(crate) mod message;

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto,
    socket_with, sockopt,
};

use self::message::{Question, Says, answers};

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`: nftables takes changes in transactions only.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NFNL_BATCH_GENID`: of which state of the rules a transaction speaks.
const BATCH_GENERATION: u16 = 1;

/// What the kernel puts into one datagram of a dump at most, with room to spare.
const ROOM: usize = 64 * 1024;
/// Room in the kernel for answers that are not read yet. Each repeats its question.
const BUFFER: usize = 1024 * 1024;
/// A dump that was disturbed by a change is begun anew, so often.
const DUMP_TRIES: u32 = 8;

/// The number of an error. Not rustix's type: that ends at 4095, where ipset's own begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) i32);

impl Fault {
    pub(crate) const AGAIN: Self = Self::of(Errno::AGAIN);
    pub(crate) const EXIST: Self = Self::of(Errno::EXIST);
    pub(crate) const NOENT: Self = Self::of(Errno::NOENT);
    /// A set of nftables is full.
    pub(crate) const NFILE: Self = Self::of(Errno::NFILE);
    /// The rules have been changed since the state that a transaction speaks of.
    pub(crate) const STALE: Self = Self::of(Errno::RESTART);
    const INTR: Self = Self::of(Errno::INTR);

    const fn of(errno: Errno) -> Self {
        Self(errno.raw_os_error())
    }

    /// This process may not.
    pub(crate) fn is_forbidden(self) -> bool {
        [Self::of(Errno::PERM), Self::of(Errno::ACCESS)].contains(&self)
    }

    /// No such family of sockets, or no such subsystem behind it.
    pub(crate) fn is_unknown_here(self) -> bool {
        [Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT, Errno::INVAL, Errno::OPNOTSUPP]
            .into_iter()
            .any(|errno| self == Self::of(errno))
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::of(errno)
    }
}

/// A socket to netfilter.
pub(crate) struct Socket {
    socket: OwnedFd,
    room: Vec<u8>,
    /// The number of the last question. What answers an older one is left over and of no interest.
    last: u32,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Socket {
    /// One that may ask; to be permitted is another thing.
    pub(crate) fn open() -> Result<Self, Fault> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(NETFILTER))?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        // Beyond the system's limit where we may, and up to it otherwise.
        if sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER).is_err() {
            let _smaller = sockopt::set_socket_recv_buffer_size(&socket, BUFFER);
        }
        Ok(Self { socket, room: vec![0; ROOM], last: 0 })
    }

    /// One question that is answered by yes or by an error.
    pub(crate) fn ask(&mut self, question: Question) -> Result<(), Fault> {
        let number = self.number();
        self.send(&question.finished(number))?;
        let mut result = None;
        while result.is_none() {
            self.receive(|answered, _, says| {
                if let Says::Result(error) = says
                    && answered == number
                {
                    result = Some(error);
                }
            })?;
        }
        result.map_or(Ok(()), as_result)
    }

    /// All of these changes or none of them. The error is that of the first one that has one.
    pub(crate) fn batch(&mut self, changes: Vec<Question>) -> Result<(), Fault> {
        self.batch_of(None, changes)
    }

    /// The same, unless anything at all was changed since the rules were in that state.
    pub(crate) fn batch_of(
        &mut self,
        generation: Option<u32>,
        changes: Vec<Question>,
    ) -> Result<(), Fault> {
        let begin = self.number();
        let nftables = u16::from(crate::nftables::SUBSYSTEM);
        let mut opening = Question::raw(BATCH_BEGIN, 0, 0, nftables);
        if let Some(generation) = generation {
            opening.bytes(BATCH_GENERATION, &generation.to_be_bytes());
        }
        let mut bytes = opening.finished(begin);
        let first = begin.wrapping_add(1);
        for change in changes {
            let number = self.number();
            bytes.extend(change.finished(number));
        }
        let last = self.last;
        let end = self.number();
        bytes.extend(Question::raw(BATCH_END, 0, 0, nftables).finished(end));
        self.send(&bytes)?;
        // Each change is answered; a batch that is refused as a whole is answered by its beginning.
        let (mut failed, mut answered) = (None, false);
        while !answered {
            self.receive(|number, _, says| {
                let Says::Result(error) = says else { return };
                let frame = number == begin || number == end;
                if (frame || within(first, number, last)) && error != 0 && failed.is_none() {
                    failed = Some(error);
                }
                answered |= number == last || (frame && error != 0);
            })?;
        }
        failed.map_or(Ok(()), as_result)
    }

    /// All entries that a question asks for. `take` gets kind, family and attributes of each, and
    /// puts what it makes of them behind the rest.
    pub(crate) fn dump<T>(
        &mut self,
        question: &Question,
        take: impl Fn(u16, u8, &[u8], &mut Vec<T>),
    ) -> Result<Vec<T>, Fault> {
        for _ in 0..DUMP_TRIES {
            match self.dump_once(question.clone(), &take) {
                // Something was changed meanwhile, and entries may be missing or doubled.
                Err(Fault::INTR) => {}
                other => return other,
            }
        }
        Err(Fault::INTR)
    }

    fn dump_once<T>(
        &mut self,
        question: Question,
        take: impl Fn(u16, u8, &[u8], &mut Vec<T>),
    ) -> Result<Vec<T>, Fault> {
        let number = self.number();
        self.send(&question.finished(number))?;
        let (mut found, mut result, mut was_disturbed) = (Vec::new(), None, false);
        while result.is_none() {
            self.receive(|answered, disturbed, says| {
                if answered != number {
                    return;
                }
                was_disturbed |= disturbed;
                match says {
                    Says::Entry(kind, family, body) => take(kind, family, body, &mut found),
                    Says::End => result = Some(0),
                    Says::Result(error) => result = Some(error),
                }
            })?;
        }
        if was_disturbed {
            return Err(Fault::INTR);
        }
        result.map_or(Ok(()), as_result)?;
        Ok(found)
    }

    fn number(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.last
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Fault> {
        let kernel = SocketAddrNetlink::new(0, 0);
        loop {
            match sendto(&self.socket, bytes, SendFlags::empty(), &kernel) {
                Err(Errno::INTR) => {}
                other => return Ok(other.map(drop)?),
            }
        }
    }

    /// One read. The kernel has answered when the question is sent, so nothing is waited for: no
    /// answer is an error and not a reason to hang.
    fn receive(&mut self, mut take: impl FnMut(u32, bool, Says<'_>)) -> Result<(), Fault> {
        let got = loop {
            match recvfrom(&self.socket, &mut *self.room, RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok((_, length, sender)) => {
                    let sender = sender.and_then(|it| SocketAddrNetlink::try_from(it).ok());
                    // Another program may send to this socket; only the kernel is heard.
                    break sender.filter(|it| it.pid() == 0).and(self.room.get(..length));
                }
            }
        };
        for answer in answers(got.unwrap_or_default()) {
            take(answer.number, answer.disturbed, answer.says);
        }
        Ok(())
    }
}

fn within(first: u32, number: u32, last: u32) -> bool {
    number.wrapping_sub(first) <= last.wrapping_sub(first)
}

fn as_result(error: i32) -> Result<(), Fault> {
    if error == 0 { Ok(()) } else { Err(Fault(error)) }
}
