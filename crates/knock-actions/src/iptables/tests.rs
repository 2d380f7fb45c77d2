//! Against the real programs, in a network namespace of our own, where no root is needed; and
//! against scripts that hang or complain as the real ones rarely do.

use std::fs;
use std::process::Command;
use std::thread;

use super::*;
use crate::testing::{is_inside, script, until_it_got_far_enough};

const LONG: Duration = Duration::from_secs(60);
const MODERN: Version = Version(1, 8, 9);

/// Both families through this one program.
fn firewall(path: &'static str) -> Iptables {
    let program = Some(Program { path, version: MODERN });
    Iptables { v4: program, v6: program }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn apply(firewall: &mut Iptables, family: Family, line: &str) -> String {
    tell(firewall.apply(family, &words(line), LONG))
}

fn tell(outcome: Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::AlreadySo => "already so".to_owned(),
        Outcome::HandedOver { .. } => "handed over".to_owned(),
        Outcome::Counted { connections } => format!("{connections} connections"),
        Outcome::TimedOut { .. } => "timed out".to_owned(),
        Outcome::NotBegun { why } => format!("not begun: {why}"),
        Outcome::Failed { why, again: true } => format!("again: {why}"),
        Outcome::Failed { why, again: false } => format!("failed: {why}"),
    }
}

/// The rules of a chain as `iptables -S` prints them, without the policy.
fn rules(program: &str, args: &str) -> Vec<String> {
    let output = Command::new(program).args(args.split(' ')).output().unwrap_or_else(|error| {
        panic!("this test needs '{program}' (package iptables): {error}");
    });
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.starts_with("-A")).map(str::to_owned).collect()
}

#[test]
fn a_rule_is_there_once_and_then_gone() {
    if !is_inside("iptables::tests::a_rule_is_there_once_and_then_gone", "-Urn") {
        return;
    }
    let mut firewall = Iptables::default();
    let mut check = |family, line: &str, expected: &str| {
        assert_eq!(apply(&mut firewall, family, line), expected, "{line}");
    };
    let rule = "INPUT -p tcp -s 192.0.2.7/32 --dport 22 --syn -j ACCEPT";
    check(Family::V4, &format!("-I {rule}"), "done");
    check(Family::V4, &format!("-I {rule}"), "already so");
    check(Family::V4, &format!("-A {rule}"), "already so");
    check(Family::V4, &format!("--insert {}", rule.replacen(' ', " 1 ", 1)), "already so");
    assert_eq!(rules("iptables", "-S INPUT").len(), 1);
    check(Family::V4, "-A INPUT -s 192.0.2.8 -j ACCEPT", "done");
    assert_eq!(rules("iptables", "-S INPUT").len(), 2);
    check(Family::V4, &format!("-D {rule}"), "done");
    check(Family::V4, &format!("-D {rule}"), "already so");
    check(Family::V4, "-D gone -s 192.0.2.8 -j ACCEPT", "already so");
    assert_eq!(rules("iptables", "-S INPUT"), ["-A INPUT -s 192.0.2.8/32 -j ACCEPT"]);

    let rule = "-t nat -A OUTPUT -d 192.0.2.9/32 -j ACCEPT";
    check(Family::V4, rule, "done");
    check(Family::V4, rule, "already so");
    assert_eq!(rules("iptables", "-t nat -S OUTPUT"), ["-A OUTPUT -d 192.0.2.9/32 -j ACCEPT"]);

    check(Family::V4, "-N knocked", "done");
    check(Family::V4, "-N knocked", "already so");
    check(Family::V4, "-F knocked", "done");
    check(Family::V4, "-X knocked", "done");
    check(Family::V4, "-X knocked", "already so");

    check(Family::V6, "-I INPUT -s 2001:db8::7/128 -j ACCEPT", "done");
    check(Family::V6, "-I INPUT -s 2001:db8::7/128 -j ACCEPT", "already so");
    assert_eq!(rules("ip6tables", "-S INPUT"), ["-A INPUT -s 2001:db8::7/128 -j ACCEPT"]);
    check(Family::V6, "-D INPUT -s 2001:db8::7/128 -j ACCEPT", "done");
    assert_eq!(rules("ip6tables", "-S INPUT").len(), 0);
}

