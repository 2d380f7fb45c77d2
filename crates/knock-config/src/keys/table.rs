//! The table of keys: name, part of the file, kind of value, default, user, documentation.
//!
//! Data only. A new key is a row here, and the model reads it.

mod control;
mod hits;
mod leases;
mod sources;

use control::CONTROL;
use hits::HITS;
use leases::LEASES;
use sources::SOURCES;

pub use sources::RUNMODES;

use super::{Key, Kind, Repeats, UsedBy, Within};

const fn key(
    within: Within,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    used_by: UsedBy,
    about: &'static str,
) -> Key {
    Key { name, within, kind, default, used_by, repeats: Repeats::Once, about }
}

impl Key {
    const fn repeats(mut self) -> Self {
        self.repeats = Repeats::Often;
        self
    }
}

const fn flag(name: &'static str) -> Key {
    key(
        Within::Top,
        name,
        Kind::Byte,
        "",
        UsedBy::Client,
        "What the client puts into this field of the knock, for formats that have it.",
    )
}

/// The ciphers that `cipher` takes.
pub const CIPHERS: &[&str] = &[
    "Blowfish",
    "DES",
    "DES_EDE3",
    "IDEA",
    "CAST5",
    "Twofish",
    "Twofish256",
    "Rijndael",
    "Serpent",
    "Camellia",
];

/// Every key there is, part by part, in the order of the reference.
pub const KEYS: &[Key] = &{
    const PARTS: [&[Key]; 5] = [SOURCES, SETTINGS, LEASES, CONTROL, HITS];
    // Each place is written over below.
    const OTHERS: usize = SOURCES.len() + LEASES.len() + CONTROL.len() + HITS.len();
    let mut all = [SETTINGS[0]; SETTINGS.len() + OTHERS];
    let (mut part, mut at) = (0, 0);
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            all[at] = PARTS[part][row];
            row += 1;
            at += 1;
        }
        part += 1;
    }
    all
};

