//! The ledger on disk: an SQLite database in `statedir` that has every change before it is acted
//! upon. What the changes mean is the ledger's business; here they are rows.

mod agenda;
mod anchor;
mod answered;
mod column;
mod cursor;
mod error;
mod folder;
mod leases;
mod memory;
mod schema;
mod spent;

use std::path::{Path, PathBuf};
use std::time::Duration;

use knock_engine::{Change, Ledger};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use self::error::Fault;
pub use self::error::{StoreError, StoreNotice};
use self::folder::{Folder, Identity};
use crate::left_behind::Session;

/// How long somebody who looks at the database with `sqlite3` may hold us up.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// The open store. One a folder: the second [`Store::open`] is refused while this lives.
#[derive(Debug)]
pub struct Store {
    /// Before `folder`: closed before the folder is free for others.
    connection: Connection,
    database: PathBuf,
    identity: Identity,
    /// How often the state variable was changed here.
    generation: u64,
    folder: Folder,
}

impl Store {
    /// Opens the store in `dir`, and makes both where they are missing. A damaged one is moved
    /// aside, and an empty one opened: then a notice says so.
    ///
    /// # Errors
    /// When there can be no store here. One that is sound is never replaced.
    pub fn open(dir: &Path) -> Result<(Self, Ledger, Vec<StoreNotice>), StoreError> {
        let folder = Folder::enter(dir)?;
        let database = folder.database();
        let mut notices = Vec::new();
        let opened = match folder.look_at_database(&mut notices)? {
            Ok(()) => read(&database),
            Err(what) => Err(Fault::Damage(what)),
        };
        let (connection, ledger, generation) = match opened {
            Err(Fault::Damage(what)) => {
                notices.push(folder.set_aside(what)?);
                // Of the new one there is nothing to tell.
                let _ = folder.look_at_database(&mut Vec::new())?;
                read(&database)
            }
            other => other,
        }
        .map_err(|fault| fault.at(&database))?;
        let identity = folder.identity()?;
        Ok((Self { connection, database, identity, generation, folder }, ledger, notices))
    }

    /// Makes changes durable, all of them or none. Durable on return: a power cut does not undo it.
    ///
    /// # Errors
    /// When it cannot; nothing of it has happened then.
    pub fn append(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let remembers = changes.iter().any(|change| matches!(change, Change::Remembered(_)));
        self.write(changes, remembers.then(|| self.generation + 1))
    }

    /// Makes the changes durable that turn the state variable into that of its readable copy, which
    /// was written, or edited, after so many changes. From now on the store is the newer of the two.
    ///
    /// # Errors
    /// When it cannot; nothing of it has happened then.
    pub fn take_over(&mut self, changes: &[Change], generation: u64) -> Result<(), StoreError> {
        self.write(changes, Some(self.generation.max(generation) + 1))
    }

    fn write(&mut self, changes: &[Change], generation: Option<u64>) -> Result<(), StoreError> {
        // SQLite would go on writing into a file that no restart finds.
        if self.folder.identity()? != self.identity {
            return Err(StoreError::Gone { path: self.database.clone() });
        }
        write(&mut self.connection, changes, generation)
            .map_err(|fault| fault.at(&self.database))?;
        self.generation = generation.unwrap_or(self.generation);
        Ok(())
    }

    /// The session of the daemon that worked here before, if one did: a killed one may have left
    /// programs running in it.
    #[must_use]
    pub fn session_before(&self) -> Option<Session> {
        self.folder.session_before()
    }

    /// How often the state variable was changed in this store: two copies of it with the same
    /// number, made by this store, are the same.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

fn read(database: &Path) -> Result<(Connection, Ledger, u64), Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    schema::set_up(&connection)?;
    schema::ensure(&mut connection)?;
    let mut ledger = Ledger::new();
    agenda::load(&connection, &mut ledger)?;
    leases::load(&connection, &mut ledger)?;
    answered::load(&connection, &mut ledger)?;
    spent::load(&connection, &mut ledger)?;
    cursor::load(&connection, &mut ledger)?;
    anchor::load(&connection, &mut ledger)?;
    let generation = memory::load(&connection, &mut ledger)?;
    Ok((connection, ledger, generation))
}

fn write(
    connection: &mut Connection,
    changes: &[Change],
    generation: Option<u64>,
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for change in changes {
        match change {
            Change::Scheduled(order) => agenda::schedule(&transaction, order)?,
            Change::Rescheduled { id, due, attempts } => {
                agenda::reschedule(&transaction, *id, *due, *attempts)?;
            }
            Change::Moved { id, times } => agenda::give_times(&transaction, *id, times)?,
            Change::Anchored(anchor) => anchor::keep(&transaction, anchor)?,
            Change::Finished(id) => agenda::strike_out(&transaction, *id)?,
            Change::Answered { client, written, forget } => {
                answered::keep(&transaction, *client, *written, *forget)?;
            }
            Change::Spent { digest, accepted } => spent::keep(&transaction, digest, *accepted)?,
            Change::Leased(lease) => leases::put(&transaction, lease)?,
            Change::LeaseClosed(id) => leases::remove(&transaction, *id)?,
            Change::Remembered(change) => memory::remember(&transaction, change)?,
            Change::ReadTo { source, place } => cursor::keep(&transaction, source, place)?,
        }
    }
    if let Some(generation) = generation {
        memory::count(&transaction, generation)?;
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests;
