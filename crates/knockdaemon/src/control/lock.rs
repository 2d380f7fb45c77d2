//! One daemon for a socket: a file beside it stays, and is locked by whoever lives.
//!
//! Only a lock whose file could be made by nobody but the daemon is believed. In a folder that strangers may
//! write to, any of them can make that file first, and have it locked for ever.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

use super::error::ControlError;
use super::with_suffix;

/// Takes the lock of the socket at this path.
///
/// # Errors
/// When another daemon has it, or the file cannot be used.
pub(super) fn take(socket: &Path) -> Result<File, ControlError> {
    let lock = with_suffix(socket, ".lock");
    remove_a_strangers(&lock)?;
    let file = match open(&lock) {
        // Made by somebody after that look. Who does so twice is named.
        Err(ControlError::Stranger { .. }) => {
            remove_a_strangers(&lock)?;
            open(&lock)?
        }
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(ControlError::Taken { path: socket.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(ControlError::failed(&lock, "lock")(error)),
    }
}

fn remove_a_strangers(lock: &Path) -> Result<(), ControlError> {
    if let Ok(there) = fs::symlink_metadata(lock)
        && !is_believed(lock, there.uid())
    {
        let stranger =
            |error| ControlError::Stranger { lock: lock.to_owned(), user: there.uid(), error };
        fs::remove_file(lock).map_err(stranger)?;
        tracing::warn!(user = there.uid(), "somebody else's file was removed: {}", lock.display());
    }
    Ok(())
}

/// Makes the file, or opens it. It is the open file's owner that counts: what bears its name may be another
/// by then.
fn open(lock: &Path) -> Result<File, ControlError> {
    let failed = |what| ControlError::failed(lock, what);
    // Whatever somebody may have put there, nobody is led astray by a link or waits for a pipe's reader.
    let careful = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(careful);
    let file = options.open(lock).map_err(failed("make"))?;
    let about = file.metadata().map_err(failed("look at"))?;
    if !is_believed(lock, about.uid()) {
        let error = io::Error::other("it is made again and again");
        return Err(ControlError::Stranger { lock: lock.to_owned(), user: about.uid(), error });
    }
    if !about.is_file() {
        return Err(failed("use")(io::Error::other("it is no regular file; remove it")));
    }
    Ok(file)
}

/// Whether a file of this user's is a daemon's: ours, root's, or of whom the folder is, who can take the socket
/// away anyway.
fn is_believed(lock: &Path, owner: u32) -> bool {
    let folder = lock.parent().and_then(|folder| fs::metadata(folder).ok());
    owner == 0 || owner == geteuid().as_raw() || folder.is_some_and(|folder| folder.uid() == owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if they had made it between the look and the opening.
    #[test]
    fn of_an_open_file_its_owner_counts() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("control.sock.lock");
        drop(open(&lock).unwrap());
        drop(open(&lock).unwrap());
        // Only root can make a stranger's file.
        if std::os::unix::fs::chown(&lock, Some(4321), None).is_err() {
            return;
        }
        let refused = open(&lock).unwrap_err();
        assert!(matches!(refused, ControlError::Stranger { user: 4321, .. }), "{refused}");
    }
}
