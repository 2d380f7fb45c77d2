//! What the daemon's and the client's users read when something in their file is wrong: for each
//! mistake its place, what was expected, and the way out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use knock_config::report::{Colour, Sources, print};
use knock_config::{
    Objection, Problem, ReadOptions, SHIPPED_FORMATS, Severity, SourceText, read_client,
    read_daemon, read_format,
};

/// The rest of a legacy file that is right. A line is left out where the text has its key.
const REST: &[(&str, &str)] = &[
    ("logfile", "logfile = /var/log/kern.log\n"),
    ("encrypt", "encrypt = no\n"),
    ("uselogformat", "uselogformat = mine\n"),
    (
        "<logformat mine>",
        "<logformat mine>\nrequired = ^knock\nipclient = SRC=(\\S+)\nport = DPT=(\\d+)\n</logformat>\n",
    ),
    (
        "<action",
        "<action>\ntemplate = tell\n</action>\n<template tell>\nexec = /bin/true\n</template>\n",
    ),
];

const REST_YAML: &[(&str, &str)] = &[
    ("logfile", "logfile: /var/log/kern.log\n"),
    ("encrypt", "encrypt: no\n"),
    ("uselogformat", "uselogformat: mine\n"),
    (
        "logformat:",
        "logformat: {mine: {required: '^knock', ipclient: 'SRC=(\\S+)', port: 'DPT=(\\d+)'}}\n",
    ),
    ("action", "actions: [{template: tell}]\ntemplates: {tell: {exec: [/bin/true]}}\n"),
];

fn with_rest(text: &str, rest: &[(&str, &str)]) -> String {
    let mut whole = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        whole.push('\n');
    }
    for (key, lines) in rest {
        let given = text.lines().any(|line| {
            let line = line.trim_start();
            line.strip_prefix(key).is_some_and(|next| !next.starts_with(char::is_alphabetic))
                || (key.starts_with('<') || *key == "action") && line.starts_with(key)
        });
        if !given {
            whole.push_str(lines);
        }
    }
    whole
}

/// `LINE:COLUMN «text at the place» error: message | help`, one line a problem.
fn show(problems: &[Problem], source: &SourceText) -> String {
    let text = String::from_utf8(source.text.clone()).unwrap();
    // The list of logformats grows.
    let shipped = SHIPPED_FORMATS.iter().map(|(name, _)| *name);
    let known: BTreeSet<&str> = shipped.chain(["mine"]).collect();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    let mut shown = String::new();
    for problem in problems {
        if let Some(at) = &problem.at {
            let part: String = match text.lines().nth(at.line - 1) {
                Some(line) if *at.file == *source.path => {
                    line.chars().skip(at.column - 1).take(at.len).collect()
                }
                _ => String::new(),
            };
            shown.push_str(&format!("{}:{} «{part}» ", at.line, at.column));
        }
        shown.push_str(match problem.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        });
        shown.push_str(&problem.message);
        if let Some(help) = &problem.help {
            shown.push_str(&format!(" | {}", help.replace(&known, "KNOWN")));
        }
        shown.push('\n');
    }
    shown
}

fn options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.format_dirs = Vec::new();
    options
}

#[track_caller]
fn check_in(path: &str, rest: &[(&str, &str)], text: &str, expected: &str) {
    let source = SourceText::new(PathBuf::from(path), with_rest(text, rest));
    let reading = read_daemon(&source, &options());
    let shown = show(&reading.problems, &source);
    assert_eq!(
        shown.trim_end(),
        expected,
        "\n--- {path}\n{}",
        String::from_utf8_lossy(&source.text)
    );
    let failed = reading.problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(reading.value.is_none(), failed);
}

/// A legacy file: the text, and the rest as it should be.
#[track_caller]
fn check(text: &str, expected: &str) {
    check_in("knock.conf", REST, text, expected);
}

#[track_caller]
fn check_yaml(text: &str, expected: &str) {
    check_in("knock.yaml", REST_YAML, text, expected);
}

#[track_caller]
fn check_client(text: &str, expected: &str) {
    let source = SourceText::new("knockclient.conf", text);
    let mut reading = read_client(&source, &options());
    if let Some(settings) = &reading.value {
        reading.problems.extend(settings.wire.codec().problems);
    }
    assert_eq!(show(&reading.problems, &source).trim_end(), expected);
}

/// What is missing in a file that cannot be read is no second mistake.
#[test]
fn a_broken_file_has_one_error() {
    let large = vec![b'#'; 2 * 1024 * 1024];
    for (name, text, expected) in [
        ("a.yaml", &b"logfile: [a, b\n"[..], "a bracket is not closed before this"),
        ("a.yaml", b"logfile: \"x\nkey: y\n", "this quote is never closed"),
        ("a.yaml", b"logfile: \xff\n", "this is not UTF-8, as YAML must be"),
        ("a.yaml", b"knock\n", "a config file is made of keys with values"),
        ("a.yaml", &large, "a.yaml is larger than 1048576 bytes"),
        ("a.conf", &large, "a.conf is larger than 1048576 bytes"),
        ("a.conf", b"<actions>\nuse = yes\n", "`<actions>` is never closed"),
        ("a.conf", b"</actions>\n", "`</actions>` closes a block, but none is open"),
        ("a.conf", b"<<include none.conf>>\n", "cannot include 'none.conf'"),
    ] {
        let source = SourceText::new(name, text);
        let daemon = read_daemon(&source, &options()).problems;
        let messages: Vec<&str> = daemon.iter().map(|problem| problem.message.as_str()).collect();
        assert!(matches!(messages[..], [one] if one.starts_with(expected)), "{messages:?}");
        assert_eq!(read_client(&source, &options()).problems, daemon);
        assert_eq!(read_format(&source).problems, daemon);
    }
}

