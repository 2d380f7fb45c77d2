//! From blocks of lines and from packets to hits, in the source's own thread, so that only hits cross
//! to the loop.

use std::ops::ControlFlow;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use knock_config::{DaemonSettings, NflogSettings};
use knock_formats::packet::{Captured, EthFilters, LinkType, NoPacketHit};
use knock_formats::{Extractor, Formats};
use knock_sources::{Intake, Notice, RawPacket};
use knock_wire::{Hit, Interface};

use super::clock::Clock;
use super::event::Event;
use super::source_state::SourceState;
use super::tell;

/// What lines and packets are held against; a reload puts others in without stopping the sources.
#[derive(Clone)]
pub(crate) struct SharedTests(Arc<Mutex<Tests>>);

/// The logformats and the ethfilters in use, and the rules of the firewall that are meant.
#[derive(Clone)]
pub(crate) struct Tests {
    formats: Arc<Formats>,
    ethfilters: Arc<EthFilters>,
    rulefilters: Arc<EthFilters>,
    nflog: Option<NflogSettings>,
}

impl Tests {
    /// Those of the settings.
    pub(crate) fn of(settings: &DaemonSettings) -> Self {
        Self {
            formats: Arc::clone(&settings.formats),
            ethfilters: Arc::clone(&settings.ethfilters),
            rulefilters: Arc::clone(&settings.rulefilters),
            nflog: settings.nflog.clone(),
        }
    }
}

impl Tests {
    /// The hit that a packet is, by the rule that chose it and the filters in use.
    pub(crate) fn hit(&self, packet: &RawPacket<'_>) -> Result<Hit, NoPacketHit> {
        let Some(rule) = packet.rule else { return self.ethfilters.hit(&captured(packet)) };
        if self.nflog.as_ref().is_some_and(|nflog| !nflog.is_meant(rule.prefix)) {
            return Err(NoPacketHit::OtherRule);
        }
        let hit = self.rulefilters.hit(&captured(packet))?;
        Ok(Hit { interface: Interface::new(rule.interface.as_bytes()), ..hit })
    }
}

impl SharedTests {
    /// Starts with those of the settings.
    pub(crate) fn new(settings: &DaemonSettings) -> Self {
        Self(Arc::new(Mutex::new(Tests::of(settings))))
    }

    /// From the next block or packet on, those of these settings are used.
    pub(crate) fn replace(&self, settings: &DaemonSettings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Tests::of(settings);
    }

    fn current(&self) -> Tests {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The intake of one source: extracts hits and sends them to the loop, a block at a time.
pub(crate) struct ToLoop {
    source: String,
    shared: SharedTests,
    in_use: Tests,
    extractor: Extractor,
    /// Those of the packets since the last were sent.
    gathered: Vec<Hit>,
    /// Whether a packet has come since then.
    gathering: bool,
    /// That the packets of this source cannot be read is said once.
    link_told: bool,
    /// Packets since the last were counted.
    uncounted: u64,
    inbox: SyncSender<Event>,
    state: Arc<SourceState>,
    clock: Clock,
}

impl ToLoop {
    /// For a source, which keeps count in `state`.
    pub(crate) fn new(
        shared: SharedTests,
        inbox: SyncSender<Event>,
        state: &Arc<SourceState>,
        clock: Clock,
    ) -> Self {
        let in_use = shared.current();
        Self {
            source: state.name().to_owned(),
            extractor: Extractor::new(Arc::clone(&in_use.formats)),
            in_use,
            shared,
            gathered: Vec::new(),
            gathering: false,
            link_told: false,
            uncounted: 0,
            inbox,
            state: Arc::clone(state),
            clock,
        }
    }

    fn refresh(&mut self) {
        let current = self.shared.current();
        if !Arc::ptr_eq(&current.formats, &self.in_use.formats) {
            self.extractor = Extractor::new(Arc::clone(&current.formats));
        }
        self.in_use = current;
    }

    fn send(&self, event: Event) -> ControlFlow<()> {
        // A closed inbox means that the loop has ended: nobody is left to read for.
        match self.inbox.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn send_hits(&self, hits: Vec<Hit>) -> ControlFlow<()> {
        if hits.is_empty() { ControlFlow::Continue(()) } else { self.send(Event::Hits(hits)) }
    }
}

impl Intake for ToLoop {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        self.refresh();
        let mut hits: Vec<Hit> = Vec::new();
        if tell::tells_lines() {
            for line in lines_of(block) {
                let result = self.extractor.examine(line);
                tell::line(line, &result);
                hits.extend(
                    result.into_iter().flat_map(|(hit, times)| (0..times).map(move |_| hit)),
                );
            }
        } else {
            self.extractor.block(block, &mut |_, hit| {
                tell::hit(&hit);
                hits.push(hit);
            });
        }
        let lines = memchr::memchr_iter(b'\n', block).count();
        self.state.count(self.clock.uptime(), lines as u64, hits.len());
        self.send_hits(hits)
    }

    fn packet(&mut self, packet: &RawPacket<'_>) -> ControlFlow<()> {
        // Once for those that come together.
        if !std::mem::replace(&mut self.gathering, true) {
            self.refresh();
        }
        self.uncounted += 1;
        match self.in_use.hit(packet) {
            Ok(hit) => {
                tell::hit(&hit);
                self.gathered.push(hit);
            }
            Err(why @ NoPacketHit::UnsupportedLink(_)) => {
                if !std::mem::replace(&mut self.link_told, true) {
                    tracing::error!(source = self.source, "no knock can come this way: {why}");
                }
            }
            Err(why) => {
                // On a busy interface that is nearly all there is; a rule has chosen already.
                if let Some(rule) = packet.rule {
                    tell::packet_of_rule(rule.prefix, why);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn packets_done(&mut self) -> ControlFlow<()> {
        self.gathering = false;
        let (packets, hits) = (std::mem::take(&mut self.uncounted), self.gathered.len());
        if packets > 0 {
            self.state.count(self.clock.uptime(), packets, hits);
        }
        let hits = std::mem::take(&mut self.gathered);
        self.send_hits(hits)
    }

    fn notice(&mut self, notice: Notice) {
        self.state.begin();
        // When the loop is gone nobody is left to tell.
        let _gone = self.send(Event::Notice(self.source.clone(), notice));
    }
}

/// A packet of a source as the filters take it.
pub(crate) fn captured<'a>(packet: &RawPacket<'a>) -> Captured<'a> {
    Captured { link: LinkType(packet.link), bytes: packet.bytes, time: packet.time }
}

/// The lines of a block, without their newlines.
pub(crate) fn lines_of(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', block).map(move |end| {
        let line = block.get(start..end).unwrap_or_default();
        start = end + 1;
        line
    })
}

#[cfg(test)]
mod tests {
    use super::lines_of;

    #[test]
    fn a_block_falls_into_its_lines() {
        let lines: Vec<&[u8]> = lines_of(b"one\n\nthree\n").collect();
        assert_eq!(lines, [b"one".as_slice(), b"", b"three"]);
    }
}
