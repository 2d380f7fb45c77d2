//! From blocks of lines and from packets to hits, in the source's own thread, so that only hits cross
//! to the loop.

use std::ops::ControlFlow;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use knock_config::{DaemonSettings, NflogSettings};
use knock_formats::packet::{Captured, EthFilters, LinkType, NoPacketHit};
use knock_formats::{Extractor, Formats};
use knock_sources::{Age, Entries, EntryPlace, Intake, Notice, Origin, Place, RawPacket};
use knock_wire::{Hit, Interface};

use super::clock::Clock;
use super::event::{Arrived, Event};
use super::lag::{Lag, lag, written};
use super::source_state::SourceState;
use super::tell;
use super::trail::{Lines, Reached, Trail};

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
    /// With `resume`.
    maxlag: Option<Duration>,
}

impl Tests {
    /// Those of the settings.
    pub(crate) fn of(settings: &DaemonSettings) -> Self {
        Self {
            formats: Arc::clone(&settings.formats),
            ethfilters: Arc::clone(&settings.ethfilters),
            rulefilters: Arc::clone(&settings.rulefilters),
            nflog: settings.nflog.clone(),
            maxlag: settings.resume,
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
    id: usize,
    source: String,
    trail: Trail,
    shared: SharedTests,
    in_use: Tests,
    extractor: Extractor,
    /// Those of the packets since the last were sent.
    gathered: Vec<Arrived>,
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
    /// For the source of this number, which keeps count in `state` and leaves a trail.
    pub(crate) fn new(
        id: usize,
        shared: SharedTests,
        inbox: SyncSender<Event>,
        state: &Arc<SourceState>,
        trail: &Trail,
        clock: Clock,
    ) -> Self {
        let in_use = shared.current();
        Self {
            id,
            source: state.name().to_owned(),
            trail: trail.clone(),
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

    fn count_lines(&self, block: &[u8], hits: usize) {
        let lines = memchr::memchr_iter(b'\n', block).count();
        self.state.count(self.clock.uptime(), lines as u64, hits);
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

    fn send_hits(&self, hits: Vec<Arrived>) -> ControlFlow<()> {
        if hits.is_empty() {
            ControlFlow::Continue(())
        } else {
            self.send(Event::Hits(self.id, hits))
        }
    }

    /// What became of a block of which not all hits need be of use.
    fn pass_on(
        &self,
        block: &[u8],
        late: Option<(u64, Duration)>,
        hits: Vec<Arrived>,
    ) -> ControlFlow<()> {
        if let Some((count, oldest)) = late {
            self.send(Event::TooOld(self.source.clone(), count, oldest))?;
        }
        self.count_lines(block, hits.len());
        self.send_hits(hits)
    }

    /// The hits of a block, each with the end of its line in the block.
    fn hits(&mut self, block: &[u8], sink: &mut dyn FnMut(usize, Hit)) {
        if tell::tells_lines() {
            let mut end = 0;
            for line in lines_of(block) {
                end += line.len() + 1;
                let result = self.extractor.examine(line);
                tell::line(line, &result);
                if let Ok((hit, times)) = result {
                    (0..times).for_each(|_| sink(end, hit));
                }
            }
        } else {
            self.extractor.block(block, &mut |start, hit| {
                tell::hit(&hit);
                let rest = block.get(start..).unwrap_or_default();
                let end = memchr::memchr(b'\n', rest).map_or(block.len(), |len| start + len + 1);
                sink(end, hit);
            });
        }
    }
}

/// What to do with the hits of a block when reading goes on after restarts.
struct Resuming {
    now: SystemTime,
    maxlag: Option<Duration>,
    /// Hits that came just now and are too old, and the age of the oldest.
    late: Option<(u64, Duration)>,
}

impl Resuming {
    /// The hit of a file's line as it is to be used, if it is.
    fn of_line(&mut self, lines: &Lines<'_>, end: usize, hit: Hit) -> Option<Arrived> {
        let age = lines.origin.age(end);
        self.arrived(age, written(hit.time, age, self.now), lines.reached(end), hit)
    }

    /// That of an entry, which has the journal's own time and not the line's.
    fn of_entry(&mut self, entries: &Entries<'_>, end: usize, hit: Hit) -> Option<Arrived> {
        let line = entries.line(end)?;
        let reached = Reached::Entry(line.taken);
        self.arrived(entries.age(&line), Some(line.written), reached, hit)
    }

    fn arrived(
        &mut self,
        age: Age,
        written: Option<SystemTime>,
        reached: Reached,
        hit: Hit,
    ) -> Option<Arrived> {
        let reached = Some(reached);
        let Some(maxlag) = self.maxlag else {
            return Some(Arrived { reached, ..Arrived::now(hit) });
        };
        match lag(written, age, self.now, maxlag) {
            Lag::Used(ago) => Some(Arrived { hit, ago, age, written, reached }),
            Lag::TooOld(ago) => {
                tell::too_old(&hit, Some(ago));
                if age == Age::Live {
                    let (count, oldest) = self.late.unwrap_or_default();
                    self.late = Some((count + 1, oldest.max(ago)));
                }
                None
            }
            Lag::Undated => {
                tell::too_old(&hit, None);
                None
            }
        }
    }
}

impl Intake for ToLoop {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        self.refresh();
        let mut hits = Vec::new();
        self.hits(block, &mut |_, hit| hits.push(Arrived::now(hit)));
        self.count_lines(block, hits.len());
        self.send_hits(hits)
    }

    fn lines_at(&mut self, block: &[u8], at: &Origin) -> ControlFlow<()> {
        self.refresh();
        let (now, maxlag) = (self.clock.now(), self.in_use.maxlag);
        let lines = self.trail.read(now.uptime, maxlag.unwrap_or_default(), block, at);
        let mut resuming = Resuming { now: now.wall, maxlag, late: None };
        let mut hits = Vec::new();
        self.hits(block, &mut |end, hit| hits.extend(resuming.of_line(&lines, end, hit)));
        self.pass_on(block, resuming.late, hits)
    }

    fn entries(&mut self, block: &[u8], of: &Entries<'_>) -> ControlFlow<()> {
        self.refresh();
        let (now, maxlag) = (self.clock.now(), self.in_use.maxlag);
        self.trail.read_entries(now.uptime, maxlag.unwrap_or_default(), of);
        let mut resuming = Resuming { now: now.wall, maxlag, late: None };
        let mut hits = Vec::new();
        self.hits(block, &mut |end, hit| hits.extend(resuming.of_entry(of, end, hit)));
        self.pass_on(block, resuming.late, hits)
    }

    fn begins_behind(&mut self, entry: &EntryPlace) {
        self.trail.begins_behind(self.clock.now().uptime, entry.clone());
    }

    fn begins_at(&mut self, place: Place) {
        self.trail.begins_at(self.clock.now().uptime, place);
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
                self.gathered.push(Arrived::now(hit));
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
        self.state.hear(&notice);
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
