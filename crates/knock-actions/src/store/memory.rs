//! The state variable as rows: a path of keys, and a number or a text.

use knock_engine::{Change, Ledger};
use knock_rules::{MemoryChange, MemoryValue};
use rusqlite::{Connection, Row, params};

use super::error::Fault;
use crate::seal::Seal;

pub(super) fn remember(connection: &Connection, change: &MemoryChange) -> Result<(), Fault> {
    let path = serde_json::Value::from(change.path.as_slice()).to_string();
    let Some(value) = &change.value else {
        connection.prepare_cached("DELETE FROM memory WHERE path = ?1")?.execute([path])?;
        return Ok(());
    };
    let row = EntryRow::of(path, value);
    let sql = "INSERT OR REPLACE INTO memory (path, number, text, seal) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![row.path, row.number, row.text, row.seal])?;
    Ok(())
}

/// Counts how often the variable was changed. Its row is the only one whose path has no key.
pub(super) fn count(connection: &Connection, generation: u64) -> Result<(), Fault> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 knocks are never reached")]
    let value = Some(MemoryValue::Number(generation as f64));
    remember(connection, &MemoryChange { path: Vec::new(), value })
}

/// Puts all that is stored into the ledger, and returns how often it was changed.
pub(super) fn load(connection: &Connection, ledger: &mut Ledger) -> Result<u64, Fault> {
    let mut statement = connection.prepare("SELECT path, number, text, seal FROM memory")?;
    let mut generation = 0;
    for row in statement.query_map((), EntryRow::read)? {
        let change = row?.change()?;
        match change.value {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "written by `count`"
            )]
            Some(MemoryValue::Number(number)) if change.path.is_empty() => {
                generation = number as u64;
            }
            _ => ledger.apply(&Change::Remembered(change)),
        }
    }
    Ok(generation)
}

/// What stands in the table. Without number and text, it is the number that is none: SQLite has no
/// NaN.
#[derive(Debug)]
struct EntryRow {
    path: String,
    number: Option<f64>,
    text: Option<String>,
    seal: i64,
}

impl EntryRow {
    fn of(path: String, value: &MemoryValue) -> Self {
        let (number, text) = match value {
            MemoryValue::Number(number) if number.is_nan() => (None, None),
            // SQLite has no negative zero either.
            MemoryValue::Number(number) => (Some(number + 0.0), None),
            MemoryValue::Text(text) => (None, Some(text.clone())),
        };
        let mut row = Self { path, number, text, seal: 0 };
        row.seal = row.right_seal();
        row
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { path: row.get(0)?, number: row.get(1)?, text: row.get(2)?, seal: row.get(3)? })
    }

    fn change(self) -> Result<MemoryChange, Fault> {
        let damage = || Fault::Damage(format!("state {} is not what was written", self.path));
        if self.seal != self.right_seal() {
            return Err(damage());
        }
        let path = serde_json::from_str(&self.path).map_err(|_| damage())?;
        let value = match (self.number, self.text) {
            (None, Some(text)) => MemoryValue::Text(text),
            (number, _) => MemoryValue::Number(number.unwrap_or(f64::NAN)),
        };
        Ok(MemoryChange { path, value: Some(value) })
    }

    fn right_seal(&self) -> i64 {
        let seal = Seal::of("memory").text(&self.path);
        match (self.number, &self.text) {
            (Some(number), _) => seal.text("number").number(number.to_bits().cast_signed()),
            (None, Some(text)) => seal.text("text").text(text),
            (None, None) => seal.text("nan"),
        }
        .column()
    }
}
