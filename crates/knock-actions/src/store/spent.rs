//! Which knocks are not accepted again, as rows: one for each, for ever.

use std::time::SystemTime;

use knock_engine::{Change, Ledger};
use knock_wire::Digest;
use rusqlite::{Connection, params};

use super::column::{from_epoch, since_epoch};
use super::error::Fault;
use crate::seal::Seal;

/// One that is there already stays as it is: it was accepted then.
pub(super) fn keep(
    connection: &Connection,
    digest: &Digest,
    accepted: SystemTime,
) -> Result<(), Fault> {
    let accepted = since_epoch(accepted);
    let seal = right_seal(digest, accepted);
    let sql = "INSERT OR IGNORE INTO spent (digest, accepted_ns, seal) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![digest.0, accepted, seal])?;
    Ok(())
}

/// Puts all that is stored into the ledger.
pub(super) fn load(connection: &Connection, ledger: &mut Ledger) -> Result<(), Fault> {
    let mut statement = connection.prepare("SELECT digest, accepted_ns, seal FROM spent")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (accepted, seal): (i64, i64) = (row.get(1)?, row.get(2)?);
        let damage = || Fault::Damage("a knock that was accepted is not what was written".into());
        let bytes = row.get_ref(0)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok());
        let digest = Digest(bytes.ok_or_else(damage)?);
        if seal != right_seal(&digest, accepted) {
            return Err(damage());
        }
        let accepted = from_epoch(accepted).ok_or_else(damage)?;
        ledger.apply(&Change::Spent { digest, accepted });
    }
    Ok(())
}

fn right_seal(digest: &Digest, accepted: i64) -> i64 {
    Seal::of("spent").blob(&digest.0).number(accepted).column()
}
