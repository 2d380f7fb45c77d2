//! Finds and reads the configuration, and shows what is wrong with it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use knock_config::{
    DaemonSettings, NotFound, Problem, Program, ReadOptions, Reading, Severity, SourceText, report,
};

use knock_formats::FormatSpec;

use crate::exit::Exit;
use crate::run::NewSettings;

use super::args::Common;
use super::machine::{self, Purpose};
use super::output;

/// A configuration file as it was read.
pub(crate) struct Loaded {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its settings, or what keeps it from having any.
    pub(crate) reading: Reading<DaemonSettings>,
    /// The sources that the problems point into.
    sources: report::Sources,
}

/// Where a report will be shown, which decides on colours.
#[derive(Clone, Copy)]
pub(crate) enum Colour {
    /// On standard output.
    Stdout,
    /// On standard error.
    Stderr,
}

impl Colour {
    /// Only a terminal gets colours.
    pub(crate) fn of_report(self) -> report::Colour {
        let terminal = match self {
            Colour::Stdout => std::io::stdout().is_terminal(),
            Colour::Stderr => std::io::stderr().is_terminal(),
        };
        if terminal { report::Colour::Always } else { report::Colour::Never }
    }
}

impl Loaded {
    /// The problems as text, with the lines that they are in.
    pub(crate) fn report(&self, colour: Colour) -> String {
        text_of(&self.reading.problems, &self.sources, colour.of_report())
    }

    /// How many of the problems are errors.
    pub(crate) fn errors(&self) -> usize {
        self.reading.problems.iter().filter(|p| p.severity == Severity::Error).count()
    }
}

/// Reads the configuration; its problems are the caller's to show.
pub(crate) fn read(common: &Common, purpose: Purpose) -> Result<Loaded, Exit> {
    let path = find(common)?;
    let source = SourceText::read(&path).map_err(|error| unreadable(&path, &error))?;
    Ok(read_source(path, &source, common, purpose))
}

fn read_source(path: PathBuf, source: &SourceText, common: &Common, purpose: Purpose) -> Loaded {
    let options = options(common, purpose);
    let reading = knock_config::read_daemon(source, &options);
    let mut sources = report::Sources::of(source);
    sources.load(&reading.problems);
    Loaded { path, reading, sources }
}

/// Reads the configuration and shows its problems on standard error; the settings when it has no
/// errors.
pub(crate) fn settings(
    common: &Common,
    purpose: Purpose,
) -> Result<(PathBuf, DaemonSettings), Exit> {
    let loaded = read(common, purpose)?;
    let report = loaded.report(Colour::Stderr);
    if !report.is_empty() && (!common.quiet || loaded.errors() > 0) {
        output::report(&report);
    }
    match loaded.reading.value {
        Some(settings) => Ok((loaded.path, settings)),
        None => Err(Exit::Config),
    }
}

/// Reads the configuration of a daemon that runs. What is wrong with it goes to standard error too.
pub(crate) fn again(common: &Common, purpose: Purpose) -> NewSettings {
    let path = common.conf.clone().unwrap_or_default();
    let source = match SourceText::read(&path) {
        Ok(source) => source,
        Err(error) => {
            let _exit = unreadable(&path, &error);
            return NewSettings::Unreadable { why: unreadable_text(&path, &error) };
        }
    };
    let Loaded { reading, sources, .. } = read_source(path, &source, common, purpose);
    let report = text_of(&reading.problems, &sources, Colour::Stderr.of_report());
    if !report.is_empty() && (!common.quiet || reading.value.is_none()) {
        output::report(&report);
    }
    let report = text_of(&reading.problems, &sources, report::Colour::Never);
    match reading.value {
        Some(settings) => NewSettings::Read { settings: Box::new(settings), report },
        None => NewSettings::Mistaken { report },
    }
}

fn find(common: &Common) -> Result<PathBuf, Exit> {
    if let Some(path) = &common.conf {
        return Ok(path.clone());
    }
    search().map_err(|not_found| {
        output::error(&not_found.to_string());
        Exit::Config
    })
}

pub(crate) fn search() -> Result<PathBuf, NotFound> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let bin = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    knock_config::find(Program::Daemon, home.as_deref(), bin.as_deref(), Path::is_file)
}

/// Whether a configuration is found without naming one.
pub(crate) fn is_there() -> bool {
    search().is_ok()
}

/// Says that a configuration cannot be read, and how that ends the program.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Exit {
    output::error(&unreadable_text(path, error));
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => Exit::Permission,
        _ => Exit::Config,
    }
}

fn unreadable_text(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read the configuration {}: {error}", path.display())
}

/// All logformats there are: the configuration's own where one is found, then those in folders,
/// then the shipped ones.
pub(crate) fn formats(common: &Common) -> Result<Vec<FormatSpec>, Exit> {
    let config = match &common.conf {
        Some(_) => Some(settings(common, Purpose::Look)?),
        // Without one the shipped formats are there all the same, whatever is wrong with a file
        // that nobody named.
        None => search().ok().and_then(|path| {
            let common = Common { conf: Some(path), ..common.clone() };
            settings(&common, Purpose::Look).ok()
        }),
    };
    let (path, own) = match &config {
        Some((path, settings)) => (Some(path.as_path()), settings.own_formats.as_slice()),
        None => (None, [].as_slice()),
    };
    let known = knock_config::known_formats(own, path, &options(common, Purpose::Look));
    if !known.problems.is_empty() {
        let mut sources = report::Sources::default();
        sources.load(&known.problems);
        output::report(&text_of(&known.problems, &sources, report::Colour::Never));
    }
    known.value.ok_or(Exit::Config)
}

/// Problems as text, with the lines that they are in.
pub(crate) fn text_of(
    problems: &[Problem],
    sources: &report::Sources,
    colour: report::Colour,
) -> String {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _written = report::print(problems, sources, colour, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn options(common: &Common, purpose: Purpose) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.insecure = common.insecure;
    options.machine = machine::for_purpose(purpose);
    options
}
