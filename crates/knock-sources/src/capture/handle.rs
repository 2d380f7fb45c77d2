//! A handle of libpcap on an interface, and how its packets are handed over.
//! Waits for nothing and knows nothing of interfaces that come and go.

use std::{
    ops::ControlFlow,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, SystemTime},
};

use pcap::{Activated, Active, Capture, Direction, Precision};

use super::file::plain;
use crate::{Intake, RawPacket, Unaided};

/// Packets handed over between two looks at the stop and the interfaces.
const BATCH: usize = 256;

/// Room in the kernel for packets that wait to be read. At 1500 bytes each these are some two
/// thousand, 50 ms of a flood of 40,000 a second. It counts as memory of the process.
const ROOM: i32 = 4 * 1024 * 1024;

/// What one batch came to.
pub(super) struct Batch {
    /// Packets; 0 when there was nothing to read (for a file: its end).
    pub(super) packets: usize,
    /// Whether the intake wants more.
    pub(super) flow: ControlFlow<()>,
}

/// An interface that packets are captured on.
pub(super) struct Handle {
    capture: Capture<Active>,
    /// The kernel's count of dropped packets that was seen last.
    dropped: u32,
}

impl Handle {
    /// Opens an interface. Also tells what the kernel does not spare us there.
    ///
    /// Not promiscuous: a knock is sent to this host, so its network card takes the packets anyway.
    /// Only what comes in: what this host sends is no knock. Immediate: a packet is there when it
    /// comes, and not when a buffer is full.
    pub(super) fn open(
        interface: &str,
        snapshot: usize,
        filter: Option<&str>,
    ) -> Result<(Self, Vec<Unaided>), pcap::Error> {
        let mut unaided = Vec::new();
        let mut capture = Capture::from_device(interface)?
            .promisc(false)
            .snaplen(i32::try_from(snapshot).unwrap_or(i32::MAX))
            .immediate_mode(true)
            .buffer_size(ROOM)
            .open()?
            .setnonblock()?;
        // Not all that libpcap opens knows of directions; then both are seen.
        if let Err(error) = capture.direction(Direction::In) {
            unaided.push(Unaided::Direction(plain(&error)));
        }
        // The filter only spares copies. Some link types do not know all of its words (there is no
        // VLAN on `any`); there everything is looked at.
        if let Some(Err(error)) = filter.map(|filter| capture.filter(filter, true)) {
            unaided.push(Unaided::Filter(plain(&error)));
        }
        Ok((Self { capture, dropped: 0 }, unaided))
    }

    /// Readable when there are packets, or when something is wrong.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }

    /// Hands over what is there, a bounded number of packets.
    pub(super) fn read(&mut self, intake: &mut dyn Intake) -> Result<Batch, pcap::Error> {
        read(&mut self.capture, Precision::Micro, intake)
    }

    /// How many packets the kernel has dropped since this was asked last.
    pub(super) fn newly_dropped(&mut self) -> u64 {
        let Ok(now) = self.capture.stats() else { return 0 };
        // The counter wraps around.
        let new = now.dropped.wrapping_sub(self.dropped);
        self.dropped = now.dropped;
        new.into()
    }
}

/// Hands over the next packets of an interface or a file.
pub(super) fn read<T: Activated>(
    capture: &mut Capture<T>,
    precision: Precision,
    intake: &mut dyn Intake,
) -> Result<Batch, pcap::Error> {
    let link = capture.get_datalink().0;
    let mut flow = ControlFlow::Continue(());
    let end = capture.breakloop_handle();
    let read = capture.dispatch(Some(BATCH), |packet| {
        if flow.is_break() {
            return;
        }
        let ts = packet.header.ts;
        let time = moment(ts.tv_sec, ts.tv_usec, precision);
        flow = intake.packet(&RawPacket { link, bytes: packet.data, time, rule: None });
        if flow.is_break() {
            // A pipe would be read on until the batch is full.
            end.breakloop();
        }
    });
    if flow.is_break() {
        // To be ended from within is an error for libpcap.
        return Ok(Batch { packets: 0, flow });
    }
    // What came before a fault has been handed over all the same.
    if !matches!(read, Ok(0)) {
        flow = intake.packets_done();
    }
    let packets = read?;
    Ok(Batch { packets, flow })
}

/// The last second of the year 9999. Calendars end somewhere behind it.
const LAST_SECOND: u64 = 253_402_300_799;

/// A capture's time. A file has whatever somebody wrote there.
fn moment(seconds: i64, fraction: i64, precision: Precision) -> Option<SystemTime> {
    let scale = match precision {
        Precision::Micro => 1000,
        Precision::Nano => 1,
    };
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds <= LAST_SECOND)?;
    let nanos = fraction.checked_mul(scale).and_then(|nanos| u32::try_from(nanos).ok());
    // A fraction that is none leaves the second.
    let nanos = nanos.filter(|nanos| *nanos < 1_000_000_000).unwrap_or_default();
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_in_a_file_is_too_wild() {
        let since = |seconds, fraction, precision| {
            let moment = moment(seconds, fraction, precision)?;
            Some(moment.duration_since(SystemTime::UNIX_EPOCH).unwrap())
        };
        assert_eq!(since(7, 5, Precision::Micro), Some(Duration::new(7, 5000)));
        assert_eq!(since(7, 5, Precision::Nano), Some(Duration::new(7, 5)));
        assert_eq!(since(7, 4_000_000_000, Precision::Nano), Some(Duration::from_secs(7)));
        assert_eq!(since(7, i64::MAX, Precision::Micro), Some(Duration::from_secs(7)));
        assert_eq!(since(7, -1, Precision::Micro), Some(Duration::from_secs(7)));
        assert_eq!(since(253_402_300_799, 0, Precision::Nano).unwrap().as_secs(), LAST_SECOND);
        for wild in [-7, 253_402_300_800, i64::MAX / 1_000_000, i64::MAX] {
            assert_eq!(since(wild, 0, Precision::Micro), None, "{wild}");
        }
    }
}
