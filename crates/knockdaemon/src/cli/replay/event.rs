//! A knock as a line of JSON, accepted or refused. Written straight from what it borrows: a log full of knocks must not
//! be slower to tell of than to read.

use std::net::IpAddr;

use knock_engine::Accepted;
use knock_wire::{Knock, Refusal, Value};
use serde::{Serialize, Serializer};

use crate::cli::reading::Place;
use crate::lease_words::news_json;
use crate::shown::{faults_json, order_json};

/// What the line says.
#[derive(Serialize)]
struct KnockEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    place: Place<'a>,
    client: IpAddr,
    #[serde(serialize_with = "fields")]
    fields: &'a Knock,
    actions: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leases: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<serde_json::Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FieldValue {
    Number(u64),
    Address(IpAddr),
}

/// A knock and where it was complete.
pub(super) fn knock(accepted: &Accepted, place: Place<'_>) -> String {
    let has_faults = !accepted.faults.is_empty();
    let event = KnockEvent {
        event: "knock",
        place,
        client: accepted.client,
        fields: &accepted.knock,
        actions: accepted.orders.iter().map(order_json).collect(),
        leases: accepted.leases.iter().map(news_json).collect(),
        faults: has_faults.then(|| faults_json(accepted)),
    };
    // There is nothing in it that JSON has not.
    serde_json::to_string(&event).unwrap_or_default()
}

/// A knock that was refused, although it is one.
#[derive(Serialize)]
struct RefusedEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    place: Place<'a>,
    client: IpAddr,
    code: &'static str,
    why: String,
}

/// A knock that was refused, why, and where it was complete.
pub(super) fn refused(client: IpAddr, refusal: Refusal, place: Place<'_>) -> String {
    let (code, why) = (refusal.code(), refusal.to_string());
    let event = RefusedEvent { event: "refused", place, client, code, why };
    serde_json::to_string(&event).unwrap_or_default()
}

fn fields<S: Serializer>(knock: &&Knock, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(knock.iter().map(|(field, value)| {
        let value = match value {
            Value::Number(number) => FieldValue::Number(number),
            Value::Address(address) => FieldValue::Address(address),
        };
        (field.rule_name(), value)
    }))
}
