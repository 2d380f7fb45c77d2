//! Packets from a capture file that tcpdump or wireshark wrote, also from a pipe.
//! libpcap reads it; there is nothing to wait for but the pipe.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Read, Write},
    ops::ControlFlow,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    thread,
};

use pcap::{Capture, Offline, Precision};

use super::handle::{Batch, read};
use crate::{
    Intake, Notice, Source, SourceError, Stop,
    wait::{Woken, wait_either},
};

/// Bytes that go through the pipe at a time.
const PIECE: usize = 64 * 1024;

/// Reads a `.pcap` or `.pcapng` file from its first packet to its last.
#[derive(Debug)]
pub struct PcapFileSource {
    name: String,
    input: OwnedFd,
    head: Vec<u8>,
}

impl PcapFileSource {
    /// Reads `input`, a file or a pipe, which messages call `name`.
    #[must_use]
    pub fn reading(name: impl Into<String>, input: OwnedFd) -> Self {
        Self { name: name.into(), input, head: Vec::new() }
    }

    /// With these bytes in front, which somebody has read already.
    #[must_use]
    pub fn after(mut self, head: Vec<u8>) -> Self {
        self.head = head;
        self
    }

    fn hand_over(&self, mut capture: Capture<Offline>, intake: &mut dyn Intake, stop: &Stop) {
        let mut packets = 0;
        while !stop.is_set() {
            let mut counting = Counting { intake: &mut *intake, packets: &mut packets };
            match read(&mut capture, Precision::Nano, &mut counting) {
                Ok(Batch { packets: 0, .. } | Batch { flow: ControlFlow::Break(()), .. }) => return,
                Ok(_) => {}
                Err(error) => {
                    let why = plain(&error);
                    intake.notice(Notice::CutOff { name: self.name.clone(), packets, why });
                    return;
                }
            }
        }
    }
}

impl Source for PcapFileSource {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        let failed = |error: io::Error| SourceError::Read { from: self.name.clone(), error };
        let input = File::from(self.input.try_clone().map_err(failed)?);
        let is_file = input.metadata().map_err(failed)?.is_file();
        if is_file && self.head.is_empty() {
            let capture = self.open(&input)?;
            self.hand_over(capture, intake, stop);
            return Ok(());
        }
        // libpcap wants the first bytes too, and must not block where a stop cannot reach it.
        let done = Stop::new().map_err(SourceError::Wait)?;
        let (reader, writer) = io::pipe().map_err(failed)?;
        let head = std::mem::take(&mut self.head);
        thread::scope(|scope| {
            scope.spawn(|| feed(&head, &input, writer, stop, &done));
            let opened = self.open_pipe(reader);
            // Closed in there, which ends a feeder that waits for room.
            let read = opened.map(|capture| self.hand_over(capture, intake, stop));
            done.set();
            read
        })
    }
}

impl PcapFileSource {
    /// libpcap takes a name; this one is that of an open file, whatever has become of its own.
    fn open(&self, input: &impl AsRawFd) -> Result<Capture<Offline>, SourceError> {
        let path = format!("/proc/self/fd/{}", input.as_raw_fd());
        Capture::from_file_with_precision(path, Precision::Nano).map_err(|error| {
            SourceError::NotACapture { name: self.name.clone(), why: plain(&error) }
        })
    }

    /// Closes our own end once libpcap has its own: the writer must see when nobody reads any more.
    fn open_pipe(&self, reader: PipeReader) -> Result<Capture<Offline>, SourceError> {
        let capture = self.open(&reader);
        drop(reader);
        capture
    }
}

/// Copies into the pipe until the input ends, the stop is set, or nobody reads.
fn feed(head: &[u8], input: &File, mut pipe: PipeWriter, stop: &Stop, done: &Stop) {
    let mut piece = vec![0; PIECE];
    if pipe.write_all(head).is_err() {
        return;
    }
    while let Ok(Woken::Ready) = wait_either(input.as_fd(), done.as_fd(), stop, None) {
        if done.is_set() {
            return;
        }
        let mut from = input;
        match from.read(&mut piece) {
            Ok(0) => return,
            Ok(got) => {
                if pipe.write_all(piece.get(..got).unwrap_or_default()).is_err() {
                    return;
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) => {}
            // libpcap will find the file cut off here.
            Err(_) => return,
        }
    }
}

/// Counts on the way, since libpcap does not tell how many packets came before a fault.
struct Counting<'a> {
    intake: &'a mut dyn Intake,
    packets: &'a mut u64,
}

impl Intake for Counting<'_> {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        self.intake.lines(block)
    }

    fn packet(&mut self, packet: &crate::RawPacket<'_>) -> ControlFlow<()> {
        *self.packets += 1;
        self.intake.packet(packet)
    }

    fn packets_done(&mut self) -> ControlFlow<()> {
        self.intake.packets_done()
    }

    fn notice(&mut self, notice: Notice) {
        self.intake.notice(notice);
    }
}

/// What libpcap said, without the name that means nothing to anybody.
pub(super) fn plain(error: &pcap::Error) -> String {
    let text = match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    };
    match text.split_once(": ") {
        Some((path, rest)) if path.starts_with("/proc/self/fd/") => rest.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests;
