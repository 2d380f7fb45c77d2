//! Templates: what is run, as which user, and what is run when it failed.
//!
//! Knows of actions only their names; runs nothing.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use knock_engine::{Fallback, LeasePolicy, LeaseRule};
use knock_rules::{
    Names, StateUpdate, Template, TemplateKind, Word, deletes_rule, split_words, unfilled,
    unset_variables,
};

use crate::keys::Within;
use crate::model::actions::{checked, report, state};
use crate::model::leases::{self, Leased, Policy};
use crate::model::section::{Reader, Section};
use crate::place::Place;
use crate::problem::Problem;
use crate::suggest::nearest;
use crate::syntax::Syntax;
use crate::tree::{Node, Scalar, Table};

/// Among how many templates one is looked for that a mistyped name may have meant.
const MAX_KNOWN: usize = 100;

/// How many templates may stand in for one another.
const MAX_FALLBACKS: usize = 8;

/// How long a command may run when the template does not say.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// The same for the shell: scripts of the original's day wait in it before they close again, and one
/// that is ended halfway leaves open what it opened.
const SHELL_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The keys of a template that hold a command.
const COMMANDS: [&str; 4] = ["system", "exec", "iptables", "ip6tables"];

/// All templates in the order of the file, and which name is which: a file may hold thousands.
#[derive(Default)]
pub(super) struct Templates {
    all: Vec<Defined>,
    by_name: HashMap<String, usize>,
}

impl Templates {
    pub(super) fn get(&self, name: &str) -> Option<&Defined> {
        self.by_name.get(name).and_then(|at| self.all.get(*at))
    }

    /// Notes that an action uses this template; `false` if there is none.
    pub(super) fn use_by(&mut self, name: &str, action: &str) -> bool {
        let template = self.get_mut(name);
        let found = template.map(|template| template.used_by.push(action.to_owned()));
        found.is_some()
    }

    /// The problem of a template that there is not.
    pub(super) fn unknown(&mut self, text: &Scalar, action: &str) -> Problem {
        let (problem, near) = self.not_found(text);
        // Meant to be used: one mistake, one message.
        if let Some(near) = near {
            self.use_by(&near, action);
        }
        problem
    }

    /// Sees that each `onfailure` leads to a template that can stand in, and at last to an end.
    pub(super) fn link(&mut self, reader: &mut Reader<'_>) {
        let wanted: Vec<(String, Scalar)> = self
            .all
            .iter()
            .filter_map(|template| Some((template.name.clone(), template.on_failure.clone()?)))
            .collect();
        for (name, text) in wanted {
            let fallback = text.text().trim();
            let Some(template) = self.get_mut(fallback) else {
                let (problem, near) = self.not_found(&text);
                reader.add(problem);
                if let Some(near) = near.and_then(|near| self.get_mut(&near)) {
                    near.stands_in = true;
                }
                continue;
            };
            template.stands_in = true;
            if !template.state.is_empty() {
                let message = format!("template '{fallback}' changes the state");
                let help = "that is done when a knock comes, not after a failure; name a template without 'state'";
                reader.add(Problem::error(text.place(), message).with_help(help));
            }
            if template.lease.is_some() {
                let message = format!("template '{fallback}' is about a lease");
                let help = "that is decided when a knock comes, not after a failure; name a template that runs a command";
                reader.add(Problem::error(text.place(), message).with_help(help));
            }
            self.check_chain(reader, &name, &text);
        }
    }

    fn check_chain(&self, reader: &mut Reader<'_>, name: &str, text: &Scalar) {
        let mut chain = vec![name];
        let mut next = self.get(name);
        while let Some(fallback) = next.and_then(Defined::fallback) {
            let seen = chain.contains(&fallback);
            chain.push(fallback);
            if fallback == name {
                let message = format!("'onfailure' goes round in a circle: {}", chain.join(", "));
                reader.error(text.place(), message);
            } else if !seen && chain.len() > MAX_FALLBACKS {
                let message =
                    format!("more than {MAX_FALLBACKS} templates would stand in for one another");
                reader.error(text.place(), message);
            } else if !seen {
                next = self.get(fallback);
                continue;
            }
            // A circle that this one only leads to is told where it is.
            return;
        }
    }

    /// What stands in for this template, first to last. Read only where `link` found no mistake.
    pub(super) fn on_failure(&self, template: &Defined) -> Vec<Fallback<Template>> {
        let mut fallbacks = Vec::new();
        let mut next = template.fallback().and_then(|name| self.get(name));
        while let Some(template) = next.filter(|_| fallbacks.len() < MAX_FALLBACKS) {
            if let Some(command) = template.command() {
                fallbacks.push(Fallback {
                    template: template.name.clone(),
                    command: command.clone(),
                    user: template.user.clone(),
                    timeout: template.timeout,
                });
            }
            next = template.fallback().and_then(|name| self.get(name));
        }
        fallbacks
    }

    /// What runs, but hardly does what was meant.
    pub(super) fn lint(&self, reader: &mut Reader<'_>, policy: &Policy) {
        for template in &self.all {
            template.lint(reader);
            if let Some(lease) = &template.lease {
                lease.lint(reader, policy);
            }
        }
    }