/// Put in first and looked at afterwards, or the other way round: whatever somebody left behind, and
/// both kinds of iptables.
#[test]
fn what_is_there_more_than_once_becomes_one_and_goes_altogether() {
    let name = "iptables::tests::what_is_there_more_than_once_becomes_one_and_goes_altogether";
    if !is_inside(name, "-Urnm") {
        return;
    }
    // Where iptables-legacy has its lock.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).status().unwrap();
    assert!(mounted.success());
    for program in ["/usr/sbin/iptables-nft", "/usr/sbin/iptables-legacy", "iptables-legacy"] {
        let mut firewall = firewall(program);
        let restores = Program { path: program, version: MODERN }.restore();
        assert_eq!(restores.is_some(), program.starts_with('/'), "{program}");
        let rule = "INPUT -p tcp -s 192.0.2.7/32 --dport 22 --syn -j ACCEPT";
        let other = "-A INPUT -s 192.0.2.8/32 -j ACCEPT";
        for line in [other.to_owned(), format!("-A {rule}"), format!("-A {rule}")] {
            assert!(Command::new(program).args(words(&line)).status().unwrap().success());
        }
        assert_eq!(apply(&mut firewall, Family::V4, &format!("-I {rule}")), "already so");
        let left = rules(program, "-S INPUT");
        assert_eq!(left.first().map(String::as_str), Some(other), "{program}: the old place stays");
        assert_eq!(apply(&mut firewall, Family::V4, &format!("-D {rule}")), "done");
        assert_eq!(rules(program, "-S INPUT"), [other], "{program}");
        assert_eq!(apply(&mut firewall, Family::V4, &format!("-I {rule}")), "done");
        assert_eq!(apply(&mut firewall, Family::V4, &format!("-I {rule}")), "already so");
        assert_eq!(rules(program, "-S INPUT").len(), 2, "{program}");
        assert!(Command::new(program).args(words("-F INPUT")).status().unwrap().success());
    }
}

/// Alternatives that were set one by one.
#[test]
fn a_restore_of_the_other_kind_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let link = |name: &str, to: &str| {
        std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
    };
    link("iptables", "/usr/sbin/xtables-legacy-multi");
    link("iptables-restore", "/usr/sbin/xtables-nft-multi");
    let path: &'static str = folder.path().join("iptables").display().to_string().leak();
    assert_eq!(Program { path, version: MODERN }.restore(), None);
    fs::remove_file(folder.path().join("iptables-restore")).unwrap();
    link("iptables-restore", "/usr/sbin/xtables-legacy-multi");
    assert!(Program { path, version: MODERN }.restore().is_some());
    assert_eq!(Program { path, version: Version(1, 6, 1) }.restore(), None);
}

#[test]
fn words_with_blanks_reach_the_rule() {
    if !is_inside("iptables::tests::words_with_blanks_reach_the_rule", "-Urn") {
        return;
    }
    let mut args = words("-I INPUT -m comment --comment ? -j ACCEPT");
    args[5] = "two words; it is `so` $HOME".to_owned();
    let mut firewall = Iptables::default();
    assert_eq!(firewall.apply(Family::V4, &args, LONG), Outcome::Done);
    assert_eq!(firewall.apply(Family::V4, &args, LONG), Outcome::AlreadySo);
    assert_eq!(
        rules("iptables", "-S INPUT"),
        ["-A INPUT -m comment --comment \"two words; it is `so` $HOME\" -j ACCEPT"]
    );
    args[5] = "a \"quoted\" word".to_owned();
    let said = tell(firewall.apply(Family::V4, &args, LONG));
    assert!(said.starts_with("failed: 'a \\\"quoted\\\" word' contains both"), "{said}");
    assert_eq!(rules("iptables", "-S INPUT").len(), 1);
}