/// A file that is no configuration has one error, and none of its bytes are shown.
#[test]
fn what_is_no_configuration_is_told_in_one_line() {
    for (name, text, expected) in [
        ("a.conf", &b"\x7fELF\x02\x01\0\0 = \0\n"[..], "a.conf is no text: it has NUL bytes"),
        ("a.yaml", b"\x7fELF\x02\x01\0\0 = \0\n", "a.yaml is no text: it has NUL bytes"),
        ("a.conf", b"\xff\xfek\0e\0y\0", "a.conf is UTF-16 text"),
        ("a.conf", b"", "this file gives nothing: no log, no key, no action"),
        ("a.yaml", b"# logfile: x\n\n", "this file gives nothing: no log, no key, no action"),
    ] {
        let source = SourceText::new(name, text);
        let problems = read_daemon(&source, &options()).problems;
        let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, [expected], "{name}");
        assert!(problems[0].help.is_some());
    }
}

/// What can be told of the rest of a broken file is told, and nothing that may only follow from the
/// break.
#[test]
fn a_broken_file_does_not_hide_other_mistakes() {
    check_yaml(
        "knock: IP,PORT\nknock: IP\nportspan: 1-3\naction: {template: tell, condition: PROT == 1}\ntemplates: {tell: {exec: [/bin/true]}}\n",
        "2:1 «knock» error: 'knock' is given twice; the first is in line 1 | give several values as a list: `knock: [a, b]`\n\
         3:11 «1-3» error: 3 ports; the number of ports must be a power of two from 2 to 32768: 2 or 4\n\
         4:37 «PROT» error: unknown name `PROT` | did you mean PORT?",
    );
    check_yaml(
        "<<: {encrypt: no}\nencrypt: perhaps\nuselogformat: mein\nrnumode: file\n",
        "1:1 «<<» error: merge keys `<<` are not known here | write the keys out\n\
         2:10 «perhaps» error: expected 'yes' or 'no', not 'perhaps'",
    );
    let broken = "<<include none.conf>>\nportspan = 1-3\nuselogformat = theirs\n\
                  <action>\ncondition = PROT == 22 && FLAG3 > 1\ntemplate = theirs\n</action>\n";
    let source = SourceText::new("a.conf", broken);
    let shown = show(&read_daemon(&source, &options()).problems, &source);
    assert_eq!(
        shown.trim_end().lines().map(|line| line.split(" | ").next().unwrap()).collect::<Vec<_>>(),
        [
            "1:11 «none.conf» error: cannot include 'none.conf'",
            "2:12 «1-3» error: 3 ports; the number of ports must be a power of two from 2 to 32768: 2 or 4",
            "5:13 «PROT» error: unknown name `PROT`",
        ]
    );
}

#[test]
fn what_this_syntax_does_not_do() {
    check(
        "logfile = '/var/log/messages'",
        "1:11 «'/var/log/messages'» warning: single quotes are part of the value | take them away, or use double ones",
    );
    check(
        "<action>\ntemplate = tell\ncondition = 'PORT' == '22'\n</action>\n<template tell>\nexec = /bin/true\n</template>\n",
        "",
    );
    check(
        "Include other.conf",
        "1:1 «Include» warning: unknown key 'Include' in the file | another file is read in by <<include FILE>>",
    );
}

#[test]
fn nothing_to_say_about_what_is_right() {
    check("", "");
    check_yaml("", "");
}

#[test]
fn unknown_keys() {
    check(
        "uselogfromat = mine\nuselogformat = mine",
        "1:1 «uselogfromat» warning: unknown key 'uselogfromat' in the file | did you mean 'uselogformat'?",
    );
    check_yaml(
        "uselogfromat: mine\nuselogformat: mine\n",
        "1:1 «uselogfromat» error: unknown key 'uselogfromat' in the file | did you mean 'uselogformat'?",
    );
    check("private = 1", "1:1 «private» warning: unknown key 'private' in the file");
    check(
        "condition = 1",
        "1:1 «condition» warning: unknown key 'condition' in the file | 'condition' belongs into an action",
    );
    check(
        "<action>\ntemplte = tell\ntemplate = tell\n</action>\n<template tell>\nexec = /bin/true\n</template>",
        "2:1 «templte» warning: unknown key 'templte' in an action | did you mean 'template'?",
    );
}

#[test]
fn a_key_given_twice() {
    check(
        "portspan = 745-1000\nportspan = 1-256",
        "2:1 «portspan» error: 'portspan' is given twice | it takes one value, and the first is in line 1",
    );
}

