//! The generated documents: the reference of keys and of commands, and the manual pages.
//! Made from the table of keys and the command lines' definitions, and committed.

use std::fs;
use std::path::Path;

use knock_config::keys::{KEYS, Repeats, Within};

/// Writes them, or with `check` tells which are not up to date.
pub(crate) fn run(root: &Path, check: bool) -> Vec<String> {
    let pages = [
        ("docs/reference/configuration.md", configuration().into_bytes()),
        ("docs/reference/knockdaemon.md", command(knockdaemon::cli::command()).into_bytes()),
        ("docs/reference/knockclient.md", command(knockclient::command()).into_bytes()),
        ("docs/man/knockdaemon.8", knockdaemon::cli::manual::page().unwrap_or_default()),
        (
            "docs/man/knockdaemon.conf.5",
            knockdaemon::cli::manual::config_page().unwrap_or_default(),
        ),
        ("docs/man/knockclient.1", knockclient::manual::page().unwrap_or_default()),
    ];
    let mut faults = Vec::new();
    for (name, page) in pages {
        let path = root.join(name);
        if check {
            if fs::read(&path).unwrap_or_default() != page {
                faults.push(format!("{name} is not up to date: run `cargo xtask docs`"));
            }
        } else if let Err(error) = write(&path, &page) {
            faults.push(format!("{name}: {error}"));
        }
    }
    faults
}

fn write(path: &Path, page: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, page)
}

const GENERATED: &str =
    "<!-- Made by `cargo xtask docs`; change the table of keys or the options instead. -->";

/// The reference of keys, part by part.
fn configuration() -> String {
    let mut page = format!(
        "# Configuration keys\n\n{GENERATED}\n\n\
         Two syntaxes, one meaning: `.conf` is the Apache-like text of the original, `.yaml` and `.yml` \
         are YAML with the same names and the same tree. `<template open>` is `template: {{open: …}}`, a \
         repeated `<action>` is a list. `knockdaemon check` reports every mistake with its place.\n\n\
         A relative `keyfile` or `statefile` is meant from the folder of the file that names it; `logfile` and `statedir` \
         from the folder that the program runs in, as in the original. Times are seconds, where nothing \
         else is said, or have a unit: `90s`, `5m`, `2h`, `1d`.\n"
    );
    for within in Within::ALL {
        let title = within.to_string().replace('\'', "`");
        page.push_str(&format!("\n## In {title}\n\n"));
        page.push_str(
            "| key | takes | default | read by | meaning |\n| --- | --- | --- | --- | --- |\n",
        );
        for key in KEYS.iter().filter(|key| key.within == *within) {
            let default =
                if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
            let again = if key.repeats == Repeats::Often { ", repeatable" } else { "" };
            page.push_str(&format!(
                "| `{}` | {}{again} | {default} | {} | {} |\n",
                key.name,
                cell(&key.kind.to_string()),
                key.used_by,
                cell(key.about),
            ));
        }
    }
    page
}

/// Text that does not break a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A program's options, with those of its commands.
fn command(mut command: clap::Command) -> String {
    let name = command.get_name().to_owned();
    command.build();
    let mut page = format!("# {name}\n\n{GENERATED}\n\n```\n{}\n```\n", help(&mut command));
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for sub in names.iter().filter(|sub| *sub != "help") {
        if let Some(sub_command) = command.find_subcommand_mut(sub) {
            page.push_str(&format!("\n## {name} {sub}\n\n```\n{}\n```\n", help(sub_command)));
        }
    }
    page
}

/// The long help as on a terminal of 100 columns, whatever ours is.
fn help(command: &mut clap::Command) -> String {
    let mut command = command.clone().term_width(100);
    let text = command.render_long_help().to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
