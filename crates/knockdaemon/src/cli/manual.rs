//! The manual page: made from the command line's definition and the table of keys, so that it
//! cannot fall behind them.

use std::io::Write;
use std::process::{Command, Stdio};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use knock_config::keys::{self, UsedBy};

use crate::exit::{Exit, TABLE};

/// Stands at the end of `--help`.
pub(crate) const AFTER_HELP: &str = "\
Options may be written with one dash or two (-conf FILE, --conf=FILE) and shortened as long as they
stay unambiguous. Without -conf the first of these files is read: ~/.knockdaemon.conf,
BIN/knockdaemon.conf, BIN/etc/knockdaemon.conf, BIN/../etc/knockdaemon.conf (BIN is the program's own
folder), /etc/knockdaemon/knockdaemon.yaml, .yml, .conf.

SIGTERM and SIGINT stop the daemon cleanly, SIGHUP makes it read its configuration again; a broken
file keeps the running configuration.";

/// The page in roff, `knockdaemon(8)`.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn page() -> std::io::Result<Vec<u8>> {
    let mut command = super::command().disable_help_subcommand(true);
    command.build();
    let man = Man::new(command.clone()).section("8").manual("System administration");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for sub in command.get_subcommands() {
        roff.control("SS", [sub.get_name()]);
        roff.text([roman(sub.get_about().map(ToString::to_string).unwrap_or_default())]);
        for arg in sub.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help")
        {
            roff.control("TP", []);
            let value = arg
                .get_value_names()
                .filter(|_| arg.get_action().takes_values())
                .map(|names| names.join(" "))
                .unwrap_or_default();
            let name = match arg.get_long() {
                Some(long) => format!("--{long} {value}"),
                None => value,
            };
            roff.text([bold(name.trim_end())]);
            roff.text([roman(arg.get_help().map(ToString::to_string).unwrap_or_default())]);
        }
    }
    roff.control("SH", ["CONFIGURATION"]);
    roff.text([roman(
        "Two syntaxes, one meaning: Apache-like text (.conf) and YAML (.yaml, .yml). \
         knockdaemon.conf(5) has examples.",
    )]);
    for key in keys::KEYS.iter().filter(|key| key.used_by != UsedBy::Client) {
        roff.control("TP", []);
        roff.text([bold(key.name), roman(format!(" (in {})", key.within))]);
        roff.text([roman(key.about)]);
        if !key.default.is_empty() {
            roff.text([roman(format!("Default: {}.", key.default))]);
        }
    }
    roff.control("SH", ["FILES AND SIGNALS"]);
    for paragraph in AFTER_HELP.split("\n\n") {
        roff.control("PP", []);
        roff.text([roman(paragraph.replace('\n', " "))]);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for line in TABLE.lines().skip(1) {
        let (status, meaning) = line.trim().split_once("  ").unwrap_or((line, ""));
        roff.control("TP", []);
        roff.text([bold(status)]);
        roff.text([roman(meaning.trim())]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("knockclient(1), iptables(8), nft(8)")]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// Shows the page through man(1), which formats it for a terminal and for a pipe alike. Without
/// man(1) prints its source, which is still readable.
pub(crate) fn show() -> Exit {
    let Ok(page) = page() else { return Exit::Input };
    if through_man(&page).is_some() {
        return Exit::Ok;
    }
    let _closed = std::io::stdout().write_all(&page);
    Exit::Ok
}

fn through_man(page: &[u8]) -> Option<()> {
    let mut man = Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn().ok()?;
    // Quitting the pager early closes the pipe; that is no failure.
    let _closed = man.stdin.take()?.write_all(page);
    man.wait().ok()?.success().then_some(())
}
