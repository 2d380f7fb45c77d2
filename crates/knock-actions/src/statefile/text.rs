//! The state variable as JSON text, and back: every key and every value, the strange included.
//!
//! `state(a,b) = 1` is `{"a": {"b": 1}}`. What JSON has no place for stands under keys that begin with
//! an equals sign, so a key that begins with one is written with one more. Opens no files.

use std::fmt;

use knock_rules::{Memory, MemoryChange, MemoryValue};
use serde_json::{Map, Value};

use crate::seal::Seal;

/// What the file says of itself; for people only.
const ABOUT: &str = "=about";
/// How often the variable had been changed, and the seal of what stands below.
const WRITTEN: &str = "=written";
/// The value of an entry that has others below it.
const SELF: &str = "=";
/// A number that JSON cannot write.
const NUMBER: &str = "=number";
/// No daemon changes it so often; the store counts no further.
const MOST: u64 = 1 << 53;
const NOTE: &str = "the state variable of knockdaemon: state(a,b) = 1 is {\"a\": {\"b\": 1}}; change it \
                    while the daemon is stopped, and it is taken over at the next start";
/// Whole numbers up to this are the same in JSON's other readers.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// What stands in a file.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) memory: Memory,
    /// How often the variable had been changed, if the file says so.
    pub(super) generation: u64,
    /// Whether it is as it was written; else somebody has edited it.
    pub(super) sealed: bool,
}

/// Why a file cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn write(memory: &Memory, generation: u64) -> String {
    let mut top = Map::new();
    top.insert(ABOUT.to_owned(), NOTE.into());
    let seal = seal(memory, generation);
    top.insert(WRITTEN.to_owned(), format!("{generation} {seal:016x}").into());
    for (path, value) in memory.iter() {
        insert(&mut top, path, value);
    }
    // Text and numbers to memory: there is nothing to fail.
    let mut text = serde_json::to_string_pretty(&Value::Object(top)).unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn read(bytes: &[u8]) -> Result<Read, Unreadable> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Unreadable(error.to_string()))?;
    let Value::Object(mut top) = value else {
        return Err(Unreadable(format!("{} is no map of keys", kind(&value))));
    };
    top.shift_remove(ABOUT);
    let written = top.shift_remove(WRITTEN);
    let mut memory = Memory::new();
    walk(&top, &mut Vec::new(), &mut memory)?;
    let (generation, sealed) = match written.as_ref().and_then(Value::as_str).and_then(numbers) {
        Some((generation, given)) => (generation, given == seal(&memory, generation)),
        None => (0, false),
    };
    Ok(Read { memory, generation, sealed })
}

fn numbers(text: &str) -> Option<(u64, u64)> {
    let (generation, seal) = text.split_once(' ')?;
    let generation = generation.parse().ok().filter(|generation| *generation < MOST)?;
    Some((generation, u64::from_str_radix(seal, 16).ok()?))
}

/// Over what is said and not over how: a line that was only moved is no edit.
fn seal(memory: &Memory, generation: u64) -> u64 {
    let start = Seal::of("statefile").number(generation.cast_signed());
    let seal = memory.iter().fold(start, |seal, (path, value)| {
        let keys = i64::try_from(path.len()).unwrap_or(i64::MAX);
        let seal = path.iter().fold(seal.number(keys), |seal, key| seal.text(key));
        match value {
            MemoryValue::Number(number) if number.is_nan() => seal.text("nan"),
            MemoryValue::Number(number) => {
                seal.text("number").number((number + 0.0).to_bits().cast_signed())
            }
            MemoryValue::Text(text) => seal.text("text").text(text),
        }
    });
    seal.column().cast_unsigned()
}

/// Paths come in their order, so an entry is there before those below it.
fn insert(map: &mut Map<String, Value>, path: &[String], value: &MemoryValue) {
    let Some((key, rest)) = path.split_first() else { return };
    let key = if key.starts_with('=') { format!("={key}") } else { key.clone() };
    if rest.is_empty() {
        map.insert(key, json(value));
        return;
    }
    let entry = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        let own = entry.take();
        *entry = Value::Object(Map::from_iter([(SELF.to_owned(), own)]));
    }
    if let Value::Object(below) = entry {
        insert(below, rest, value);
    }
}

