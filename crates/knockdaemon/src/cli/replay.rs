//! `replay`: existing logs and capture files through the same engine, at full speed, with their own
//! time. Responds to nothing and keeps nothing.

mod time;

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use knock_config::{DaemonSettings, RunMode};
use knock_engine::{Accepted, Engine, Ledger, Verdict};
use knock_formats::packet::EthFilters;
use knock_formats::{Extractor, Formats};
use knock_sources::{Intake, Notice, RawPacket, Source, Stop};
use knock_wire::{Hit, Value};
use serde_json::{Map, json};

use crate::exit::Exit;
use crate::run::{Clock, captured, lines_of, tell};

use super::args::{Common, ReplayArgs};
use super::input::{self, Input};
use super::load;
use super::machine::Purpose;
use super::output::Printer;
use time::ReplayTime;

/// Runs the logs through the engine and prints knocks, then counts and rates.
pub(crate) fn replay(common: &Common, args: &ReplayArgs) -> Exit {
    let (_, settings) = match load::settings(common, Purpose::Look) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let clock = Clock::new();
    let mut replayer = Replayer::new(settings, args, clock.now().wall);
    for log in &args.logs {
        if let Err(error) = replayer.read(log) {
            return input::unreadable(log, &error);
        }
    }
    replayer.summary(clock.now().uptime);
    replayer.out.finish()
}

struct Replayer {
    engine: Engine,
    formats: Arc<Formats>,
    extractor: Extractor,
    ethfilters: Arc<EthFilters>,
    /// Whether the configuration says anything about packets.
    is_for_packets: bool,
    time: ReplayTime,
    out: Printer,
    json: bool,
    /// Named in the output when there is more than one.
    several: bool,
    log: String,
    /// What is numbered in the log that is being read.
    unit: Unit,
    /// The number of the line or packet.
    at: u64,
    counts: Counts,
}

