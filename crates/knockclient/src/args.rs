//! The command line: which options there are, and the words of a call turned into values.
//! Looks at no file; what an option is worth beside the config is for `settings`.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, value_parser};
use knock_config::IvChoice;
use knock_config::argv::{self, Known, Takes};
use knock_wire::{KeyDerivation, Padding};

use crate::error::exit;

/// The environment variable that may hold the key.
pub(crate) const KEY_VARIABLE: &str = "KNOCK_KEY";

const FLAGS: [&str; 10] =
    ["flag0", "flag1", "flag2", "flag3", "flag4", "flag5", "flag6", "flag7", "flag8", "flag9"];
const FIELDS: &str = "Fields of the knock";
const FORMAT: &str = "Format of the knock (as the daemon has it)";
const AFTER: &str = "What happens then";
const LOG: &str = "Log lines instead of packets";
/// How options are written and where the file is.
pub(crate) const WAYS: &str = "\
Options may be written with one dash or two, with = or a blank before the value, and cut short as long
as they stay clear. The command line beats the config file. Without -conf the first of these is read,
if any: ~/.knockclient.conf, knockclient.conf beside the program, in etc/ and ../etc/ there, and
/etc/knockdaemon/knockclient.yaml, .yml or .conf. The key may also stand in $KNOCK_KEY.";

pub(crate) const EXAMPLES: &str = "\
  knockclient -r example.org -p 22 -t 15             open port 22 for 15 minutes
  knockclient -r example.org -wait 22 -- ssh example.org   knock, wait for the port, log in
  knockclient -conf knock.conf -test                 print the ports, send nothing
  knockclient -logtofile -logfile test.log -r 192.0.2.1    write what a firewall would log";

pub(crate) const EXIT_CODES: &str = "\
  0 knocked, or the port is open; with a command behind --, its own
  64 the command line is wrong         69 host unknown, or no way to it
  71 the system failed us              74 a file could not be written
  75 the port did not open in time     77 this host forbids to send
  78 the config file is wrong          126, 127 the command cannot be run, does not exist";

/// The options as clap defines them, for help, completion and the manual.
#[must_use]
pub fn command() -> clap::Command {
    let flags = FLAGS.map(|name| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .value_parser(value_parser!(u8))
            .help_heading(FIELDS)
            .hide_short_help(true)
            .help(format!("What goes into {}: 0-255", name.to_uppercase()))
            .long_help(format!("What goes into {}: 0-255", name.to_uppercase()))
    });
    let after = format!("{WAYS}\n\nExamples:\n{EXAMPLES}\n\nExit codes:\n{EXIT_CODES}");
    Options::command().args(flags).after_help(after)
}

/// What a call asks for.
pub(crate) enum Call {
    /// To knock, or to show what would be knocked.
    Knock(Box<Args>),
    /// The manual.
    Manual,
    /// Nothing more: help was shown, or a mistake.
    Done(ExitCode),
}

/// The values of the options, and of the ten that go by number.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) options: Options,
    pub(crate) flags: [Option<u8>; 10],
}

/// Reads the words of a call, the program's name first.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Call {
    let mut command = command();
    // Only a built command knows of its own --help and --version.
    command.build();
    let words = match argv::normalise(words, &known(&command)) {
        Ok(words) => words,
        Err(error) => {
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(std::io::stderr(), "knockclient: {error}\nTry 'knockclient -h'.");
            return Call::Done(ExitCode::from(exit::USAGE));
        }
    };
    match command.try_get_matches_from(words).and_then(|matches| from_matches(&matches)) {
        Ok(args) if args.options.man => Call::Manual,
        Ok(args) => Call::Knock(Box::new(args)),
        Err(error) => {
            let failed = error.use_stderr();
            // As above.
            let _ = error.print();
            Call::Done(if failed { ExitCode::from(exit::USAGE) } else { ExitCode::SUCCESS })
        }
    }
}

fn from_matches(matches: &ArgMatches) -> Result<Args, clap::Error> {
    let flags = FLAGS.map(|name| matches.get_one::<u8>(name).copied());
    Ok(Args { options: Options::from_arg_matches(matches)?, flags })
}

