//! `formats`: the logformats with their samples, and what each line of a file yields.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use knock_formats::{FormatSpec, Formats, LogFormat, SampleYield};
use knock_sources::{Intake, Notice, Source, Stop};
use knock_wire::{Hit, LineTime};
use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::run::lines_of;

use super::args::{Common, FormatsArgs};
use super::load;
use super::output::{self, Printer, escaped, input};

/// Lists formats, shows one, or tests one against a file.
pub(crate) fn formats(common: &Common, args: &FormatsArgs) -> Exit {
    let known = match load::formats(common) {
        Ok(known) => known,
        Err(exit) => return exit,
    };
    let chosen: Vec<&FormatSpec> = match &args.name {
        None => known.iter().collect(),
        Some(name) => known.iter().filter(|spec| spec.name == *name).collect(),
    };
    if chosen.is_empty() {
        let names: Vec<&str> = known.iter().map(|spec| spec.name.as_str()).collect();
        let name = args.name.as_deref().unwrap_or_default();
        output::error(&format!("no logformat '{name}'; there are: {}", names.join(", ")));
        return Exit::Usage;
    }
    match &args.test {
        Some(file) => test(&chosen, file, args.json),
        None => {
            let mut out = Printer::new();
            for spec in chosen {
                out.line(&if args.json { described_json(spec) } else { described(spec) });
            }
            out.finish()
        }
    }
}

fn described(spec: &FormatSpec) -> String {
    let mut text = format!("{}\n  {}", spec.name, spec.about);
    for (name, expression) in &spec.expressions {
        text.push_str(&format!("\n    {:<10} {expression}", name.as_str()));
    }
    for sample in &spec.samples {
        text.push_str(&format!("\n  {}", escaped(&sample.line)));
        match &sample.yields {
            SampleYield::Fields(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{}={value}", name.as_str()))
                    .collect();
                text.push_str(&format!("\n    yields {}", fields.join(" ")));
            }
            SampleYield::Nothing { because } => {
                text.push_str(&format!("\n    yields nothing: {because}"));
            }
        }
    }
    text.push('\n');
    text
}

fn described_json(spec: &FormatSpec) -> String {
    let expressions: Map<String, Value> = spec
        .expressions
        .iter()
        .map(|(name, expression)| (name.as_str().to_owned(), json!(expression)))
        .collect();
    let samples: Vec<Value> = spec
        .samples
        .iter()
        .map(|sample| match &sample.yields {
            SampleYield::Fields(fields) => {
                let fields: Map<String, Value> = fields
                    .iter()
                    .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
                    .collect();
                json!({"line": String::from_utf8_lossy(&sample.line), "yields": fields})
            }
            SampleYield::Nothing { because } => {
                json!({"line": String::from_utf8_lossy(&sample.line), "yields": null, "because": because})
            }
        })
        .collect();
    json!({"name": spec.name, "about": spec.about, "expressions": expressions, "samples": samples})
        .to_string()
}

fn test(specs: &[&FormatSpec], file: &Path, json: bool) -> Exit {
    let mut compiled = Vec::new();
    for spec in specs {
        match LogFormat::compile(spec) {
            Ok(format) => compiled.push(format),
            Err(errors) => {
                for error in errors {
                    output::error(&format!("logformat {}: {error}", spec.name));
                }
                return Exit::Config;
            }
        }
    }
    let mut tester =
        Tester { formats: Formats::new(compiled), json, line: 0, yielded: 0, out: Printer::new() };
    match tester.read(file) {
        Ok(()) => {
            let (lines, yielded) = (tester.line, tester.yielded);
            if !json {
                tester.out.line(&format!("{yielded} of {lines} lines yield a hit"));
            }
            tester.out.finish()
        }
        Err(error) => output::unreadable(file, &error),
    }
}

struct Tester {
    formats: Formats,
    json: bool,
    line: u64,
    yielded: u64,
    out: Printer,
}

impl Tester {
    fn read(&mut self, file: &Path) -> io::Result<()> {
        input(file)?.run(self, &Stop::new()?).map_err(io::Error::other)
    }

    fn tell(&mut self, line: &[u8], result: Result<Hit, String>) {
        self.line += 1;
        self.yielded += u64::from(result.is_ok());
        let text = match (self.json, result) {
            (true, Ok(hit)) => json!({"line": self.line, "hit": hit_json(&hit)}).to_string(),
            (true, Err(why)) => json!({"line": self.line, "hit": null, "why": why}).to_string(),
            (false, Ok(hit)) => format!("{}: {}\n    {}", self.line, escaped(line), hit_text(&hit)),
            (false, Err(why)) => {
                format!("{}: {}\n    nothing: {why}", self.line, escaped(line))
            }
        };
        self.out.line(&text);
    }
}

impl Intake for Tester {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        for line in lines_of(block) {
            let result = self.formats.examine(line).map_err(|why| why.to_string());
            self.tell(line, result);
        }
        self.out.go_on()
    }

    fn notice(&mut self, notice: Notice) {
        if matches!(notice, Notice::LineTooLong { .. }) {
            self.tell(b"", Err(notice.to_string()));
        }
    }
}

/// The hit's values under short names, the client first.
fn hit_values(hit: &Hit) -> Vec<(&'static str, Value)> {
    let mut values = vec![("client", json!(hit.client.to_string())), ("port", json!(hit.port))];
    let optional = [
        ("server", hit.server.map(|server| json!(server.to_string()))),
        ("interface", hit.interface.map(|interface| json!(interface.as_str()))),
        ("protocol", hit.protocol.map(|protocol| json!(protocol.to_string()))),
        ("sourceport", hit.source_port.map(|port| json!(port))),
        ("sequence", hit.sequence.map(|sequence| json!(sequence))),
        ("time", hit.time.map(|time| json!(time_text(time)))),
    ];
    values.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    values
}

fn hit_json(hit: &Hit) -> Map<String, Value> {
    hit_values(hit).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn hit_text(hit: &Hit) -> String {
    let values: Vec<String> = hit_values(hit)
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    values.join(" ")
}

fn time_text(time: LineTime) -> String {
    match time {
        LineTime::Wall(wall) => chrono::DateTime::<chrono::Utc>::from(wall)
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        LineTime::Uptime(uptime) => format!("{:.6} s after boot", uptime.as_secs_f64()),
        LineTime::Local { year, month, day, since_midnight } => {
            let seconds = since_midnight.as_secs();
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let year = year.map(|year| format!("{year:04}-")).unwrap_or_default();
            format!("{year}{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        }
    }
}
