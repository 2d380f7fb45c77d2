//! Orders as rows, and the greatest id ever taken. A row says everything about its order, so that
//! a change of the config does not touch what is waiting already.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_engine::{Change, Fallback, Ledger, Order, OrderId, Times};
use knock_rules::{Command, Family};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::column::{from_epoch, nanoseconds, optional, since_epoch};
use super::error::Fault;
use crate::seal::Seal;

/// One that is there already stays as it is, as in the ledger.
pub(super) fn schedule(connection: &Connection, order: &Order) -> Result<(), Fault> {
    insert("INSERT OR IGNORE", connection, &OrderRow::of(order))?;
    reserve(connection, order.id)
}

/// An unknown order stays unknown.
pub(super) fn reschedule(
    connection: &Connection,
    id: OrderId,
    due: SystemTime,
    attempts: u32,
) -> Result<(), Fault> {
    change(connection, id, |order| Order { due, attempts, ..order })
}

/// An unknown order stays unknown.
pub(super) fn give_times(connection: &Connection, id: OrderId, times: &Times) -> Result<(), Fault> {
    change(connection, id, |order| times.given_to(order))
}

fn change(
    connection: &Connection,
    id: OrderId,
    changed: impl FnOnce(Order) -> Order,
) -> Result<(), Fault> {
    let select = format!("SELECT {COLUMNS} FROM agenda WHERE id = ?1");
    let mut statement = connection.prepare_cached(&select)?;
    let row = statement.query_row([id.0.cast_signed()], OrderRow::read).optional()?;
    if let Some(row) = row {
        let order = changed(row.order()?);
        insert("INSERT OR REPLACE", connection, &OrderRow::of(&order))?;
    }
    reserve(connection, id)
}

pub(super) fn strike_out(connection: &Connection, id: OrderId) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("DELETE FROM agenda WHERE id = ?1")?;
    statement.execute([id.0.cast_signed()])?;
    reserve(connection, id)
}

/// Puts all that is stored into the ledger.
pub(super) fn load(connection: &Connection, ledger: &mut Ledger) -> Result<(), Fault> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM agenda ORDER BY id"))?;
    for row in statement.query_map((), OrderRow::read)? {
        ledger.apply(&Change::Scheduled(row?.order()?));
    }
    if let Some(greatest) = greatest(connection)? {
        ledger.reserve_ids(greatest);
    }
    Ok(())
}

const COLUMNS: &str = "id, client, action, template, due_ns, delay_ns, kind, command, environment, \
                       timeout_ns, attempts, user, on_failure, hand_over_ns, expires_ns, seal";

/// Orders of leases are made anew from the leases, and never stand here; what a command is must be
/// complete all the same.
const OPEN: &str = "open";
const CLOSE: &str = "close";
const COUNT: &str = "count connections";

/// What stands in the table.
#[derive(Debug)]
struct OrderRow {
    id: i64,
    client: String,
    action: String,
    template: String,
    due_ns: i64,
    delay_ns: i64,
    kind: String,
    command: String,
    environment: String,
    timeout_ns: i64,
    attempts: i64,
    user: Option<String>,
    on_failure: Option<String>,
    hand_over_ns: Option<i64>,
    expires_ns: Option<i64>,
    seal: i64,
}

impl OrderRow {
    fn of(order: &Order) -> Self {
        let (kind, command) = command_columns(&order.command);
        let mut row = Self {
            id: order.id.0.cast_signed(),
            client: order.client.to_string(),
            action: order.action.clone(),
            template: order.template.clone(),
            due_ns: since_epoch(order.due),
            delay_ns: nanoseconds(order.delay),
            kind: kind.to_owned(),
            command,
            environment: json(&pairs(&order.environment)),
            timeout_ns: nanoseconds(order.timeout),
            attempts: order.attempts.into(),
            user: order.user.clone(),
            on_failure: (!order.on_failure.is_empty()).then(|| fallbacks_column(&order.on_failure)),
            hand_over_ns: order.hand_over.map(since_epoch),
            expires_ns: order.expires.map(since_epoch),
            seal: 0,
        };
        row.seal = row.right_seal();
        row
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            client: row.get(1)?,
            action: row.get(2)?,
            template: row.get(3)?,
            due_ns: row.get(4)?,
            delay_ns: row.get(5)?,
            kind: row.get(6)?,
            command: row.get(7)?,
            environment: row.get(8)?,
            timeout_ns: row.get(9)?,
            attempts: row.get(10)?,
            user: row.get(11)?,
            on_failure: row.get(12)?,
            hand_over_ns: row.get(13)?,
            expires_ns: row.get(14)?,
            seal: row.get(15)?,
        })
    }

    fn order(self) -> Result<Order, Fault> {
        let id = OrderId(self.id.cast_unsigned());
        if self.seal != self.right_seal() {
            return Err(Fault::Damage(format!("order {id} is not what was written")));
        }
        self.checked(id).ok_or_else(|| Fault::Damage(format!("order {id} makes no sense")))
    }

    fn checked(self, id: OrderId) -> Option<Order> {
        Some(Order {
            id,
            client: self.client.parse::<IpAddr>().ok()?,
            action: self.action,
            template: self.template,
            due: from_epoch(self.due_ns)?,
            delay: Duration::from_nanos(self.delay_ns.try_into().ok()?),
            command: command_of(&self.kind, self.command)?,
            environment: serde_json::from_str(&self.environment).ok()?,
            timeout: Duration::from_nanos(self.timeout_ns.try_into().ok()?),
            attempts: self.attempts.try_into().ok()?,
            user: self.user,
            on_failure: match self.on_failure {
                Some(text) => fallbacks_of(&text)?,
                None => Vec::new(),
            },
            hand_over: optional(self.hand_over_ns, from_epoch)?,
            expires: optional(self.expires_ns, from_epoch)?,
        })
    }

    fn right_seal(&self) -> i64 {
        let seal = Seal::of("agenda")
            .number(self.id)
            .text(&self.client)
            .text(&self.action)
            .text(&self.template)
            .number(self.due_ns)
            .number(self.delay_ns)
            .text(&self.kind)
            .text(&self.command)
            .text(&self.environment)
            .number(self.timeout_ns)
            .number(self.attempts);
        // Only what is there counts, so that a row of the first tables keeps its seal.
        let seal = self.user.iter().fold(seal, |seal, user| seal.text("user").text(user));
        let on_failure = self.on_failure.iter();
        let seal = on_failure.fold(seal, |seal, text| seal.text("on_failure").text(text));
        let times = [("hand_over", self.hand_over_ns), ("expires", self.expires_ns)];
        let times = times.into_iter().filter_map(|(name, time)| Some((name, time?)));
        times.fold(seal, |seal, (name, time)| seal.text(name).number(time)).column()
    }
}

