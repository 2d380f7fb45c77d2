//! `replay`: existing logs and capture files through the same engine, at full speed, with their own
//! time. Responds to nothing and keeps nothing.

mod event;

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use knock_config::DaemonSettings;
use knock_engine::{Accepted, Engine, Ledger, Verdict};
use knock_formats::packet::EthFilters;
use knock_formats::{Extractor, Formats};
use knock_sources::{Intake, Notice, RawPacket, Stop};
use knock_wire::{Hit, Refusal};
use serde_json::json;

use crate::exit::Exit;
use crate::lease_words;
use crate::run::{Clock, captured, lines_of, tell};
use crate::shown::{delay_text, why_nothing};

use super::args::{Common, ReplayArgs};
use super::input;
use super::load;
use super::machine::Purpose;
use super::output::Printer;
use super::reading::{Progress, ReplayTime, Unit};

/// Runs the logs through the engine and prints knocks, then counts and rates.
pub(crate) fn replay(common: &Common, args: &ReplayArgs) -> Exit {
    let (_, settings) = match load::settings(common, Purpose::Look) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let clock = Clock::new();
    let began = clock.uptime();
    let mut replayer = Replayer::new(settings, args, clock.now().wall);
    for log in &args.logs {
        if let Err(error) = replayer.read(log) {
            return input::unreadable(log, &error);
        }
    }
    replayer.summary(clock.uptime().saturating_sub(began));
    replayer.out.finish()
}

struct Replayer {
    engine: Engine,
    formats: Arc<Formats>,
    extractor: Extractor,
    ethfilters: Arc<EthFilters>,
    time: ReplayTime,
    out: Printer,
    json: bool,
    progress: Progress,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    lines: u64,
    packets: u64,
    bytes: u64,
    hits: u64,
    knocks: u64,
}

impl Replayer {
    fn new(settings: DaemonSettings, args: &ReplayArgs, today: SystemTime) -> Self {
        let progress = Progress::new(&settings, args.logs.len());
        let formats = settings.formats;
        Self {
            progress,
            engine: Engine::new(settings.plan, Ledger::new()),
            extractor: Extractor::new(Arc::clone(&formats)),
            formats,
            ethfilters: settings.ethfilters,
            time: ReplayTime::new(today),
            out: Printer::new(),
            json: args.json,
            counts: Counts::default(),
        }
    }

    fn read(&mut self, log: &Path) -> io::Result<()> {
        let mut source = self.progress.open(log)?;
        self.extractor = Extractor::new(Arc::clone(&self.formats));
        source.run(self, &Stop::new()?).map_err(io::Error::other)
    }

    /// For `-debug`: the same line by line, with a word about each.
    fn lines_with_reasons(&mut self, block: &[u8]) -> ControlFlow<()> {
        for line in lines_of(block) {
            self.progress.at += 1;
            self.counts.lines += 1;
            let result = self.extractor.examine(line);
            tell::line(line, &result);
            if let Ok((hit, times)) = result {
                (0..times).for_each(|_| self.hit(&hit));
            }
        }
        self.out.go_on()
    }

    fn hit(&mut self, hit: &Hit) {
        self.counts.hits += 1;
        let now = self.time.at(hit.time);
        let verdict = self.engine.hit(&now, hit);
        tell::verdict(&self.engine, hit, &verdict);
        match verdict {
            Verdict::Accepted(accepted) => {
                self.counts.knocks += 1;
                self.knock(&accepted);
                // Orders are not kept, or a long log would fill the memory with an agenda that never
                // runs.
                self.engine.commit(&accepted.remembered());
            }
            // Other windows are noise; this one was a knock.
            Verdict::Refused(refusal @ Refusal::Replayed) => self.refused(hit, refusal),
            _ => {}
        }
    }

    fn refused(&mut self, hit: &Hit, refusal: Refusal) {
        let client = hit.client.to_canonical();
        let text = match self.json {
            true => event::refused(client, refusal, self.progress.place()),
            false => format!("{}: {client} refused: {refusal}", self.progress.text()),
        };
        self.out.line(&text);
    }

