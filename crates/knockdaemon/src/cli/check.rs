//! `check`: every mistake of the configuration at once, and what a right one means.

use crate::exit::Exit;

use super::args::Common;
use super::{load, say};

/// Prints the report on standard output; any error makes the status 1.
pub(crate) fn check(common: &Common) -> Exit {
    let loaded = match load::read(common) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let report = loaded.report(load::Colour::Stdout);
    if !report.is_empty() {
        say(report.trim_end());
    }
    let Some(settings) = &loaded.reading.value else {
        let errors = loaded.errors();
        let noun = if errors == 1 { "mistake" } else { "mistakes" };
        say(&format!("{}: {errors} {noun}", loaded.path.display()));
        return Exit::Problems;
    };
    if !common.quiet {
        say(&format!("{}: ok", loaded.path.display()));
        for fact in &settings.notes {
            say(&format!("  {fact}"));
        }
    }
    Exit::Ok
}
