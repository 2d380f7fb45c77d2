//! Leases as rows. A row says everything about its lease, so that a change of the config does not touch
//! what is open already; and it is the order to close, so it is there before anything opens.

use std::net::IpAddr;
use std::time::Duration;

use knock_engine::{Change, Hold, Lease, LeaseId, LeaseState, Ledger, OrderId};
use rusqlite::{Connection, Row, params};

use super::agenda::reserve;
use super::column::{from_epoch, nanoseconds, optional, since_epoch};
use super::error::Fault;
use crate::seal::Seal;

/// It is so now, whether or not it was there.
pub(super) fn put(connection: &Connection, lease: &Lease) -> Result<(), Fault> {
    let row = LeaseRow::of(lease);
    let places = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15";
    let sql = format!("INSERT OR REPLACE INTO leases ({COLUMNS}) VALUES ({places})");
    connection.prepare_cached(&sql)?.execute(params![
        row.id,
        row.client,
        row.user,
        row.opening,
        row.opened_ns,
        row.renewed_ns,
        row.until_ns,
        row.at_most_ns,
        row.step_ns,
        row.action,
        row.template,
        row.knock,
        row.state,
        row.why,
        row.seal,
    ])?;
    reserve(connection, OrderId(lease.id.0))
}

pub(super) fn remove(connection: &Connection, id: LeaseId) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("DELETE FROM leases WHERE id = ?1")?;
    statement.execute([id.0.cast_signed()])?;
    reserve(connection, OrderId(id.0))
}

/// Puts all that is stored into the ledger.
pub(super) fn load(connection: &Connection, ledger: &mut Ledger) -> Result<(), Fault> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM leases ORDER BY id"))?;
    for row in statement.query_map((), LeaseRow::read)? {
        ledger.apply(&Change::Leased(row?.lease()?));
    }
    Ok(())
}

const COLUMNS: &str = "id, client, user, opening, opened_ns, renewed_ns, until_ns, at_most_ns, step_ns, \
                       action, template, knock, state, why, seal";

const OPENING: &str = "opening";
const OPEN: &str = "open";
const CLOSING: &str = "closing";
const FAILED: &str = "failed";

/// What stands in the table.
#[derive(Debug)]
struct LeaseRow {
    id: i64,
    client: String,
    user: Option<String>,
    opening: String,
    opened_ns: i64,
    renewed_ns: i64,
    until_ns: Option<i64>,
    at_most_ns: Option<i64>,
    /// Where a connection keeps it, for how long each time.
    step_ns: Option<i64>,
    action: String,
    template: String,
    knock: String,
    state: String,
    why: Option<String>,
    seal: i64,
}

impl LeaseRow {
    fn of(lease: &Lease) -> Self {
        let (state, why) = match &lease.state {
            LeaseState::Opening => (OPENING, None),
            LeaseState::Open => (OPEN, None),
            LeaseState::Closing => (CLOSING, None),
            LeaseState::Failed { why } => (FAILED, Some(why.clone())),
        };
        let mut row = Self {
            id: lease.id.0.cast_signed(),
            client: lease.client.to_string(),
            user: lease.user.clone(),
            opening: lease.opening.to_string(),
            opened_ns: since_epoch(lease.opened),
            renewed_ns: since_epoch(lease.renewed),
            until_ns: lease.until.map(since_epoch),
            at_most_ns: lease.at_most.map(since_epoch),
            step_ns: match lease.hold {
                Hold::No => None,
                Hold::Connected { step } => Some(nanoseconds(step)),
            },
            action: lease.action.clone(),
            template: lease.template.clone(),
            knock: lease.knock.clone(),
            state: state.to_owned(),
            why,
            seal: 0,
        };
        row.seal = row.right_seal();
        row
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            client: row.get(1)?,
            user: row.get(2)?,
            opening: row.get(3)?,
            opened_ns: row.get(4)?,
            renewed_ns: row.get(5)?,
            until_ns: row.get(6)?,
            at_most_ns: row.get(7)?,
            step_ns: row.get(8)?,
            action: row.get(9)?,
            template: row.get(10)?,
            knock: row.get(11)?,
            state: row.get(12)?,
            why: row.get(13)?,
            seal: row.get(14)?,
        })
    }

    fn lease(self) -> Result<Lease, Fault> {
        let id = LeaseId(self.id.cast_unsigned());
        if self.seal != self.right_seal() {
            return Err(Fault::Damage(format!("lease {id} is not what was written")));
        }
        self.checked(id).ok_or_else(|| Fault::Damage(format!("lease {id} makes no sense")))
    }

    fn checked(self, id: LeaseId) -> Option<Lease> {
        Some(Lease {
            id,
            client: self.client.parse::<IpAddr>().ok()?,
            user: self.user,
            opening: self.opening.parse().ok()?,
            opened: from_epoch(self.opened_ns)?,
            renewed: from_epoch(self.renewed_ns)?,
            until: optional(self.until_ns, from_epoch)?,
            at_most: optional(self.at_most_ns, from_epoch)?,
            hold: match self.step_ns {
                None => Hold::No,
                Some(step) => Hold::Connected { step: Duration::from_nanos(step.try_into().ok()?) },
            },
            action: self.action,
            template: self.template,
            knock: self.knock,
            state: match (self.state.as_str(), self.why) {
                (OPENING, None) => LeaseState::Opening,
                (OPEN, None) => LeaseState::Open,
                (CLOSING, None) => LeaseState::Closing,
                (FAILED, Some(why)) => LeaseState::Failed { why },
                _ => return None,
            },
        })
    }

    fn right_seal(&self) -> i64 {
        let seal = Seal::of("leases")
            .number(self.id)
            .text(&self.client)
            .text(&self.opening)
            .number(self.opened_ns)
            .number(self.renewed_ns)
            .text(&self.action)
            .text(&self.template)
            .text(&self.knock)
            .text(&self.state);
        let texts = [("user", &self.user), ("why", &self.why)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
        let seal = texts.fold(seal, |seal, (name, text)| seal.text(name).text(text));
        let times =
            [("until", self.until_ns), ("at_most", self.at_most_ns), ("step", self.step_ns)];
        let times = times.into_iter().filter_map(|(name, time)| Some((name, time?)));
        times.fold(seal, |seal, (name, time)| seal.text(name).number(time)).column()
    }
}
