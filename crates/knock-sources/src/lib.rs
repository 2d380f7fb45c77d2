//! Where lines and packets come from: a file that rotates, stdin, the kernel's own log, an interface, a
//! firewall's rule.
//!
//! Knows nothing of knocks or formats: it hands over blocks of whole lines, or packets as they were
//! captured.
//!
//! A [`Source`] runs in a thread of its own and pushes into an [`Intake`]. It ends when its [`Stop`]
//! is set, when the intake has had enough, or when there can be nothing more to read.
#![forbid(unsafe_code)]

mod capture;
mod cursor;
mod dmesg;
mod entries;
mod error;
mod fifo;
mod file;
mod journal;
mod kmsg;
mod lines;
mod nflog;
mod notice;
mod pace;
mod place;
mod pump;
mod stdin;
mod stop;
#[cfg(test)]
mod testing;
mod wait;

use std::{ops::ControlFlow, time::SystemTime};

pub use capture::{CaptureSource, InputKind, PcapFileSource};
pub use cursor::{Cursor, FileCursor, JournalCursor, NoCursor};
pub use entries::{Entries, EntryLine, EntryPlace, Taken};
pub use error::SourceError;
pub use fifo::FifoSource;
pub use file::FileSource;
pub use journal::JournalSource;
pub use kmsg::KmsgSource;
pub use lines::MAX_LINE;
pub use nflog::NflogSource;
pub use notice::{AwayReason, LostPlace, Notice, PollReason, Unaided, WaitReason};
pub use pace::Pace;
pub use place::{Age, FileId, Origin, Place};
pub use stdin::StdinSource;
pub use stop::Stop;

/// Something that lines or packets come from.
pub trait Source: Send {
    /// What a message calls it: a path, `stdin`, `/dev/kmsg`, `interface eth0`, `NFLOG group 5`.
    fn name(&self) -> String;

    /// Hands over what comes until `stop` is set, the intake breaks off, or the input has ended.
    ///
    /// Blocks the calling thread; [`Stop::set`] wakes it at once.
    ///
    /// # Errors
    /// Only when going on makes no sense: the device may not be opened, the system refuses the means
    /// to wait. What may pass by itself (a file that is missing, one that may not be read) is a
    /// [`Notice`], and the source goes on trying.
    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError>;
}

/// Where lines and packets go.
pub trait Intake {
    /// Takes whole lines, each ended by `\n`, in the order in which they were written. The bytes are
    /// whatever the log holds: NUL and invalid UTF-8 too. At most [`MAX_LINE`] bytes and a newline.
    ///
    /// `Break` ends the source.
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()>;

    /// As [`lines`](Self::lines), from a source that can go on after a restart: where the block stands.
    /// The offset of a line's end in the block gives its [`Age`] and its [`Place`].
    ///
    /// `Break` ends the source.
    fn lines_at(&mut self, block: &[u8], at: &Origin) -> ControlFlow<()> {
        let _unused = at;
        self.lines(block)
    }

    /// Such a source begins at this place, and hands over the lines behind it.
    fn begins_at(&mut self, place: Place) {
        let _unused = place;
    }

    /// As [`lines`](Self::lines), of what were entries of the journal.
    ///
    /// `Break` ends the source.
    fn entries(&mut self, block: &[u8], of: &Entries<'_>) -> ControlFlow<()> {
        let _unused = of;
        self.lines(block)
    }

    /// The journal is read behind this entry.
    fn begins_behind(&mut self, entry: &EntryPlace) {
        let _unused = entry;
    }

    /// Takes a packet as it was captured, in the order of arrival. The bytes are whatever a stranger
    /// sent, cut off where the snapshot ends. An intake of lines only has no use for it.
    ///
    /// `Break` ends the source.
    fn packet(&mut self, packet: &RawPacket<'_>) -> ControlFlow<()> {
        let _unused = packet;
        ControlFlow::Continue(())
    }

    /// There are no more packets for the moment: whoever gathers them can pass them on. Called after
    /// a bounded number of packets also when more are waiting.
    ///
    /// `Break` ends the source.
    fn packets_done(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Takes something worth telling the administrator. Sources say a thing once, not at each look.
    fn notice(&mut self, notice: Notice);
}

/// One packet, as libpcap or the kernel hands it over.
#[derive(Clone, Copy, Debug)]
pub struct RawPacket<'a> {
    /// What its first header is: the interface's link type, one of libpcap's `DLT_` numbers.
    pub link: i32,
    /// From the first header on, as much as was captured.
    pub bytes: &'a [u8],
    /// When it was captured; `None` where a file has a time that cannot be.
    pub time: Option<SystemTime>,
    /// What chose it, where that was a rule of the firewall.
    pub rule: Option<ByRule<'a>>,
}

/// What a firewall's rule tells of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByRule<'a> {
    /// The rule's prefix; empty if it has none.
    pub prefix: &'a [u8],
    /// The name of the interface that the packet came in by; empty where it is gone by now.
    pub interface: &'a str,
}

/// Where a source begins that has lines already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind the last complete line: only lines whose newline is written from now on count. A line
    /// that is half written at the start is handed over, whole, once it is complete: whoever read
    /// the log before us did not use it either.
    AtEnd,
    /// At the first line that is there.
    AtBeginning,
}
