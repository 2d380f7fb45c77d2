//! The events of a story as JSON objects. Their shape is described in docs/guide/when-a-knock-fails.md.

use std::net::IpAddr;

use knock_engine::{Accepted, Says};
use knock_wire::{Hit, Refusal};
use serde_json::{Map, Value, json};

use super::super::around::Around;
use super::super::near::{Near, Repair, Seen, Spelled};
use super::super::story::Said;
use super::super::tally::Tally;
use super::super::words::{Forgotten, Words};
use super::{Answer, Became};
use crate::lease_words::news_json;
use crate::shown::{excerpt, faults_json, hit_values, knock_json, order_json};

impl Became<'_> {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Outside { .. } => "outside_span",
            Self::Repeated => "repeated",
            Self::Queued { .. } => "queued",
            Self::Refused { .. } => "refused",
            Self::Accepted { .. } => "accepted",
        }
    }

    pub(super) fn json(&self) -> Map<String, Value> {
        let fields = match self {
            Self::Outside { span } => json!({"span": span}),
            Self::Repeated => json!({}),
            Self::Queued { queue, of } => json!({"queue": queue, "of": of}),
            Self::Refused { refusal, window } => {
                let mut fields =
                    json!({"window": window, "code": refusal.code(), "why": refusal.to_string()});
                if let (Refusal::Address { inside }, Some(fields)) =
                    (refusal, fields.as_object_mut())
                {
                    fields.insert("inside".to_owned(), json!(inside.to_string()));
                }
                fields
            }
            Self::Accepted { window } => json!({"window": window}),
        };
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

pub(super) fn event(name: &str, said: &Said<'_>) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("event".to_owned(), json!(name));
    event.extend((said.place)().json);
    if let Some(line) = said.line {
        event.insert("text".to_owned(), json!(excerpt(line)));
    }
    event
}

pub(super) fn hit_json(hit: &Hit) -> Map<String, Value> {
    hit_values(hit).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn forgotten_json(forgotten: Forgotten) -> Value {
    match forgotten {
        Forgotten::TooOld { pause, timeout, hits } => json!({
            "why": "queuetimeout",
            "hits": hits,
            "pause_s": pause.as_secs_f64(),
            "timeout_s": timeout.as_secs_f64(),
        }),
        Forgotten::MadeRoom { hits } => json!({"why": "maxclients", "hits": hits}),
    }
}

pub(super) fn near_json(near: &Near, words: &Words) -> Value {
    let all: Vec<u16> = near.hits.iter().map(|hit| hit.port).collect();
    let mut event = json!({
        "event": "near",
        "code": words.code,
        "what": words.what,
        "do": words.remedy,
        "hits": all,
    });
    let Some(fields) = event.as_object_mut() else { return event };
    match &near.spelled {
        Spelled::Knock(knock) => fields.insert("fields".to_owned(), knock_json(knock)),
        Spelled::OtherAddress(inside) => {
            fields.insert("inside".to_owned(), json!(inside.to_string()))
        }
    };
    let port = |hit: &Seen| json!(hit.port);
    match &near.repair {
        Repair::AsTheyCame | Repair::RepeatsCounted | Repair::EachOnce => {}
        Repair::Without(extras) => {
            let extras: Vec<Value> = extras.iter().map(|extra| port(&extra.hit)).collect();
            fields.insert("ports".to_owned(), json!(extras));
        }
        Repair::Moved { hit, late } => {
            fields.insert("ports".to_owned(), json!([hit.port]));
            fields.insert("late".to_owned(), json!(late));
        }
        Repair::Missing { port, place } => {
            fields.insert("ports".to_owned(), json!([port]));
            fields.insert("place".to_owned(), json!(place));
        }
        Repair::SeveralAddresses(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            fields.insert("addresses".to_owned(), json!(addresses));
        }
    }
    event
}

pub(super) fn knock_event(
    said: &Said<'_>,
    accepted: &Accepted,
    answers: &[Answer<'_>],
) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("event".to_owned(), json!("knock"));
    event.extend((said.place)().json);
    event.insert("client".to_owned(), json!(accepted.client.to_string()));
    event.insert("fields".to_owned(), knock_json(&accepted.knock));
    let actions: Vec<Value> = answers
        .iter()
        .map(|Answer { action, says, order }| {
            json!({
                "action": action.name,
                "condition": action.condition.to_string(),
                "holds": *says == Says::Yes,
                "runs": order.map(order_json),
            })
        })
        .collect();
    event.insert("actions".to_owned(), json!(actions));
    if !accepted.leases.is_empty() {
        let leases: Vec<Value> = accepted.leases.iter().map(news_json).collect();
        event.insert("leases".to_owned(), json!(leases));
    }
    if !accepted.faults.is_empty() {
        event.insert("faults".to_owned(), faults_json(accepted));
    }
    event
}

pub(super) fn summary_json(
    client: IpAddr,
    tally: &Tally,
    around: &Around,
    conclusions: &[Words],
) -> Value {
    let conclusions: Vec<Value> = conclusions
        .iter()
        .map(|words| json!({"code": words.code, "what": words.what, "do": words.remedy}))
        .collect();
    let neighbours: Vec<Value> = around
        .near()
        .map(|(address, other)| {
            json!({
                "client": address.to_string(),
                "hits": other.hits,
                "in_span": other.in_span,
                "knocks": other.knocks,
            })
        })
        .collect();
    json!({
        "event": "summary",
        "client": client.to_string(),
        "read": tally.read,
        "hits": tally.own_hits,
        "hits_of_others": tally.hits - tally.own_hits,
        "outside_span": tally.outside_span,
        "repeated": tally.repeated,
        "refused": tally.refused,
        "near": tally.near,
        "knocks": tally.knocks,
        "no_hits": tally.no_hits,
        "not_told": tally.untold(),
        "neighbours": neighbours,
        "conclusions": conclusions,
    })
}
