//! What a dead daemon has kept on disk, read from a copy: the next one finds what it left, and not what we
//! made of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use knock_actions::Store;
use knock_engine::Ledger;

use crate::{LabError, Result};

/// Agenda, leases and memory of the store in this folder.
///
/// # Errors
/// When it cannot be read, or is not as it should be.
pub fn ledger(statedir: &Path) -> Result<Ledger> {
    let copy = tempfile::Builder::new().prefix("knockdaemon-e2e-").tempdir()?;
    for name in ["knockdaemon.db", "knockdaemon.db-wal"] {
        let to = copy.path().join(name);
        match fs::copy(statedir.join(name), &to) {
            // Killed before it made any.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            copied => copied?,
        };
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
    }
    let (_, ledger, notices) =
        Store::open(copy.path()).map_err(|error| LabError(format!("the store: {error}")))?;
    match notices.first() {
        Some(notice) => Err(LabError(format!("the store: {notice}"))),
        None => Ok(ledger),
    }
}