    fn knock(&mut self, accepted: &Accepted) {
        let text = match self.json {
            true => event::knock(accepted, self.progress.place()),
            false => self.knock_text(accepted),
        };
        self.out.line(&text);
    }

    fn knock_text(&self, accepted: &Accepted) -> String {
        let place = self.progress.text();
        let mut text = format!("{place}: {} knocked: {}", accepted.client, accepted.knock);
        for order in &accepted.orders {
            let when = delay_text(order.delay);
            text.push_str(&format!("\n    {} {when}: {}", order.template, order.command));
        }
        for news in &accepted.leases {
            text.push_str(&format!("\n    {}", lease_words::news_text(news)));
        }
        if let Some(why) = why_nothing(accepted) {
            text.push_str(&format!("\n    {why}"));
        }
        for (action, fault) in &accepted.faults {
            text.push_str(&format!("\n    {action} cannot be evaluated: {fault}"));
        }
        text
    }

    #[allow(clippy::cast_precision_loss, reason = "rates for people to read")]
    fn summary(&mut self, took: Duration) {
        let Counts { lines, packets, bytes, hits, knocks } = self.counts;
        let seconds = took.as_secs_f64();
        let text = if self.json {
            json!({
                "event": "summary",
                "lines": lines,
                "packets": packets,
                "bytes": bytes,
                "hits": hits,
                "knocks": knocks,
                "refused": self.engine.counters().refused,
                "seconds": seconds,
            })
            .to_string()
        } else {
            let counters = self.engine.counters();
            let per_second = seconds.max(1e-9);
            let (read, unit) = match (self.progress.unit(), lines, packets) {
                (Unit::Line, _, 0) => (format!("{lines} lines"), "lines"),
                (Unit::Packet, 0, _) => (format!("{packets} packets"), "packets"),
                _ => (format!("{lines} lines, {packets} packets"), "lines and packets"),
            };
            let replayed = match counters.refused.get(Refusal::Replayed.code()) {
                Some(replayed) => format!(" ({replayed} more came again and were refused)"),
                None => String::new(),
            };
            format!(
                "{read}, {bytes} bytes, {hits} hits ({} outside the span, {} repeated), \
                 {knocks} knocks{replayed} in {seconds:.3} s: {:.0} {unit}/s, {:.1} MB/s",
                counters.outside_span,
                counters.repeated,
                (lines + packets) as f64 / per_second,
                bytes as f64 / per_second / 1e6,
            )
        };
        self.out.line(&text);
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

impl Intake for Replayer {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        self.counts.bytes += block.len() as u64;
        if tell::tells_lines() {
            return self.lines_with_reasons(block);
        }
        let before = self.progress.at;
        // Out of `self` for the call: the closure needs the rest of it.
        let mut extractor =
            std::mem::replace(&mut self.extractor, Extractor::new(Arc::clone(&self.formats)));
        let mut counted = 0;
        extractor.block(block, &mut |at, hit| {
            if let Some(skipped) = block.get(counted..at) {
                self.progress.at += newlines(skipped);
                counted = at;
            }
            self.progress.at += 1;
            self.hit(&hit);
            self.progress.at -= 1;
        });
        self.extractor = extractor;
        self.progress.at += block.get(counted..).map_or(0, newlines);
        self.counts.lines += self.progress.at - before;
        self.out.go_on()
    }

    fn packet(&mut self, packet: &RawPacket<'_>) -> ControlFlow<()> {
        self.progress.at += 1;
        self.counts.packets += 1;
        self.counts.bytes += packet.bytes.len() as u64;
        let result = self.ethfilters.hit(&captured(packet));
        tell::packet(self.progress.at, &result);
        if let Ok(hit) = result {
            self.hit(&hit);
        }
        self.out.go_on()
    }

    fn notice(&mut self, notice: Notice) {
        if let Some(bytes) = self.progress.notice(&notice) {
            self.counts.lines += 1;
            // With its newline, as all lines are counted.
            self.counts.bytes += bytes + 1;
        }
    }
}
