//! `replay`: existing logs through the same engine, at full speed, with the lines' own time.
//! Responds to nothing and keeps nothing.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use knock_config::DaemonSettings;
use knock_engine::{Accepted, Engine, Ledger, Now, Verdict};
use knock_formats::{Extractor, Formats};
use knock_sources::{Intake, Notice, Source, Stop};
use knock_wire::{Hit, LineTime, Value};
use serde_json::{Map, json};

use crate::exit::Exit;
use crate::run::{Clock, lines_of, local_time, tell};

use super::args::{Common, ReplayArgs};
use super::load;
use super::output::{self, Printer, input};

/// Runs the logs through the engine and prints knocks, then counts and rates.
pub(crate) fn replay(common: &Common, args: &ReplayArgs) -> Exit {
    let (_, settings) = match load::settings(common) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let clock = Clock::new();
    let mut replayer = Replayer::new(settings, args, clock.now().wall);
    for log in &args.logs {
        if let Err(error) = replayer.read(log) {
            return output::unreadable(log, &error);
        }
    }
    replayer.summary(clock.now().uptime);
    replayer.out.finish()
}

struct Replayer {
    engine: Engine,
    formats: Arc<Formats>,
    extractor: Extractor,
    time: ReplayTime,
    out: Printer,
    json: bool,
    /// Named in the output when there is more than one.
    several: bool,
    log: String,
    line: u64,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    lines: u64,
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
            time: ReplayTime::new(today),
            out: Printer::new(),
            json: args.json,
            several: args.logs.len() > 1,
            log: String::new(),
            line: 0,
            counts: Counts::default(),
        }
    }

    fn read(&mut self, log: &Path) -> io::Result<()> {
        self.log = log.display().to_string();
        self.line = 0;
        self.extractor = Extractor::new(Arc::clone(&self.formats));
        input(log)?.run(self, &Stop::new()?).map_err(io::Error::other)
    }

    /// For `-debug`: the same line by line, with a word about each.
    fn lines_with_reasons(&mut self, block: &[u8]) -> ControlFlow<()> {
        for line in lines_of(block) {
            self.line += 1;
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
            "line": self.line,
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
        let log = if self.several { format!("{}:", self.log) } else { "line ".into() };
        let mut text =
            format!("{log}{}: {} knocked: {}", self.line, accepted.client, accepted.knock);
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
        let Counts { lines, bytes, hits, knocks } = self.counts;
        let seconds = took.as_secs_f64();
        let text = if self.json {
            json!({
                "event": "summary",
                "lines": lines,
                "bytes": bytes,
                "hits": hits,
                "knocks": knocks,
                "seconds": seconds,
            })
            .to_string()
        } else {
            let counters = self.engine.counters();
            let per_second = seconds.max(1e-9);
            format!(
                "{lines} lines, {bytes} bytes, {hits} hits ({} outside the span, {} repeated), \
                 {knocks} knocks in {seconds:.3} s: {:.0} lines/s, {:.1} MB/s",
                counters.outside_span,
                counters.repeated,
                lines as f64 / per_second,
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
        let before = self.line;
        // Out of `self` for the call: the closure needs the rest of it.
        let mut extractor =
            std::mem::replace(&mut self.extractor, Extractor::new(Arc::clone(&self.formats)));
        let mut counted = 0;
        extractor.block(block, &mut |at, hit| {
            if let Some(skipped) = block.get(counted..at) {
                self.line += newlines(skipped);
                counted = at;
            }
            self.line += 1;
            self.hit(&hit);
            self.line -= 1;
        });
        self.extractor = extractor;
        self.line += block.get(counted..).map_or(0, newlines);
        self.counts.lines += self.line - before;
        self.out.go_on()
    }

    fn notice(&mut self, notice: Notice) {
        if let Notice::LineTooLong { bytes, .. } = &notice {
            // It was a line all the same: the numbers of those behind it must stay right.
            self.line += 1;
            self.counts.lines += 1;
            self.counts.bytes += bytes;
            tracing::warn!(log = self.log, line = self.line, "{notice}");
        }
    }
}

/// The engine's time while old lines are read: what the lines say, never running backwards.
struct ReplayTime {
    today: SystemTime,
    /// The first moment seen; uptimes count from it.
    first: Option<SystemTime>,
    latest: SystemTime,
    now: Now,
}

impl ReplayTime {
    fn new(today: SystemTime) -> Self {
        let now = Now { wall: today, uptime: Duration::ZERO, local: local_time(today) };
        Self { today, first: None, latest: SystemTime::UNIX_EPOCH, now }
    }

    fn at(&mut self, time: Option<LineTime>) -> Now {
        let Some(wall) = time.and_then(|time| wall_time(time, self.today)) else {
            return self.now;
        };
        if wall > self.latest {
            let first = *self.first.get_or_insert(wall);
            self.latest = wall;
            self.now = Now {
                wall,
                uptime: wall.duration_since(first).unwrap_or_default(),
                local: local_time(wall),
            };
        }
        self.now
    }
}

/// The moment that a line's time means. A date without a year is the latest one that is not in the
/// future; an uptime counts from the epoch, since only differences matter for it.
fn wall_time(time: LineTime, today: SystemTime) -> Option<SystemTime> {
    use chrono::{DateTime, Datelike, Local, NaiveDate, NaiveTime, TimeZone};
    match time {
        LineTime::Wall(wall) => Some(wall),
        LineTime::Uptime(uptime) => Some(SystemTime::UNIX_EPOCH + uptime),
        LineTime::Local { year, month, day, since_midnight } => {
            let this_year = DateTime::<Local>::from(today).year();
            let clock = NaiveTime::from_num_seconds_from_midnight_opt(
                u32::try_from(since_midnight.as_secs()).ok()?,
                since_midnight.subsec_nanos(),
            )?;
            let in_year = |year| {
                let date = NaiveDate::from_ymd_opt(year, month.into(), day.into())?;
                let local = Local.from_local_datetime(&date.and_time(clock)).earliest()?;
                Some(SystemTime::from(local))
            };
            let day_ahead = today + Duration::from_secs(86_400);
            match year {
                Some(year) => in_year(year),
                None => (0..8)
                    .filter_map(|back| in_year(this_year - back))
                    .find(|moment| *moment <= day_ahead),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> SystemTime {
        // 2026-01-05 12:00 UTC
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_614_400)
    }

    fn local(month: u8, day: u8) -> LineTime {
        let since_midnight = Duration::from_secs(3_600);
        LineTime::Local { year: None, month, day, since_midnight }
    }

    #[test]
    fn dates_without_a_year_lie_in_the_past() {
        let december = wall_time(local(12, 31), today()).unwrap();
        let january = wall_time(local(1, 4), today()).unwrap();
        assert!(december < january, "a log over New Year runs forward");
        assert!(january <= today());
        // 29 February exists in some year, and it is found.
        assert!(wall_time(local(2, 29), today()).is_some());
        assert_eq!(wall_time(local(2, 30), today()), None);
    }

    #[test]
    fn time_never_runs_backwards() {
        let mut time = ReplayTime::new(today());
        let later = time.at(Some(LineTime::Uptime(Duration::from_secs(50)))).uptime;
        let earlier = time.at(Some(LineTime::Uptime(Duration::from_secs(20)))).uptime;
        assert!(earlier >= later);
        assert_eq!(time.at(None).uptime, earlier);
    }
}
