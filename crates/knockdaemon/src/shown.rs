//! How hits, knocks and bytes from outside are written for people and programs: escaped, and no longer
//! than bearable. Decides nothing about what is told.

use std::time::Duration;

use knock_engine::{Accepted, Order, Says};
use knock_rules::EvalError;
use knock_wire::{Hit, Knock, LineTime};
use serde_json::{Map, Value, json};

/// Of a longer log line no more is quoted.
const MAX_QUOTED: usize = 1024;

/// Of a longer window no more ports are listed.
const MAX_PORTS: usize = 64;

/// Bytes of a log or a client, safe to print on a terminal.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A log line among our own words: escaped, and cut where it is very long.
pub(crate) fn quoted(line: &[u8]) -> String {
    match line.get(..MAX_QUOTED) {
        Some(start) if line.len() > MAX_QUOTED => {
            format!("{}… ({} bytes)", escaped(start), line.len())
        }
        _ => escaped(line),
    }
}

/// The same in two or three rows of a terminal. Lines of firewalls are seldom longer; of those that are,
/// the beginning has the prefix and the end the ports.
pub(crate) fn excerpt(line: &[u8]) -> String {
    const HEAD: usize = 128;
    const TAIL: usize = 128;
    let line = line.trim_ascii_end();
    match (line.get(..HEAD), line.len().checked_sub(TAIL).and_then(|from| line.get(from..))) {
        (Some(head), Some(tail)) if line.len() > HEAD + TAIL => {
            format!("{} … {}", escaped(head), escaped(tail))
        }
        _ => escaped(line),
    }
}

/// Ports in their order: `746,750`.
pub(crate) fn ports(ports: &[u16]) -> String {
    let shown: Vec<String> = ports.iter().take(MAX_PORTS).map(u16::to_string).collect();
    let more = ports.len().saturating_sub(MAX_PORTS);
    if more > 0 { format!("{},… ({more} more)", shown.join(",")) } else { shown.join(",") }
}

/// The hit's values under short names, the client first.
pub(crate) fn hit_values(hit: &Hit) -> Vec<(&'static str, Value)> {
    let mut values = vec![("client", json!(hit.client.to_string())), ("port", json!(hit.port))];
    let optional = [
        ("server", hit.server.map(|server| json!(server.to_string()))),
        ("interface", hit.interface.map(|interface| json!(interface.as_str()))),
        ("protocol", hit.protocol.map(|protocol| json!(protocol.to_string()))),
        ("sourceport", hit.source_port.map(|port| json!(port))),
        ("sequence", hit.sequence.map(|sequence| json!(sequence))),
        ("time", hit.time.map(|time| json!(time_text(time)))),
    ];
    values.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    values
}

/// The same in one line: `client=192.0.2.7 port=750 …`.
pub(crate) fn hit_text(hit: &Hit) -> String {
    let values: Vec<String> = hit_values(hit)
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    values.join(" ")
}

/// The fields of a knock under the names that conditions use.
pub(crate) fn knock_json(knock: &Knock) -> Value {
    let fields: Map<String, Value> = knock
        .iter()
        .map(|(field, value)| {
            let value = match value {
                knock_wire::Value::Number(number) => json!(number),
                knock_wire::Value::Address(address) => json!(address.to_string()),
            };
            (field.rule_name().to_owned(), value)
        })
        .collect();
    Value::Object(fields)
}

/// An order that nobody runs.
pub(crate) fn order_json(order: &Order) -> Value {
    json!({
        "template": order.template,
        "delay_s": order.delay.as_secs(),
        "command": order.command.to_string(),
    })
}

/// The actions that could not be judged or carried out.
pub(crate) fn faults_json(accepted: &Accepted) -> Value {
    let fault =
        |(action, why): &(String, EvalError)| json!({"action": action, "why": why.to_string()});
    accepted.faults.iter().map(fault).collect()
}

/// Why nothing came of a knock, if nothing did.
pub(crate) fn why_nothing(accepted: &Accepted) -> Option<String> {
    let Accepted { orders, leases, faults, judged, .. } = accepted;
    if !(orders.is_empty() && leases.is_empty() && faults.is_empty()) {
        return None;
    }
    let too_soon = judged.iter().filter(|judged| judged.condition == Says::TooSoon);
    let too_soon: Vec<&str> = too_soon.map(|judged| &*judged.action).collect();
    Some(match &*too_soon {
        [] => "no action's condition holds".to_owned(),
        actions => format!("kept back by its cooldown: {}", actions.join(", ")),
    })
}

/// When something with this delay is run.
pub(crate) fn delay_text(delay: Duration) -> String {
    match delay.as_secs() {
        0 => "at once".to_owned(),
        seconds => format!("after {seconds} s"),
    }
}

/// The time of a line as far as the line tells it.
pub(crate) fn time_text(time: LineTime) -> String {
    match time {
        LineTime::Wall(wall) => chrono::DateTime::<chrono::Utc>::from(wall)
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        LineTime::Uptime(uptime) => format!("{:.6} s after boot", uptime.as_secs_f64()),
        LineTime::Local { year, month, day, since_midnight } => {
            let seconds = since_midnight.as_secs();
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let year = year.map(|year| format!("{year:04}-")).unwrap_or_default();
            format!("{year}{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_broken_text_are_shown_not_sent() {
        assert_eq!(escaped(b"a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escaped(b"a\xffb\0"), "a\\xffb\\u{0}");
        assert_eq!(escaped("\u{fc} \u{4e2d}".as_bytes()), "\u{fc} \u{4e2d}");
    }

    #[test]
    fn what_strangers_can_make_long_is_cut() {
        let text = quoted(&vec![b'x'; 60_000]);
        assert!(text.len() < MAX_QUOTED + 30 && text.ends_with("… (60000 bytes)"), "{text}");
        assert_eq!(quoted(b"short"), "short");
        let many: Vec<u16> = (1..=100).collect();
        assert!(ports(&many).ends_with("63,64,… (36 more)"), "{}", ports(&many));
        assert_eq!(ports(&[7, 8]), "7,8");
    }
}
