//! The tables: made where there are none, compared where there are some.
//! What stands in their rows is the business of `agenda`, `anchor`, `leases`, `memory`, `cursor`,
//! `answered` and `spent`.

use rusqlite::Connection;

use super::error::Fault;

/// Version of the tables below, kept in SQLite's `user_version`. Whoever changes a table adds one,
/// and a step from each older version.
pub(super) const VERSION: i64 = 7;
/// Says to `file` and to us whose database it is: "knok".
const APPLICATION: i64 = 0x6b6e_6f6b;
/// Pages in the write-ahead log (4 KiB each) before they move into the database.
const CHECKPOINT_PAGES: u32 = 256;

/// Name and statement of each table. Times are nanoseconds since 1970, spans nanoseconds:
/// `SELECT datetime(due_ns / 1000000000, 'unixepoch', 'localtime'), client, command FROM agenda`.
const TABLES: [(&str, &str); 8] = [
    (
        "agenda",
        "CREATE TABLE agenda (id INTEGER PRIMARY KEY, client TEXT NOT NULL, action TEXT NOT NULL, \
         template TEXT NOT NULL, due_ns INTEGER NOT NULL, delay_ns INTEGER NOT NULL, \
         kind TEXT NOT NULL, command TEXT NOT NULL, environment TEXT NOT NULL, \
         timeout_ns INTEGER NOT NULL, attempts INTEGER NOT NULL, user TEXT, on_failure TEXT, \
         hand_over_ns INTEGER, expires_ns INTEGER, seal INTEGER NOT NULL) STRICT",
    ),
    (
        "greatest",
        "CREATE TABLE greatest (one INTEGER PRIMARY KEY CHECK (one = 1), id INTEGER NOT NULL, \
         seal INTEGER NOT NULL) STRICT",
    ),
    (
        "memory",
        "CREATE TABLE memory (path TEXT PRIMARY KEY, number REAL, text TEXT, \
         seal INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ),
    (
        "cursor",
        "CREATE TABLE cursor (source TEXT PRIMARY KEY, place TEXT NOT NULL, \
         seal INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ),
    (
        "anchor",
        "CREATE TABLE anchor (one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL, \
         began_ns INTEGER NOT NULL, earlier INTEGER NOT NULL, seal INTEGER NOT NULL) STRICT",
    ),
    (
        "leases",
        "CREATE TABLE leases (id INTEGER PRIMARY KEY, client TEXT NOT NULL, user TEXT, \
         opening TEXT NOT NULL, opened_ns INTEGER NOT NULL, renewed_ns INTEGER NOT NULL, \
         until_ns INTEGER, at_most_ns INTEGER, step_ns INTEGER, action TEXT NOT NULL, template TEXT NOT NULL, knock TEXT NOT NULL, \
         state TEXT NOT NULL, why TEXT, seal INTEGER NOT NULL) STRICT",
    ),
    (
        "answered",
        "CREATE TABLE answered (client TEXT PRIMARY KEY, written_ns INTEGER NOT NULL, \
         seal INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ),
    (
        "spent",
        "CREATE TABLE spent (digest BLOB PRIMARY KEY, accepted_ns INTEGER NOT NULL, \
         seal INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ),
];

/// From version 1, which had an agenda without users, fallbacks and at(1). SQLite remembers a table as
/// it was spelled, so it is made anew and not altered.
const FROM_1: [&str; 3] = [
    "ALTER TABLE agenda RENAME TO agenda_1",
    "INSERT INTO agenda (id, client, action, template, due_ns, delay_ns, kind, command, \
     environment, timeout_ns, attempts, seal) SELECT id, client, action, template, due_ns, \
     delay_ns, kind, command, environment, timeout_ns, attempts, seal FROM agenda_1",
    "DROP TABLE agenda_1",
];

/// How this program works with every database of its own.
pub(super) fn set_up(connection: &Connection) -> Result<(), Fault> {
    // First of all: these decide how the file is read.
    connection.execute_batch(
        "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;",
    )?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Damage(format!("its journal mode is stuck at '{mode}'")));
    }
    // A commit returns after the log is on the disk, not only with the kernel.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; \
         PRAGMA journal_size_limit = 4194304;"
    ))?;
    Ok(())
}

/// Makes the tables in an empty database; in any other, sees that they are what they should be.
pub(super) fn ensure(connection: &mut Connection) -> Result<(), Fault> {
    let version = pragma(connection, "user_version")?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if version == 0 && objects == 0 {
        return create(connection);
    }
    if version > VERSION {
        return Err(Fault::Newer(version));
    }
    let application = pragma(connection, "application_id")?;
    if version < 1 || application != APPLICATION {
        return Err(Fault::Damage("it holds something else".to_owned()));
    }
    if version < VERSION {
        take_over(connection, version)?;
    }
    sound(connection)
}

/// All steps from an older version in one transaction.
fn take_over(connection: &mut Connection, version: i64) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    if version < 2 {
        let [rename, copy, drop] = FROM_1;
        transaction.execute_batch(rename)?;
        make(&transaction, "agenda")?;
        transaction.execute_batch(copy)?;
        transaction.execute_batch(drop)?;
    }
    // Version 2 kept no places in logs.
    if version < 3 {
        make(&transaction, "cursor")?;
    }
    // Version 3 did not know how the clock stood.
    if version < 4 {
        make(&transaction, "anchor")?;
    }
    // Version 4 had no leases.
    if version < 5 {
        make(&transaction, "leases")?;
    }
    // Version 5 knew accepted knocks by their places only.
    if version < 6 {
        make(&transaction, "answered")?;
    }
    // Version 6 accepted any knock again.
    make(&transaction, "spent")?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

fn make(connection: &Connection, table: &str) -> Result<(), Fault> {
    for (_, statement) in TABLES.iter().filter(|(name, _)| *name == table) {
        connection.execute_batch(statement)?;
    }
    Ok(())
}

fn create(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    for (_, statement) in TABLES {
        transaction.execute_batch(statement)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

fn sound(connection: &Connection) -> Result<(), Fault> {
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Fault::Damage(verdict));
    }
    for (name, statement) in TABLES {
        let found: String = connection.query_row(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1",
            [name],
            |row| row.get(0),
        )?;
        if found != statement {
            return Err(Fault::Damage(format!("table '{name}' is not what it should be")));
        }
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}