fn json(value: &MemoryValue) -> Value {
    match value {
        MemoryValue::Text(text) => text.clone().into(),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
        MemoryValue::Number(number) if number.fract() == 0.0 && number.abs() <= WHOLE => {
            Value::from(*number as i64)
        }
        MemoryValue::Number(number) if number.is_finite() => Value::from(*number),
        MemoryValue::Number(number) => {
            let text = if number.is_nan() {
                "NaN"
            } else if *number > 0.0 {
                "Inf"
            } else {
                "-Inf"
            };
            Value::Object(Map::from_iter([(NUMBER.to_owned(), text.into())]))
        }
    }
}

fn walk(
    map: &Map<String, Value>,
    path: &mut Vec<String>,
    memory: &mut Memory,
) -> Result<(), Unreadable> {
    for (key, value) in map {
        let own = if key == SELF {
            Some(plain(value).ok_or_else(|| wrong(path, value))?)
        } else if key == NUMBER {
            Some(MemoryValue::Number(strange(value).ok_or_else(|| wrong(path, value))?))
        } else {
            None
        };
        if let Some(own) = own {
            remember(path, own, memory)?;
            continue;
        }
        let key = match key.strip_prefix('=') {
            Some(rest) if rest.starts_with('=') => rest,
            Some(_) => return Err(Unreadable(format!("'{}' is unknown", key.escape_debug()))),
            None => key,
        };
        path.push(key.to_owned());
        match value {
            Value::Object(below) => walk(below, path, memory)?,
            value => {
                let value = plain(value).ok_or_else(|| wrong(path, value))?;
                remember(path, value, memory)?;
            }
        }
        path.pop();
    }
    Ok(())
}

