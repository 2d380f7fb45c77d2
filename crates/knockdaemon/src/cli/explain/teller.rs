//! How a story is told: as text for people, with colours on a terminal, or one JSON object an event.
//! The shape of the objects is described in docs/guide/when-a-knock-fails.md.

use std::net::IpAddr;

use knock_engine::{Accepted, Action, Order, Says};
use knock_wire::{Hit, Refusal};
use serde_json::{Map, Value, json};

use crate::cli::output::Printer;
use crate::cli::paint::{Paint, Role};
use crate::lease_words::{news_json, news_text};
use crate::shown::{
    delay_text, excerpt, faults_json, hit_values, knock_json, order_json, ports, time_text,
};

use super::around::Around;
use super::near::{Near, Repair, Seen, Spelled};
use super::story::Said;
use super::tally::Tally;
use super::words::{self, Forgotten, Words, count};

/// Where a line stands, for people and for programs.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) text: String,
    pub(super) json: Map<String, Value>,
}

impl Place {
    /// That which has this name.
    pub(super) fn named(kind: &str, name: &str) -> Self {
        let json = [(kind.to_owned(), json!(name))].into_iter().collect();
        Self { text: name.to_owned(), json }
    }
}

/// What became of a hit.
pub(super) enum Became<'a> {
    Outside { span: &'a str },
    Repeated,
    Queued { queue: Vec<u16>, of: usize },
    Refused { refusal: Refusal, window: Vec<u16> },
    Accepted { window: Vec<u16> },
}

/// Tells events one after another.
pub(super) struct Teller {
    pub(super) out: Printer,
    json: bool,
    paint: Paint,
}

impl Teller {
    pub(super) fn new(json: bool) -> Self {
        let paint = if json { Paint::Plain } else { Paint::of_stdout() };
        Self { out: Printer::new(), json, paint }
    }

    /// A hit of the client.
    pub(super) fn hit(
        &mut self,
        said: &Said<'_>,
        hit: &Hit,
        forgotten: Option<Forgotten>,
        became: &Became<'_>,
    ) {
        if self.json {
            let mut event = event("hit", said);
            event.insert("hit".to_owned(), Value::Object(hit_json(hit)));
            event.insert("verdict".to_owned(), json!(became.code()));
            event.extend(became.json());
            if let Some(forgotten) = forgotten {
                event.insert("forgotten".to_owned(), forgotten_json(forgotten));
            }
            return self.out.line(&Value::Object(event).to_string());
        }
        let mut head = format!("hit on port {}", hit.port);
        if let Some(from) = hit.source_port {
            head.push_str(&format!(" from port {from}"));
        }
        if let Some(protocol) = hit.protocol {
            head.push_str(&format!(", {protocol}"));
        }
        if let Some(time) = hit.time {
            head.push_str(&format!(", {}", time_text(time)));
        }
        self.headed(said, &head);
        if let Some(forgotten) = forgotten {
            let text = words::forgotten(forgotten);
            self.out.line(&format!("    {}", self.paint.text(Role::Notable, &text)));
        }
        for (role, text) in became.text() {
            self.out.line(&format!("    {}", self.paint.text(role, &text)));
        }
    }

    /// A line that names the client and is no hit.
    pub(super) fn no_hit(&mut self, said: &Said<'_>, code: &str, why: &str, remedy: &str) {
        if self.json {
            let mut event = event("no_hit", said);
            event.insert("code".to_owned(), json!(code));
            event.insert("why".to_owned(), json!(why));
            event.insert("do".to_owned(), json!(remedy));
            return self.out.line(&Value::Object(event).to_string());
        }
        self.headed(said, "no hit");
        self.out.line(&format!("    {}", self.paint.text(Role::Bad, why)));
        self.remedy(remedy);
    }

    /// Hits that were nearly a knock.
    pub(super) fn near(&mut self, near: &Near, words: &Words) {
        if self.json {
            let event = near_json(near, words);
            return self.out.line(&event.to_string());
        }
        let knock = match &near.spelled {
            Spelled::Knock(knock) => format!("nearly a knock ({knock}): "),
            Spelled::OtherAddress(_) => "nearly a knock: ".to_owned(),
        };
        let mark = self.paint.text(Role::Notable, &knock);
        self.out.line(&format!("  {mark}{}", words.what));
        self.remedy(&words.remedy);
    }

    /// A knock, with what each action makes of it.
    pub(super) fn knock(&mut self, said: &Said<'_>, accepted: &Accepted, actions: &[Action]) {
        let answers = answers(accepted, actions);
        if self.json {
            let event = knock_event(said, accepted, &answers);
            return self.out.line(&Value::Object(event).to_string());
        }
        let head = self.paint.text(Role::Good, "a knock:");
        self.out.line(&format!("  {head} {}", accepted.knock));
        for Answer { action, says, order } in &answers {
            let (role, says) = match says {
                Says::Yes => (Role::Good, "holds"),
                Says::No => (Role::Quoted, "does not hold"),
                Says::TooSoon => (Role::Quoted, "holds, but its cooldown is not over"),
            };
            let text = format!("action {}: {} {says}", action.name, action.condition);
            self.out.line(&format!("    {}", self.paint.text(role, &text)));
            if let Some(order) = order {
                let when = delay_text(order.delay);
                self.out.line(&format!("      runs {when}: {}", order.command));
            }
        }
        for news in &accepted.leases {
            self.out.line(&format!("    {}", news_text(news)));
        }
        for (action, fault) in &accepted.faults {
            let text = format!("action {action}: cannot be evaluated: {fault}");
            self.out.line(&format!("    {}", self.paint.text(Role::Bad, &text)));
        }
        if actions.is_empty() {
            self.out.line("    there are no actions");
        }
    }