#[test]
fn keys_of_the_other_program() {
    check("remote = host.example.net\nport = 22\nflag3 = 7\nlogtofile = no", "");
    check_client(
        "encrypt = no\nrunmode = file\nstatedir = /tmp\n<action>\ncondition = nonsense\n</action>",
        "",
    );
}

#[test]
fn run_modes() {
    check("runmode = kmsg", "");
    check("runmode = nflog", "");
    check("runmode = nflog\nnfloggroup = 65535\nnflogprefix = portknock", "");
    check(
        "runmode = nflog\nnfloggroup = 65536",
        "2:14 «65536» error: expected a number, 0-65535, not '65536'",
    );
    check(
        "runmode = nflog\nnfloggroup = 27492",
        "2:14 «27492» error: with group 27492 a daemon takes the right to keep leases | any other \
         number will do",
    );
    check("runmode = kmsg, nflog\nrunmode = file", "");
    check("runmode = kmsg kmsg", "1:16 «kmsg» warning: runmode 'kmsg' is named twice");
    check(
        "runmode = kmsg, pcap",
        "1:17 «pcap» error: unknown runmode 'pcap' | expected one or several of 'file', 'network', \
         'kmsg', 'journal', 'nflog' or 'stdin', with commas between",
    );
    check("runmode = fiel", "1:11 «fiel» error: unknown runmode 'fiel' | did you mean 'file'?");
    let source = SourceText::new("k.conf", with_rest("runmode = file", &REST[1..]));
    let shown = show(&read_daemon(&source, &options()).problems, &source);
    assert!(shown.contains("error: no log to follow: 'logfile' is not given | "), "{shown}");
}

const NETWORK: &str = "runmode = network\ninterface = eth0\n";

/// In network mode; lines are counted from the text's own first.
#[track_caller]
fn check_network(text: &str, expected: &str) {
    check_in("knock.conf", REST, &format!("{text}\n{NETWORK}"), expected);
}

#[test]
fn captures() {
    check_network("", "");
    check("runmode = network\ninterface = any\nsnapshotsize = 65535", "");
    check(
        "runmode = network",
        "1:11 «network» error: no interface to capture from: 'interface' is not given | \
         `ip -brief link` lists the interfaces of this machine; any captures from all of them",
    );
    check(
        "runmode = network\ninterface = eth 0",
        "2:13 «eth 0» error: no interface has the name 'eth 0' | \
         `ip -brief link` lists the interfaces of this machine; any captures from all of them",
    );
    check_network(
        "snapshotsize = 40",
        "1:16 «40» error: 40 bytes do not hold the headers of a packet | leave it out, or give at least 128",
    );
    check_network(
        "snapshotsize = 68",
        "1:16 «68» warning: cuts off headers of IPv6 packets, and of IPv4 packets with options | \
         leave it out, or give at least 128",
    );
    check_network(
        "snapshotsize = 999999",
        "1:16 «999999» warning: more than libpcap takes; 262144 is used",
    );
    check_network(
        "snapshotsize = all",
        "1:16 «all» error: expected a whole number, 1 or more, not 'all'",
    );
}

