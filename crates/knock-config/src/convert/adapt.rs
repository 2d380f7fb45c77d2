//! What the two syntaxes mean differently, said so that the meaning stays.
//!
//! Works on the document alone; that nothing else differs is checked when the result is read back.

use std::collections::BTreeMap;

use super::To;
use super::document::{Block, Entry, Item, Line, Value};
use crate::keys::Kind;
use crate::model::values;
use crate::place::Place;
use crate::problem::Problem;
use crate::syntax::Syntax;

/// Changes a daemon's or a client's file so that it means the same in the other syntax.
pub(super) fn adapt(root: &mut Block, from: Syntax, to: To) {
    for entry in &mut root.entries {
        if entry.key != "actions" {
            continue;
        }
        match (from, to) {
            (Syntax::Yaml, To::Conf) => list_to_blocks(entry),
            (Syntax::Legacy, To::Yaml) => merge(entry),
            _ => {}
        }
    }
    if to == To::Conf {
        each_entry(root, &mut one_word);
    }
}

/// A timeout that is not written is another one in the other syntax.
pub(super) fn write_out_queuetimeout(root: &mut Block, from: Syntax, to: To) {
    let (value, why) = match (from, to) {
        (Syntax::Legacy, To::Yaml) => (
            "0",
            " Written out, since YAML that does not say so forgets after 60s, and a .conf never.",
        ),
        (Syntax::Yaml, To::Conf) => (
            "60s",
            " Written out, since a .conf that does not say so never forgets, and YAML after 60s.",
        ),
        _ => return,
    };
    if root.entries.iter().any(|entry| entry.key == "queuetimeout") {
        return;
    }
    let text = Value::Text(value.to_owned().into());
    let mut entry = Entry::new("queuetimeout", Some(Kind::Duration), text);
    entry.before = vec![Line::Blank, Line::Comment(why.to_owned())];
    let is_plain = |entry: &Entry| {
        let one = |item: &Item| matches!(item.value, Value::Null | Value::Text(_));
        entry.off.is_none() && entry.items.iter().all(one)
    };
    let at = root.entries.iter().rposition(is_plain).map_or(root.entries.len(), |last| last + 1);
    root.entries.insert(at, entry);
}

/// Takes out of `useethfilter` the names of filters that cannot be used, and out of what is refused what was said of
/// them. `works` are those that are left. A name that nothing follows from may stand in a .conf, and not in YAML.
pub(super) fn drop_filters(
    root: &mut Block,
    works: &[&str],
    refused: &mut Vec<Problem>,
) -> Vec<Problem> {
    let mut told = Vec::new();
    for entry in root.entries.iter_mut().filter(|entry| entry.key == "useethfilter") {
        let mut gone = Vec::new();
        for item in &mut entry.items {
            let Value::Text(text) = &mut item.value else { continue };
            let (kept, dropped): (Vec<&str>, Vec<&str>) =
                values::names(text).map(|(_, name)| name).partition(|name| works.contains(name));
            if dropped.is_empty() {
                continue;
            }
            gone.extend(dropped.into_iter().map(str::to_owned));
            let kept = kept.join(" ");
            *text = kept.into();
        }
        if gone.is_empty() {
            continue;
        }
        let names = format!("'{}'", gone.join("', '"));
        let is_left = |item: &Item| !matches!(&item.value, Value::Text(text) if text.is_empty());
        if !entry.items.iter().any(is_left) {
            // As it was, for who reads the comment.
            if let Some(item) = entry.items.first_mut() {
                item.value = Value::Text(gone.join(" ").into());
            }
            entry.items.truncate(1);
            entry.off.get_or_insert(format!("no ethfilter {names} that could be used"));
            continue;
        }
        let (left, empty): (Vec<Item>, Vec<Item>) =
            std::mem::take(&mut entry.items).into_iter().partition(is_left);
        entry.items = left;
        for item in empty {
            entry.before.extend(item.before);
            entry.before.extend(item.beside.into_iter().map(Line::Comment));
            entry.before.extend(item.after);
        }
        entry
            .before
            .push(Line::Comment(format!(" Without {names}: no ethfilter that could be used.")));
        refused.retain(|problem| {
            let is_one = |name: &String| problem.message == format!("unknown ethfilter '{name}'");
            let is_one = gone.iter().any(is_one);
            if is_one && let Some(at) = &problem.at {
                let message =
                    format!("{}; it is left out, since YAML allows none", problem.message);
                let warning = Problem::warning(at.clone(), message);
                told.push(Problem { help: problem.help.clone(), ..warning });
            }
            !is_one
        });
    }
    told
}

/// Makes comments of what YAML would refuse, and says so.
pub(super) fn switch_off(root: &mut Block, refused: &[Problem]) -> Vec<Problem> {
    let mut owners = Vec::new();
    find_owners(root, In::Any, &mut owners);
    owners.sort_unstable();
    // One walk through the tree for all of them: an old file may have thousands.
    let mut reasons: BTreeMap<&Place, &str> = BTreeMap::new();
    let mut told = Vec::new();
    for problem in refused {
        let Some(at) = &problem.at else { continue };
        // The entry that begins last before it.
        let behind = owners.partition_point(|(key, _)| key <= at);
        let owner = behind.checked_sub(1).and_then(|last| owners.get(last));
        let Some((_, owner)) = owner.filter(|(key, _)| key.file == at.file) else { continue };
        let why = &problem.message;
        reasons.entry(owner).or_insert(why);
        let message = format!("{why}; it becomes a comment, since YAML allows none");
        let warning = Problem::warning(at.clone(), message);
        told.push(Problem { help: problem.help.clone(), ..warning });
    }
    off(root, &reasons);
    gather(root);
    told
}

