//! Logformats: read from a block or a file, found by name, compiled, and tried on their samples.
//!
//! What an expression means is known to `knock-formats`; here its mistakes get their places.

use std::fs;
use std::path::{Path, PathBuf};

use knock_formats::{FieldName, FormatSpec, LogFormat, Sample, SampleYield};

use crate::keys::Within;
use crate::model::section::{Reader, Section};
use crate::model::{ReadOptions, values};
use crate::place::{Place, SourceText};
use crate::problem::{Problem, Reading, Severity};
use crate::shipped::SHIPPED_FORMATS;
use crate::suggest::nearest;
use crate::syntax::parse;
use crate::tree::{Found, Node, Scalar, Table};

/// Reads a logformat from a file of its own, compiles it and tries its samples.
#[must_use]
pub fn read_format(source: &SourceText) -> Reading<FormatSpec> {
    let options = ReadOptions::default();
    let (mut reader, written) = match read_file(source, &options) {
        Ok(read) => read,
        Err(problems) => return Reading { value: None, problems },
    };
    written.compile(&mut reader, Severity::Error);
    reader.finish(Some(written.spec))
}

/// Every logformat that a configuration could name: those in `own`, those in the folders, and those
/// built in. Of several with one name the first counts.
#[must_use]
pub fn known_formats(
    own: &[FormatSpec],
    config: Option<&Path>,
    options: &ReadOptions,
) -> Reading<Vec<FormatSpec>> {
    let mut known = own.to_vec();
    let mut problems = Vec::new();
    let mut add = |reading: Reading<FormatSpec>| {
        problems.extend(reading.problems);
        if let Some(spec) = reading.value
            && !known.iter().any(|other| other.name == spec.name)
        {
            known.push(spec);
        }
    };
    for path in folders(config, options).iter().flat_map(|folder| files_in(folder)) {
        match source_of(&path) {
            Ok(source) => add(read_format(&source)),
            Err(problem) => add(Reading { value: None, problems: vec![problem] }),
        }
    }
    for (name, text) in SHIPPED_FORMATS {
        add(read_format(&built_in(name, text)));
    }
    Reading::new(known, problems)
}

/// The logformat of this name, from the places where a configuration's own names are looked for.
#[must_use]
pub fn find_format(
    name: &str,
    own: &[FormatSpec],
    config: Option<&Path>,
    options: &ReadOptions,
) -> Reading<LogFormat> {
    let path = config.map(Path::to_path_buf).unwrap_or_default();
    let mut reader = Reader::new(&SourceText::new(path, ""), options, Vec::new());
    let own: Vec<Written> = own.iter().cloned().map(Written::without_places).collect();
    let found = find(&mut reader, name, &own, None);
    reader.finish(found)
}

/// The formats in use and those that the file defines.
pub(super) struct FormatsRead {
    pub(super) in_use: Vec<LogFormat>,
    pub(super) own: Vec<FormatSpec>,
}

pub(super) fn read(reader: &mut Reader<'_>, top: &Section<'_>) -> FormatsRead {
    let own = own(reader, top);
    let mut wanted: Vec<(String, Option<Place>)> = Vec::new();
    for text in reader.texts(top, "uselogformat") {
        for (part, name) in values::names(text.text()) {
            wanted.push((name.to_owned(), Some(text.place_of(part))));
        }
    }
    if top.table.get("uselogformat").is_none() {
        wanted.push((top.key("uselogformat").default.to_owned(), None));
    }
    // A format that is not in use cannot keep an old file from starting.
    let unused = reader.strictness();
    for format in own.iter().filter(|own| !wanted.iter().any(|(name, _)| *name == own.spec.name)) {
        format.compile(reader, unused);
    }
    let in_use =
        wanted.iter().filter_map(|(name, at)| find(reader, name, &own, at.as_ref())).collect();
    FormatsRead { in_use, own: own.into_iter().map(|written| written.spec).collect() }
}

/// What the client needs: the file's own formats, to find one among them later.
pub(super) fn read_own(reader: &mut Reader<'_>, top: &Section<'_>) -> Vec<FormatSpec> {
    own(reader, top).into_iter().map(|written| written.spec).collect()
}

/// A format as it is written, with the places of its parts.
struct Written {
    spec: FormatSpec,
    texts: Vec<(FieldName, Scalar)>,
    samples_at: Vec<Place>,
    at: Option<Place>,
}