#[test]
fn ethfilters() {
    check_network(
        "<ethfilter knocks>\nproto = IP_PROTO_TCP\nflags = SYN\ndest_ip = ^192\\.0\\.2\\.1$\n</ethfilter>\nuseethfilter = knocks",
        "",
    );
    check_network(
        "<ethfilter knocks>\nflags = \"SYN\"\ndest_port = 745-1000\n</ethfilter>\nuseethfilter = \"knocks\"",
        "",
    );
    check_network(
        "<ethfilter knocks>\nflags =\n</ethfilter>\nuseethfilter = knocks",
        "2:8 «» error: ethfilter 'knocks': flags: has no value here | \
         write a number, a range such as 1-5, or a symbol such as FIN",
    );
    check_network(
        "<ethfilter knocks>\nflags = SYM | ACK\n</ethfilter>\nuseethfilter = knocks",
        "2:9 «SYM» error: ethfilter 'knocks': flags: unknown symbol 'SYM' | \
         there are FIN SYN RST PSH ACK URG ECE CWR",
    );
    check_network(
        "<ethfilter knocks>\nflags = SYN\nproto = SYN, 256\n</ethfilter>\nuseethfilter = knocks",
        "3:9 «SYN» error: ethfilter 'knocks': proto: SYN is a flag of TCP, which this is never compared with\n\
         3:14 «256» error: ethfilter 'knocks': proto: 256 is too large; it is at most 255",
    );
    check_network(
        "<ethfilter knocks>\ndest_port = ^7\\d\\d$\n</ethfilter>\nuseethfilter = knocks",
        "2:13 «^» error: ethfilter 'knocks': dest_port: '^' means nothing in a number | write a number \
         or a range such as 1-5; `|` is or, `&` is and, `!` is not. Regular expressions are for addresses",
    );
    check_network(
        "<ethfilter knocks>\ndest_ip = ^10\\.(?!1)\n</ethfilter>\nuseethfilter = knocks",
        "2:16 «(?!1)» error: ethfilter 'knocks': dest_ip: a negative look-ahead (?!…): Perl has it, \
         expressions here have not | write what may stand there instead, as a class such as [^ ]",
    );
    check_network(
        "<ethfilter knocks>\ndest_ip = 127.0.0.1\n</ethfilter>\nuseethfilter = knocks",
        "2:11 «127.0.0.1» warning: ethfilter 'knocks': dest_ip: is a regular expression, which matches \
         127.0.0.10 as well | write ^127\\.0\\.0\\.1$",
    );
    check_network(
        "<ethfilter knocks>\nflag = SYN\ndestport = 22\n</ethfilter>\nuseethfilter = knocks",
        "1:12 «knocks» warning: ethfilter 'knocks': has no property, so every packet with a port matches | \
         name a property, such as flags = SYN or dest_port = 745-1000\n\
         2:1 «flag» warning: unknown key 'flag' in an ethfilter | did you mean 'flags'?\n\
         3:1 «destport» warning: unknown key 'destport' in an ethfilter | did you mean 'dest_port'?",
    );
    check_network(
        "<ethfilter knocks>\nflags = SYN\ntcp.flags = ACK\n</ethfilter>\nuseethfilter = knocks",
        "3:13 «ACK» error: ethfilter 'knocks': flags: stands here a second time | \
         keep one of them; `22|80` is one or the other",
    );
    check_network(
        "<ethfilter knocks>\nflags = SYN\n</ethfilter>\nuseethfilter = knoks, syn",
        "4:16 «knoks» error: unknown ethfilter 'knoks' | did you mean 'knocks'?\n\
         4:23 «syn» error: unknown ethfilter 'syn' | known are knocks",
    );
    check_network(
        "useethfilter = syn",
        "1:16 «syn» error: unknown ethfilter 'syn' | define it: <ethfilter NAME>",
    );
    check_network(
        "<ethfilter>\nflags = SYN\n</ethfilter>",
        "1:2 «ethfilter» error: an ethfilter needs a name | write <ethfilter NAME>",
    );
    check_network(
        "<ethfilter a>\nflags = SYN\n</ethfilter>\n<ethfilters>\n<ethfilter a>\nflags = FIN\n</ethfilter>\n</ethfilters>",
        "5:12 «a» error: ethfilter 'a' is defined twice | the first one is in line 1",
    );
    check_yaml(
        "ethfilter: {syn: {flags: SYN, proto: {TCP: 1}}}\n",
        "1:31 «proto» error: 'proto' takes a value, this is a block | \
         expected a number, a range, or symbols such as SYN & !ACK",
    );
}

/// An old file that has both ways must start in either: what the other one needs is no error.
#[test]
fn a_log_is_followed_whatever_the_ethfilters_say() {
    check(
        "interface = eth 0\nsnapshotsize = 0\nuseethfilter = syn\n\
         <ethfilter syn>\nflags = \"SYN\"\ndest_ip = 127.0.0.1\n</ethfilter>\n<ethfilter all>\n</ethfilter>",
        "",
    );
    check(
        "useethfilter = sin\n<ethfilter syn>\nflags = SYM\n</ethfilter>",
        "1:16 «sin» warning: unknown ethfilter 'sin' | did you mean 'syn'?\n\
         3:9 «SYM» warning: ethfilter 'syn': flags: unknown symbol 'SYM' | \
         there are FIN SYN RST PSH ACK URG ECE CWR",
    );
}

#[test]
fn plain_values() {
    check("encrypt = maybe", "1:11 «maybe» error: expected 'yes' or 'no', not 'maybe'");
    check(
        "fileinterval = soon",
        "1:16 «soon» error: expected a time such as 0.5, 30s, 5m or 2h, not 'soon'",
    );
    check(
        "fileinterval = 0",
        "1:16 «0» warning: too short to rest between two looks; 10ms is used",
    );
    check(
        "runmode = kmsg\nresume = yes",
        "2:10 «yes» warning: has no effect: only a log file and the journal are still there after a \
         restart | leave it out, or use runmode = file or journal",
    );
    check("runmode = kmsg, journal\nresume = yes", "");
    check("maxlag = 30", "1:10 «30» warning: has no effect without resume = yes");
    check(
        "resume = yes\nmaxlag = 1",
        "2:10 «1» warning: too short: logs tell whole seconds, and lines take a moment; 5s is used",
    );
    check("resume = yes\nmaxlag = 2m", "");
    check("maxclients = 0", "1:14 «0» error: expected a whole number, 1 or more, not '0'");
    check(
        "portspan",
        "1:1 «portspan» error: 'portspan' has no value; expected ports and ranges, such as 745-1000 or 2000-2127,3000-3127",
    );
    check_client(
        "encrypt = no\ntime = 256",
        "2:8 «256» error: expected a number, 0-255, not '256'",
    );
    check_client(
        "encrypt = no\nport = ssh",
        "2:8 «ssh» error: expected a port, 1-65535, not 'ssh'",
    );
    check_yaml(
        "knock: [IP, PORT]\n",
        "1:13 «PORT» error: 'knock' takes one value, not a list | expected fields with commas between, such as IP,PORT,TIME,CHECKSUM",
    );
}