fn plain(value: &Value) -> Option<MemoryValue> {
    match value {
        Value::Number(number) => number.as_f64().map(MemoryValue::Number),
        Value::String(text) => Some(MemoryValue::Text(text.clone())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn strange(value: &Value) -> Option<f64> {
    match value.as_str()? {
        "NaN" => Some(f64::NAN),
        "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn remember(path: &[String], value: MemoryValue, memory: &mut Memory) -> Result<(), Unreadable> {
    let change = MemoryChange { path: path.to_vec(), value: Some(value) };
    if memory.apply(&change) {
        return Ok(());
    }
    Err(Unreadable(format!("{} is beyond what the state variable can hold", name(path))))
}

fn wrong(path: &[String], value: &Value) -> Unreadable {
    Unreadable(format!("{} is {}, not a number, a text or a map", name(path), kind(value)))
}

fn name(path: &[String]) -> String {
    let keys: String = path.join(",").chars().take(100).collect();
    format!("state({})", keys.escape_debug())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn memory(entries: &[(&[&str], MemoryValue)]) -> Memory {
        let mut memory = Memory::new();
        for (path, value) in entries {
            let path = path.iter().map(|&key| key.to_owned()).collect();
            assert!(memory.apply(&MemoryChange { path, value: Some(value.clone()) }));
        }
        memory
    }

    fn number(number: f64) -> MemoryValue {
        MemoryValue::Number(number)
    }

    #[test]
    fn people_can_read_it() {
        let memory = memory(&[
            (&["192.0.2.7", "visits", "num"], number(3.0)),
            (&["192.0.2.7", "last"], MemoryValue::Text("it's \"noon\"".to_owned())),
            (&["192.0.2.7"], number(0.5)),
            (&["=odd"], number(f64::NAN)),
        ]);
        let text = write(&memory, 42);
        let body = text.split_once(WRITTEN).unwrap().1.split_once('\n').unwrap().1;
        assert_eq!(
            body,
            r#"  "192.0.2.7": {
    "=": 0.5,
    "last": "it's \"noon\"",
    "visits": {
      "num": 3
    }
  },
  "==odd": {
    "=number": "NaN"
  }
}
"#
        );
    }

    #[test]
    fn an_edit_is_seen_and_a_moved_line_is_none() {
        let memory = memory(&[(&["a", "b"], number(1.0)), (&["c"], number(2.0))]);
        let text = write(&memory, 7);
        let sealed = |text: &str| {
            let read = read(text.as_bytes()).unwrap();
            (read.generation, read.sealed)
        };
        assert_eq!(sealed(&text), (7, true));
        assert_eq!(sealed(&text.replace('\n', " ").replace("  ", "")), (7, true));
        assert_eq!(sealed(&text.replace("\"b\": 1", "\"b\": 3")), (7, false));
        assert_eq!(sealed(&text.replace("\"c\": 2", "\"c\": \"2\"")), (7, false));
        assert_eq!(sealed(&text.replace("\"7 ", "\"8 ")), (8, false));
        assert_eq!(sealed(&text.replace("\"7 ", &format!("\"{} ", u64::MAX))), (0, false));
        // Written by hand, from nothing.
        assert_eq!(sealed(r#"{"a": {"b": 1}, "c": 2}"#), (0, false));
        assert_eq!(sealed("{}"), (0, false));
    }

    #[test]
    fn what_is_no_state_is_not_believed() {
        for (text, why) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("$VAR1 = {};", "expected value at line 1 column 1"),
            ("{\"a\": 1", "EOF while parsing an object at line 1 column 7"),
            ("[]", "a list is no map of keys"),
            (r#"{"a": {"b": true}}"#, "state(a,b) is true or false, not a number, a text or a map"),
            (r#"{"a": [1]}"#, "state(a) is a list, not a number, a text or a map"),
            (r#"{"=": 1}"#, "state() is beyond what the state variable can hold"),
            (r#"{"a": {"=x": 1}}"#, "'=x' is unknown"),
            (r#"{"a": {"=number": "7"}}"#, "state(a) is a text, not a number, a text or a map"),
            (
                r#"{"1":{"2":{"3":{"4":{"5":{"6":{"7":{"8":{"9":1}}}}}}}}}"#,
                "state(1,2,3,4,5,6,7,8,9) is beyond what the state variable can hold",
            ),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), why, "{text}");
        }
        assert!(read(b"{\"\xff\": 1}").is_err());
        assert!(read("[".repeat(100_000).as_bytes()).is_err());
    }

    fn keys() -> impl Strategy<Value = Vec<String>> {
        let key = prop_oneof![
            "[a-c=]{0,3}".prop_map(String::from),
            any::<String>().prop_map(|key| key.chars().take(30).collect()),
            Just(ABOUT.to_owned()),
            Just(NUMBER.to_owned()),
        ];
        prop::collection::vec(key, 1..=8)
    }

    fn values() -> impl Strategy<Value = MemoryValue> {
        prop_oneof![
            any::<f64>().prop_map(MemoryValue::Number),
            (-1000i32..1000).prop_map(|number| MemoryValue::Number(number.into())),
            any::<String>().prop_map(MemoryValue::Text),
            Just(MemoryValue::Number(f64::INFINITY)),
            Just(MemoryValue::Text("NaN".to_owned())),
        ]
    }

    /// With numbers that are none made comparable, and one zero.
    fn told(memory: &Memory) -> Vec<String> {
        let tell = |(path, value): (&[String], &MemoryValue)| match value {
            MemoryValue::Number(number) => format!("{path:?} {:?}", number + 0.0),
            MemoryValue::Text(text) => format!("{path:?} text {text:?}"),
        };
        memory.iter().map(tell).collect()
    }

    proptest! {
        #[test]
        fn whatever_is_remembered_comes_back(
            entries in prop::collection::vec((keys(), values()), 0..20),
            generation in 0..MOST,
        ) {
            let mut memory = Memory::new();
            for (path, value) in entries {
                memory.apply(&MemoryChange { path, value: Some(value) });
            }
            let text = write(&memory, generation);
            let read = read(text.as_bytes()).unwrap();
            prop_assert_eq!(told(&read.memory), told(&memory));
            prop_assert!(read.sealed);
            prop_assert_eq!(read.generation, generation);
            // One line each, whatever is in the keys: nothing of a terminal's or an editor's.
            prop_assert!(!text.contains(|c: char| c.is_ascii_control() && c != '\n'));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
