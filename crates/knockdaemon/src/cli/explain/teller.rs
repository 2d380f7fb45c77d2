//! How a story is told: as text for people, with colours on a terminal, or one JSON object an event, which
//! `objects` makes.

mod objects;

use std::net::IpAddr;

use knock_engine::{Accepted, Action, Order, Says};
use knock_wire::{Hit, Refusal};
use serde_json::{Map, Value, json};

use crate::cli::output::Printer;
use crate::cli::paint::{Paint, Role};
use crate::lease_words::news_text;
use crate::shown::{delay_text, excerpt, ports, time_text};

use super::around::Around;
use super::near::{Near, Spelled};
use super::story::Said;
use super::tally::Tally;
use super::words::{self, Forgotten, Words, count};
use objects::{event, forgotten_json, hit_json, knock_event, near_json, summary_json};

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

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
