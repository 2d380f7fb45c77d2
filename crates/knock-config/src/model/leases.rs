//! Leases: what a template opens or closes, for how long and to whom, and what holds for all of them.
//!
//! Knows of commands only that a template has one or a lease, never both. Opens nothing.

use std::time::Duration;

use knock_engine::{Close, KeptBy, LeasePolicy, LeaseRule, OneLease, Open};
use knock_rules::{LeaseTime, Names, PortNumber, Protocol};
use knock_wire::Shape;

use crate::model::actions::checked;
use crate::model::section::{Reader, Section};
use crate::model::values;
use crate::problem::Problem;
use crate::suggest::nearest;
use crate::tree::{Scalar, Table};

/// The longest that a lease lasts where the file does not say.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The keys that make a lease of a template.
pub(super) const DEEDS: [&str; 2] = ["open", "close"];

/// What goes with `open` alone.
const OF_OPEN: [&str; 4] = ["lease", "hold", "prefix4", "prefix6"];

/// What belongs to commands: a lease has no program.
const OF_COMMANDS: [(&str, &str); 3] = [
    ("timeout", "opening and closing is tried for 30 seconds, and again after a pause"),
    ("user", "the firewall is changed with the daemon's own rights"),
    ("onfailure", "a lease that cannot be opened is closed, and the log says so"),
];

/// A template's lease, with what `check` tells of it.
pub(super) struct Leased {
    pub(super) rule: LeaseRule,
    port: String,
    /// Of what is opened.
    length: Option<Scalar>,
}

/// Reads what a template opens or closes; `None` also where it is wrong.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    name: &str,
    names: &Names,
) -> Option<Leased> {
    let table = section.table;
    let open = reader.text(section, "open").cloned();
    let close = reader.text(section, "close").cloned();
    let length = reader.text(section, "lease").cloned();
    let protocol = reader.parsed(section, "protocol", protocol);
    let hold = reader.parsed(section, "hold", kept_by);
    let prefix4 = prefix(reader, section, "prefix4", 16..=32);
    let prefix6 = prefix(reader, section, "prefix6", 32..=128);

    let Some(deed) = DEEDS.into_iter().find(|key| table.get(key).is_some()) else {
        for key in OF_OPEN.into_iter().chain(["protocol"]) {
            belongs(reader, table, key, "open", &format!("template '{name}' opens nothing"));
        }
        return None;
    };
    for (key, why) in OF_COMMANDS {
        if let Some(entry) = table.get(key) {
            let message = format!("'{key}' is for commands, and '{deed}' is none");
            reader.add(Problem::error(entry.key_at(), message).with_help(why));
        }
    }
    if deed == "open"
        && let Some(entry) = table.get("close")
    {
        let message = "the template has 'open' already, it does one thing";
        let help = "an opening ends by itself; to close before, make a second template, and a \
                    second action that uses it";
        reader.add(Problem::error(entry.key_at(), message).with_help(help));
    }
    let protocol = protocol.map(|given| given.value).unwrap_or_default();
    if deed == "close" {
        for key in OF_OPEN {
            let why = "what closes, closes whatever there is of this port for the client";
            belongs(reader, table, key, "open", why);
        }
        let text = close?;
        let port = checked(reader, &text, PortNumber::parse(text.text(), names))?;
        let rule = LeaseRule::Close(Close { port, protocol });
        return Some(Leased { rule, port: text.text().to_owned(), length: None });
    }
    let text = open?;
    let port = checked(reader, &text, PortNumber::parse(text.text(), names));
    if table.get("lease").is_none() {
        let message = format!("template '{name}' does not say how long it opens");
        let help = "add 'lease': minutes, a time such as 90s or 2h, an expression such as TIME, or \
                    unlimited";
        reader.add(Problem::error(text.place(), message).with_help(help));
    }
    if let Some(hold) = &hold
        && hold.value == KeptBy::Connection
        && protocol != Protocol::Tcp
        && let Some(at) = hold.at()
    {
        let help = "leave 'hold' out, and give the lease the time that a session takes";
        let message = "only TCP has connections that can be seen to live";
        reader.add(Problem::error(at, message).with_help(help));
    }
    let length_text = length?;
    let length = checked(reader, &length_text, LeaseTime::parse(length_text.text(), names))?;
    let rule = LeaseRule::Open(Open {
        port: port?,
        protocol,
        length,
        hold: hold.map(|given| given.value).unwrap_or_default(),
        prefix4: prefix4.unwrap_or(32),
        prefix6: prefix6.unwrap_or(128),
    });
    let length = Some(length_text);
    Some(Leased { rule, port: text.text().to_owned(), length })
}

/// A key that means something beside another one only.
fn belongs(reader: &mut Reader<'_>, table: &Table, key: &str, beside: &str, why: &str) {
    if let Some(entry) = table.get(key) {
        let message = format!("'{key}' goes with '{beside}', and there is none here");
        reader.add_if_whole(Problem::error(entry.key_at(), message).with_help(why));
    }
}

fn protocol(text: &str) -> Option<Protocol> {
    let known = [Protocol::Tcp, Protocol::Udp];
    known.into_iter().find(|known| text.trim().eq_ignore_ascii_case(known.as_str()))
}

fn kept_by(text: &str) -> Option<KeptBy> {
    match text.trim().to_ascii_lowercase().as_str() {
        "no" => Some(KeptBy::Nothing),
        "connected" => Some(KeptBy::Connection),
        _ => None,
    }
}

/// `24`, or `/24`.
fn prefix(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u8>,
) -> Option<u8> {
    let read = |text: &str| {
        let text = text.trim();
        text.strip_prefix('/').unwrap_or(text).parse().ok().filter(|bits| range.contains(bits))
    };
    reader.parsed(section, key, read).map(|given| given.value)
}