#[test]
fn what_iptables_refuses_is_told() {
    if !is_inside("iptables::tests::what_iptables_refuses_is_told", "-Urn") {
        return;
    }
    let mut firewall = Iptables::default();
    let mut check = |line: &str, begin: &str, has: &str| {
        let said = apply(&mut firewall, Family::V4, line);
        assert!(said.starts_with(begin) && said.contains(has), "{line}: {said}");
    };
    check("-I INPUT --bogus", "failed: ", "unknown option \"--bogus\"");
    check("-D INPUT --bogus", "failed: ", "unknown option \"--bogus\"");
    check("-I INPUT -s 192.0.2.7 -j nowhere", "failed: ", "nowhere");
    check("-I gone -s 192.0.2.7 -j ACCEPT", "again: ", "No chain/target/match by that name");
    check("-D INPUT 3", "again: ", "exit 1");
}

/// Two knocks in the same moment: four workers, one rule.
#[test]
fn workers_in_a_race_do_not_double_a_rule() {
    if !is_inside("iptables::tests::workers_in_a_race_do_not_double_a_rule", "-Urn") {
        return;
    }
    let args = words("-I INPUT -s 192.0.2.7 -j ACCEPT");
    let race = || Iptables::default().apply(Family::V4, &args, LONG);
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|it| **it == Outcome::Done).count(), 1);
    assert_eq!(outcomes.iter().filter(|it| **it == Outcome::AlreadySo).count(), 3);
    assert_eq!(rules("iptables", "-S INPUT").len(), 1);
}

/// Somebody else holds the lock of iptables-legacy: we give up in time, say why, and nothing of it
/// happens later.
#[test]
fn a_held_lock_is_not_waited_for_beyond_the_limit() {
    if !is_inside("iptables::tests::a_held_lock_is_not_waited_for_beyond_the_limit", "-Urnm") {
        return;
    }
    // The lock's place is our own where we may not write in /run: the rest of this process has no
    // other use for that folder.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).status().unwrap();
    assert!(mounted.success());
    let legacy = "iptables-legacy";
    let mut firewall = firewall(legacy);
    let args = words("-I INPUT -s 192.0.2.7 -j ACCEPT");
    assert_eq!(rules(legacy, "-S INPUT").len(), 0);
    let lock = fs::File::options().create(true).append(true).open("/run/xtables.lock").unwrap();
    lock.lock().unwrap();
    let said = tell(firewall.apply(Family::V4, &args, Duration::from_millis(2500)));
    assert!(said.starts_with("again: ") && said.contains("has the firewall locked"), "{said}");
    // A template's own `-w` has no limit, and is ended by us.
    let patient = [&words("-w"), args.as_slice()].concat();
    let said = tell(firewall.apply(Family::V4, &patient, Duration::from_millis(500)));
    assert_eq!(said, "timed out");
    drop(lock);
    assert_eq!(rules(legacy, "-S INPUT").len(), 0);
    assert_eq!(firewall.apply(Family::V4, &args, LONG), Outcome::Done);
    assert_eq!(rules(legacy, "-S INPUT").len(), 1);
}

/// The look takes a second; what iptables may wait in the deed is so much less. With a lane of its
/// own, so that no other test waits for it.
#[test]
fn each_run_gives_up_on_the_lock_before_we_give_up_on_it() {
    let name = "iptables::tests::each_run_gives_up_on_the_lock_before_we_give_up_on_it";
    if !is_inside(name, "-Ur") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let slow = r#"echo "$4 $5" >>"$0.waits"; test "$5" = -I && exit
                  sleep 1; echo "does a matching rule exist in that chain" >&2; exit 1"#;
    let program = script(folder.path(), slow);
    let args = words("-I INPUT -s 192.0.2.7 -j ACCEPT");
    assert_eq!(firewall(program).apply(Family::V4, &args, LONG), Outcome::Done);
    let waits = fs::read_to_string(format!("{program}.waits")).unwrap();
    let waits: Vec<_> = waits.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let [(look, "-C"), (deed, "-I")] = waits[..] else { panic!("{waits:?}") };
    assert!(deed.parse::<u64>().unwrap() < look.parse().unwrap(), "{waits:?}");
}

