//! What users read when something about their leases is wrong, or hardly as it was meant; and what
//! `check` tells of those that are right.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use knock_config::{ReadOptions, Severity, SourceText, read_daemon};
use knock_engine::{KeptBy, LeaseRule, OneLease};

/// The problems and notes of a configuration: `settings` at its top, `template` in its one template, and
/// `action` in the action that uses it.
fn told(settings: &str, template: &str, action: &str) -> String {
    let text = format!(
        "runmode = stdin\nencrypt = no\nknock = IP,PORT,TIME,FLAG0\n{settings}\n<action>\ntemplate = ssh\n{action}\n</action>\n\
         <template ssh>\n{template}\n</template>\n<template tell>\nexec = /bin/true\n</template>\n\
         <action>\ntemplate = tell\n</action>\n"
    );
    let source = SourceText::new("knock.conf", text.clone());
    let mut options = ReadOptions::default();
    options.format_dirs = Vec::new();
    let reading = read_daemon(&source, &options);
    let mut told: Vec<String> = Vec::new();
    for problem in &reading.problems {
        let at = problem.at.as_ref().unwrap();
        let line = text.lines().nth(at.line - 1).unwrap();
        let part: String = line.chars().skip(at.column - 1).take(at.len).collect();
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let help = problem.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
        told.push(format!("«{part}» {severity}: {}{help}", problem.message));
    }
    if let Some(settings) = &reading.value {
        let about = |note: &&String| note.contains("template") || note.contains("leases");
        told.extend(settings.notes.iter().filter(about).cloned());
    }
    told.join("\n")
}

#[track_caller]
fn check(template: &str, expected: &str) {
    assert_eq!(told("", template, ""), expected, "{template}");
}

#[test]
fn check_tells_what_opens_to_whom_and_for_how_long() {
    check(
        "open = PORT\nlease = TIME",
        "template 'ssh' opens tcp port PORT to the client for TIME minutes, at most 1 d",
    );
    check(
        "open = 22\nlease = 30s\nhold = connected",
        "template 'ssh' opens tcp port 22 to the client for 30 s, and on while the client is connected, at most 1 d",
    );
    check(
        "open = 51820\nprotocol = UDP\nlease = 90\nprefix4 = /24\nprefix6 = 64",
        "template 'ssh' opens udp port 51820 to the client's /24, or /64 with IPv6 for 90 min, at most 1 d",
    );
    assert_eq!(
        told("maxlease = unlimited\nonelease = yes", "open = 22\nlease = unlimited", ""),
        "template 'ssh' opens tcp port 22 to the client for as long as it is not closed\n\
         a knock that opens ends the leases of every other address: all who have the key are one user"
    );
    assert_eq!(
        told(
            "maxlease = 90m\nonelease = flag0",
            "open = 22\nlease = 1h\nprefix4 = 16",
            "delay = 0"
        ),
        "template 'ssh' opens tcp port 22 to the client's /16, or its address alone with IPv6 for 1 h, at most 90 min\n\
         a knock that opens ends the leases that knocks with the same FLAG0 have at other addresses"
    );
    check("close = PORT", "");
}

#[test]
fn what_is_missing_or_does_not_go_together_is_told_with_the_way_out() {
    check(
        "open = PORT",
        "«PORT» error: template 'ssh' does not say how long it opens | add 'lease': minutes, a time such as 90s or 2h, an expression such as TIME, or unlimited",
    );
    check(
        "lease = TIME\nexec = /bin/true",
        "«lease» error: 'lease' goes with 'open', and there is none here | template 'ssh' opens nothing",
    );
    check(
        "open = PORT\nlease = TIME\nsystem = ring a bell",
        "«system» error: the template has 'open' already, so 'system' cannot run | make a second template, and a second action that uses it",
    );
    check(
        "open = PORT\nlease = TIME\nclose = PORT",
        "«close» error: the template has 'open' already, it does one thing | an opening ends by itself; to close before, make a second template, and a second action that uses it",
    );
    check(
        "close = PORT\nhold = connected",
        "«hold» error: 'hold' goes with 'open', and there is none here | what closes, closes whatever there is of this port for the client",
    );
    check(
        "open = PORT\nlease = TIME\nonfailure = tell",
        "«onfailure» error: 'onfailure' is for commands, and 'open' is none | a lease that cannot be opened is closed, and the log says so",
    );
    check(
        "exec = /bin/false\nonfailure = other\n</template>\n<template other>\nopen = 22\nlease = 5m",
        "«other» error: template 'other' is about a lease | that is decided when a knock comes, not after a failure; name a template that runs a command",
    );
    check(
        "open = 51820\nprotocol = udp\nlease = 5m\nhold = connected",
        "«connected» error: only TCP has connections that can be seen to live | leave 'hold' out, and give the lease the time that a session takes",
    );
    assert_eq!(
        told("", "open = PORT\nlease = 5m", "delay = TIME"),
        "«delay» error: a lease is opened and closed at once | how long it stays open is the template's 'lease', and then it closes by itself"
    );
}