/// What a log consists of.
#[derive(Clone, Copy)]
enum Unit {
    Line,
    Packet,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Packet => "packet",
        }
    }
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
        let formats = settings.formats;
        Self {
            engine: Engine::new(settings.plan, Ledger::new()),
            extractor: Extractor::new(Arc::clone(&formats)),
            formats,
            ethfilters: settings.ethfilters,
            is_for_packets: settings.runmode == RunMode::Network,
            time: ReplayTime::new(today),
            out: Printer::new(),
            json: args.json,
            several: args.logs.len() > 1,
            log: String::new(),
            unit: Unit::Line,
            at: 0,
            counts: Counts::default(),
        }
    }

    fn read(&mut self, log: &Path) -> io::Result<()> {
        self.log = log.display().to_string();
        self.at = 0;
        self.extractor = Extractor::new(Arc::clone(&self.formats));
        let mut source: Box<dyn Source> = match input::open(log)? {
            Input::Lines(lines) => {
                self.unit = Unit::Line;
                Box::new(lines)
            }
            Input::Packets(packets) => {
                self.unit = Unit::Packet;
                if !self.is_for_packets {
                    let filters = self.ethfilters.filters();
                    let names: Vec<_> = filters.iter().map(|filter| filter.name()).collect();
                    tracing::warn!(
                        log = self.log,
                        "a capture file, and the configuration is for logs: it is read as with \
                         'runmode = network', by the ethfilter {}",
                        names.join(", ")
                    );
                }
                Box::new(packets)
            }
        };
        source.run(self, &Stop::new()?).map_err(io::Error::other)
    }

    /// For `-debug`: the same line by line, with a word about each.
    fn lines_with_reasons(&mut self, block: &[u8]) -> ControlFlow<()> {
        for line in lines_of(block) {
            self.at += 1;
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
        if let Verdict::Accepted(accepted) = verdict {
            self.counts.knocks += 1;
            self.knock(&accepted);
            // Orders are not kept, or a long log would fill the memory with an agenda that never
            // runs.
            self.engine.commit(&accepted.remembered());
        }
    }

    fn knock(&mut self, accepted: &Accepted) {
        let text = if self.json { self.knock_json(accepted) } else { self.knock_text(accepted) };
        self.out.line(&text);
    }

    fn knock_json(&self, accepted: &Accepted) -> String {
        let fields: Map<String, serde_json::Value> = accepted
            .knock
            .iter()
            .map(|(field, value)| {
                let value = match value {
                    Value::Number(number) => json!(number),
                    Value::Address(address) => json!(address.to_string()),
                };
                (field.rule_name().to_owned(), value)
            })
            .collect();
        let actions: Vec<serde_json::Value> = accepted
            .orders
            .iter()
            .map(|order| {
                json!({
                    "template": order.template,
                    "delay_s": order.delay.as_secs(),
                    "command": order.command.to_string(),
                })
            })
            .collect();
        let mut event = json!({
            "event": "knock",
            self.unit.name(): self.at,
            "client": accepted.client.to_string(),
            "fields": fields,
            "actions": actions,
        });
        if let Some(event) = event.as_object_mut() {
            if self.several {
                event.insert("log".into(), json!(self.log));
            }
            if !accepted.faults.is_empty() {
                let faults: Vec<serde_json::Value> = accepted
                    .faults
                    .iter()
                    .map(|(action, why)| json!({"action": action, "why": why.to_string()}))
                    .collect();
                event.insert("faults".into(), json!(faults));
            }
        }
        event.to_string()
    }

    fn knock_text(&self, accepted: &Accepted) -> String {
        let log = match self.several {
            true => format!("{}:", self.log),
            false => format!("{} ", self.unit.name()),
        };
        let mut text = format!("{log}{}: {} knocked: {}", self.at, accepted.client, accepted.knock);
        for order in &accepted.orders {
            let when = match order.delay.as_secs() {
                0 => "at once".into(),
                seconds => format!("after {seconds} s"),
            };
            text.push_str(&format!("\n    {} {when}: {}", order.template, order.command));
        }
        if accepted.orders.is_empty() && accepted.faults.is_empty() {
            text.push_str("\n    no action's condition holds");
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
                "seconds": seconds,
            })
            .to_string()
        } else {
            let counters = self.engine.counters();
            let per_second = seconds.max(1e-9);
            let (read, unit) = match (self.unit, lines, packets) {
                (Unit::Line, _, 0) => (format!("{lines} lines"), "lines"),
                (Unit::Packet, 0, _) => (format!("{packets} packets"), "packets"),
                _ => (format!("{lines} lines, {packets} packets"), "lines and packets"),
            };
            format!(
                "{read}, {bytes} bytes, {hits} hits ({} outside the span, {} repeated), \
                 {knocks} knocks in {seconds:.3} s: {:.0} {unit}/s, {:.1} MB/s",
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
        let before = self.at;
        // Out of `self` for the call: the closure needs the rest of it.
        let mut extractor =
            std::mem::replace(&mut self.extractor, Extractor::new(Arc::clone(&self.formats)));
        let mut counted = 0;
        extractor.block(block, &mut |at, hit| {
            if let Some(skipped) = block.get(counted..at) {
                self.at += newlines(skipped);
                counted = at;
            }
            self.at += 1;
            self.hit(&hit);
            self.at -= 1;
        });
        self.extractor = extractor;
        self.at += block.get(counted..).map_or(0, newlines);
        self.counts.lines += self.at - before;
        self.out.go_on()
    }

    fn packet(&mut self, packet: &RawPacket<'_>) -> ControlFlow<()> {
        self.at += 1;
        self.counts.packets += 1;
        self.counts.bytes += packet.bytes.len() as u64;
        let result = self.ethfilters.hit(&captured(packet));
        tell::packet(self.at, &result);
        if let Ok(hit) = result {
            self.hit(&hit);
        }
        self.out.go_on()
    }

    fn notice(&mut self, notice: Notice) {
        if let Notice::LineTooLong { bytes, .. } = &notice {
            // It was a line all the same: the numbers of those behind it must stay right.
            self.at += 1;
            self.counts.lines += 1;
            self.counts.bytes += bytes;
            tracing::warn!(log = self.log, line = self.at, "{notice}");
        } else if let Notice::CutOff { .. } = &notice {
            tracing::warn!("{notice}");
        }
    }
}