#[test]
fn a_program_that_hangs_is_killed_and_the_lane_is_free_again() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let hangs = script(folder.path(), &format!("echo $$ >{}; exec sleep 600", pid.display()));
    let mut firewall = firewall(hangs);
    let args = words("-I INPUT -s 192.0.2.7 -j ACCEPT");
    for _ in 0..2 {
        let seen = until_it_got_far_enough(|limit| {
            assert_eq!(
                firewall.apply(Family::V4, &args, limit),
                Outcome::TimedOut { after: limit }
            );
            fs::read_to_string(&pid).ok().filter(|pid| pid.ends_with('\n'))
        });
        assert!(!Path::new("/proc").join(seen.trim()).exists(), "process {seen} lives on");
        fs::remove_file(&pid).unwrap();
    }
}

#[test]
fn a_program_that_is_missing_or_old_is_named() {
    let far = Deadline::after(LONG);
    let probe = |path| Program::probe(path, far).map_err(tell);
    let said = probe("/nonexistent/iptables").unwrap_err();
    assert!(said.starts_with("again: there is no /nonexistent/iptables here; install"), "{said}");
    let said = apply(&mut firewall("/nonexistent/iptables"), Family::V4, "-F INPUT");
    assert!(said.starts_with("again: there is no /nonexistent/iptables here; install"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), r#"cat "$0.version""#);
    let check = |version: &str, expected: Result<Version, &str>| {
        fs::write(format!("{program}.version"), version).unwrap();
        let found = probe(program).map(|it| it.version);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(said), Err(expected)) => assert!(said.contains(expected), "{said}"),
            other => panic!("{other:?}"),
        }
    };
    check("iptables v1.8.9 (nf_tables)\n", Ok(Version(1, 8, 9)));
    check("iptables v1.4.21\n", Ok(Version(1, 4, 21)));
    check("iptables v1.4.7\n", Err("is 1.4.7, at least 1.4.11 is needed"));
    check("BusyBox\n", Err("does not tell a version"));
    assert!(!Program { path: "iptables", version: Version(1, 4, 21) }.takes_wait_seconds());
    assert!(Program { path: "iptables", version: Version(1, 6, 0) }.takes_wait_seconds());
}

/// The same promise without us: what at(1) runs keeps it as well.
#[test]
fn a_rule_that_a_shell_runs_is_there_once_and_then_gone() {
    let name = "iptables::tests::a_rule_that_a_shell_runs_is_there_once_and_then_gone";
    if !is_inside(name, "-Urn") {
        return;
    }
    let mut firewall = Iptables::default();
    let mut sh = |args: &[String]| {
        let text = firewall.script(Family::V4, args, LONG).unwrap();
        let output = Command::new("/bin/sh").env("LANG", "C").args(["-c", &text]).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    let quiet = (true, String::new());
    let mut rule = words("-I INPUT 1 -s 192.0.2.7/32 -m comment --comment ? -j ACCEPT");
    rule[8] = "it's $(so) `it` \"is\"\n; \\".to_owned();
    assert_eq!(sh(&rule), quiet);
    assert_eq!(sh(&rule), quiet);
    assert_eq!(rules("iptables", "-S INPUT").len(), 1);
    rule[0] = "-D".to_owned();
    rule.remove(2);
    assert_eq!(sh(&rule), quiet);
    assert_eq!(sh(&rule), quiet);
    assert_eq!(rules("iptables", "-S INPUT").len(), 0);
    // Whoever put it in twice, it is gone.
    let plain = "INPUT -s 192.0.2.7 -j ACCEPT";
    for _ in 0..2 {
        let inserted = Command::new("iptables").args(words(&format!("-I {plain}"))).status();
        assert!(inserted.unwrap().success());
    }
    assert_eq!(sh(&words(&format!("-D {plain}"))), quiet);
    assert_eq!(rules("iptables", "-S INPUT").len(), 0);

    for line in ["-N knocked", "-N knocked", "-F knocked", "-X knocked", "-X knocked"] {
        assert_eq!(sh(&words(line)), quiet, "{line}");
    }
    for line in ["-D INPUT --bogus", "-I INPUT --bogus", "-N a\u{7f}/b -t none"] {
        let (success, said) = sh(&words(line));
        assert!(!success && !said.is_empty(), "{line}: {said}");
    }
}