/// What holds for all leases.
pub(super) struct Policy {
    pub(super) policy: LeasePolicy,
    /// Whether the file says how long a lease may last.
    is_given: bool,
}

/// Reads `maxlease` and `onelease`. Without a shape, the knock itself is wrong and has its own error.
pub(super) fn policy(reader: &mut Reader<'_>, top: &Section<'_>, shape: Option<&Shape>) -> Policy {
    let read = |text: &str| {
        if text.trim().eq_ignore_ascii_case("unlimited") {
            return Some(None);
        }
        values::duration(text).filter(|max| !max.is_zero()).map(Some)
    };
    let max = reader.parsed(top, "maxlease", read);
    let is_given = max.is_some();
    let one = one_lease(reader, top, shape);
    let max = max.map_or(Some(MAX), |given| given.value);
    Policy { policy: LeasePolicy { max, one }, is_given }
}

fn one_lease(reader: &mut Reader<'_>, top: &Section<'_>, shape: Option<&Shape>) -> OneLease {
    let Some(text) = reader.text(top, "onelease").cloned() else { return OneLease::No };
    match values::yes_no(text.text()) {
        Some(true) => return OneLease::Everybody,
        Some(false) => return OneLease::No,
        None => {}
    }
    let name = text.text().trim().to_ascii_uppercase();
    let Some(shape) = shape else { return OneLease::By(name) };
    let fields: Vec<&str> = shape.fields().iter().map(|field| field.rule_name()).collect();
    if ["IP", "CHECKSUM"].contains(&name.as_str()) {
        let message = format!("{name} does not tell who knocks");
        let help = "name a field that each user has a value of their own for, such as FLAG0";
        reader.add(Problem::error(text.place(), message).with_help(help));
    } else if !fields.contains(&name.as_str()) {
        let message = format!("expected 'yes', 'no' or a field of the knock, not '{name}'");
        let help = match nearest(&name, fields.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("the knock has {}", fields.join(", ")),
        };
        reader.add(Problem::error(text.place(), message).with_help(help));
    }
    OneLease::By(name)
}

impl Leased {
    /// What works, but hardly as it was meant.
    pub(super) fn lint(&self, reader: &mut Reader<'_>, policy: &Policy) {
        let (LeaseRule::Open(open), Some(text)) = (&self.rule, &self.length) else { return };
        let held = open.hold == KeptBy::Connection;
        match policy.policy.max {
            Some(max) if open.length.fixed().is_some_and(|length| length > max) => {
                let message = format!("maxlease ends this lease after {}", span(max));
                let help = "raise maxlease, which bounds every lease, or make this one shorter";
                reader.add(Problem::warning(text.place(), message).with_help(help));
            }
            Some(max) if open.length.is_unlimited() && !policy.is_given => {
                let message = format!("this lease ends after {} all the same", span(max));
                let help = "that is maxlease where the file does not say; write maxlease = unlimited \
                            for leases that end only when they are closed";
                reader.add(Problem::warning(text.place(), message).with_help(help));
            }
            None if held && !open.length.is_unlimited() => {
                let message = "a session that never ends keeps this open for ever";
                let help = "give maxlease a time: it bounds what a session can hold";
                reader.add(Problem::warning(text.place(), message).with_help(help));
            }
            Some(_) | None => {}
        }
        if held && open.length.is_unlimited() {
            let message = "'hold' does nothing for a lease without an end of its own";
            let help = "give 'lease' the time that is enough to connect, such as 30s";
            reader.add(Problem::warning(text.place(), message).with_help(help));
        }
    }

    /// What `check` tells of it.
    pub(super) fn note(&self, name: &str, policy: &LeasePolicy) -> Option<String> {
        let (LeaseRule::Open(open), Some(text)) = (&self.rule, &self.length) else { return None };
        let to = match (open.prefix4, open.prefix6) {
            (32, 128) => "the client".to_owned(),
            (v4, 128) => format!("the client's /{v4}, or its address alone with IPv6"),
            (32, v6) => format!("the client, or its /{v6} with IPv6"),
            (v4, v6) => format!("the client's /{v4}, or /{v6} with IPv6"),
        };
        let unit = match open.length.fixed() {
            Some(length) => span(length),
            None if open.length.is_unlimited() => "as long as it is not closed".to_owned(),
            None => format!("{} minutes", text.text().trim()),
        };
        let held = match open.hold {
            KeptBy::Connection => ", and on while the client is connected",
            KeptBy::Nothing => "",
        };
        let at_most = policy.max.map_or(String::new(), |max| format!(", at most {}", span(max)));
        let (protocol, port) = (open.protocol, self.port.trim());
        Some(format!(
            "template '{name}' opens {protocol} port {port} to {to} for {unit}{held}{at_most}"
        ))
    }
}

/// What `check` tells of all leases together.
pub(super) fn note(policy: &LeasePolicy) -> Option<String> {
    match &policy.one {
        OneLease::No => None,
        OneLease::Everybody => Some(
            "a knock that opens ends the leases of every other address: all who have the key are one \
             user"
                .to_owned(),
        ),
        OneLease::By(field) => Some(format!(
            "a knock that opens ends the leases that knocks with the same {field} have at other addresses"
        )),
    }
}

/// `90 s`, `5 min`, `2 h`, `3 d`.
fn span(length: Duration) -> String {
    let seconds = length.as_secs_f64();
    let units = [(86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")];
    let whole = units.iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0.0);
    let (unit, name) = whole.copied().unwrap_or((1.0, "s"));
    format!("{} {name}", seconds / unit)
}
