//! A flood of forged SYNs, made by hand and put on the client's wire at a rate.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use etherparse::PacketBuilder;

use crate::lab::{Host, Lab};
use crate::loggen::Random;
use crate::process::now;
use crate::{LabError, Result};

/// The first address that is forged.
const FIRST: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 0);

/// How often the rate is kept to.
const TICK: Duration = Duration::from_millis(1);

/// What a flood is like.
#[derive(Clone, Debug)]
pub struct Storm {
    /// Packets a second; none: as fast as one thread makes them.
    pub rate: Option<u64>,
    /// So many forged sources.
    pub sources: u64,
    /// The ports that are hit, each time one of them.
    pub ports: Vec<u16>,
}

/// What is told while and after it blows, and how it is told to end.
#[derive(Debug, Default)]
pub struct Weather {
    /// Packets sent so far.
    pub sent: AtomicU64,
    /// Set to end it.
    pub over: AtomicBool,
}

/// Ends a flood when it goes: also where a test fails in the middle, since nobody would end it otherwise
/// and the test would never.
#[derive(Debug)]
pub struct EndsWithMe<'a>(pub &'a AtomicBool);

impl Drop for EndsWithMe<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Storm {
    /// Blows until it is over, or `most` packets are sent. Returns the packets a second.
    ///
    /// # Errors
    /// When the wire cannot be opened.
    pub fn blow(&self, lab: &Lab, most: u64, weather: &Weather) -> Result<f64> {
        let (from, to) = (mac(lab, Host::Client)?, mac(lab, Host::Server)?);
        let IpAddr::V4(server) = lab.server() else {
            return Err(LabError("the lab's first addresses are IPv4".into()));
        };
        let interface = lab.interface(Host::Client);
        let wrong = |error: &dyn std::fmt::Display| LabError(format!("the flood: {error}"));
        lab.within(Host::Client, || {
            let mut wire = pcap::Capture::from_device(interface.as_str())
                .and_then(pcap::Capture::open)
                .map_err(|error| wrong(&error))?;
            let (mut random, mut bytes) = (Random(4711), Vec::new());
            let began = now();
            let mut sent = 0;
            while sent < most && !weather.over.load(Ordering::Relaxed) {
                let due = self.due(began.elapsed()).min(most);
                if due <= sent {
                    thread::sleep(TICK);
                    continue;
                }
                // In between it listens for its end.
                let batch = (due - sent).min(256);
                for _ in 0..batch {
                    bytes.clear();
                    let nth = usize::try_from(random.below(self.ports.len() as u64)).unwrap_or(0);
                    let port = self.ports.get(nth).copied().unwrap_or_default();
                    let source = u32::try_from(random.below(self.sources)).unwrap_or_default();
                    let source = Ipv4Addr::from(u32::from(FIRST) + source);
                    let from_port = 1024 + u16::try_from(random.below(60_000)).unwrap_or_default();
                    PacketBuilder::ethernet2(from, to)
                        .ipv4(source.octets(), server.octets(), 64)
                        .tcp(from_port, port, 1, 64_240)
                        .syn()
                        .write(&mut bytes, &[])
                        .map_err(|error| wrong(&error))?;
                    wire.sendpacket(bytes.as_slice()).map_err(|error| wrong(&error))?;
                }
                sent += batch;
                weather.sent.store(sent, Ordering::Relaxed);
            }
            #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
            Ok(sent as f64 / began.elapsed().as_secs_f64())
        })?
    }

    fn due(&self, elapsed: Duration) -> u64 {
        let Some(rate) = self.rate else { return u64::MAX };
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        rate.saturating_mul(micros) / 1_000_000
    }
}

fn mac(lab: &Lab, host: Host) -> Result<[u8; 6]> {
    let text = lab.on(host, &format!("cat /sys/class/net/{}/address", lab.interface(host)))?;
    let bytes: Vec<u8> =
        text.trim().split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes.try_into().map_err(|_| LabError(format!("'{text}' is no MAC address")))
}
