//! Logs and capture files, read one after another: which one is being read, and the number of the line
//! or packet in it. What a line means is known to who reads: `replay` and `explain`.

mod time;

use std::io;
use std::path::Path;

use knock_config::{DaemonSettings, RunMode};
use knock_sources::{Notice, Source};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::input::{self, Input};

pub(crate) use time::ReplayTime;

/// How far in which log the reading is.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The log's name.
    log: String,
    /// The log is named in the output when there is more than one.
    several: bool,
    /// The ethfilters that serve for a capture, where the configuration is for logs.
    unasked: Option<String>,
    unit: Unit,
    /// The number of the line or packet.
    pub(crate) at: u64,
}

/// What a log consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Of lines.
    Line,
    /// Of packets, as a capture file does.
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

/// Where in which log, for programs: `line` or `packet`, and `log` where there are several.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Place<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<&'a str>,
}

impl Progress {
    /// Before the first of so many logs.
    pub(crate) fn new(settings: &DaemonSettings, logs: usize) -> Self {
        let filters = settings.ethfilters.filters();
        let names: Vec<_> = filters.iter().map(|filter| filter.name()).collect();
        let is_for_packets = settings.runmodes.contains(&RunMode::Network);
        Self {
            log: String::new(),
            several: logs > 1,
            unasked: (!is_for_packets).then(|| names.join(", ")),
            unit: Unit::Line,
            at: 0,
        }
    }

    /// Opens the next log, before its first line or packet.
    pub(crate) fn open(&mut self, log: &Path) -> io::Result<Box<dyn Source>> {
        self.log = log.display().to_string();
        self.at = 0;
        Ok(match input::open(log)? {
            Input::Lines(lines) => {
                self.unit = Unit::Line;
                Box::new(lines)
            }
            Input::Packets(packets) => {
                self.unit = Unit::Packet;
                if let Some(filters) = &self.unasked {
                    tracing::warn!(
                        log = self.log,
                        "a capture file, and the configuration is for logs: it is read as with \
                         'runmode = network', by the ethfilter {filters}"
                    );
                }
                Box::new(packets)
            }
        })
    }

    /// What the log consists of.
    pub(crate) fn unit(&self) -> Unit {
        self.unit
    }

    /// Says what a source has to say of a log that is read. Returns the bytes of a line that was too
    /// long: it was a line all the same, and the numbers of those behind it must stay right.
    pub(crate) fn notice(&mut self, notice: &Notice) -> Option<u64> {
        if let Notice::LineTooLong { bytes, .. } = notice {
            self.at += 1;
            tracing::warn!(log = self.log, line = self.at, "{notice}");
            return Some(*bytes);
        }
        if let Notice::CutOff { .. } = notice {
            tracing::warn!("{notice}");
        }
        None
    }

    /// `line 7`, or `kern.log:7` where it is not clear which log is meant.
    pub(crate) fn text(&self) -> String {
        match self.several {
            true => format!("{}:{}", self.log, self.at),
            false => format!("{} {}", self.unit.name(), self.at),
        }
    }

    /// The same for programs.
    pub(crate) fn place(&self) -> Place<'_> {
        let is_line = self.unit == Unit::Line;
        Place {
            line: is_line.then_some(self.at),
            packet: (!is_line).then_some(self.at),
            log: self.several.then_some(self.log.as_str()),
        }
    }

    /// The same as a map that can be added to.
    pub(crate) fn json(&self) -> Map<String, Value> {
        match json!(self.place()) {
            Value::Object(place) => place,
            _ => Map::new(),
        }
    }
}
