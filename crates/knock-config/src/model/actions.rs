//! Actions and templates: which command answers which knock.
//!
//! Everything is checked, also what is switched off; what is switched off stays out of the plan.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use knock_engine::Action;
use knock_rules::{
    Condition, Delay, Names, RuleError, StateUpdate, Template, TemplateKind, Word, deletes_rule,
    split_words, unfilled,
};

use crate::keys::Within;
use crate::model::section::{Reader, Section};
use crate::place::Place;
use crate::problem::Problem;
use crate::suggest::nearest;
use crate::syntax::Syntax;
use crate::tree::{Node, Scalar, Table};

/// Among how many templates one is looked for that a mistyped name may have meant.
const MAX_KNOWN: usize = 100;

/// How long a command may run when the template does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The same for the shell: scripts of the original's day wait in it before they close again, and one
/// that is ended halfway leaves open what it opened.
const SHELL_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The keys of a template that hold a command.
const COMMANDS: [&str; 4] = ["system", "exec", "iptables", "ip6tables"];

/// Reads all actions; those in use are returned, in the order of the file.
pub(super) fn read(reader: &mut Reader<'_>, top: &Section<'_>, names: &Names) -> Vec<Action> {
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
                read_template(
                    reader,
                    &mut templates,
                    block.name,
                    &block.table,
                    block.place(),
                    names,
                );
            }
        }
    }
    let mut actions = Vec::new();
    let mut add = |reader: &mut Reader<'_>, name: Option<&str>, table: &Table, at: Place| {
        let number = actions.len() + 1;
        actions.push(read_action(reader, &mut templates, (name, number), table, &at, names));
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
        reader.add(problem);
    }
    for template in &templates.all {
        template.lint(reader);
    }
    actions.into_iter().flatten().collect()
}

/// All templates in the order of the file, and which name is which: a file may hold thousands.
#[derive(Default)]
struct Templates {
    all: Vec<Defined>,
    by_name: HashMap<String, usize>,
}

impl Templates {
    fn get_mut(&mut self, name: &str) -> Option<&mut Defined> {
        self.by_name.get(name).and_then(|at| self.all.get_mut(*at))
    }

    fn add(&mut self, template: Defined) {
        self.by_name.insert(template.name.clone(), self.all.len());
        self.all.push(template);
    }
}

/// A template with its users.
struct Defined {
    name: String,
    at: Place,
    command: Option<(Template, Written)>,
    state: Vec<StateUpdate>,
    timeout: Duration,
    used_by: Vec<String>,
}

/// The text of a command, which stands in one value, or as a list with a word an item.
struct Written {
    key: &'static str,
    words: Vec<(Scalar, Word)>,
    one: bool,
}

fn read_template(
    reader: &mut Reader<'_>,
    templates: &mut Templates,
    name: Option<&str>,
    table: &Table,
    at: Place,
    names: &Names,
) {
    let section = reader.section(Within::Template, table);
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
        let help = reader.named("template");
        reader.add(Problem::error(at, "a template needs a name").with_help(help));
        return;
    };
    let command = command(reader, &section, names);
    let state = state(reader, &section, names);
    if table.get("state").is_none() && !COMMANDS.iter().any(|key| table.get(key).is_some()) {
        let problem = Problem::error(at.clone(), format!("template '{name}' has no command"));
        reader.add(problem.with_help("give it one of 'iptables', 'exec' and 'system'"));
    }
    if let Some(first) = templates.get_mut(name) {
        let problem = Problem::error(at, format!("template '{name}' is defined twice"));
        reader.add(problem.with_help(format!("the first one is in line {}", first.at.line)));
        return;
    }
    let timeout = match reader.duration(&section, "timeout") {
        Some(given) if given.value.is_zero() => {
            let at = given.at().unwrap_or_else(|| at.clone());
            reader.error(at, "expected a time above 0, or no command could ever finish");
            TIMEOUT
        }
        Some(given) => given.value,
        None if command.as_ref().is_some_and(|(_, written)| written.key == "system") => {
            SHELL_TIMEOUT
        }
        None => TIMEOUT,
    };
    let name = name.to_owned();
    templates.add(Defined { name, at, command, state, timeout, used_by: Vec::new() });
}