#[test]
fn spans_and_fields() {
    check(
        "portspan = 745-844",
        "1:12 «745-844» error: 100 ports; the number of ports must be a power of two from 2 to 32768: 64 or 128",
    );
    check(
        "portspan = 745-1000,abc",
        "1:21 «abc» error: \"abc\" is not a port; write numbers and ranges such as 745-1000 or 745-999,2000",
    );
    check("knock = IP,PROT,TIME", "1:12 «PROT» error: unknown field \"PROT\" | did you mean PORT?");
    check(
        "knock = IP,PORT,IP",
        "1:17 «IP» error: IP is there already | each field can be given once",
    );
}

#[test]
fn headers_derivations_paddings_and_macs() {
    let with = |lines: &str, expected: &str| {
        check(&format!("encrypt = yes\nkey = s3cret\n{lines}"), expected);
    };
    for lines in [
        "iv = bare\ncipher = AES",
        "iv = YES\ncipher = IDEA",
        "iv = Salt\nkeyderivation = PBKDF2",
        "keyderivation = opensslv1\nfixedsalt = saltSALT",
        "keyderivation = argon2id\nmac = 8",
        "padding = null\nmac = 0",
        "padding = none\nknock = IP,PORT16,TIME,CHECKSUM",
    ] {
        with(lines, "");
    }
    with("iv = often", "3:6 «often» error: expected 'no', 'yes', 'salt' or 'bare', not 'often'");
    with(
        "iv = yes\ncipher = AES",
        "3:6 «yes» error: iv = yes is for ciphers with blocks of 8 bytes, and those of Rijndael have 16 | use iv = salt, or iv = bare",
    );
    with(
        "iv = salt",
        "3:6 «salt» error: iv = salt needs a keyderivation that takes the salt, and md5chain does not | set keyderivation to what the other side has: pbkdf2, opensslv2, opensslv1 or argon2id",
    );
    with(
        "keyderivation = pbkdf2",
        "3:17 «pbkdf2» error: keyderivation = pbkdf2 needs a salt | use iv = salt, which sends one with each knock, or give both sides the same 8 bytes with fixedsalt",
    );
    with(
        "keyderivation = opensslv1\niv = salt\nfixedsalt = saltSALT",
        "5:13 «saltSALT» error: with iv = salt each knock brings its own salt, so fixedsalt has no meaning | leave one of them out",
    );
    with(
        "fixedsalt = short\nkeyderivation = pbkdf2",
        "3:13 «short» error: a salt has 8 bytes, and this one has 5",
    );
    with(
        "keyderivation = literal\ncipher = AES",
        "2:7 «s3cret» error: with keyderivation = literal Rijndael takes a key of exactly 32 bytes, and this one has 6 | for a passphrase use md5chain, or argon2id on both sides",
    );
    with(
        "keyderivation = scrypt",
        "3:17 «scrypt» error: expected 'md5chain', 'literal', 'opensslv1', 'opensslv2', 'pbkdf2' or 'argon2id', not 'scrypt'",
    );
    with(
        "padding = none",
        "3:11 «none» error: with padding = none a knock must be whole blocks of 8 bytes, and this one has 7 | add or leave out fields, or use padding = standard",
    );
    with(
        "padding = pkcs7",
        "3:11 «pkcs7» error: expected 'standard', 'space', 'null', 'oneandzeroes' or 'none', not 'pkcs7'",
    );
    with("mac = 3", "3:7 «3» error: expected 0, or a number from 4 to 32, not '3'");
    check(
        "encrypt = no\nmac = 8",
        "2:7 «8» error: without encryption there is no key for a mac | say 'yes' to encrypt, or leave mac out",
    );
    with(
        "iv = bare\nfixediv = 76543210",
        "4:11 «76543210» warning: 'fixediv' has no effect: with this iv each knock has its own",
    );
}

#[test]
fn keys_and_ciphers() {
    check(
        "encrypt = yes",
        "1:11 «yes» error: encryption needs a key | give a key with 'key' or 'keyfile', or say 'no' to encrypt",
    );
    check(
        "encrypt = yes\nkey = \"\"",
        "2:8 «\"» error: the key is empty, so anybody could knock; give it a value",
    );
    check("encrypt = no\nkey =", "");
    check(
        "encrypt = yes\nkey = change-me",
        "2:7 «change-me» warning: this is the key of the examples, which everybody knows | make one of your own, such as: head -c 24 /dev/urandom | base64",
    );
    for cipher in ["Rijndael", "crypt::blowfish_pp", "AES", "Crypt::DES_PP", "Twofish256"] {
        check(&format!("encrypt = yes\nkey = s3cret\ncipher = {cipher}"), "");
    }
    check(
        "encrypt = yes\nkey = s3cret\ncipher = Twofisch",
        "3:10 «Twofisch» error: cipher 'Twofisch' is not available | did you mean 'Twofish'?",
    );
    check(
        "encrypt = yes\nkey = s3cret\ncipher = RC4",
        "3:10 «RC4» error: cipher 'RC4' is not available | there are Blowfish, DES, DES_EDE3, IDEA, CAST5, Twofish, Twofish256, Rijndael, Serpent, Camellia; AES is Rijndael",
    );
    check(
        "encrypt = yes\nkeyfile = /nonexistent/key",
        "2:11 «/nonexistent/key» error: cannot read the keyfile /nonexistent/key: No such file or directory (os error 2)",
    );
    check(
        "encrypt = yes\nkey = s3cret\nkeyfile = /nonexistent/key",
        "3:11 «/nonexistent/key» error: both 'key' and 'keyfile' are given | keep one of them",
    );
    check_client(
        "remote = h",
        "error: no key is given, and encrypt is 'yes' unless the file says otherwise | give a key with 'key' or 'keyfile', or say 'no' to encrypt",
    );
}

