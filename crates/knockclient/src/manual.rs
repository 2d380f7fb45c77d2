//! `-man`: the manual page, made from the options themselves, so that it cannot fall behind them.

use std::io::{self, Write as _};
use std::process::{Command, ExitCode, Stdio};

use crate::args;

/// The page in roff, `knockclient(1)`.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(args::command())
        .section("1")
        .manual("User commands")
        .render(&mut page)?;
    Ok(page)
}

/// Shows the page through man(1), which formats it for a terminal and for a pipe alike; where there
/// is none, as plain text.
pub(crate) fn show() -> ExitCode {
    if in_viewer().is_ok() {
        return ExitCode::SUCCESS;
    }
    let text = args::command().render_long_help().to_string();
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(crate::error::exit::IO),
    }
}

fn in_viewer() -> io::Result<()> {
    let page = page()?;
    let mut viewer = Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = viewer.stdin.take() {
        // A reader who leaves early closes the pipe; that is no failure.
        let _ = stdin.write_all(&page);
    }
    if viewer.wait()?.success() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
}