fn command(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    names: &Names,
) -> Option<(Template, Written)> {
    let mut commands = section.table.iter().filter_map(|entry| {
        Some((*COMMANDS.iter().find(|command| **command == entry.key)?, entry))
    });
    let (key, _) = commands.next()?;
    if let Some((second, entry)) = commands.next() {
        let problem = Problem::error(
            entry.key_at(),
            format!("the template has '{key}' already, it runs one command"),
        );
        reader.add(problem.with_help(match second {
            "ip6tables" => "an 'iptables' template goes to ip6tables by itself for an IPv6 client",
            _ => "make a second template, and a second action that uses it",
        }));
    }
    // The others are looked at all the same.
    for other in COMMANDS.into_iter().filter(|other| *other != key) {
        reader.texts(section, other);
    }
    let texts: Vec<Scalar> = reader.texts(section, key).into_iter().cloned().collect();
    let one = !matches!(section.table.get(key).map(|entry| &entry.node), Some(Node::List(_)));
    let first = texts.first()?.clone();
    let text = first.text();
    let verbatim = |text: Scalar| (text.clone(), Word::verbatim(text.text()));
    let whole = vec![verbatim(first.clone())];
    let (parsed, words) = match key {
        "exec" => {
            let words = if one {
                let split = checked(reader, &first, split_words(text))?;
                split.into_iter().map(|word| (first.clone(), word)).collect()
            } else {
                texts.into_iter().map(verbatim).collect::<Vec<_>>()
            };
            let plain: Vec<String> = words.iter().map(|(_, word)| word.text().to_owned()).collect();
            (Template::parse_exec(&plain, names), words)
        }
        "system" => (Template::parse_shell(text, names), whole),
        "iptables" => (Template::parse_iptables(TemplateKind::Iptables, text, names), whole),
        _ => (Template::parse_iptables(TemplateKind::Ip6tables, text, names), whole),
    };
    let written = Written { key, words, one };
    match parsed {
        Ok(template) => Some((template, written)),
        Err(errors) => {
            for error in errors {
                let Some((text, word)) = written.words.get(error.part) else { continue };
                report(reader, text.place_of(word.range(error.at.clone())), &error);
            }
            None
        }
    }
}

fn state(reader: &mut Reader<'_>, section: &Section<'_>, names: &Names) -> Vec<StateUpdate> {
    let texts = reader.texts(section, "state");
    texts
        .into_iter()
        .filter_map(|text| checked(reader, text, StateUpdate::parse(text.text(), names)))
        .collect()
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

    let template = wanted.and_then(|text| {
        let wanted = text.text().trim();
        if templates.get_mut(wanted).is_none() {
            reader.add(unknown_template(text, templates, &name));
        }
        templates.get_mut(wanted)
    });
    if table.get("template").is_none() && table.get("state").is_none() {
        let problem = Problem::warning(at.clone(), format!("action '{name}' does nothing"));
        reader.add(problem.with_help("name a 'template', or change the state with 'state'"));
    }
    let (mut command, mut timeout, mut template_name) = (None, TIMEOUT, String::new());
    if let Some(template) = template {
        template.used_by.push(name.clone());
        template_name.clone_from(&template.name);
        command = template.command.as_ref().map(|(command, _)| command.clone());
        timeout = template.timeout;
        state.extend(template.state.iter().cloned());
    }
    let condition = condition?;
    let action =
        Action { name, template: template_name, condition, delay, command, state, timeout };
    used.then_some(action)
}