    /// What it all came to.
    pub(super) fn summary(
        &mut self,
        client: IpAddr,
        tally: &Tally,
        around: &Around,
        conclusions: &[Words],
    ) {
        if self.json {
            let event = summary_json(client, tally, around, conclusions);
            return self.out.line(&event.to_string());
        }
        let mut text = format!(
            "{client}: {} ({} outside the span, {} repeated), {}, {}",
            count(to_usize(tally.own_hits), "hit"),
            tally.outside_span,
            tally.repeated,
            refusals(tally),
            count(to_usize(tally.knocks), "knock")
        );
        if tally.untold() > 0 {
            text.push_str(&format!("; {} more of the same are counted only", tally.untold()));
        }
        let role = if tally.knocks > 0 { Role::Good } else { Role::Strong };
        self.out.line(&self.paint.text(role, &text));
        for words in conclusions {
            self.out.line(&format!("  {}", words.what));
            self.remedy(&words.remedy);
        }
    }

    fn headed(&mut self, said: &Said<'_>, head: &str) {
        let place = match (said.place)().text.as_str() {
            "" => String::new(),
            text => format!("{text}: "),
        };
        self.out.line(&self.paint.text(Role::Strong, &format!("{place}{head}")));
        if let Some(line) = said.line {
            self.out.line(&format!("    {}", self.paint.text(Role::Quoted, &excerpt(line))));
        }
    }

    fn remedy(&mut self, remedy: &str) {
        if !remedy.is_empty() {
            self.out.line(&format!("    -> {remedy}"));
        }
    }
}

impl Became<'_> {
    fn code(&self) -> &'static str {
        match self {
            Self::Outside { .. } => "outside_span",
            Self::Repeated => "repeated",
            Self::Queued { .. } => "queued",
            Self::Refused { .. } => "refused",
            Self::Accepted { .. } => "accepted",
        }
    }

    fn json(&self) -> Map<String, Value> {
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

    fn text(&self) -> Vec<(Role, String)> {
        match self {
            Self::Outside { span } => {
                vec![(Role::Bad, format!("outside the span {span}: carries no knock"))]
            }
            Self::Repeated => vec![(
                Role::Notable,
                "the same packet again (same port and source port within 10 s): ignored".to_owned(),
            )],
            Self::Queued { queue, of } => {
                vec![(Role::Quoted, format!("queue {}/{of}: {}", queue.len(), ports(queue)))]
            }
            Self::Refused { refusal, window } => {
                let text =
                    format!("window {} refused ({}): {refusal}", ports(window), refusal.code());
                let oldest = window.first().map(u16::to_string).unwrap_or_default();
                let then = match refusal {
                    Refusal::Replayed => "the queue is empty again".to_owned(),
                    _ => format!("its oldest hit, {oldest}, is dropped, and the window slides on"),
                };
                vec![(Role::Bad, text), (Role::Quoted, then)]
            }
            Self::Accepted { window } => {
                vec![(Role::Quoted, format!("window {} spells a knock", ports(window)))]
            }
        }
    }
}

fn refusals(tally: &Tally) -> String {
    let all: u64 = tally.refused.values().sum();
    let each: Vec<String> =
        tally.refused.iter().map(|(code, seen)| format!("{code} {seen}")).collect();
    let each = if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) };
    format!("{} refused{each}", count(to_usize(all), "window"))
}

fn event(name: &str, said: &Said<'_>) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("event".to_owned(), json!(name));
    event.extend((said.place)().json);
    if let Some(line) = said.line {
        event.insert("text".to_owned(), json!(excerpt(line)));
    }
    event
}

fn hit_json(hit: &Hit) -> Map<String, Value> {
    hit_values(hit).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn forgotten_json(forgotten: Forgotten) -> Value {
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

fn near_json(near: &Near, words: &Words) -> Value {
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

/// What one action makes of a knock.
struct Answer<'a> {
    action: &'a Action,
    says: Says,
    order: Option<&'a Order>,
}

/// Actions share a name where they share a template, so they are told apart by their order.
fn answers<'a>(accepted: &'a Accepted, actions: &'a [Action]) -> Vec<Answer<'a>> {
    let (mut actions, mut orders) = (actions.iter(), accepted.orders.iter().peekable());
    let mut answers = Vec::new();
    for judged in &accepted.judged {
        // One that could not be judged is not among them.
        let Some(action) = actions.find(|action| action.name == judged.action) else { break };
        let runs = judged.condition == Says::Yes && action.command.is_some();
        let order = orders.next_if(|order| runs && order.action == action.name);
        answers.push(Answer { action, says: judged.condition, order });
    }
    answers
}

fn knock_event(said: &Said<'_>, accepted: &Accepted, answers: &[Answer<'_>]) -> Map<String, Value> {
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

fn summary_json(client: IpAddr, tally: &Tally, around: &Around, conclusions: &[Words]) -> Value {
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

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
