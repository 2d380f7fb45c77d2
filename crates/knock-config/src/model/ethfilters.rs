//! Ethfilters: read from their blocks, found by the names in `useethfilter`, compiled.
//!
//! What a property means is known to `knock-formats`; here its mistakes get their places.

use knock_engine::Plan;
use knock_formats::packet::{EthFilter, EthFilterSpec, EthFilters, FilterErrorKind, Property};

use crate::keys::Within;
use crate::model::section::{Reader, Section};
use crate::model::{CaptureSettings, NflogSettings, RunMode, values};
use crate::place::Place;
use crate::problem::{Problem, Severity};
use crate::suggest::nearest;
use crate::tree::{Node, Scalar, Table};

/// A filter as it is written, with the places of its parts.
struct Written {
    spec: EthFilterSpec,
    texts: Vec<(Property, Scalar)>,
    at: Place,
}

/// The filters in use.
pub(super) struct InUse {
    /// For packets of an interface or a file.
    pub(super) captured: EthFilters,
    /// For packets that a rule of the firewall sends.
    pub(super) by_rule: EthFilters,
}

/// The filters in use; where none is named, what counts without one.
pub(super) fn read(reader: &mut Reader<'_>, top: &Section<'_>, runmodes: &[RunMode]) -> InUse {
    let all = own(reader, top, runmodes);
    // What is not in use cannot keep an old file from starting.
    let severity = severity(reader, runmodes);
    let mut in_use: Vec<EthFilter> = Vec::new();
    let mut wanted: Vec<String> = Vec::new();
    for text in reader.texts(top, "useethfilter") {
        for (part, name) in values::names(text.text()) {
            wanted.push(name.to_owned());
            match all.iter().find(|written| written.spec.name == name) {
                Some(written) => in_use.extend(written.compile(reader, runmodes, severity)),
                None => {
                    let at = Some(text.place_of(part));
                    let message = format!("unknown ethfilter '{name}'");
                    let help = Some(known(name, &all));
                    reader.add_if_whole(Problem { severity, at, message, help });
                }
            }
        }
    }
    let unused = reader.strictness();
    for written in all.iter().filter(|written| !wanted.contains(&written.spec.name)) {
        written.compile(reader, runmodes, unused);
    }
    // With none named, and where those that were named are broken in a file that follows a log.
    if in_use.is_empty() {
        // A rule of the firewall has chosen among what it sends; libpcap hands over everything.
        return InUse { captured: EthFilters::default(), by_rule: EthFilters::behind_a_rule() };
    }
    let in_use = EthFilters::new(in_use);
    InUse { captured: in_use.clone(), by_rule: in_use }
}

/// What `check` tells of packets from a rule.
pub(super) fn rule_notes(nflog: &NflogSettings, filters: &EthFilters) -> Vec<String> {
    let NflogSettings { group, prefix } = nflog;
    let names: Vec<_> = filters.filters().iter().map(|filter| filter.name()).collect();
    let which = match prefix {
        Some(prefix) => format!("those with the prefix '{prefix}'"),
        None => "all of them, whatever their prefix".to_owned(),
    };
    vec![format!(
        "packets are taken from rules that send them to NFLOG group {group}, {which}, and chosen by \
         the ethfilter {}",
        names.join(", ")
    )]
}

/// What `check` tells of a capture.
pub(super) fn notes(capture: &CaptureSettings, filters: &EthFilters, plan: &Plan) -> Vec<String> {
    let CaptureSettings { interface, snapshotsize } = capture;
    let names: Vec<_> = filters.filters().iter().map(|filter| filter.name()).collect();
    let mut notes = vec![format!(
        "packets are captured from {interface}, up to {snapshotsize} bytes of each, and chosen by \
         the ethfilter {}",
        names.join(", ")
    )];
    notes.push(if filters.filters().iter().all(EthFilter::only_opening) {
        "of TCP only the first packet of a connection counts (SYN without ACK)".to_owned()
    } else {
        "of TCP more than the first packet of a connection may count, as the ethfilter names \
         flags of its own"
            .to_owned()
    });
    let filter = filters.capture_filter(Some(plan.codec.span()));
    notes.extend(filter.map(|filter| format!("the kernel hands on what libpcap calls: {filter}")));
    notes
}

fn reads_packets(runmodes: &[RunMode]) -> bool {
    runmodes.iter().any(|mode| mode.is_packets())
}

fn severity(reader: &Reader<'_>, runmodes: &[RunMode]) -> Severity {
    if reads_packets(runmodes) { Severity::Error } else { reader.strictness() }
}

