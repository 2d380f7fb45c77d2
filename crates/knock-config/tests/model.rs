//! What comes of a file that is right. The two syntaxes are two spellings of one model: whoever says
//! the same gets the same. And each example works as it is.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use knock_config::keys::{KEYS, Within};
use knock_config::{ReadOptions, Severity, SourceText, read_client, read_daemon};
use knock_engine::Replay;

fn options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.format_dirs = Vec::new();
    options
}

/// What the daemon would run, as text.
#[track_caller]
fn daemon(path: &str, text: &str) -> String {
    let source = SourceText::new(path, text);
    let reading = read_daemon(&source, &options());
    let errors: Vec<_> =
        reading.problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{path}: {errors:#?}");
    format!("{:#?}", reading.value.unwrap())
}

#[track_caller]
fn check(legacy: &str, yaml: &str) {
    // The one default that differs by syntax is given in both.
    let legacy = daemon("a.conf", &format!("queuetimeout = 60\n{legacy}"));
    let yaml = daemon("a.yaml", yaml);
    for (legacy, yaml) in legacy.lines().zip(yaml.lines()) {
        assert_eq!(legacy, yaml);
    }
    assert_eq!(legacy, yaml);
}

#[test]
fn actions_and_templates() {
    check(
        r#"
        runmode = stdin
        encrypt = no
        <logformat mine>
          required = ^knock
          ipclient = SRC=(\S+)
          port = DPT=(\d+)
          sample = knock SRC=192.0.2.1 DPT=80
        </logformat>
        uselogformat = mine
        knock = IP,PORT,TIME,FLAG3,CHECKSUM
        portspan = 1-64,1000-1063
        <actions>
          <action>
            condition = PORT == 22 && TIME != 255
            template = open
            state = state(IP,visits)++
          </action>
          <action later>
            condition = FLAG3 > 0
            template = close
            delay = TIME
          </action>
          <action off>
            template = close
            use = no
          </action>
          <template open>
            system = "/sbin/iptables -I INPUT -s IP -j ACCEPT"
            timeout = 5
          </template>
          <template close>
            iptables = -D INPUT -s IP -j ACCEPT
          </template>
        </actions>
        "#,
        r#"
runmode: stdin
encrypt: no
uselogformat: mine
logformat:
  mine:
    required: ^knock
    ipclient: SRC=(\S+)
    port: DPT=(\d+)
    samples: [knock SRC=192.0.2.1 DPT=80]
knock: IP,PORT,TIME,FLAG3,CHECKSUM
portspan: 1-64,1000-1063
actions:
  - condition: PORT == 22 && TIME != 255
    template: open
    state: state(IP,visits)++
  - name: later
    condition: FLAG3 > 0
    template: close
    delay: TIME
  - name: off
    template: close
    use: no
templates:
  open:
    system: /sbin/iptables -I INPUT -s IP -j ACCEPT
    timeout: 5s
  close:
    iptables: -D INPUT -s IP -j ACCEPT
"#,
    );
}

#[test]
fn blocks_inside_holders_and_outside() {
    check(
        r"
        logfile = /a
        logfile = /b
        encrypt = no
        <logformats>
          <logformat one>
            ipclient = SRC=(\S+)
            port = DPT=(\d+)
          </logformat>
          <logformat two>
            ipclient = src (\S+)
            port = dpt (\d+)
          </logformat>
        </logformats>
        uselogformat = one, two
        <action>
          template = tell
        </action>
        <template tell>
          exec = /bin/echo IP 'PORT x' '&'
        </template>
        ",
        r"
logfile: [/a, /b]
encrypt: no
logformats:
  one:
    ipclient: SRC=(\S+)
    port: DPT=(\d+)
  two:
    expressions:
      ipclient: src (\S+)
      port: dpt (\d+)
uselogformat: [one, two]
actions:
  action:
    template: tell
  template:
    tell:
      exec: [/bin/echo, IP, PORT x, '&']
",
    );
}

#[test]
fn captures_and_their_filters() {
    check(
        r"
        runmode = network
        interface = eth0
        useethfilter = knocks answers
        encrypt = no
        <ethfilter knocks>
          proto = IP_PROTO_TCP
          flags = SYN & !ACK
          dest_ip = ^192\.0\.2\.1$
        </ethfilter>
        <ethfilters>
          <ethfilter answers>
            udp.dest_port = 745-1000
          </ethfilter>
        </ethfilters>
        ",
        r"
runmode: network
interface: eth0
snapshotsize: 1500
useethfilter: [knocks, answers]
encrypt: no
ethfilters:
  knocks:
    proto: IP_PROTO_TCP
    flags: SYN & !ACK
    dest_ip: ^192\.0\.2\.1$
  answers:
    udp.dest_port: 745-1000
",
    );
}

#[test]
fn what_is_switched_off_is_not_in_the_plan() {
    let plan = |on: &str| {
        let action = format!("<action>\ntemplate = t\nuse = {on}\n</action>\n");
        let rest = "runmode = stdin\nencrypt = no\n<template t>\nexec = /bin/true\n</template>\n";
        let source = SourceText::new("a.conf", format!("{rest}{action}"));
        let reading = read_daemon(&source, &options());
        assert_eq!(reading.problems, []);
        reading.value.unwrap().plan.actions.len()
    };
    assert_eq!([plan("yes"), plan("1"), plan("no"), plan("off")], [1, 1, 0, 0]);
}

#[test]
fn the_original_never_forgets_and_yaml_does() {
    let rest = "runmode: stdin\nencrypt: no\n";
    assert!(daemon("a.yaml", rest).contains("timeout: Some(\n                60s"));
    assert!(daemon("a.conf", &rest.replace(':', " =")).contains("timeout: None"));
}

#[test]
fn the_client_reads_the_same_keys() {
    let legacy = "remote = h\nport = 22\nflag3 = 9\nlogtofile = on\nlogfile = /l\nencrypt = no\ndelay = 100\nwait = 22\ntries = 3\nclient = 2001:db8::1";
    let yaml = legacy.replace(" = ", ": ");
    let read = |path: &str, text: &str| {
        let mut settings = read_client(&SourceText::new(path, text), &options()).value.unwrap();
        let codec = settings.wire.codec();
        settings.wire = Default::default();
        format!("{settings:#?} {:?}", codec.value.unwrap())
    };
    let shown = read("c.conf", legacy);
    assert_eq!(shown, read("c.yaml", &yaml));
    for part in ["\"h\"", "22", "9", "2001:db8::1", "100ms"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

/// What `check` tells beside the problems.
#[track_caller]
fn check_notes(text: &str, expected: &[&str]) {
    let source = SourceText::new("a.conf", format!("runmode = stdin\n{text}"));
    assert_eq!(read_daemon(&source, &options()).value.unwrap().notes, expected);
}

#[test]
fn what_a_knock_is_worth() {
    check_notes(
        "key = s3cret",
        &[
            "a knock (IP,PORT,TIME,CHECKSUM) is 8 bytes, in 8 packets over 256 ports (745-1000)",
            "the cipher is Blowfish, key by md5chain, no header",
            "48 bits stand between a guess and an accepted knock",
            "a knock of this format is the same every time: whoever sees it can send it again from \
             the same address",
        ],
    );
    check_notes(
        "encrypt = no\nknock = PORT,CHECKSUM\nportspan = 1-256",
        &[
            "a knock (PORT,CHECKSUM) is 2 bytes, in 2 packets over 256 ports (1-256)",
            "knocks are not enciphered: whoever knows the format can make one",
        ],
    );
    check_notes(
        "key = s3cret\niv = yes\nanyip = yes",
        &[
            "a knock (IP,PORT,TIME,CHECKSUM) is 24 bytes, in 24 packets over 256 ports (745-1000)",
            "the cipher is Blowfish, key by md5chain, header RandomIV and an IV",
            "16 bits stand between a guess and an accepted knock",
            "each knock is accepted once; whoever sees one that is lost on its way can send it, even \
             changed to another address (a mac would prevent the change)",
        ],
    );
    check_notes(
        "key = s3cret\niv = yes\nreplay = allow",
        &[
            "a knock (IP,PORT,TIME,CHECKSUM) is 24 bytes, in 24 packets over 256 ports (745-1000)",
            "the cipher is Blowfish, key by md5chain, header RandomIV and an IV",
            "48 bits stand between a guess and an accepted knock",
            "a knock looks different every time, but whoever sees one can send it again, even \
             changed to another address (a mac would prevent the change)",
        ],
    );
    check_notes(
        "encrypt = no\nknock = PORT,CHECKSUM\nportspan = 1-256\nreplay = reject",
        &[
            "a knock (PORT,CHECKSUM) is 2 bytes, in 2 packets over 256 ports (1-256)",
            "knocks are not enciphered: whoever knows the format can make one",
            "a knock of this format is the same every time, and is accepted once: a client can ask \
             once for each thing",
        ],
    );
    check_notes(
        "key = s3cret\ncipher = AES\niv = bare\nmac = 8\nportspan = 1-32768\npadding = null",
        &[
            "a knock (IP,PORT,TIME,CHECKSUM) is 40 bytes, in 22 packets over 32768 ports (1-32768)",
            "the cipher is Rijndael, key by md5chain, header a bare IV, padding null, mac of 8 bytes",
            "186 bits stand between a guess and an accepted knock",
            "each knock is accepted once; whoever sees one that is lost on its way can send it from \
             the same address",
        ],
    );
    check_notes(
        "key = s3cret\ncipher = Crypt::DES_PP",
        &[
            "a knock (IP,PORT,TIME,CHECKSUM) is 8 bytes, in 8 packets over 256 ports (745-1000)",
            "the cipher is DES, key by md5chain, no header",
            "keys of DES have 56 bits, which have long been searched through: any other cipher is \
             better",
            "48 bits stand between a guess and an accepted knock",
            "a knock of this format is the same every time: whoever sees it can send it again from \
             the same address",
        ],
    );
    check_notes(
        "key = s3cret\niv = salt\nkeyderivation = opensslv1\nanyip = yes",
        &[
            "a knock (IP,PORT,TIME,CHECKSUM) is 24 bytes, in 24 packets over 256 ports (745-1000)",
            "the cipher is Blowfish, key by opensslv1, header Salted__ and a salt",
            "16 bits stand between a guess and an accepted knock",
            "each knock is accepted once; whoever sees one that is lost on its way can send it from \
             anywhere",
            "each window that begins with the letters Salted__ costs a key derivation, whoever sent \
             it; of slow ones so few are judged that strangers can keep real knocks out ('iv = bare' \
             has one key for all knocks, and no such limit)",
        ],
    );
}

/// By the format, unless the file says otherwise; with a word where that is odd.
#[test]
fn whether_a_knock_may_come_again() {
    let check = |text: &str, replay: Replay, warnings: &[&str]| {
        let action = "<action>\ntemplate = t\n</action>\n<template t>\nexec = true\n</template>\n";
        let text = format!("runmode = stdin\nkey = k\n{action}{text}");
        let source = SourceText::new("a.conf", &*text);
        let read = read_daemon(&source, &options());
        let said: Vec<&str> = read.problems.iter().map(|problem| &*problem.message).collect();
        assert_eq!(said, warnings, "{text}");
        assert_eq!(read.value.unwrap().plan.replay, replay, "{text}");
    };
    check("", Replay::Allow, &[]);
    check("replay = allow", Replay::Allow, &[]);
    for iv in ["yes", "bare", "bare\nmac = 8", "salt\nkeyderivation = pbkdf2"] {
        check(&format!("iv = {iv}"), Replay::Reject, &[]);
        check(&format!("iv = {iv}\nreplay = Reject"), Replay::Reject, &[]);
    }
    check(
        "iv = yes\nreplay = allow",
        Replay::Allow,
        &["each knock is another, and still whoever sees one can send it again"],
    );
    for format in ["", "fixediv = abcdefgh", "encrypt = no"] {
        check(
            &format!("{format}\nreplay = reject"),
            Replay::Reject,
            &["a knock of this format is the same every time, so each could be used once, ever"],
        );
    }
}

/// Each example starts: copied to where it belongs, with the mode that its story asks for.
#[test]
fn every_example_works_when_copied() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let from = entry.unwrap().path();
        let name = from.file_name().unwrap().to_str().unwrap().to_owned();
        let path = folder.path().join(&name);
        fs::copy(&from, &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let source = SourceText::new(&path, fs::read(&path).unwrap());
        let problems = if name.starts_with("knockclient") {
            let reading = read_client(&source, &options());
            let codec = reading.value.map(|settings| settings.wire.codec());
            let found = codec.map(|codec| codec.problems).unwrap_or_default();
            [reading.problems, found].concat()
        } else {
            let reading = read_daemon(&source, &options());
            if let Some(settings) = &reading.value {
                assert!(!settings.plan.actions.is_empty(), "{name}");
            }
            reading.problems
        };
        // The key that everybody knows is all that is wrong with an example.
        let [problem] = problems.as_slice() else { panic!("{name}: {problems:#?}") };
        assert!(problem.message.contains("key of the examples"), "{name}: {problem:?}");
        let text = fs::read_to_string(&from).unwrap();
        assert!(text.starts_with(&format!("# {name}: ")), "{name} has its story on top");
        seen += 1;
    }
    assert!(seen >= 9, "only {seen} examples");
}

/// Each key of the table with values that it does not expect, one upon the other: whatever comes of
/// it, it is a problem told at its place and no panic.
#[test]
fn odd_values_under_every_key() {
    let values = [
        "",
        "-1",
        "99999999999999999999",
        "IP,,1-",
        "(?<=x)",
        "\u{fc}\u{1f511}",
        "[",
        "- x",
        "state(IP",
    ];
    // No format to compile, which would take most of the time.
    let source = |path: &str, text: String| {
        let format =
            if path.ends_with("yaml") { "uselogformat: none" } else { "uselogformat none" };
        SourceText::new(path, format!("{text}{format}\n"))
    };
    for key in KEYS {
        for value in values {
            let name = key.name;
            let (open, shut) = match key.within {
                Within::Action => ("<actions>\n<action>\n", "</action>\n</actions>"),
                Within::Template => ("<template t>\n", "</template>"),
                Within::Logformat => ("<logformat f>\n", "</logformat>"),
                Within::Sample => ("<logformat f>\n<sample>\n", "</sample>\n</logformat>"),
                _ => ("", ""),
            };
            let legacy =
                source("a.conf", format!("{open}{name} = {value}\n{name} {value}\n{shut}\n"));
            let yaml = source("a.yaml", format!("{name}: {value}\n"));
            for source in [legacy, yaml] {
                for problem in read_daemon(&source, &options()).problems {
                    assert!(!problem.message.is_empty());
                }
                if let Some(settings) = read_client(&source, &options()).value {
                    let _ = settings.wire.codec();
                }
            }
        }
    }
}

#[test]
fn a_shell_command_may_wait_longer_than_others() {
    let limit = |command: &str| {
        let text = format!(
            "logfile = /a\nencrypt = no\n<action>\ntemplate = t\n</action>\n\
             <template t>\n{command}\n</template>\n"
        );
        let reading = read_daemon(&SourceText::new("a.conf", text), &options());
        reading.value.unwrap().plan.actions[0].timeout.as_secs()
    };
    assert_eq!(limit("system = open; sleep 900; close"), 3600);
    assert_eq!(limit("system = open\ntimeout = 5s"), 5);
    assert_eq!(limit("exec = /bin/open"), 30);
    assert_eq!(limit("iptables = -I INPUT -s IP -j ACCEPT"), 30);
}

#[test]
fn what_is_captured() {
    let notes = |text: &str| {
        let network = "runmode = network\ninterface = eth0\nportspan = 745-1000\nencrypt = no\n";
        let source = SourceText::new("a.conf", format!("{network}{text}"));
        let notes = read_daemon(&source, &options()).value.unwrap().notes;
        notes[notes.len() - 3..].to_vec()
    };
    let [what, tcp, kernel] = &notes("")[..] else { panic!("three notes") };
    assert_eq!(
        what,
        "packets are captured from eth0, up to 1500 bytes of each, and chosen by the ethfilter default"
    );
    assert_eq!(tcp, "of TCP only the first packet of a connection counts (SYN without ACK)");
    assert!(kernel.contains("tcp dst portrange 745-1000"), "{kernel}");
    let own = notes("<ethfilter a>\nflags = FIN\n</ethfilter>\nuseethfilter = a\n");
    assert!(own[1].starts_with("of TCP more than the first packet"), "{own:?}");
}

#[test]
fn the_guide_to_ethfilters_is_right() {
    let guide = include_str!("../../../docs/guide/ethfilters.md");
    let blocks: Vec<&str> = guide.split("```").skip(1).step_by(2).collect();
    let [legacy, yaml] = blocks[..] else { panic!("two examples") };
    let yaml = yaml.strip_prefix("yaml\n").unwrap();
    let legacy = format!("runmode = network\ninterface = any\nencrypt = no\n{legacy}");
    let yaml =
        format!("runmode: network\ninterface: any\nencrypt: no\nuseethfilter: knocks\n{yaml}");
    for (path, text) in [("a.conf", legacy), ("a.yaml", yaml)] {
        let problems = read_daemon(&SourceText::new(path, text), &options()).problems;
        let said: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(said, ["no action is defined, so knocks do nothing"], "{path}");
    }
}
