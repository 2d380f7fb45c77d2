//! What the commands print: results on standard output, errors on standard error.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

use crate::exit::Exit;

/// Results on standard output, line by line.
pub(crate) struct Printer {
    out: BufWriter<io::Stdout>,
    failed: Option<io::Error>,
}

impl Printer {
    pub(crate) fn new() -> Self {
        Self { out: BufWriter::with_capacity(64 * 1024, io::stdout()), failed: None }
    }

    /// Writes a line, unless an earlier one could not be written.
    pub(crate) fn line(&mut self, text: &str) {
        if self.failed.is_none() {
            self.failed = writeln!(self.out, "{text}").err();
        }
    }

    /// Shows what has been written so far, for who looks on.
    pub(crate) fn show(&mut self) {
        if self.failed.is_none() {
            self.failed = self.out.flush().err();
        }
    }

    /// Whether there is a point in making more lines.
    pub(crate) fn go_on(&self) -> ControlFlow<()> {
        if self.failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Writes what is left. A reader who has seen enough (`… | head`) closes the pipe, which is no
    /// failure; a full disk is.
    pub(crate) fn finish(&mut self) -> Exit {
        let failed = self.failed.take().or_else(|| self.out.flush().err());
        match failed {
            Some(failed) if failed.kind() != io::ErrorKind::BrokenPipe => {
                error(&format!("cannot write the output: {failed}"));
                Exit::Input
            }
            _ => Exit::Ok,
        }
    }
}

/// One error for the user, on standard error.
pub(crate) fn error(message: &str) {
    // Nobody to tell when standard error is closed.
    let _closed = writeln!(std::io::stderr(), "knockdaemon: {message}");
}

/// A report of problems, on standard error.
pub(crate) fn report(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{}", text.trim_end());
}
