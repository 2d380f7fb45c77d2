//! `-man`: the manual page, made from the options and the table of keys, so that it cannot fall behind
//! them.

use std::io::{self, Write as _};
use std::process::{Command, ExitCode, Stdio};

use clap_mangen::roff::{Roff, bold, roman};
use knock_config::keys::{self, UsedBy, Within};
use knock_config::manual::plain;

use crate::args::{self, EXAMPLES, EXIT_CODES, WAYS};

/// The page in roff, `knockclient(1)`.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn page() -> io::Result<Vec<u8>> {
    let mut command = args::command();
    command.build();
    let man = clap_mangen::Man::new(command).section("1").manual("User commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "Sends a connection request to one closed port after the other, in an order that tells a \
         knockdaemon there, and nobody else, what to open. Crafts no packets and needs no rights.",
    )]);
    roff.control("PP", []);
    roff.text([roman(WAYS.replace('\n', " "))]);
    roff.to_writer(&mut page)?;
    man.render_options_section(&mut page)?;

    let mut roff = Roff::new();
    roff.control("SH", ["CONFIGURATION"]);
    roff.text([roman(
        "A file may hold the following, as `key = value` or, when it ends in .yaml, as `key: value`. \
         Logformats of its own, <logformat NAME>, stand in it as in knockdaemon.conf(5).",
    )]);
    for key in keys::KEYS.iter().filter(|key| {
        key.within == Within::Top && matches!(key.used_by, UsedBy::Client | UsedBy::Both)
    }) {
        roff.control("TP", []);
        roff.text([bold(key.name), roman(format!(" ({})", key.kind))]);
        let default = match key.default {
            "" => String::new(),
            default => format!(" Default: {default}."),
        };
        roff.text([roman(format!("{}{default}", key.about))]);
    }
    for (title, text) in [("EXAMPLES", EXAMPLES), ("EXIT STATUS", EXIT_CODES)] {
        roff.control("SH", [title]);
        roff.control("nf", []);
        for line in text.lines() {
            roff.text([roman(line.trim_start())]);
        }
        roff.control("fi", []);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("knockdaemon(8), knockdaemon.conf(5)")]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// Shows the page through man(1), which formats it for a terminal and for a pipe alike; where there
/// is none, as plain text.
pub(crate) fn show() -> ExitCode {
    let Ok(page) = page() else { return ExitCode::from(crate::error::exit::OS) };
    if through_man(&page).is_ok() {
        return ExitCode::SUCCESS;
    }
    match io::stdout().lock().write_all(plain(&page).as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(crate::error::exit::IO),
    }
}

fn through_man(page: &[u8]) -> io::Result<()> {
    let mut viewer = Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = viewer.stdin.take() {
        // A reader who leaves early closes the pipe; that is no failure.
        let _ = stdin.write_all(page);
    }
    if viewer.wait()?.success() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
}
