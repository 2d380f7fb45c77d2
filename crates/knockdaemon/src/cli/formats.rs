//! `formats`: the logformats with their samples, and what each line of a file yields.

use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use knock_formats::{Extractor, FormatSpec, Formats, LogFormat, SampleYield};
use knock_sources::{Intake, Notice, Source, Stop};
use knock_wire::Hit;
use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::run::lines_of;
use crate::shown::{escaped, hit_text, hit_values};

use super::args::{Common, FormatsArgs};
use super::input::{self, Input};
use super::load;
use super::output::{self, Printer};
use super::paint::{Paint, Role};

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
    let formats = Arc::new(Formats::new(compiled));
    let mut tester = Tester {
        extractor: Extractor::new(Arc::clone(&formats)),
        formats,
        json,
        paint: Paint::of_stdout(),
        line: 0,
        yielded: 0,
        out: Printer::new(),
    };
    match tester.read(file) {
        Ok(()) => {
            let (lines, yielded) = (tester.line, tester.yielded);
            if !json {
                tester.out.line(&format!("{yielded} of {lines} lines yield a hit"));
            }
            tester.out.finish()
        }
        Err(error) => input::unreadable(file, &error),
    }
}

struct Tester {
    formats: Arc<Formats>,
    extractor: Extractor,
    json: bool,
    paint: Paint,
    line: u64,
    yielded: u64,
    out: Printer,
}

impl Tester {
    fn read(&mut self, file: &Path) -> io::Result<()> {
        match input::open(file)? {
            Input::Lines(mut lines) => lines.run(self, &Stop::new()?).map_err(io::Error::other),
            Input::Packets(_) => Err(io::Error::other(
                "is a capture file, and logformats are for lines; `replay` reads it",
            )),
        }
    }

    fn tell(&mut self, line: &[u8], result: Result<(Hit, u32), String>) {
        self.line += 1;
        self.yielded += u64::from(result.is_ok());
        let text = match (self.json, result) {
            (true, Ok((hit, times))) => {
                let mut event = json!({"line": self.line, "hit": hit_json(&hit)});
                if let (Some(event), true) = (event.as_object_mut(), times != 1) {
                    event.insert("times".to_owned(), json!(times));
                }
                event.to_string()
            }
            (true, Err(why)) => json!({"line": self.line, "hit": null, "why": why}).to_string(),
            (false, Ok((hit, times))) => {
                let again = match times {
                    1 => String::new(),
                    times => format!("{times} times the last hit: "),
                };
                let (shown, names) = self.shown(line);
                format!("{}: {shown}{names}\n    {again}{}", self.line, hit_text(&hit))
            }
            (false, Err(why)) => {
                let (shown, names) = self.shown(line);
                let nothing = self.paint.text(Role::Bad, "nothing:");
                format!("{}: {shown}{names}\n    {nothing} {why}", self.line)
            }
        };
        self.out.line(&text);
    }
}

impl Tester {
    /// The line, and with colours what each expression caught in it, and a row with their names.
    fn shown(&self, line: &[u8]) -> (String, String) {
        if self.paint == Paint::Plain {
            return (escaped(line), String::new());
        }
        let captures = self.formats.captures(line);
        let mut names = String::new();
        for (nth, (field, place)) in captures.iter().enumerate() {
            let caught = escaped(line.get(place.clone()).unwrap_or_default());
            let named = self.paint.text(Role::Kind(nth), &format!("{field}={caught}"));
            names.push_str(if nth == 0 { "\n    " } else { " " });
            names.push_str(&named);
        }
        let places: Vec<Range<usize>> = captures.into_iter().map(|(_, place)| place).collect();
        (coloured(line, &places, self.paint), names)
    }
}

/// The line with these places in colours. Where places overlap the shorter one is seen.
fn coloured(line: &[u8], places: &[Range<usize>], paint: Paint) -> String {
    let kind_at = |at: usize| {
        let covering = places.iter().enumerate().filter(|(_, place)| place.contains(&at));
        covering.min_by_key(|(_, place)| place.len()).map(|(nth, _)| nth)
    };
    let mut text = String::new();
    let mut edges: Vec<usize> = places.iter().flat_map(|place| [place.start, place.end]).collect();
    edges.extend([0, line.len()]);
    edges.sort_unstable();
    edges.dedup();
    for (from, to) in edges.iter().zip(edges.iter().skip(1)) {
        let piece = escaped(line.get(*from..*to).unwrap_or_default());
        match kind_at(*from) {
            Some(nth) => text.push_str(&paint.text(Role::Kind(nth), &piece)),
            None => text.push_str(&piece),
        }
    }
    text
}

impl Intake for Tester {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        for line in lines_of(block) {
            let result = self.extractor.examine(line).map_err(|why| why.to_string());
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

fn hit_json(hit: &Hit) -> Map<String, Value> {
    hit_values(hit).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