/// The options that the original had: what was short enough for one of them still is.
const ORIGINAL: [&str; 18] = [
    "conf",
    "remote",
    "client",
    "port",
    "time",
    "knock",
    "portspan",
    "encrypt",
    "key",
    "cipher",
    "iv",
    "logtofile",
    "logfile",
    "fileformat",
    "debug",
    "quiet",
    "test",
    "man",
];

fn known(command: &clap::Command) -> argv::Options {
    let option = |arg: &Arg| {
        let takes = if arg.get_action().takes_values() { Takes::Value } else { Takes::Nothing };
        let aliases = arg.get_all_aliases().unwrap_or_default();
        let long = arg.get_long()?;
        let known = Known::new(long, takes).aliases(aliases).shorts(arg.get_short());
        let is_old = ORIGINAL.contains(&long) || FLAGS.contains(&long);
        Some(if is_old { known.of_the_original() } else { known })
    };
    let own = command.get_arguments().filter_map(option).collect();
    argv::Options { own, commands: Vec::new() }
}

/// Knocks at a host: sends a connection request to one closed port after the other, in an order
/// that tells a knockdaemon there, and nobody else, what to open.
#[derive(Debug, Parser)]
#[command(
    name = "knockclient",
    version,
    about = "Knocks at a host, for a knockdaemon there to open a port",
    // As with the original: the last of several counts.
    args_override_self = true,
    max_term_width = 100
)]
pub(crate) struct Options {
    /// Read this config file and no other
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,

    /// The host to knock at: a name or an address
    #[arg(long, short = 'r', value_name = "HOST")]
    pub(crate) remote: Option<String>,

    /// Knock over IPv4
    #[arg(long, short = '4', conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,

    /// Knock over IPv6
    #[arg(long, short = '6')]
    pub(crate) ipv6: bool,

    /// The pause between two packets: milliseconds, or with a unit such as 1s [default: 50]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub(crate) delay: Option<Duration>,

    /// The address that shall be let in; if this host has it, the knock comes from it [default: this
    /// host's on the way to HOST]
    #[arg(long, short = 'i', value_name = "IP", help_heading = FIELDS)]
    pub(crate) client: Option<IpAddr>,

    /// The port that shall open [default: 22]
    #[arg(long, short = 'p', value_name = "N", help_heading = FIELDS)]
    pub(crate) port: Option<u16>,

    /// What goes into TIME: usually 0 opens, 255 closes, 1-254 opens for so many minutes [default: 0]
    #[arg(long, short = 't', value_name = "N", help_heading = FIELDS)]
    pub(crate) time: Option<u8>,

    /// The fields in their order [default: IP,PORT,TIME,CHECKSUM]
    #[arg(long, value_name = "F1,F2,…", help_heading = FORMAT)]
    pub(crate) knock: Option<String>,

    /// The ports that carry a knock, 2 to 32768 of them, a power of two [default: 745-1000]
    #[arg(long, value_name = "PORTS", help_heading = FORMAT)]
    pub(crate) portspan: Option<String>,

    /// Whether knocks are enciphered [default: yes]
    #[arg(long, value_name = "yes|no", value_parser = yes_no, help_heading = FORMAT)]
    pub(crate) encrypt: Option<bool>,

    /// The key; other users can see it in the process list, so better use a keyfile or $KNOCK_KEY
    #[arg(long, short = 'k', value_name = "KEY", help_heading = FORMAT)]
    pub(crate) key: Option<OsString>,

    /// A file whose bytes are the key; one newline at its end is not part of it
    #[arg(long, value_name = "FILE", help_heading = FORMAT, conflicts_with = "key")]
    pub(crate) keyfile: Option<PathBuf>,

    /// The cipher [default: Blowfish]
    #[arg(long, value_name = "NAME", help_heading = FORMAT)]
    pub(crate) cipher: Option<String>,

    /// What is sent before the enciphered fields: nothing, a random initialisation vector, a salt, or
    /// the vector without letters [default: no]
    #[arg(long, value_name = "no|yes|salt|bare", value_parser = iv, help_heading = FORMAT)]
    pub(crate) iv: Option<IvChoice>,

    /// The initialisation vector where none is sent [default: 01234567]
    #[arg(long, value_name = "TEXT", help_heading = FORMAT)]
    pub(crate) fixediv: Option<OsString>,

