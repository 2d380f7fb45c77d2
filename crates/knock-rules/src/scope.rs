//! What has a value while rules are asked: the knock, its client, the state variable, the time.
//! Time comes in as a value; no clock is read here.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use knock_wire::{Knock, Value as FieldValue};

use crate::error::EvalError;
use crate::memory::Memory;
use crate::names::{Clock, Variable};
use crate::value::Value;

/// The wall clock's parts, in the zone of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Four digits.
    pub year: i32,
    /// 1-12.
    pub month: u32,
    /// 1-31.
    pub day: u32,
    /// 0-23.
    pub hour: u32,
    /// 0-59.
    pub minute: u32,
    /// 0 is Sunday.
    pub weekday: u32,
}

/// What the rules of one knock may look at.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The accepted knock.
    pub knock: &'a Knock,
    /// Who sent its packets.
    pub client: IpAddr,
    /// The state variable.
    pub memory: &'a Memory,
    /// The time.
    pub wall: SystemTime,
    /// The same, in local parts.
    pub local: LocalTime,
}

impl Scope<'_> {
    /// The address that `IP` means: the knock's own, or the client's where the format has none.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        match self.knock.get("IP") {
            Some(FieldValue::Address(address)) => address.to_canonical(),
            Some(FieldValue::Number(_)) | None => self.client.to_canonical(),
        }
    }

    pub(crate) fn value(&self, variable: Variable) -> Result<Value, EvalError> {
        Ok(match variable {
            Variable::Ip => Value::Address(self.ip()),
            Variable::Client => Value::Address(self.client.to_canonical()),
            Variable::Field(name) => match self.knock.get(name) {
                Some(FieldValue::Number(number)) => Value::from_integer(number),
                Some(FieldValue::Address(address)) => Value::Address(address.to_canonical()),
                None => return Err(EvalError::NoValue { name }),
            },
            Variable::Clock(clock) => self.clock(clock),
        })
    }

    fn clock(&self, clock: Clock) -> Value {
        Value::Number(match clock {
            Clock::Now => {
                let since = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
                return Value::from_integer(since.as_secs());
            }
            Clock::Year => self.local.year.into(),
            Clock::Month => self.local.month.into(),
            Clock::Day => self.local.day.into(),
            Clock::Hour => self.local.hour.into(),
            Clock::Minute => self.local.minute.into(),
            Clock::Weekday => self.local.weekday.into(),
        })
    }
}

/// The knock's values as environment variables of a command: `KNOCK_IP`, `KNOCK_PORT`, …, and
/// `KNOCK_CLIENT` for the address that its packets came from. Numbers and addresses only.
#[must_use]
pub fn environment(scope: &Scope<'_>) -> Vec<(String, String)> {
    let mut variables = vec![
        ("KNOCK_CLIENT".to_owned(), scope.client.to_canonical().to_string()),
        ("KNOCK_IP".to_owned(), scope.ip().to_string()),
    ];
    for (field, value) in scope.knock.iter() {
        let name = format!("KNOCK_{}", field.rule_name());
        if !variables.iter().any(|(known, _)| *known == name) {
            variables.push((name, value.to_string()));
        }
    }
    variables
}
