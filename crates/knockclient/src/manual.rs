//! `-man`: the manual page, made from the options themselves.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command, ExitCode, Stdio};

use crate::args;

/// Shows the page in the system's viewer, or as plain text where there is none to read it in.
pub(crate) fn show() -> ExitCode {
    if io::stdout().is_terminal() && in_viewer().is_ok() {
        return ExitCode::SUCCESS;
    }
    let text = args::command().render_long_help().to_string();
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(crate::error::exit::IO),
    }
}

fn in_viewer() -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(args::command()).render(&mut page)?;
    let mut viewer = Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = viewer.stdin.take() {
        // A reader who leaves early closes the pipe; that is no failure.
        let _ = stdin.write_all(&page);
    }
    if viewer.wait()?.success() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
}