#[test]
fn formats() {
    check(
        "uselogformat = mien",
        "1:16 «mien» error: unknown logformat 'mien' | did you mean 'mine'? known are KNOWN",
    );
    check(
        "uselogformat = mine, other",
        "1:22 «other» error: unknown logformat 'other' | known are KNOWN",
    );
    check(
        "<logformat mine>\nrequired = ^knock\nipclient = (?<=SRC=)(\\S+)\nport = DPT=(\\d+)\n</logformat>",
        "3:12 «(?<=SRC=)» error: logformat 'mine': ipclient: a look-behind (?<=…): Perl has it, expressions here have not | write its text before the group: `SRC=(\\S+)` captures what follows SRC=",
    );
    check(
        "<logformat mine>\nrequired = ^knock\nipclient = SRC=(\\S+)\n</logformat>",
        "1:12 «mine» error: logformat 'mine': port: is missing; a line yields a hit only when it matches | add it: the first group captures the value, such as `SRC=([0-9.]+)`",
    );
    check(
        "<logformat mine>\nrequired = ^knock\nipclient = SRC=(\\S+)\nport = DPT=\\d+\n</logformat>",
        "4:8 «DPT=\\d+» error: logformat 'mine': port: has no capture group, so it captures nothing | put the value into parentheses: `DPT=(\\d+)`",
    );
    check(
        "<logformat mine>\nrequired = ^knock\nipclient = SRC=(\\S+)\nport = DPT=(\\d+)\n\
         sample = knock SRC=192.0.2.1 DPT=80\nsample = knock SRC=192.0.2.1\n</logformat>",
        "6:10 «knock SRC=192.0.2.1» error: logformat 'mine': sample 2: yields nothing: no port: the port expression does not match",
    );
    check(
        "<logformat>\nrequired = ^knock\n</logformat>",
        "1:2 «logformat» error: a logformat needs a name | write <logformat NAME>",
    );
    // Not in use: an old file must start.
    check(
        "<logformat spare>\nrequired = (?=a)b\nipclient = SRC=(\\S+)\nport = DPT=(\\d+)\n</logformat>",
        "2:12 «(?=a)» warning: logformat 'spare': required: a look-ahead (?=…): Perl has it, expressions here have not | write its text behind the group: `DPT=(\\d+) ` wants a blank behind the port",
    );
}

#[test]
fn templates_and_actions() {
    check(
        "<action>\ntemplate = opn\n</action>\n<template open>\nexec = /bin/true\n</template>\n",
        "2:12 «opn» error: unknown template 'opn' | did you mean 'open'? (defined in line 4)",
    );
    check(
        "<action>\ntemplate = tell\nuse = no\ncondition = PROT == 22\n</action>\n<template tell>\nexec = /bin/true\n</template>\n",
        "4:13 «PROT» error: unknown name `PROT` | did you mean PORT?",
    );
    check(
        "<action>\ntemplate = tell\ncondition = PORT == 22 && FLAG0 == 1\n</action>\n<template tell>\nexec = /bin/true\n</template>\n",
        "3:27 «FLAG0» error: the knock format IP,PORT,TIME,CHECKSUM has no FLAG0 | add FLAG0 to `knock`",
    );
    check(
        "<action>\ntemplate = tell\ndelay = tomorrow\n</action>\n<template tell>\nexec = /bin/true\n</template>\n",
        "3:9 «tomorrow» error: unknown name `tomorrow` | a text needs quotes: \"tomorrow\"",
    );
    check(
        "<action>\ntemplate = tell\nstate = state(IP\n</action>\n<template tell>\nexec = /bin/true\n</template>\n",
        "3:14 «(» error: this `(` is never closed | add `)`",
    );
    check(
        "<action>\nname = idle\n</action>",
        "1:2 «action» warning: action 'idle' does nothing | name a 'template', or change the state with 'state'",
    );
    check(
        "<action>\ntemplate = tell\n</action>\n<template tell>\ntimeout = 5s\n</template>\n",
        "4:11 «tell» error: template 'tell' has no command | give it one of 'open', 'close', 'iptables', 'exec' and 'system'",
    );
    check(
        "<action>\ntemplate = tell\n</action>\n<template>\nexec = /bin/true\n</template>\n",
        "2:12 «tell» error: unknown template 'tell' | no template is defined\n\
         4:2 «template» error: a template needs a name | write <template NAME>",
    );
    check(
        "<action>\ntemplate = tell\n</action>\n<template tell>\nexec = /bin/true\n</template>\n<template tell>\nexec = /bin/false\n</template>\n",
        "7:11 «tell» error: template 'tell' is defined twice | the first one is in line 4",
    );
    check(
        "<action>\ntemplate = tell\n</action>\n<template tell>\nexec = /bin/true\nsystem = true\n</template>\n",
        "6:1 «system» error: the template has 'exec' already, it runs one command | make a second template, and a second action that uses it",
    );
    check(
        "<action>\ntemplate = tell\n</action>\n<template tell>\nexec = /bin/true\n</template>\n<template spare>\nexec = /bin/false\n</template>\n",
        "7:11 «spare» warning: template 'spare' is used by no action",
    );
    check(
        "<template tell>\nexec = /bin/true\n</template>\n<action tell>\ntemplate = tell\n</action>\naction = tell",
        "7:1 «action» error: 'action' takes a block, this is a value",
    );
    check(
        "action = tell",
        "10:1 «<action>» error: `<action>` is a block, but line 1 has an option 'action' | rename one of them",
    );
}

