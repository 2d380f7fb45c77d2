//! How the wall clock stood when the deadlines were written, as one row.

use knock_engine::{Anchor, Change, Ledger, OrderId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::column::{from_epoch, since_epoch};
use super::error::Fault;
use crate::seal::Seal;

pub(super) fn keep(connection: &Connection, anchor: &Anchor) -> Result<(), Fault> {
    let (began, earlier) = (since_epoch(anchor.began), anchor.earlier.0.cast_signed());
    let seal = right_seal(&anchor.boot, began, earlier);
    let sql = "INSERT OR REPLACE INTO anchor (one, boot, began_ns, earlier, seal) \
               VALUES (1, ?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![anchor.boot, began, earlier, seal])?;
    Ok(())
}

/// Puts what is stored into the ledger.
pub(super) fn load(connection: &Connection, ledger: &mut Ledger) -> Result<(), Fault> {
    let damage = || Fault::Damage("how the clock stood is not what was written".to_owned());
    let mut statement =
        connection.prepare("SELECT boot, began_ns, earlier, seal FROM anchor WHERE one = 1")?;
    let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let row: Option<(String, i64, i64, i64)> = statement.query_row((), columns).optional()?;
    let Some((boot, began, earlier, seal)) = row else { return Ok(()) };
    if seal != right_seal(&boot, began, earlier) {
        return Err(damage());
    }
    let began = from_epoch(began).ok_or_else(damage)?;
    let earlier = OrderId(earlier.cast_unsigned());
    ledger.apply(&Change::Anchored(Anchor { boot, began, earlier }));
    Ok(())
}

fn right_seal(boot: &str, began: i64, earlier: i64) -> i64 {
    Seal::of("anchor").text(boot).number(began).number(earlier).column()
}