/// What stands outside of all blocks, and what is done.
const SETTINGS: &[Key] = &[
    // What lines are read with, and the rest.
    key(
        Within::Top,
        "uselogformat",
        Kind::Names,
        "iptables",
        UsedBy::Daemon,
        "The logformat, or several, that the lines are read with. A name is looked for in this \
         file, in the folder logformats beside it, in /etc/knockdaemon/logformats, \
         /usr/local/share/knockdaemon/logformats and /usr/share/knockdaemon/logformats, and among \
         the formats built in.",
    )
    .repeats(),
    key(
        Within::Top,
        "logformat",
        Kind::Block,
        "",
        UsedBy::Both,
        "A logformat of your own, with its name: <logformat NAME>, or a map of names in YAML.",
    )
    .repeats(),
    key(
        Within::Top,
        "logformats",
        Kind::Block,
        "",
        UsedBy::Both,
        "Holds logformats; they may as well stand outside of it.",
    )
    .repeats(),
    key(
        Within::Top,
        "interface",
        Kind::Name,
        "",
        UsedBy::Daemon,
        "The network interface to capture from with runmode = network; any means all of them.",
    ),
    key(
        Within::Top,
        "snapshotsize",
        Kind::Count,
        "1500",
        UsedBy::Daemon,
        "How many bytes of each packet to capture. Only its headers are looked at.",
    ),
    key(
        Within::Top,
        "useethfilter",
        Kind::Names,
        "the first packets of TCP connections",
        UsedBy::Daemon,
        "The ethfilter, or several, that choose which packets count with runmode = network or nflog; one of \
         them must match.",
    )
    .repeats(),
    key(
        Within::Top,
        "ethfilter",
        Kind::Block,
        "",
        UsedBy::Daemon,
        "Properties that a packet must have, with a name: <ethfilter NAME>, or a map of names in YAML.",
    )
    .repeats(),
    key(
        Within::Top,
        "ethfilters",
        Kind::Block,
        "",
        UsedBy::Daemon,
        "Holds ethfilters; they may as well stand outside of it.",
    )
    .repeats(),
    // The knock.
    key(
        Within::Top,
        "knock",
        Kind::Fields,
        "IP,PORT,TIME,CHECKSUM",
        UsedBy::Both,
        "The fields of a knock in their order: IP IP6 PORT PORT16 TIME FLAG0 to FLAG9 CHECKSUM.",
    ),
    key(
        Within::Top,
        "portspan",
        Kind::Ports,
        "745-1000",
        UsedBy::Both,
        "The ports that carry a knock. Their number is a power of two from 2 to 32768: the more \
         ports, the fewer packets a knock takes.",
    ),
    key(
        Within::Top,
        "encrypt",
        Kind::YesNo,
        "yes",
        UsedBy::Both,
        "Whether knocks are enciphered. Without it anybody who knows the format can knock.",
    ),
    key(
        Within::Top,
        "key",
        Kind::Text,
        "",
        UsedBy::Both,
        "The secret that daemon and client share. The file must then be readable by its owner \
         only. Safer in a keyfile.",
    ),
    key(
        Within::Top,
        "keyfile",
        Kind::Path,
        "",
        UsedBy::Both,
        "A file whose bytes are the key, in place of key; one newline at its end is not part of it. \
         Relative to the folder of this file.",
    ),
    key(
        Within::Top,
        "cipher",
        Kind::OneOf(CIPHERS),
        "Blowfish",
        UsedBy::Both,
        "The cipher, in CBC mode as Crypt::CBC does it. AES is another name of Rijndael (with a key of \
         256 bits); Perl's Crypt:: before a name and _PP behind it do not matter.",
    ),
    key(
        Within::Top,
        "iv",
        Kind::OneOf(&["no", "yes", "salt", "bare"]),
        "no",
        UsedBy::Both,
        "What is sent before the enciphered fields, so that each knock looks different. no: nothing. \
         yes: the letters RandomIV and 8 random bytes, for ciphers with blocks of 8 bytes. salt: the \
         letters Salted__ and 8 random bytes, from which keyderivation makes key and initialisation \
         vector, as openssl enc does. bare: a random initialisation vector without letters.",
    ),
    key(
        Within::Top,
        "fixediv",
        Kind::Text,
        "01234567",
        UsedBy::Both,
        "The initialisation vector where iv = no; cut or filled with zero bytes to the length of the \
         cipher's blocks.",
    ),
    key(
        Within::Top,
        "padding",
        Kind::OneOf(&["standard", "space", "null", "oneandzeroes", "none"]),
        "standard",
        UsedBy::Both,
        "How the fields are filled up to whole blocks, in the words of Crypt::CBC; standard is \
         PKCS#7. It is checked in full. With none the fields must be whole blocks.",
    ),
    key(
        Within::Top,
        "keyderivation",
        Kind::OneOf(&["md5chain", "literal", "opensslv1", "opensslv2", "pbkdf2", "argon2id"]),
        "md5chain",
        UsedBy::Both,
        "How the cipher's key is made from yours. md5chain: as the original did. literal: it is the \
         key, byte for byte. opensslv1, opensslv2 and pbkdf2 need a salt: iv = salt or fixedsalt. \
         argon2id is the one for new set-ups: phrases that people can remember take long to guess.",
    ),
    key(
        Within::Top,
        "fixedsalt",
        Kind::Text,
        "",
        UsedBy::Both,
        "A salt of 8 bytes that both sides know, for a keyderivation that takes one where iv is not \
         salt. Without it argon2id takes knockdaemon/v1.",
    ),
    key(
        Within::Top,
        "mac",
        Kind::MacLength,
        "0",
        UsedBy::Both,
        "How many bytes of an authentication code (HMAC-SHA-256) stand at the end of a knock. With \
         iv = yes or bare it is what keeps others from changing a knock that they have seen.",
    ),
    key(
        Within::Top,
        "anyip",
        Kind::YesNo,
        "no",
        UsedBy::Both,
        "With yes the address inside a knock need not be the one that it came from: a knock on \
         behalf of somebody else.",
    ),
    key(
        Within::Top,
        "replay",
        Kind::OneOf(&["allow", "reject"]),
        "reject where iv is yes, salt or bare, else allow",
        UsedBy::Daemon,
        "Whether a knock that was accepted may come again. With reject each is accepted once, ever: \
         what it is known by is kept in statedir. Where knocks do not vary that leaves each client one \
         knock for each thing it may ask for.",
    ),
    // How the daemon waits.
    key(
        Within::Top,
        "queuetimeout",
        Kind::Duration,
        "0 in a .conf, 60s in YAML",
        UsedBy::Daemon,
        "An unfinished knock whose newest hit is older is forgotten; 0 means never, as in the \
         original.",
    ),
    key(
        Within::Top,
        "maxclients",
        Kind::Count,
        "1000000",
        UsedBy::Daemon,
        "How many clients are tracked at once. The one idle longest goes first.",
    ),
    key(
        Within::Top,
        "statedir",
        Kind::Path,
        "/var/lib/knockdaemon",
        UsedBy::Daemon,
        "The folder that keeps delayed actions, leases, the state variable and what knocks were accepted across \
         restarts.",
    ),
    key(
        Within::Top,
        "statefile",
        Kind::Path,
        "",
        UsedBy::Daemon,
        "A readable copy of the state variable in JSON, written after each knock that changed it. \
         What you change in it while the daemon is stopped is taken over at the next start. \
         Relative to the folder of this file.",
    ),
    key(
        Within::Top,
        "scheduler",
        Kind::OneOf(&["agenda", "at"]),
        "agenda",
        UsedBy::Daemon,
        "Who keeps delayed actions until their time: the daemon's own agenda, or at(1), as in the \
         original. at(1) knows full minutes only, tries nothing again, and cannot be told of a \
         renewed knock.",
    ),
    key(
        Within::Top,
        "firewall",
        Kind::OneOf(&["auto", "nftables", "ipset", "iptables"]),
        "auto",
        UsedBy::Daemon,
        "How leases get into the firewall: sets of nftables or of ipset, whose members the kernel forgets in \
         time by itself, or a rule of iptables for each. auto takes the first of these that works on this \
         host. What stands in the firewall for good is shown and made by knockdaemon firewall.",
    ),
    // What is done.
    key(
        Within::Top,
        "actions",
        Kind::Block,
        "",
        UsedBy::Daemon,
        "Holds actions and templates; they may as well stand outside of it. In YAML it may be a \
         plain list of actions.",
    )
    .repeats(),
    key(
        Within::Top,
        "action",
        Kind::Block,
        "",
        UsedBy::Daemon,
        "What to do when a knock fulfils a condition. Every action whose condition holds is done.",
    )
    .repeats(),
    key(
        Within::Top,
        "template",
        Kind::Block,
        "",
        UsedBy::Daemon,
        "A command with a name, for actions to use: <template NAME>, or a map of names in YAML.",
    )
    .repeats(),
    key(Within::Top, "templates", Kind::Block, "", UsedBy::Daemon, "The same as template.")
        .repeats(),
    // The client's own.
    key(
        Within::Top,
        "remote",
        Kind::Host,
        "",
        UsedBy::Client,
        "The host to knock at.",
    ),
    key(
        Within::Top,
        "client",
        Kind::Address,
        "this host's address on the way to remote",
        UsedBy::Client,
        "The address that the knock speaks for. If the client's host has it, its packets come from it.",
    ),
    key(Within::Top, "port", Kind::Port, "22", UsedBy::Client, "The port that shall open."),
    key(
        Within::Top,
        "time",
        Kind::Byte,
        "0",
        UsedBy::Client,
        "What the client puts into TIME. With the shipped actions: 0 opens, 255 closes, 1-254 opens \
         for so many minutes.",
    ),
    flag("flag0"),
    flag("flag1"),
    flag("flag2"),
    flag("flag3"),
    flag("flag4"),
    flag("flag5"),
    flag("flag6"),
    flag("flag7"),
    flag("flag8"),
    flag("flag9"),
    key(
        Within::Top,
        "delay",
        Kind::Milliseconds,
        "50",
        UsedBy::Client,
        "The pause between two packets of a knock. A bare number counts milliseconds, as on the \
         command line.",
    ),
    key(
        Within::Top,
        "wait",
        Kind::Port,
        "",
        UsedBy::Client,
        "The port to probe after the knock until it is open.",
    ),
    key(
        Within::Top,
        "tries",
        Kind::Count,
        "3",
        UsedBy::Client,
        "How often to knock while the port to wait for stays closed.",
    ),
    key(
        Within::Top,
        "logtofile",
        Kind::YesNo,
        "no",
        UsedBy::Client,
        "With yes the client sends nothing and appends the firewall's lines to logfile, for tests.",
    ),
    key(
        Within::Top,
        "fileformat",
        Kind::Name,
        "iptables",
        UsedBy::Client,
        "The logformat of the lines that logtofile writes.",
    ),
    // <actions>
    key(Within::Actions, "action", Kind::Block, "", UsedBy::Daemon, "An action.").repeats(),
    key(Within::Actions, "template", Kind::Block, "", UsedBy::Daemon, "A template.").repeats(),
    key(Within::Actions, "templates", Kind::Block, "", UsedBy::Daemon, "The same as template.")
        .repeats(),
    // <action>
    key(
        Within::Action,
        "name",
        Kind::Name,
        "the template's name",
        UsedBy::Daemon,
        "What the action is called in messages and in the daemon's log.",
    ),
    key(
        Within::Action,
        "condition",
        Kind::Condition,
        "always",
        UsedBy::Daemon,
        "When the action is done. It may use the fields of the knock, state(...), cidr(...) and the \
         time of day; nothing in it is ever run as code.",
    ),
    key(
        Within::Action,
        "template",
        Kind::Name,
        "",
        UsedBy::Daemon,
        "The template to run.",
    ),
    key(
        Within::Action,
        "delay",
        Kind::Delay,
        "0",
        UsedBy::Daemon,
        "How long to wait first. A bare number or an expression counts minutes. A delayed action \
         survives a restart.",
    ),
    key(
        Within::Action,
        "use",
        Kind::YesNo,
        "yes",
        UsedBy::Daemon,
        "With no the action is switched off, but still checked.",
    ),
    key(
        Within::Action,
        "state",
        Kind::StateUpdate,
        "",
        UsedBy::Daemon,
        "Changes the state variable at once, whatever the delay.",
    )
    .repeats(),
    // <template>
    key(
        Within::Template,
        "system",
        Kind::ShellCommand,
        "",
        UsedBy::Daemon,
        "A command for the shell. Fields of the knock that stand as words of their own, or as \
         %IP%, are replaced by their values, which are numbers and addresses only. A command may \
         run twice after a crash: write it so that this does no harm.",
    ),
    key(
        Within::Template,
        "exec",
        Kind::Arguments,
        "",
        UsedBy::Daemon,
        "A program and its arguments, run without a shell: words with blanks between them and \
         the shell's quotes, or a list with one word an item.",
    )
    .repeats(),
    key(
        Within::Template,
        "iptables",
        Kind::FirewallRule,
        "",
        UsedBy::Daemon,
        "A firewall rule. However often it is put in it is there once, its removal succeeds if it is \
         already gone, and it waits for the lock. For IPv6 clients it goes to ip6tables.",
    ),
    key(
        Within::Template,
        "ip6tables",
        Kind::FirewallRule,
        "",
        UsedBy::Daemon,
        "As iptables, for IPv6 only.",
    ),
    key(
        Within::Template,
        "state",
        Kind::StateUpdate,
        "",
        UsedBy::Daemon,
        "Changes the state variable at once, for every action that uses the template.",
    )
    .repeats(),
    key(
        Within::Template,
        "timeout",
        Kind::Duration,
        "30s, 1h for system",
        UsedBy::Daemon,
        "How long the command may run before it is ended. Other commands for the same client wait.",
    ),
    key(
        Within::Template,
        "user",
        Kind::Name,
        "the daemon's",
        UsedBy::Daemon,
        "The user that the command of system or exec runs as, with that user's groups and home. \
         The daemon must be root, or hold CAP_SETUID and CAP_SETGID.",
    ),
    key(
        Within::Template,
        "onfailure",
        Kind::Name,
        "",
        UsedBy::Daemon,
        "The template that is run, with the values of the same knock, when the command has failed \
         for good or took too long.",
    ),
];
