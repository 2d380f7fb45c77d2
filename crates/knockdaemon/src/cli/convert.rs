//! `convert`: a configuration in the other syntax, on standard output or in a new file. What is
//! converted and how is `knock-config`'s business; here is who may read the result.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use knock_config::{Severity, SourceText, Syntax, To, convert, holds_key, report};

use crate::exit::Exit;

use super::args::{Common, ConvertArgs, Target};
use super::load::{self, Colour};
use super::output::{self, Printer};

/// Only the owner.
const OWNER: u32 = 0o600;

/// Converts one file; its problems go to standard error.
pub(crate) fn run(common: &Common, args: &ConvertArgs) -> Exit {
    let source = match SourceText::read(&args.file) {
        Ok(source) => source,
        Err(error) => return load::unreadable(&args.file, &error),
    };
    let reading = convert(&source, target(args));
    let failed = reading.problems.iter().any(|problem| problem.severity == Severity::Error);
    if !reading.problems.is_empty() && (failed || !common.quiet) {
        let mut sources = report::Sources::of(&source);
        sources.load(&reading.problems);
        output::report(&load::text_of(&reading.problems, &sources, Colour::Stderr.of_report()));
    }
    let Some(text) = reading.value else { return Exit::Config };
    let Some(path) = &args.output else {
        let mut out = Printer::new();
        out.line(text.trim_end_matches('\n'));
        return out.finish();
    };
    if let Some(message) = moved(&args.file, path, &source).filter(|_| !common.quiet) {
        output::error(&message);
    }
    match write(path, &text, mode(&args.file, &source), args.force) {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            output::error(&format!("{} is there already; --force replaces it", path.display()));
            Exit::Input
        }
        Err(error) => {
            output::error(&format!("cannot write {}: {error}", path.display()));
            match error.kind() {
                io::ErrorKind::PermissionDenied => Exit::Permission,
                _ => Exit::Input,
            }
        }
    }
}

/// What was asked for, else what the output is called, else the other of the two syntaxes.
fn target(args: &ConvertArgs) -> To {
    let extension = args.output.as_deref().and_then(Path::extension).and_then(|name| name.to_str());
    match (args.to, extension) {
        (Some(Target::Json), _) | (None, Some("json")) => To::Json,
        (Some(Target::Yaml), _) | (None, Some("yaml" | "yml")) => To::Yaml,
        (Some(Target::Conf), _) | (None, Some("conf")) => To::Conf,
        (None, _) => match Syntax::of(&args.file) {
            Syntax::Legacy => To::Yaml,
            Syntax::Yaml => To::Conf,
        },
    }
}

/// The source's permissions, but never more than the owner's for a file with a key in it.
fn mode(path: &Path, source: &SourceText) -> u32 {
    let given = fs::metadata(path).map_or(OWNER, |found| found.permissions().mode() & 0o666);
    if holds_key(source) { given & OWNER } else { given }
}

/// A file elsewhere finds less of what it names.
fn moved(from: &Path, to: &Path, source: &SourceText) -> Option<String> {
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()
    };
    let text = String::from_utf8_lossy(&source.text);
    let names = ["keyfile", "uselogformat"].into_iter().find(|key| text.contains(key))?;
    (folder(from) != folder(to)).then(|| {
        format!(
            "{} is in another folder: see that it still finds what '{names}' names, if that stands \
             beside the old file",
            to.display()
        )
    })
}

/// Writes a new file, or with `force` puts it in the place of an old one at one stroke.
fn write(path: &Path, text: &str, mode: u32, force: bool) -> io::Result<()> {
    let target = if force { beside(path) } else { path.to_path_buf() };
    // With the right mode from the first byte on.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER).open(&target)?;
    let written = fill(&mut file, text, mode)
        .and_then(|()| if force { fs::rename(&target, path) } else { Ok(()) });
    if written.is_err() {
        // Half a file is worse than none; the error that is told is the first one.
        let _gone = fs::remove_file(&target);
    }
    written
}

fn fill(file: &mut File, text: &str, mode: u32) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}