fn off(block: &mut Block, reasons: &BTreeMap<&Place, &str>) {
    for entry in &mut block.entries {
        let why = entry.at.as_ref().and_then(|at| reasons.get(at));
        if let Some(why) = why {
            entry.off.get_or_insert_with(|| (*why).to_owned());
            continue;
        }
        for item in &mut entry.items {
            if let Value::Block(block) = &mut item.value {
                off(block, reasons);
            }
        }
    }
}

/// Which block the entries at hand are in.
#[derive(Clone, Copy)]
enum In<'a> {
    /// One of which each entry stands for itself.
    Any,
    /// One of logformats or ethfilters, whose keys are their names.
    Names,
    /// A logformat or an ethfilter, of which all is taken away if something in it is wrong.
    Whole(&'a Place),
}

/// Where each entry stands, and where what goes with it.
fn find_owners(block: &Block, within: In<'_>, owners: &mut Vec<(Place, Place)>) {
    for entry in &block.entries {
        let Some(at) = &entry.at else { continue };
        let key = entry.key.as_str();
        let (owner, inside) = match within {
            In::Whole(whole) => (whole, In::Whole(whole)),
            In::Names if !["logformat", "ethfilter"].contains(&key) => (at, In::Whole(at)),
            In::Names | In::Any => match key {
                "logformat" | "logformats" | "ethfilter" | "ethfilters" => (at, In::Names),
                _ => (at, In::Any),
            },
        };
        owners.push((at.clone(), owner.clone()));
        for item in &entry.items {
            if let Value::Block(block) = &item.value {
                find_owners(block, inside, owners);
            }
        }
    }
}

/// Where all that a block holds is a comment, the block is one too.
fn gather(block: &mut Block) {
    for entry in &mut block.entries {
        let [item] = entry.items.as_mut_slice() else { continue };
        let Value::Block(inner) = &mut item.value else { continue };
        gather(inner);
        let why = inner.entries.first().and_then(|first| first.off.clone());
        if why.is_some() && inner.entries.iter().all(|entry| entry.off.is_some()) {
            entry.off = why;
            inner.entries.iter_mut().for_each(|entry| entry.off = None);
        }
    }
}

/// `actions: [ … ]` is a list of actions; in a .conf each is a block inside of `<actions>`.
fn list_to_blocks(entry: &mut Entry) {
    let all_blocks = entry.items.iter().all(|item| matches!(item.value, Value::Block(_)));
    if !entry.is_list() || !all_blocks || entry.items.is_empty() {
        return;
    }
    let mut action = Entry::new("action", Some(Kind::Block), Value::Null);
    action.items = std::mem::take(&mut entry.items);
    let block = Value::Block(Block { entries: vec![action], end: Vec::new() });
    entry.items = Entry::new("", None, block).items;
    entry.listed = false;
}

/// Several `<actions>` become one, since a list of them would be a list of actions.
fn merge(entry: &mut Entry) {
    let items = std::mem::take(&mut entry.items);
    let mut merged: Vec<Item> = Vec::new();
    for mut item in items {
        let Some(first) = merged.last_mut() else {
            merged.push(item);
            continue;
        };
        let (Value::Block(into), Value::Block(block)) = (&mut first.value, &mut item.value) else {
            merged.push(item);
            continue;
        };
        let mut above: Vec<Line> = std::mem::take(&mut into.end);
        above.append(&mut item.before);
        above.extend(std::mem::take(&mut item.beside).into_iter().map(Line::Comment));
        for mut entry in std::mem::take(&mut block.entries) {
            entry.before.splice(0..0, std::mem::take(&mut above));
            match into.entries.iter_mut().find(|known| known.key == entry.key) {
                Some(known) => append(known, entry),
                None => into.entries.push(entry),
            }
        }
        into.end = above;
        into.end.append(&mut block.end);
        into.end.append(&mut item.after);
    }
    entry.listed &= merged.len() != 1;
    entry.items = merged;
}

fn append(known: &mut Entry, mut entry: Entry) {
    if let Some(first) = entry.items.first_mut() {
        first.before.splice(0..0, std::mem::take(&mut entry.before));
    }
    known.items.append(&mut entry.items);
}

/// A list of one word is one word; in a .conf, where it is no list, it would be split.
fn one_word(entry: &mut Entry) {
    let [Item { value: Value::Text(text), .. }] = entry.items.as_mut_slice() else { return };
    if entry.kind == Some(Kind::Arguments) && entry.listed {
        let mut word = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_whitespace() || "'\"\\".contains(c) {
                word.push('\\');
            }
            word.push(c);
        }
        *text = word.into();
        entry.listed = false;
    }
}

fn each_entry(block: &mut Block, change: &mut impl FnMut(&mut Entry)) {
    for entry in &mut block.entries {
        change(entry);
        for item in &mut entry.items {
            if let Value::Block(block) = &mut item.value {
                each_entry(block, change);
            }
        }
    }
}