    /// What `check` tells of the leases that actions grant.
    pub(super) fn lease_notes(&self, policy: &LeasePolicy) -> Vec<String> {
        let used = self.all.iter().filter(|template| !template.used_by.is_empty());
        let own = used.filter_map(|template| template.lease.as_ref()?.note(&template.name, policy));
        let mut notes: Vec<String> = own.collect();
        if !notes.is_empty() {
            notes.extend(leases::note(policy));
        }
        notes
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Defined> {
        self.by_name.get(name).and_then(|at| self.all.get_mut(*at))
    }

    fn add(&mut self, template: Defined) {
        self.by_name.insert(template.name.clone(), self.all.len());
        self.all.push(template);
    }

    /// What to say of a name that no template has, and the one that was probably meant.
    fn not_found(&self, text: &Scalar) -> (Problem, Option<String>) {
        let name = text.text().trim();
        let problem = Problem::error(text.place(), format!("unknown template '{name}'"));
        let names = self.all.iter().map(|template| template.name.as_str());
        let known: Vec<&str> = names.take(MAX_KNOWN).collect();
        let more = if self.all.len() > MAX_KNOWN { " and others" } else { "" };
        let near = nearest(name, known.iter().copied()).and_then(|near| self.get(near));
        let help = match near {
            Some(near) => {
                format!("did you mean '{}'? (defined in line {})", near.name, near.at.line)
            }
            None if known.is_empty() => "no template is defined".to_owned(),
            None => format!("defined are {}{more}", known.join(", ")),
        };
        (problem.with_help(help), near.map(|near| near.name.clone()))
    }
}

/// A template with its users.
pub(super) struct Defined {
    pub(super) name: String,
    at: Place,
    command: Option<(Template, Written)>,
    lease: Option<Leased>,
    pub(super) state: Vec<StateUpdate>,
    pub(super) timeout: Duration,
    /// As whom the command runs, where that is not the daemon's own user.
    pub(super) user: Option<String>,
    /// The name of the template that stands in when the command has failed.
    on_failure: Option<Scalar>,
    used_by: Vec<String>,
    /// Whether it is another's `on_failure`.
    stands_in: bool,
}

/// The text of a command, which stands in one value, or as a list with a word an item.
struct Written {
    key: &'static str,
    words: Vec<(Scalar, Word)>,
    one: bool,
}

/// Reads one block and adds it.
pub(super) fn read(
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
    let lease = leases::read(reader, &section, name, names);
    let state = state(reader, &section, names);
    let has = |keys: &[&'static str]| keys.iter().copied().find(|key| table.get(key).is_some());
    match (has(&COMMANDS), has(&leases::DEEDS)) {
        (Some(command), Some(deed)) => {
            let at = table.get(command).map_or_else(|| at.clone(), |entry| entry.key_at());
            let message = format!("the template has '{deed}' already, so '{command}' cannot run");
            let help = "make a second template, and a second action that uses it";
            reader.add(Problem::error(at, message).with_help(help));
        }
        (None, None) if table.get("state").is_none() => {
            let problem = Problem::error(at.clone(), format!("template '{name}' has no command"));
            let help = "give it one of 'open', 'close', 'iptables', 'exec' and 'system'";
            reader.add(problem.with_help(help));
        }
        (_, _) => {}
    }
    if let Some(first) = templates.get(name) {
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
    let user = user(reader, &section);
    let on_failure = reader.text(&section, "onfailure").cloned();
    templates.add(Defined {
        name: name.to_owned(),
        at,
        command,
        lease,
        state,
        timeout,
        user,
        on_failure,
        used_by: Vec::new(),
        stands_in: false,
    });
}

fn user(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<String> {
    let text = reader.text(section, "user")?;
    let user = text.text().trim();
    let rule = ["iptables", "ip6tables"].into_iter().find(|key| section.table.get(key).is_some());
    if let Some(rule) = rule {
        let message = format!("'{rule}' changes the firewall with the daemon's own rights");
        let help = "leave 'user' out, or run a program of that user's with 'exec'";
        reader.add(Problem::error(text.place(), message).with_help(help));
        return None;
    }
    if let Some(objection) = (reader.options.machine.user)(user) {
        reader.add(objection.at(text.place()));
    }
    Some(user.to_owned())
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
            // `[ -f FILE ]` is a program.
            if one && text.starts_with('[') && text.ends_with(']') && !text.starts_with("[ ") {
                let help =
                    "a list in brackets is for YAML; write the words with blanks between them";
                let problem = Problem::error(
                    first.place(),
                    "this would run a program whose name begins with a bracket",
                );
                reader.add(problem.with_help(help));
                return None;
            }
            let words = if one {
                let split = checked(reader, &first, split_words(text))?;
                split.into_iter().map(|word| (first.clone(), word)).collect()
            } else {
                texts.into_iter().map(verbatim).collect::<Vec<_>>()
            };
            let plain: Vec<String> = words.iter().map(|(_, word)| word.text().to_owned()).collect();
            (Template::parse_exec(&plain, names), words)
        }
        "system" => {
            for (at, name) in unset_variables(text, names) {
                let message = format!("no knock of this format sets {name}, so it is empty");
                reader.add(Problem::warning(first.place_of(at), message));
            }
            (Template::parse_shell(text, names), whole)
        }
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

impl Defined {
    pub(super) fn command(&self) -> Option<&Template> {
        self.command.as_ref().map(|(command, _)| command)
    }

    pub(super) fn lease(&self) -> Option<&LeaseRule> {
        self.lease.as_ref().map(|lease| &lease.rule)
    }

    fn fallback(&self) -> Option<&str> {
        self.on_failure.as_ref().map(|name| name.text().trim())
    }

    /// What runs, but hardly does what was meant.
    fn lint(&self, reader: &mut Reader<'_>) {
        if self.used_by.is_empty() && !self.stands_in {
            let message = format!("template '{}' is used by no action", self.name);
            reader.add_if_whole(Problem::warning(self.at.clone(), message));
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