#[test]
fn the_open_template_that_deletes() {
    check(
        "<action>\ntemplate = open\n</action>\n<template open>\nsystem = \"/sbin/iptables -D INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT\"\n</template>",
        "5:26 «-D» warning: template 'open' deletes a rule, so it opens nothing | to put the rule in, write: system = /sbin/iptables -I INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT",
    );
    check(
        "<action>\ntemplate = close\n</action>\n<template close>\nsystem = \"/sbin/iptables -D INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT\"\n</template>",
        "",
    );
    check(
        "<action>\ntemplate = open\n</action>\n<template open>\nsystem = \"/sbin/iptables -D INPUT -s IP -j DROP\"\n</template>",
        "",
    );
    // The words of one value, with the shell's quotes; a mistake in one has its place.
    let exec = |command: &str| {
        format!(
            "<action>\ntemplate = open\n</action>\n<template open>\nexec = {command}\n</template>\n"
        )
    };
    check(&exec("/bin/echo \"a b\" 'PORT x'"), "");
    check(&exec("/bin/echo 'a b"), "5:18 «'» error: this quote is never closed | close it with '");
    check(
        &exec("/sbin/iptables '-D' INPUT --comment \"a b\""),
        "5:24 «-D» warning: template 'open' deletes a rule, so it opens nothing | to put the rule in, write: exec = /sbin/iptables '-I' INPUT --comment \"a b\"",
    );
    check_yaml(
        "actions: [{template: allow}]\ntemplates:\n  allow:\n    exec: [/sbin/iptables, -D, INPUT, -s, IP, -j, ACCEPT]\n",
        "4:28 «-D» warning: template 'allow' deletes a rule, so it opens nothing | to put the rule in, write: exec: /sbin/iptables -I INPUT -s IP -j ACCEPT",
    );
}

/// The same, as it is drawn for the user.
#[test]
fn a_mistake_with_its_line_and_a_caret() {
    let text = "logfile = /l\nencrypt = no\n<action>\n  template  = opn\n</action>\n<template open>\n  \
                exec = /bin/true\n</template>\n";
    let source = SourceText::new("knock.conf", text);
    let problems = read_daemon(&source, &options()).problems;
    let mut drawn = Vec::new();
    print(&problems, &Sources::of(&source), Colour::Never, &mut drawn).unwrap();
    assert_eq!(
        String::from_utf8(drawn).unwrap().trim_end(),
        "knock.conf:4:15: error: unknown template 'opn'
    template  = opn
                ^~~
  help: did you mean 'open'? (defined in line 6)"
    );
}

#[test]
fn all_mistakes_at_once() {
    check(
        "runmode = network\nportspan = 1-100\nqueuetimeout = x\n<action>\ntemplate = opn\ncondition = PROT == 1\n</action>\n",
        "1:11 «network» error: no interface to capture from: 'interface' is not given | `ip -brief link` lists the interfaces of this machine; any captures from all of them\n\
         2:12 «1-100» error: 100 ports; the number of ports must be a power of two from 2 to 32768: 64 or 128\n\
         3:16 «x» error: expected a time such as 0.5, 30s, 5m or 2h, not 'x'\n\
         5:12 «opn» error: unknown template 'opn' | no template is defined\n\
         6:13 «PROT» error: unknown name `PROT` | did you mean PORT?",
    );
}

/// With a template that is right for the others to lead to.
fn templates(text: &str) -> String {
    format!(
        "<action>\ntemplate = tell\n</action>\n{text}\n<template page>\nexec = /bin/page\n</template>"
    )
}

#[test]
fn what_stands_in_after_a_failure() {
    let tell =
        |more: &str| templates(&format!("<template tell>\nexec = /bin/tell\n{more}\n</template>"));
    check(&tell("onfailure = page"), "");
    check(
        &tell("onfailure = pge"),
        "6:13 «pge» error: unknown template 'pge' | did you mean 'page'? (defined in line 8)",
    );
    check(
        &tell("onfailure = tell"),
        "6:13 «tell» error: 'onfailure' goes round in a circle: tell, tell\n\
         8:11 «page» warning: template 'page' is used by no action",
    );
    check(
        &tell(
            "onfailure = a\n</template>\n<template a>\nexec = /a\nonfailure = b\n</template>\n\
             <template b>\nexec = /b\nonfailure = a",
        ),
        "10:13 «b» error: 'onfailure' goes round in a circle: a, b, a\n\
         14:13 «a» error: 'onfailure' goes round in a circle: b, a, b\n\
         16:11 «page» warning: template 'page' is used by no action",
    );
    check(
        &tell(
            "onfailure = count\n</template>\n<template count>\nstate = state(IP)++\nexec = /a\n\
             onfailure = page",
        ),
        "6:13 «count» error: template 'count' changes the state | that is done when a knock comes, \
         not after a failure; name a template without 'state'",
    );
}

