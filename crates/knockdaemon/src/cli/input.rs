//! The files that a command reads: logs or captures, told apart by what is in them and not by their
//! names. `-` is standard input.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use knock_sources::{InputKind, PcapFileSource, StdinSource};

use crate::exit::Exit;

use super::output;

/// A file from its first line or packet on.
pub(crate) enum Input {
    /// A log.
    Lines(StdinSource),
    /// A capture file.
    Packets(PcapFileSource),
}

/// Opens a file and looks at its first bytes.
pub(crate) fn open(path: &Path) -> io::Result<Input> {
    let (name, file) = if path.as_os_str() == "-" {
        ("stdin".to_owned(), File::from(io::stdin().as_fd().try_clone_to_owned()?))
    } else {
        (path.display().to_string(), File::open(path)?)
    };
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "is a folder, not a log"));
    }
    // What was looked at in a named file is there to be read again; anywhere else it is gone.
    let is_kept = metadata.is_file() && name != "stdin";
    let (kind, head) = if is_kept { (peek(&file)?, Vec::new()) } else { take(&file)? };
    Ok(match kind {
        InputKind::Packets => {
            Input::Packets(PcapFileSource::reading(name, file.into()).after(head))
        }
        InputKind::Lines | InputKind::Undecided => {
            Input::Lines(StdinSource::reading(name, file.into()).after(head))
        }
    })
}

/// Says that a file cannot be read, and how that ends the program.
pub(crate) fn unreadable(log: &Path, why: &io::Error) -> Exit {
    output::error(&format!("{}: {why}", log.display()));
    match why.kind() {
        io::ErrorKind::PermissionDenied => Exit::Permission,
        _ => Exit::Input,
    }
}

fn peek(file: &File) -> io::Result<InputKind> {
    let mut head = [0; InputKind::ENOUGH];
    let mut filled = 0;
    while let Some(room) = head.get_mut(filled..)
        && !room.is_empty()
    {
        match file.read_at(room, filled as u64) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(InputKind::of(head.get(..filled).unwrap_or_default()))
}

/// Reads no more than it takes to decide: of a pipe, a line may be all that comes today.
fn take(mut file: &File) -> io::Result<(InputKind, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let kind = InputKind::of(&head);
        if kind != InputKind::Undecided {
            return Ok((kind, head));
        }
        let mut room = [0; InputKind::ENOUGH];
        let left = InputKind::ENOUGH - head.len();
        match file.read(room.get_mut(..left).unwrap_or_default()) {
            Ok(0) => return Ok((kind, head)),
            Ok(got) => head.extend(room.iter().take(got)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