fn known(name: &str, all: &[Written]) -> String {
    let names = || all.iter().map(|written| written.spec.name.as_str());
    match nearest(name, names()) {
        Some(near) => format!("did you mean '{near}'?"),
        None if all.is_empty() => "define it: <ethfilter NAME>".to_owned(),
        None => format!("known are {}", names().collect::<Vec<_>>().join(", ")),
    }
}

/// The blocks of the file, at the top or inside `ethfilters`.
fn own(reader: &mut Reader<'_>, top: &Section<'_>, runmodes: &[RunMode]) -> Vec<Written> {
    let mut found = Vec::new();
    for block in reader.blocks(top, "ethfilter") {
        add(reader, &mut found, block.name, &block.table, block.place(), runmodes);
    }
    top.key("ethfilters");
    for holder in top.table.entries("ethfilters") {
        let Node::Table(table) = holder.node else {
            reader.error(holder.key_at(), "'ethfilters' holds blocks, one for each filter");
            continue;
        };
        let section = reader.section(Within::Ethfilters, table);
        for block in reader.blocks(&section, "ethfilter") {
            add(reader, &mut found, block.name, &block.table, block.place(), runmodes);
        }
        for entry in table.iter().filter(|entry| entry.key != "ethfilter") {
            for one in entry.occurrences() {
                if let Node::Table(table) = one.node {
                    add(reader, &mut found, Some(&entry.key), table, one.key_at(), runmodes);
                }
            }
        }
    }
    found
}

fn add(
    reader: &mut Reader<'_>,
    found: &mut Vec<Written>,
    name: Option<&str>,
    table: &Table,
    at: Place,
    runmodes: &[RunMode],
) {
    let severity = severity(reader, runmodes);
    let section = reader.section(Within::Ethfilter, table);
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
        let message = "an ethfilter needs a name".to_owned();
        let help = Some(reader.named("ethfilter").into_owned());
        reader.add(Problem { severity, at: Some(at), message, help });
        return;
    };
    if let Some(first) = found.iter().find(|other| other.spec.name == name) {
        let message = format!("ethfilter '{name}' is defined twice");
        let help = Some(format!("the first one is in line {}", first.at.line));
        reader.add(Problem { severity, at: Some(at), message, help });
        return;
    }
    let spec = EthFilterSpec { name: name.to_owned(), properties: Vec::new() };
    let mut written = Written { spec, texts: Vec::new(), at };
    for property in Property::all() {
        let kind = section.key(property.as_str()).kind;
        for name in property.names() {
            let Some(found) = table.entries(name).next() else { continue };
            match found.node {
                Node::Scalar(text) => {
                    written.spec.properties.push((property, text.text().to_owned()));
                    written.texts.push((property, text.clone()));
                }
                Node::Null(_) | Node::Table(_) | Node::List(_) => {
                    let at = Some(found.key_at());
                    let message = format!("'{name}' takes a value, this is {}", found.node.kind());
                    let help = Some(format!("expected {kind}"));
                    reader.add(Problem { severity, at, message, help });
                }
            }
        }
    }
    found.push(written);
}

impl Written {
    /// The filter, ready to run; mistakes weigh what the caller says.
    fn compile(
        &self,
        reader: &mut Reader<'_>,
        runmodes: &[RunMode],
        severity: Severity,
    ) -> Option<EthFilter> {
        let name = &self.spec.name;
        // Of two spellings of one property the later is at fault.
        let texts = |property| self.texts.iter().filter(move |(known, _)| *known == property);
        let filter = match EthFilter::compile(&self.spec) {
            Ok(filter) => filter,
            Err(errors) => {
                for error in errors {
                    let text = match error.kind {
                        FilterErrorKind::Twice => texts(error.property).next_back(),
                        _ => texts(error.property).next(),
                    };
                    let at =
                        text.map_or(self.at.clone(), |(_, text)| text.place_of(error.at.clone()));
                    let message = format!("ethfilter '{name}': {error}");
                    let help = error.help();
                    reader.add(Problem { severity, at: Some(at), message, help });
                }
                return None;
            }
        };
        // Who follows a log is told of mistakes only.
        for lint in filter.lint().iter().filter(|_| reads_packets(runmodes)) {
            let text = lint.property.and_then(|property| texts(property).next());
            let at = text.map_or(self.at.clone(), |(_, text)| text.place());
            let message = format!("ethfilter '{name}': {lint}");
            let problem = Problem::warning(at, message);
            reader.add(Problem { help: lint.help(), ..problem });
        }
        Some(filter)
    }
}