#[test]
fn a_user_to_run_as() {
    let user = |command: &str| {
        templates(&format!(
            "<template tell>\n{command}\nuser = nobody\nonfailure = page\n</template>"
        ))
    };
    check(&user("exec = /bin/tell"), "");
    check(&user("system = tell IP"), "");
    check(
        &user("iptables = -I INPUT -s IP -j ACCEPT"),
        "6:8 «nobody» error: 'iptables' changes the firewall with the daemon's own rights | leave \
         'user' out, or run a program of that user's with 'exec'",
    );
    let text = with_rest(&user("exec = /bin/tell"), REST);
    let mut options = options();
    options.machine.user = std::sync::Arc::new(|name| {
        Some(Objection {
            severity: Severity::Error,
            message: format!("there is no user '{name}' here"),
            help: "make one".to_owned(),
        })
    });
    let source = SourceText::new("knock.conf", text);
    let shown = show(&read_daemon(&source, &options).problems, &source);
    assert_eq!(shown, "6:8 «nobody» error: there is no user 'nobody' here | make one\n");
}

#[test]
fn who_keeps_what_is_delayed() {
    let action = |delay: &str| {
        format!(
            "scheduler = at\n<action>\ntemplate = page\ndelay = {delay}\n</action>\n\
             <template page>\nexec = /bin/page\n</template>"
        )
    };
    check("scheduler = agenda", "");
    check("scheduler = cron", "1:13 «cron» error: expected 'agenda' or 'at', not 'cron'");
    check(&action("TIME"), "");
    check(&action("15"), "");
    check(
        &action("30s"),
        "4:9 «30s» warning: this is less than a minute, and at(1) knows full minutes only: it is \
         late by up to one | with scheduler agenda the daemon keeps to the second",
    );
    check(
        &action("1.5"),
        "4:9 «1.5» warning: this is not a number of minutes, and at(1) knows full minutes only: it \
         is late by up to one | with scheduler agenda the daemon keeps to the second",
    );
    check(&action("30s").replace("scheduler = at\n", "scheduler = agenda\n"), "");
    let mut options = options();
    options.machine.at = || {
        Some(Objection {
            severity: Severity::Warning,
            message: "there is no at here".to_owned(),
            help: "install it".to_owned(),
        })
    };
    let source = SourceText::new("knock.conf", with_rest("scheduler = at", REST));
    let shown = show(&read_daemon(&source, &options).problems, &source);
    assert_eq!(shown, "1:13 «at» warning: there is no at here | install it\n");
}

#[test]
fn where_the_control_socket_is() {
    check("controlsocket = no", "");
    check("controlsocket = /tmp/control.sock", "");
    let mut options = options();
    options.machine.socket = std::sync::Arc::new(|path| {
        Some(Objection {
            severity: Severity::Warning,
            message: format!("{} is not safe", path.display()),
            help: "move it".to_owned(),
        })
    });
    let source = SourceText::new("knock.conf", with_rest("controlsocket = /tmp/c", REST));
    let shown = show(&read_daemon(&source, &options).problems, &source);
    assert_eq!(shown, "1:17 «/tmp/c» warning: /tmp/c is not safe | move it\n");
}

#[test]
fn the_words_of_a_program_are_no_list_in_brackets() {
    let exec = |exec: &str| format!("<template t>\nexec = {exec}\n</template>");
    check(
        &exec("[\"/bin/echo\", \"IP\"]"),
        "1:11 «t» warning: template 't' is used by no action\n\
         2:8 «[\"/bin/echo\", \"IP\"]» error: this would run a program whose name begins with a bracket | \
         a list in brackets is for YAML; write the words with blanks between them",
    );
    check(&exec("[ -f /etc/open ]"), "1:11 «t» warning: template 't' is used by no action");
}

#[test]
fn a_file_for_the_state() {
    check("statefile = state.json", "");
    check(
        "statefile = knock.conf",
        "1:13 «knock.conf» error: this is the configuration itself; name a file of its own",
    );
    check(
        "statedir = /s\nstatefile = /s/knockdaemon.db-wal",
        "2:13 «/s/knockdaemon.db-wal» error: this is the daemon's own database; name a file of its own",
    );
    check("statedir = /s\nstatefile = /s/state.json", "");
    check(
        "logfile = /var/log/x\nstatefile = /var/log/x",
        "2:13 «/var/log/x» error: this is the log that is followed; name a file of its own",
    );
    let source = SourceText::new("/etc/k/knock.conf", with_rest("statefile = state.json", REST));
    let path = read_daemon(&source, &options()).value.unwrap().statefile;
    assert_eq!(path, Some(PathBuf::from("/etc/k/state.json")));
}
