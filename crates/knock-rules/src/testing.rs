//! A knock written as text, for the tests of all files here. Knows no rule.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_wire::{Field, Knock, Shape, Value};

use crate::{LocalTime, Memory, MemoryChange, MemoryValue, Names, RuleError, Scope};

pub(crate) const SHAPE: &str = "IP,PORT,TIME,FLAG0,FLAG1,CHECKSUM";
const DEFAULTS: &str = "IP=10.1.2.3 PORT=22 TIME=15 FLAG0=0 FLAG1=5 CHECKSUM=99 client=10.1.2.3";

/// What a scope borrows.
pub(crate) struct Setting {
    knock: Knock,
    client: IpAddr,
    pub(crate) memory: Memory,
}

pub(crate) fn names(shape: &str) -> Names {
    Names::new(&Shape::parse(shape).unwrap())
}

/// From `PORT=80 state/10.1.2.3/visits=3`; what is not set has a usual value.
pub(crate) fn setting(values: &str) -> Setting {
    only(&format!("{DEFAULTS} {values}"))
}

/// The same without the usual values.
pub(crate) fn only(values: &str) -> Setting {
    let mut setting =
        Setting { knock: Knock::new(), client: [10, 1, 2, 3].into(), memory: Memory::new() };
    for pair in values.split_whitespace() {
        let (name, value) = pair.split_once('=').unwrap();
        if let Some(path) = name.strip_prefix("state/") {
            let value = match value.parse() {
                Ok(number) => MemoryValue::Number(number),
                Err(_) => MemoryValue::Text(value.to_owned()),
            };
            let path = path.split('/').map(str::to_owned).collect();
            assert!(setting.memory.apply(&MemoryChange { path, value: Some(value) }));
        } else if name == "client" {
            setting.client = value.parse().unwrap();
        } else {
            let value = match value.parse::<u64>() {
                Ok(number) => Value::Number(number),
                Err(_) => Value::Address(value.parse().unwrap()),
            };
            setting.knock.set(Field::from_name(name).unwrap(), value);
        }
    }
    setting
}

impl Setting {
    /// At 14:45 on Wednesday, the 25th of December 2002.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            knock: &self.knock,
            client: self.client,
            memory: &self.memory,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_040_827_500),
            local: LocalTime { year: 2002, month: 12, day: 25, hour: 14, minute: 45, weekday: 3 },
        }
    }
}

/// The errors as a person would see them: the text pointed at, the message, the help.
pub(crate) fn told(texts: &[&str], errors: &[RuleError]) -> String {
    let line = |error: &RuleError| {
        let at = texts[error.part].get(error.at.clone()).expect("a place inside the text");
        let help = error.help().map(|help| format!(" -- {help}")).unwrap_or_default();
        format!("[{at}] {error}{help}")
    };
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}