/// The blocks of the file, at the top or inside `logformats`.
fn own(reader: &mut Reader<'_>, top: &Section<'_>) -> Vec<Written> {
    let mut found: Vec<Written> = Vec::new();
    let mut blocks = |reader: &mut Reader<'_>, section: &Section<'_>| {
        for block in reader.blocks(section, "logformat") {
            add(reader, &mut found, block.name, &block.table, block.place());
        }
    };
    blocks(reader, top);
    top.key("logformats");
    let holders: Vec<Found<'_>> = top.table.entries("logformats").collect();
    for holder in &holders {
        let Node::Table(table) = holder.node else {
            reader.error(holder.key_at(), "'logformats' holds blocks, one for each format");
            continue;
        };
        let section = reader.section(Within::Logformats, table);
        blocks(reader, &section);
    }
    for holder in &holders {
        let entries = holder.node.table().into_iter().flat_map(Table::iter);
        for entry in entries.filter(|entry| entry.key != "logformat") {
            for one in entry.occurrences() {
                if let Node::Table(table) = one.node {
                    add(reader, &mut found, Some(&entry.key), table, one.key_at());
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
) {
    let written = read_spec(reader, name, table, at.clone());
    if written.spec.name.is_empty() {
        let help = reader.named("logformat");
        reader.add(Problem::error(at, "a logformat needs a name").with_help(help));
        return;
    }
    if let Some(first) = found.iter().find(|other| other.spec.name == written.spec.name) {
        let message = format!("logformat '{}' is defined twice", written.spec.name);
        let problem = Problem::error(at, message);
        reader.add(match &first.at {
            Some(first) => problem.with_help(format!("the first one is in line {}", first.line)),
            None => problem,
        });
        return;
    }
    found.push(written);
}

/// The format of a file, or what keeps the file from being read at all.
fn read_file<'o>(
    source: &SourceText,
    options: &'o ReadOptions,
) -> Result<(Reader<'o>, Written), Vec<Problem>> {
    let Reading { value, problems } = parse(source);
    let Some(tree) = value else { return Err(problems) };
    let mut reader = Reader::new(source, options, problems);
    let mut written = read_spec(&mut reader, None, tree.root(), tree.root().place());
    let stem = source.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if written.spec.name.is_empty() {
        stem.clone_into(&mut written.spec.name);
    } else if written.spec.name != stem
        && let Some(at) = tree.root().get("name").map(|entry| entry.node.place())
    {
        // It is looked for by the file's name, so another one inside would never be found.
        let problem = Problem::error(at, format!("the file's name says '{stem}'"));
        reader.add(problem.with_help("give both the same name"));
    }
    Ok((reader, written))
}

fn read_spec(reader: &mut Reader<'_>, name: Option<&str>, table: &Table, at: Place) -> Written {
    let section = reader.section(Within::Logformat, table);
    let inside = reader.string(&section, "name").map(|name| name.value.trim().to_owned());
    let about = reader.text(&section, "about").map(|about| about.text().trim().to_owned());
    let mut written = Written {
        spec: FormatSpec {
            name: name.map(str::to_owned).or(inside).unwrap_or_default(),
            about: about.unwrap_or_default(),
            ..FormatSpec::default()
        },
        texts: Vec::new(),
        samples_at: Vec::new(),
        at: Some(at),
    };
    expressions(reader, &section, &mut written);
    section.key("expressions");
    for found in table.entries("expressions") {
        let Some(table) = found.node.table() else {
            reader.error(found.key_at(), "'expressions' holds expressions by their names");
            continue;
        };
        let section = reader.section(Within::Expressions, table);
        expressions(reader, &section, &mut written);
    }
    for name in ["sample", "samples"] {
        section.key(name);
        for found in table.entries(name) {
            if let Some(sample) = sample(reader, found) {
                written.spec.samples.push(sample);
                written.samples_at.push(found.place());
            }
        }
    }
    written
}

fn expressions(reader: &mut Reader<'_>, section: &Section<'_>, written: &mut Written) {
    for field in FieldName::ALL {
        let Some(text) = reader.text(section, field.as_str()) else { continue };
        if written.texts.iter().any(|(known, _)| *known == field) {
            reader.error(text.place(), format!("'{field}' is given twice in this logformat"));
            continue;
        }
        written.spec.expressions.push((field, text.text().to_owned()));
        written.texts.push((field, text.clone()));
    }
}

fn sample(reader: &mut Reader<'_>, found: Found<'_>) -> Option<Sample> {
    let table = match found.node {
        Node::Scalar(line) => {
            let yields = SampleYield::Fields(Vec::new());
            return Some(Sample { line: line.bytes().to_vec(), yields });
        }
        Node::Table(table) => table,
        Node::Null(_) | Node::List(_) => {
            reader.error(found.key_at(), "expected a line, or a block with 'line' and 'yields'");
            return None;
        }
    };
    let section = reader.section(Within::Sample, table);
    let because = reader.text(&section, "because").map(|text| text.text().to_owned());
    section.key("yields");
    let yields = match table.entries("yields").next() {
        None => match because {
            Some(because) => SampleYield::Nothing { because },
            None => SampleYield::Fields(Vec::new()),
        },
        Some(Found { node: Node::Table(table), .. }) => {
            let section = reader.section(Within::Yields, table);
            let mut fields = Vec::new();
            for field in FieldName::ALL.into_iter().filter(|field| *field != FieldName::Required) {
                if let Some(text) = reader.text(&section, field.as_str()) {
                    fields.push((field, text.text().to_owned()));
                }
            }
            SampleYield::Fields(fields)
        }
        Some(Found { node: Node::Scalar(text), .. }) if text.text().trim() == "nothing" => {
            SampleYield::Nothing { because: because.unwrap_or_default() }
        }
        Some(other) => {
            reader.error(other.place(), "expected 'nothing', or names of expressions with values");
            return None;
        }
    };
    match reader.text(&section, "line") {
        Some(line) => Some(Sample { line: line.bytes().to_vec(), yields }),
        None => {
            reader.error(found.key_at(), "a sample needs a 'line'");
            None
        }
    }
}

impl Written {
    fn without_places(spec: FormatSpec) -> Self {
        Self { spec, texts: Vec::new(), samples_at: Vec::new(), at: None }
    }

    /// The format, ready to run; mistakes weigh what the caller says.
    fn compile(&self, reader: &mut Reader<'_>, severity: Severity) -> Option<LogFormat> {
        let text = |field| self.texts.iter().find(|(known, _)| *known == field).map(|(_, t)| t);
        let format = match LogFormat::compile(&self.spec) {
            Ok(format) => format,
            Err(errors) => {
                for error in errors {
                    let at = text(error.field).map(|text| text.place_of(error.at.clone()));
                    let at = at.or_else(|| self.at.clone());
                    let message = format!("logformat '{}': {error}", self.spec.name);
                    reader.add(Problem { severity, at, message, help: error.help() });
                }
                return None;
            }
        };
        for error in format.check_samples(&self.spec) {
            let at = self.samples_at.get(error.sample).or(self.at.as_ref()).cloned();
            let message = format!("logformat '{}': {error}", self.spec.name);
            reader.add(Problem { severity, at, message, help: None });
        }
        for lint in format.lint() {
            let at = text(lint.field).map(Scalar::place).or_else(|| self.at.clone());
            let message = format!("logformat '{}': {lint}", self.spec.name);
            reader.add(Problem { severity: Severity::Warning, at, message, help: lint.help() });
        }
        Some(format)
    }
}

/// In the file, beside it, in the folders, built in: in this order.
fn find(
    reader: &mut Reader<'_>,
    name: &str,
    own: &[Written],
    at: Option<&Place>,
) -> Option<LogFormat> {
    if let Some(written) = own.iter().find(|written| written.spec.name == name) {
        return written.compile(reader, Severity::Error);
    }
    let folders = folders(Some(&reader.path), reader.options);
    // A name is no path.
    if !name.contains('/') {
        let file = format!("{name}.yaml");
        if let Some(path) = folders.iter().map(|dir| dir.join(&file)).find(|path| path.exists()) {
            return match source_of(&path) {
                Ok(source) => compile_file(reader, &source),
                Err(problem) => {
                    reader.add(Problem { at: at.cloned(), ..problem });
                    None
                }
            };
        }
    }
    if let Some((name, text)) = SHIPPED_FORMATS.iter().find(|(shipped, _)| *shipped == name) {
        return compile_file(reader, &built_in(name, text));
    }
    reader.add_if_whole(unknown(name, own, &folders, at));
    None
}

fn compile_file(reader: &mut Reader<'_>, source: &SourceText) -> Option<LogFormat> {
    let reading = match read_file(source, reader.options) {
        Ok((mut inner, written)) => {
            let format = written.compile(&mut inner, Severity::Error);
            inner.finish(format)
        }
        Err(problems) => Reading { value: None, problems },
    };
    reader.take(reading)
}

fn unknown(name: &str, own: &[Written], folders: &[PathBuf], at: Option<&Place>) -> Problem {
    let mut known: Vec<String> = own.iter().map(|written| written.spec.name.clone()).collect();
    let files = folders.iter().flat_map(|folder| files_in(folder));
    known.extend(files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())));
    known.extend(SHIPPED_FORMATS.iter().map(|(name, _)| (*name).to_owned()));
    known.sort();
    known.dedup();
    let list = format!("known are {}", known.join(", "));
    let help = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean '{near}'? {list}"),
        None => list,
    };
    let message = format!("unknown logformat '{name}'");
    Problem { severity: Severity::Error, at: at.cloned(), message, help: Some(help) }
}

fn folders(config: Option<&Path>, options: &ReadOptions) -> Vec<PathBuf> {
    let beside = config.and_then(Path::parent).map(|folder| folder.join("logformats"));
    beside.into_iter().chain(options.format_dirs.iter().cloned()).collect()
}

/// The format files of a folder, by name; none where there is no such folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn source_of(path: &Path) -> Result<SourceText, Problem> {
    SourceText::read(path).map_err(|error| Problem {
        severity: Severity::Error,
        at: None,
        message: format!("cannot read the logformat {}: {error}", path.display()),
        help: None,
    })
}

fn built_in(name: &str, text: &str) -> SourceText {
    SourceText::new(format!("built-in/{name}.yaml"), text)
}
