//! The manual page: made from the command line's definition and the table of keys, so that it
//! cannot fall behind them.

use std::io::Write;
use std::process::{Command, Stdio};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use knock_config::keys::{self, UsedBy, Within};
use knock_config::manual::plain;

use crate::exit::{Exit, TABLE};

/// Stands at the end of `--help`.
pub(crate) const AFTER_HELP: &str = "\
Options may be written with one dash or two (-conf FILE, --conf=FILE) and shortened as long as they
stay unambiguous. Without -conf the first of these files is read: ~/.knockdaemon.conf,
BIN/knockdaemon.conf, BIN/etc/knockdaemon.conf, BIN/../etc/knockdaemon.conf (BIN is the folder of
the program), /etc/knockdaemon/knockdaemon.yaml, .yml, .conf.

SIGTERM and SIGINT stop the daemon cleanly, SIGHUP makes it read its configuration again; a broken
file keeps the running configuration. status, leases, revoke, extend and reload speak to the running
daemon over its control socket, which is found by the configuration, or named with --socket.";

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
    roff.text([roman("The same as in knockdaemon.conf(5).")]);
    keys_of_the_file(&mut roff);
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
    roff.text([roman("knockdaemon.conf(5), knockclient(1), iptables(8), nft(8)")]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// The page of the configuration file in roff, `knockdaemon.conf(5)`.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn config_page() -> std::io::Result<Vec<u8>> {
    let mut roff = Roff::new();
    let version = concat!("knockdaemon ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["knockdaemon.conf", "5", "", version, "File formats"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("knockdaemon.conf, knockdaemon.yaml - configuration of knockdaemon")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "Two syntaxes, one meaning: Apache-like text (.conf), in which the original's files are \
         written, and YAML (.yaml, .yml) with the same names and the same tree: a block <template \
         open> is template: {open: ...}, a repeated <action> is a list. A file with a key in it must \
         be readable by its owner alone. `knockdaemon check` reports all mistakes with their places.",
    )]);
    roff.control("SH", ["EXAMPLE"]);
    roff.control("nf", []);
    for line in EXAMPLE.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    keys_of_the_file(&mut roff);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("knockdaemon(8), knockclient(1)")]);
    let mut page = Vec::new();
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// The classic configuration, shortened.
const EXAMPLE: &str = "\
logfile  = /var/log/kern.log
portspan = 745-1000
knock    = IP,PORT,TIME,CHECKSUM
key      = a long phrase of your own
<actions>
  <action>
    condition = PORT == 22 && TIME < 255
    template  = open
  </action>
  <action>
    condition = PORT == 22 && TIME > 0 && TIME < 255
    template  = close
    delay     = TIME
  </action>
  <template open>
    iptables = -I INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
  <template close>
    iptables = -D INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
</actions>";

/// All keys that the daemon reads, part by part.
fn keys_of_the_file(roff: &mut Roff) {
    for within in Within::ALL {
        roff.control("SS", [format!("In {within}").as_str()]);
        for key in
            keys::KEYS.iter().filter(|key| key.within == *within && key.used_by != UsedBy::Client)
        {
            roff.control("TP", []);
            roff.text([bold(key.name), roman(format!(" ({})", key.kind))]);
            let default = match key.default {
                "" => String::new(),
                default => format!(" Default: {default}."),
            };
            roff.text([roman(format!("{}{default}", key.about))]);
        }
    }
}

/// Shows the page through man(1), which formats it for a terminal and for a pipe alike. Without
/// man(1) prints it as plain text.
pub(crate) fn show() -> Exit {
    let Ok(page) = page() else { return Exit::Input };
    if through_man(&page).is_some() {
        return Exit::Ok;
    }
    // A reader who has seen enough closes the pipe.
    let _closed = std::io::stdout().write_all(plain(&page).as_bytes());
    Exit::Ok
}

fn through_man(page: &[u8]) -> Option<()> {
    let mut man = Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn().ok()?;
    // Quitting the pager early closes the pipe; that is no failure.
    let _closed = man.stdin.take()?.write_all(page);
    man.wait().ok()?.success().then_some(())
}
