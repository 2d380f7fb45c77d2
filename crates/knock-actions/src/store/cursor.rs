//! How far each source was read, as rows: its name and a text that only the source understands.

use knock_engine::{Change, Ledger};
use rusqlite::{Connection, Row, params};

use super::error::Fault;
use crate::seal::Seal;

pub(super) fn keep(connection: &Connection, source: &str, place: &str) -> Result<(), Fault> {
    let sql = "INSERT OR REPLACE INTO cursor (source, place, seal) VALUES (?1, ?2, ?3)";
    let seal = right_seal(source, place);
    connection.prepare_cached(sql)?.execute(params![source, place, seal])?;
    Ok(())
}

/// Puts all that is stored into the ledger.
pub(super) fn load(connection: &Connection, ledger: &mut Ledger) -> Result<(), Fault> {
    let mut statement = connection.prepare("SELECT source, place, seal FROM cursor")?;
    let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    for row in statement.query_map((), columns)? {
        let (source, place, seal): (String, String, i64) = row?;
        if seal != right_seal(&source, &place) {
            return Err(Fault::Damage(format!("the place in {source} is not what was written")));
        }
        ledger.apply(&Change::ReadTo { source, place });
    }
    Ok(())
}

fn right_seal(source: &str, place: &str) -> i64 {
    Seal::of("cursor").text(source).text(place).column()
}
