//! When the knocks were written that were accepted, as rows: one for each client, of a limited time back.

use std::net::IpAddr;
use std::time::SystemTime;

use knock_engine::{Change, Ledger};
use rusqlite::{Connection, Row, params};

use super::column::{from_epoch, since_epoch};
use super::error::Fault;
use crate::seal::Seal;

pub(super) fn keep(
    connection: &Connection,
    client: IpAddr,
    written: SystemTime,
    forget: SystemTime,
) -> Result<(), Fault> {
    let sql = "DELETE FROM answered WHERE written_ns < ?1";
    connection.prepare_cached(sql)?.execute([since_epoch(forget)])?;
    let (client, written) = (client.to_string(), since_epoch(written));
    let seal = right_seal(&client, written);
    let sql = "INSERT OR REPLACE INTO answered (client, written_ns, seal) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![client, written, seal])?;
    Ok(())
}

/// Puts all that is stored into the ledger.
pub(super) fn load(connection: &Connection, ledger: &mut Ledger) -> Result<(), Fault> {
    let mut statement = connection
        .prepare("SELECT client, written_ns, seal FROM answered ORDER BY written_ns DESC")?;
    let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    // The oldest comes last, so that none forgets another.
    for row in statement.query_map((), columns)? {
        let (client, written, seal): (String, i64, i64) = row?;
        let damage =
            || Fault::Damage(format!("when {client} was answered is not what was written"));
        if seal != right_seal(&client, written) {
            return Err(damage());
        }
        let written = from_epoch(written).ok_or_else(damage)?;
        let client = client.parse().map_err(|_| damage())?;
        ledger.apply(&Change::Answered { client, written, forget: written });
    }
    Ok(())
}

fn right_seal(client: &str, written: i64) -> i64 {
    Seal::of("answered").text(client).number(written).column()
}