#[test]
fn values_that_are_none_are_told() {
    for (template, expected) in [
        ("open = 0\nlease = 5m", "«0» error: 0 is no port | a port is a number, 1-65535"),
        ("open = PROT\nlease = 5m", "«PROT» error: unknown name `PROT` | did you mean PORT?"),
        (
            "open = 22\nlease = 0",
            "«0» error: a lease of no time opens nothing | write a time such as 30m, an expression such as TIME, or unlimited",
        ),
        (
            "open = 22\nlease = 5m\nprotocol = icmp",
            "«icmp» error: expected 'tcp' or 'udp', not 'icmp'",
        ),
        (
            "open = 22\nlease = 5m\nhold = yes",
            "«yes» error: expected 'no' or 'connected', not 'yes'",
        ),
        (
            "open = 22\nlease = 5m\nprefix4 = 8",
            "«8» error: expected a prefix length, 16-32, not '8'",
        ),
        (
            "open = 22\nlease = 5m\nprefix6 = 16",
            "«16» error: expected a prefix length, 32-128, not '16'",
        ),
    ] {
        check(template, expected);
    }
    for (settings, expected) in [
        (
            "maxlease = 0",
            "«0» error: expected a time such as 30m, 12h or 2d, or unlimited, not '0'",
        ),
        (
            "onelease = FALG0",
            "«FALG0» error: expected 'yes', 'no' or a field of the knock, not 'FALG0' | did you mean FLAG0?",
        ),
        (
            "onelease = IP",
            "«IP» error: IP does not tell who knocks | name a field that each user has a value of their own for, such as FLAG0",
        ),
    ] {
        assert_eq!(told(settings, "open = 22\nlease = 5m", ""), expected);
    }
}

#[test]
fn what_hardly_was_meant_is_pointed_out() {
    let first_line = |settings: &str, template: &str| {
        told(settings, template, "").lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        first_line("maxlease = 1h", "open = 22\nlease = 2h"),
        "«2h» warning: maxlease ends this lease after 1 h | raise maxlease, which bounds every lease, or make this one shorter"
    );
    assert_eq!(
        first_line("", "open = 22\nlease = unlimited"),
        "«unlimited» warning: this lease ends after 1 d all the same | that is maxlease where the file does not say; write maxlease = unlimited for leases that end only when they are closed"
    );
    assert_eq!(
        first_line("maxlease = unlimited", "open = 22\nlease = 30s\nhold = connected"),
        "«30s» warning: a session that never ends keeps this open for ever | give maxlease a time: it bounds what a session can hold"
    );
    assert_eq!(
        first_line("maxlease = 1h", "open = 22\nlease = unlimited\nhold = connected"),
        "«unlimited» warning: 'hold' does nothing for a lease without an end of its own | give 'lease' the time that is enough to connect, such as 30s"
    );
}

#[test]
fn what_is_read_is_what_was_written() {
    let text = "runmode: stdin\nencrypt: no\nknock: PORT,TIME,FLAG0\nmaxlease: 2h\nonelease: FLAG0\n\
                actions: [{template: ssh, cooldown: 10s}, {template: shut}]\n\
                templates: {ssh: {open: PORT, lease: TIME, hold: connected, prefix6: 64}, shut: {close: 22}}\n";
    let source = SourceText::new("knock.yaml", text);
    let mut options = ReadOptions::default();
    options.format_dirs = Vec::new();
    let reading = read_daemon(&source, &options);
    assert_eq!(reading.problems, []);
    let plan = reading.value.unwrap().plan;
    assert_eq!(plan.leases.max.unwrap().as_secs(), 7200);
    assert_eq!(plan.leases.one, OneLease::By("FLAG0".to_owned()));
    assert_eq!(plan.actions[0].cooldown.unwrap().as_secs(), 10);
    let Some(LeaseRule::Open(open)) = &plan.actions[0].lease else { panic!() };
    assert_eq!((open.hold, open.prefix4, open.prefix6), (KeptBy::Connection, 32, 64));
    let Some(LeaseRule::Close(close)) = &plan.actions[1].lease else { panic!() };
    assert_eq!(close.port.fixed(), Some(22));
}