fn unknown_template(text: &Scalar, templates: &mut Templates, action: &str) -> Problem {
    let name = text.text().trim();
    let problem = Problem::error(text.place(), format!("unknown template '{name}'"));
    let names = templates.all.iter().map(|template| template.name.clone());
    let known: Vec<String> = names.take(MAX_KNOWN).collect();
    let more = if templates.all.len() > MAX_KNOWN { " and others" } else { "" };
    let near = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    let near = near.and_then(|near| templates.get_mut(&near));
    problem.with_help(match near {
        Some(near) => {
            // Meant to be used: one mistake, one message.
            near.used_by.push(action.to_owned());
            format!("did you mean '{}'? (defined in line {})", near.name, near.at.line)
        }
        None if known.is_empty() => "no template is defined".to_owned(),
        None => format!("defined are {}{more}", known.join(", ")),
    })
}

/// What a rule's text says, or its mistakes with their places.
fn checked<T>(
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

fn report(reader: &mut Reader<'_>, at: Place, error: &RuleError) {
    let problem = Problem::error(at, error.to_string());
    reader.add(match error.help() {
        Some(help) => problem.with_help(help),
        None => problem,
    });
}

impl Defined {
    /// What runs, but hardly does what was meant.
    fn lint(&self, reader: &mut Reader<'_>) {
        if self.used_by.is_empty() {
            let message = format!("template '{}' is used by no action", self.name);
            reader.add(Problem::warning(self.at.clone(), message));
        }
        let Some((template, written)) = &self.command else { return };
        for (at, name) in unfilled(template) {
            if let Some(place) = written.place_of(at) {
                let message = format!("the knock has no {name}, so the word stays as it is");
                reader.add(Problem::warning(place, message));
            }
        }
        if let Some(at) = deletes_rule(template)
            && self.opens()
            && let Some((place, corrected)) = written.inserted(at)
        {
            let message = format!("template '{}' deletes a rule, so it opens nothing", self.name);
            let is = match reader.syntax {
                Syntax::Legacy => " =",
                Syntax::Yaml => ":",
            };
            let help = format!("to put the rule in, write: {}{is} {corrected}", written.key);
            reader.add(Problem::warning(place, message).with_help(help));
        }
    }

    /// Whether its name, or an action's, says that it opens something; "close-later" of a pair that
    /// opens and closes does not.
    fn opens(&self) -> bool {
        let names = self.used_by.iter().chain(std::iter::once(&self.name));
        let says = |name: &str, words: [&str; 3]| words.iter().any(|word| name.contains(word));
        !says(&self.name.to_lowercase(), ["close", "shut", "remove"])
            && names.map(|name| name.to_lowercase()).any(|name| {
                says(&name, ["open", "allow", "accept"])
                    && !says(&name, ["close", "shut", "remove"])
            })
    }
}

impl Written {
    /// The value in which a part of the words stands, and where in it. `at` counts in all words,
    /// joined by one blank.
    fn part(&self, at: Range<usize>) -> Option<(&Scalar, Range<usize>)> {
        let mut start = 0;
        for (text, word) in &self.words {
            let len = word.text().len();
            if at.start < start + len {
                let part = at.start.saturating_sub(start)..at.end.saturating_sub(start).min(len);
                return Some((text, word.range(part)));
            }
            start += len + 1;
        }
        None
    }

    fn place_of(&self, at: Range<usize>) -> Option<Place> {
        let (text, part) = self.part(at)?;
        Some(text.place_of(part))
    }

    /// The command with its deletion made an insertion, and where the deletion stands. `None` for
    /// one that has a reason: it also inserts, or what it deletes is a rule that kept people out.
    fn inserted(&self, at: Range<usize>) -> Option<(Place, String)> {
        let (text, part) = self.part(at.clone())?;
        let words: Vec<&str> = self.words.iter().map(|(_, word)| word.text()).collect();
        let joined = words.join(" ");
        // As it is written, with its quotes, where it is one value.
        let (line, at) = if self.one { (text.text(), part.clone()) } else { (joined.as_str(), at) };
        let keeps_out = ["DROP", "REJECT", " -I ", " -A ", "--insert", "--append"];
        if keeps_out.iter().any(|word| joined.contains(word)) {
            return None;
        }
        let insert = if line.get(at.clone())?.starts_with("--") { "--insert" } else { "-I" };
        let mut corrected = line.to_owned();
        corrected.replace_range(at, insert);
        Some((text.place_of(part), corrected))
    }
}
