//! `check`: every mistake of the configuration at once, and what a right one means.

use crate::exit::Exit;

use super::args::Common;
use super::load;
use super::machine::Purpose;
use super::output::Printer;

/// Prints the report on standard output; any error makes the status 1.
pub(crate) fn check(common: &Common) -> Exit {
    let loaded = match load::read(common, Purpose::Look) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let report = loaded.report(load::Colour::Stdout);
    let mut out = Printer::new();
    if !report.is_empty() {
        out.line(report.trim_end());
    }
    let Some(settings) = &loaded.reading.value else {
        let errors = loaded.errors();
        let noun = if errors == 1 { "mistake" } else { "mistakes" };
        out.line(&format!("{}: {errors} {noun}", loaded.path.display()));
        out.finish();
        return Exit::Problems;
    };
    if !common.quiet {
        out.line(&format!("{}: ok", loaded.path.display()));
        for fact in &settings.notes {
            out.line(&format!("  {fact}"));
        }
    }
    out.finish()
}
