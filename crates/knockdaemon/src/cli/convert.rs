//! `convert`: a configuration in the other syntax, on standard output or in a new file. What is
//! converted and how is `knock-config`'s business.

mod source;
mod target;

use std::path::{Path, PathBuf};

use knock_config::{Severity, Syntax, To, convert, means_otherwise_at, report};

use crate::exit::Exit;

use super::args::{Common, ConvertArgs, Target};
use super::load::{self, Colour};
use super::output::{self, Printer};
use target::Place;

/// Converts one file; its problems go to standard error.
pub(crate) fn run(common: &Common, args: &ConvertArgs) -> Exit {
    let file = match file(common, args) {
        Ok(file) => file,
        Err(message) => {
            output::error(&format!("{message}\nTry 'knockdaemon convert -h'."));
            return Exit::Usage;
        }
    };
    let source = match source::read(file, args.from.map(Syntax::from)) {
        Ok(source) => source,
        Err(error) => return load::unreadable(file, &error),
    };
    let to = wanted(args, Syntax::of(&source.path));
    let reading = convert(&source, to);
    let failed = reading.problems.iter().any(|problem| problem.severity == Severity::Error);
    if !reading.problems.is_empty() && (failed || !common.quiet) {
        let mut sources = report::Sources::of(&source);
        sources.load(&reading.problems);
        output::report(&load::text_of(&reading.problems, &sources, Colour::Stderr.of_report()));
    }
    let Some(text) = reading.value else { return Exit::Config };
    let place = match Place::of(args.output.as_deref()) {
        Ok(place) => place,
        Err(why) => return unwritten(args.output.as_deref().unwrap_or(file), &why, Exit::Input),
    };
    let (path, written) = match place {
        Place::Stdout => {
            let mut out = Printer::new();
            out.line(text.trim_end_matches('\n'));
            return out.finish();
        }
        Place::Stream(path) => (path, target::pour(path, &text)),
        Place::File(path) => {
            let moved = means_otherwise_at(&source, &text, to, path);
            if let Some(what) = moved.filter(|_| !common.quiet) {
                let path = path.display();
                output::error(&format!("{path} means something else in its folder: {what}"));
            }
            (path, target::write(path, &text, source::mode(file, &source), args.force))
        }
    };
    match written {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            output::error(&format!("{} is there already; --force replaces it", path.display()));
            Exit::Input
        }
        Err(error) => unwritten(
            path,
            &error.to_string(),
            match error.kind() {
                std::io::ErrorKind::PermissionDenied => Exit::Permission,
                _ => Exit::Input,
            },
        ),
    }
}

fn unwritten(path: &Path, why: &str, exit: Exit) -> Exit {
    output::error(&format!("cannot write {}: {why}", path.display()));
    exit
}

/// The file that is meant: `-conf` names it as well as anything.
fn file<'a>(common: &'a Common, args: &'a ConvertArgs) -> Result<&'a PathBuf, &'static str> {
    match (&args.file, &common.conf) {
        (Some(file), None) | (None, Some(file)) => Ok(file),
        (Some(_), Some(_)) => Err("convert takes one file: FILE or -conf FILE, not both"),
        (None, None) => Err("convert needs the FILE to convert; `-` is standard input"),
    }
}

/// What was asked for, else what the output is called, else the other of the two syntaxes.
fn wanted(args: &ConvertArgs, from: Syntax) -> To {
    let extension = args.output.as_deref().and_then(Path::extension).and_then(|name| name.to_str());
    match (args.to, extension) {
        (Some(Target::Json), _) | (None, Some("json")) => To::Json,
        (Some(Target::Yaml), _) | (None, Some("yaml" | "yml")) => To::Yaml,
        (Some(Target::Conf), _) | (None, Some("conf")) => To::Conf,
        (None, _) => match from {
            Syntax::Legacy => To::Yaml,
            Syntax::Yaml => To::Conf,
        },
    }
}
