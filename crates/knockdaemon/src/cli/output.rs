//! What the commands print: results on standard output, errors on standard error.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use knock_sources::StdinSource;

/// One error for the user, on standard error.
pub(crate) fn error(message: &str) {
    // Nobody to tell when standard error is closed.
    let _closed = writeln!(std::io::stderr(), "knockdaemon: {message}");
}

/// A report of problems, on standard error.
pub(crate) fn report(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{}", text.trim_end());
}

/// A log from its first line on; `-` is standard input.
pub(crate) fn input(log: &Path) -> io::Result<StdinSource> {
    if log.as_os_str() == "-" {
        return Ok(StdinSource::new());
    }
    let file = File::open(log)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, not a log"));
    }
    Ok(StdinSource::reading(file.into()))
}

/// Bytes of a log or a client, safe to print on a terminal.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn terminal_escapes_and_broken_text_are_shown_not_sent() {
        assert_eq!(escaped(b"a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escaped(b"a\xffb\0"), "a\\xffb\\u{0}");
        assert_eq!(escaped("\u{fc} \u{4e2d}".as_bytes()), "\u{fc} \u{4e2d}");
    }
}