    /// How the cipher's key is made from yours [default: md5chain]
    #[arg(long, value_name = "NAME", value_parser = derivation, help_heading = FORMAT)]
    pub(crate) keyderivation: Option<KeyDerivation>,

    /// A salt of 8 bytes for it, where none is sent
    #[arg(long, value_name = "TEXT", help_heading = FORMAT)]
    pub(crate) fixedsalt: Option<OsString>,

    /// How the fields are filled up to whole blocks [default: standard]
    #[arg(long, value_name = "NAME", value_parser = padding, help_heading = FORMAT)]
    pub(crate) padding: Option<Padding>,

    /// How many bytes of an authentication code are appended [default: 0]
    #[arg(long, value_name = "BYTES", value_parser = mac, help_heading = FORMAT)]
    pub(crate) mac: Option<usize>,

    /// Use a key although others can read its file
    #[arg(long, help_heading = FORMAT)]
    pub(crate) insecure: bool,

    /// Wait until this port accepts a connection, and knock again while it does not
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..), help_heading = AFTER)]
    pub(crate) wait: Option<u16>,

    /// With --wait: how often to knock at most [default: 3]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), help_heading = AFTER)]
    pub(crate) tries: Option<u32>,

    /// With --wait: how long to wait after each knock, in seconds or with a unit [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = AFTER)]
    pub(crate) timeout: Option<Duration>,

    /// The program to run once the knock is sent, and the port open where it is waited for
    #[arg(last = true, value_name = "COMMAND", help_heading = AFTER)]
    pub(crate) then: Vec<OsString>,

    /// Send nothing; append the lines that the firewall would log to the file of -logfile
    #[arg(long, help_heading = LOG)]
    pub(crate) logtofile: bool,

    /// The file to append to
    #[arg(long, value_name = "FILE", help_heading = LOG)]
    pub(crate) logfile: Option<PathBuf>,

    /// The logformat of the lines [default: iptables]
    #[arg(long, value_name = "NAME", help_heading = LOG)]
    pub(crate) fileformat: Option<String>,

    /// Print the ports, comma separated, and send nothing
    #[arg(long)]
    pub(crate) test: bool,

    /// Tell on stderr what is done
    #[arg(long)]
    pub(crate) debug: bool,

    /// Say nothing; the exit code tells
    #[arg(long)]
    pub(crate) quiet: bool,

    /// Show the manual page
    #[arg(long)]
    pub(crate) man: bool,
}

fn yes_no(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err("write yes or no"),
    }
}

fn iv(text: &str) -> Result<IvChoice, &'static str> {
    IvChoice::parse(text).ok_or("write no, yes, salt or bare")
}

fn derivation(text: &str) -> Result<KeyDerivation, String> {
    KeyDerivation::parse(text).ok_or_else(|| one_of(&KeyDerivation::ALL.map(KeyDerivation::as_str)))
}

fn padding(text: &str) -> Result<Padding, String> {
    Padding::parse(text).ok_or_else(|| one_of(&Padding::ALL.map(Padding::as_str)))
}

fn mac(text: &str) -> Result<usize, &'static str> {
    knock_config::parse_mac(text).ok_or("write 0, or a number from 4 to 32")
}

fn one_of(names: &[&str]) -> String {
    format!("write one of {}", names.join(", "))
}

fn milliseconds(text: &str) -> Result<Duration, &'static str> {
    time(text, "ms").ok_or("write milliseconds, or a number with ms, s or m behind it")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    time(text, "s").ok_or("write seconds, or a number with ms, s or m behind it")
}

/// A number with a unit; at most a day, since more is a slip of the finger.
fn time(text: &str, unit: &str) -> Option<Duration> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, given) = text.split_at(end);
    let unit = match if given.is_empty() { unit } else { given } {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    let time = Duration::try_from_secs_f64(number.trim().parse::<f64>().ok()? * unit).ok()?;
    (time <= Duration::from_secs(86_400)).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn times_with_and_without_unit() {
        let ms = |text| milliseconds(text).map(|time| time.as_millis());
        assert_eq!(ms("100"), Ok(100));
        assert_eq!(ms("0"), Ok(0));
        assert_eq!(ms("100ms"), Ok(100));
        assert_eq!(ms("1s"), Ok(1000));
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(seconds("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "ms", "-1", "1h30", "1e300", "nan", "inf", "100000000s", "1 fortnight"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
    }
}
