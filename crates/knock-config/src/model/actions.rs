//! Actions: which template answers which knock, and when. What it runs is the template's business.
//!
//! Everything is checked, also what is switched off; what is switched off stays out of the plan.

use std::time::Duration;

use knock_engine::{Action, Scheduler};
use knock_rules::{Condition, Delay, Names, RuleError, StateUpdate};

use crate::keys::Within;
use crate::model::leases::Policy;
use crate::model::section::{Reader, Section};
use crate::model::templates::{self, Templates};
use crate::place::Place;
use crate::problem::Problem;
use crate::syntax::Syntax;
use crate::tree::{Node, Scalar, Table};

/// Reads all actions; those in use are returned, in the order of the file, and what `check` tells of
/// their leases.
pub(super) fn read(
    reader: &mut Reader<'_>,
    top: &Section<'_>,
    names: &Names,
    scheduler: Scheduler,
    policy: &Policy,
) -> (Vec<Action>, Vec<String>) {
    let mut plain = Vec::new();
    let mut holders = Vec::new();
    top.key("actions");
    let listed = reader.syntax == Syntax::Yaml
        && matches!(top.table.get("actions").map(|entry| &entry.node), Some(Node::List(_)));
    for found in top.table.entries("actions") {
        match found.node {
            Node::Table(table) if listed => plain.push((table, found.key_at())),
            Node::Table(table) => holders.push(reader.section(Within::Actions, table)),
            Node::Null(_) => {}
            Node::Scalar(_) | Node::List(_) => {
                reader.error(found.key_at(), "'actions' holds blocks, one for each action");
            }
        }
    }

    let mut templates = Templates::default();
    for section in std::iter::once(top).chain(&holders) {
        for kind in ["template", "templates"] {
            for block in reader.blocks(section, kind) {
                let at = block.place();
                templates::read(reader, &mut templates, block.name, &block.table, at, names);
            }
        }
    }
    templates.link(reader);
    let mut actions = Vec::new();
    let mut add = |reader: &mut Reader<'_>, name: Option<&str>, table: &Table, at: Place| {
        let number = actions.len() + 1;
        let action = read_action(reader, &mut templates, (name, number), table, &at, names);
        if scheduler == Scheduler::At {
            lint_delay(reader, table, action.as_ref());
        }
        actions.push(action);
    };
    for (table, at) in plain {
        add(reader, None, table, at);
    }
    for section in std::iter::once(top).chain(&holders) {
        for block in reader.blocks(section, "action") {
            add(reader, block.name, &block.table, block.place());
        }
    }
    if actions.is_empty() && ["action", "actions"].iter().all(|key| top.table.get(key).is_none()) {
        let problem =
            Problem::warning(top.table.place(), "no action is defined, so knocks do nothing");
        reader.add_if_whole(problem);
    }
    templates.lint(reader, policy);
    let notes = templates.lease_notes(&policy.policy);
    (actions.into_iter().flatten().collect(), notes)
}

fn read_action(
    reader: &mut Reader<'_>,
    templates: &mut Templates,
    (block_name, number): (Option<&str>, usize),
    table: &Table,
    at: &Place,
    names: &Names,
) -> Option<Action> {
    let section = reader.section(Within::Action, table);
    let condition = match reader.text(&section, "condition") {
        Some(text) => checked(reader, text, Condition::parse(text.text(), names)),
        None => Some(Condition::always()),
    };
    let delay = reader
        .text(&section, "delay")
        .and_then(|text| checked(reader, text, Delay::parse(text.text(), names)));
    let mut state = state(reader, &section, names);
    let wanted = reader.text(&section, "template");
    let name = reader
        .string(&section, "name")
        .map(|name| name.value.trim().to_owned())
        .or_else(|| block_name.map(str::to_owned))
        .or_else(|| wanted.map(|text| text.text().trim().to_owned()))
        .unwrap_or_else(|| format!("action {number}"));
    let used = reader.yes_no(&section, "use").is_none_or(|given| given.value);

    if let Some(text) = wanted
        && !templates.use_by(text.text().trim(), &name)
    {
        let problem = templates.unknown(text, &name);
        reader.add_if_whole(problem);
    }
    let template = wanted.and_then(|text| templates.get(text.text().trim()));
    if table.get("template").is_none() && table.get("state").is_none() {
        let problem = Problem::warning(at.clone(), format!("action '{name}' does nothing"));
        reader
            .add_if_whole(problem.with_help("name a 'template', or change the state with 'state'"));
    }
    if let Some(template) = template {
        state.extend(template.state.iter().cloned());
    }
    let cooldown = reader.duration(&section, "cooldown").map(|given| given.value);
    let is_lease = template.is_some_and(|template| template.lease().is_some());
    if is_lease && delay.as_ref().is_some_and(|delay| delay.fixed() != Some(Duration::ZERO)) {
        let problem = Problem::error(
            table.get("delay").map_or_else(|| at.clone(), |entry| entry.key_at()),
            "a lease is opened and closed at once",
        );
        let help = "how long it stays open is the template's 'lease', and then it closes by itself";
        reader.add(problem.with_help(help));
    }
    let action = Action {
        name,
        template: template.map_or_else(String::new, |template| template.name.clone()),
        condition: condition?,
        delay,
        command: template.and_then(|template| template.command().cloned()),
        lease: template.and_then(|template| template.lease().cloned()),
        cooldown: cooldown.filter(|cooldown| !cooldown.is_zero()),
        state,
        timeout: template.map_or(templates::TIMEOUT, |template| template.timeout),
        user: template.and_then(|template| template.user.clone()),
        on_failure: template.map_or(Vec::new(), |template| templates.on_failure(template)),
    };
    used.then_some(action)
}

/// at(1) knows full minutes only.
fn lint_delay(reader: &mut Reader<'_>, table: &Table, action: Option<&Action>) {
    const MINUTE: Duration = Duration::from_secs(60);
    let delay = action.and_then(|action| action.delay.as_ref()).and_then(Delay::fixed);
    let Some(delay) = delay.filter(|delay| !delay.as_secs().is_multiple_of(MINUTE.as_secs()))
    else {
        return;
    };
    let text = table.entries("delay").find_map(|found| match found.node {
        Node::Scalar(text) => Some(text),
        Node::Null(_) | Node::Table(_) | Node::List(_) => None,
    });
    let Some(text) = text else { return };
    let length = if delay < MINUTE { "less than a minute" } else { "not a number of minutes" };
    let message =
        format!("this is {length}, and at(1) knows full minutes only: it is late by up to one");
    reader.add(
        Problem::warning(text.place(), message)
            .with_help("with scheduler agenda the daemon keeps to the second"),
    );
}

pub(super) fn state(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    names: &Names,
) -> Vec<StateUpdate> {
    let texts = reader.texts(section, "state");
    texts
        .into_iter()
        .filter_map(|text| checked(reader, text, StateUpdate::parse(text.text(), names)))
        .flatten()
        .collect()
}

/// What a rule's text says, or its mistakes with their places.
pub(super) fn checked<T>(
    reader: &mut Reader<'_>,
    text: &Scalar,
    parsed: Result<T, Vec<RuleError>>,
) -> Option<T> {
    match parsed {
        Ok(value) => Some(value),
        Err(errors) => {
            for error in errors {
                report(reader, text.place_of(error.at.clone()), &error);
            }
            None
        }
    }
}

pub(super) fn report(reader: &mut Reader<'_>, at: Place, error: &RuleError) {
    let problem = Problem::error(at, error.to_string());
    reader.add(match error.help() {
        Some(help) => problem.with_help(help),
        None => problem,
    });
}