fn insert(verb: &str, connection: &Connection, row: &OrderRow) -> Result<(), Fault> {
    let places = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16";
    let sql = format!("{verb} INTO agenda ({COLUMNS}) VALUES ({places})");
    connection.prepare_cached(&sql)?.execute(params![
        row.id,
        row.client,
        row.action,
        row.template,
        row.due_ns,
        row.delay_ns,
        row.kind,
        row.command,
        row.environment,
        row.timeout_ns,
        row.attempts,
        row.user,
        row.on_failure,
        row.hand_over_ns,
        row.expires_ns,
        row.seal,
    ])?;
    Ok(())
}

/// Ids are never used twice, also when the agenda has been empty in between.
pub(super) fn reserve(connection: &Connection, id: OrderId) -> Result<(), Fault> {
    if greatest(connection)?.is_some_and(|greatest| greatest >= id) {
        return Ok(());
    }
    let id = id.0.cast_signed();
    let sql = "INSERT OR REPLACE INTO greatest (one, id, seal) VALUES (1, ?1, ?2)";
    connection.prepare_cached(sql)?.execute([id, greatest_seal(id)])?;
    Ok(())
}

fn greatest(connection: &Connection) -> Result<Option<OrderId>, Fault> {
    let mut statement = connection.prepare_cached("SELECT id, seal FROM greatest WHERE one = 1")?;
    let row: Option<(i64, i64)> =
        statement.query_row((), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match row {
        Some((id, seal)) if seal != greatest_seal(id) => {
            Err(Fault::Damage("the greatest id is not what was written".to_owned()))
        }
        Some((id, _)) => Ok(Some(OrderId(id.cast_unsigned()))),
        None => Ok(None),
    }
}

fn greatest_seal(id: i64) -> i64 {
    Seal::of("greatest").number(id).column()
}

/// Which kind it is, and the rest of it.
fn command_columns(command: &Command) -> (&'static str, String) {
    match command {
        Command::Shell(text) => ("shell", text.clone()),
        Command::Exec(words) => ("exec", json(words)),
        Command::Iptables { family, args } => (family.program(), json(args)),
        Command::Open { opening } => (OPEN, opening.to_string()),
        Command::Close { opening } => (CLOSE, opening.to_string()),
        Command::CountConnections { opening } => (COUNT, opening.to_string()),
    }
}

fn command_of(kind: &str, command: String) -> Option<Command> {
    Some(match kind {
        "shell" => Command::Shell(command),
        "exec" => Command::Exec(serde_json::from_str(&command).ok()?),
        OPEN => Command::Open { opening: command.parse().ok()? },
        CLOSE => Command::Close { opening: command.parse().ok()? },
        COUNT => Command::CountConnections { opening: command.parse().ok()? },
        kind => Command::Iptables {
            family: [Family::V4, Family::V6].into_iter().find(|it| it.program() == kind)?,
            args: serde_json::from_str(&command).ok()?,
        },
    })
}

/// A list of lists: template, kind, command, user, nanoseconds.
fn fallbacks_column(fallbacks: &[Fallback<Command>]) -> String {
    let row = |fallback: &Fallback<Command>| {
        let (kind, command) = command_columns(&fallback.command);
        let timeout = nanoseconds(fallback.timeout);
        serde_json::json!([fallback.template, kind, command, fallback.user, timeout])
    };
    serde_json::Value::Array(fallbacks.iter().map(row).collect()).to_string()
}

fn fallbacks_of(text: &str) -> Option<Vec<Fallback<Command>>> {
    type Columns = (String, String, String, Option<String>, u64);
    let rows: Vec<Columns> = serde_json::from_str(text).ok()?;
    rows.into_iter()
        .map(|(template, kind, command, user, timeout)| {
            let command = command_of(&kind, command)?;
            Some(Fallback { template, command, user, timeout: Duration::from_nanos(timeout) })
        })
        .collect()
}

fn json<T: Into<serde_json::Value> + Clone>(words: &[T]) -> String {
    serde_json::Value::from(words).to_string()
}

fn pairs(environment: &[(String, String)]) -> Vec<Vec<String>> {
    environment.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect()
}
