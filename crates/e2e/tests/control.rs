//! The control socket of a real daemon: what it tells, who may ask, and that nobody holds it up.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::programs;
use knock_e2e::written::{CLIENT, WrittenLog};
use rustix::process::Signal;
use serde_json::Value;

/// One order that fails, and one that waits.
const ACTIONS: &str = "
portspan = 745-1000
logfile  = FOLDER/none/other.log
<actions>
  <action>
    template  = fail
  </action>
  <action>
    template  = later
    delay     = 1h
  </action>
  <template fail>
    system = echo out of order; exit 3
  </template>
  <template later>
    system = touch FOLDER/later
  </template>
</actions>
";

/// What a command of the program says of the daemon of this configuration.
fn ask(host: &WrittenLog, words: &[&str]) -> Output {
    let program = programs::folder().unwrap().join("knockdaemon");
    Command::new(program).args(words).arg("-conf").arg(host.config()).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn status(host: &WrittenLog) -> Value {
    let output = ask(host, &["status", "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A daemon that has accepted a knock and failed to do its first order.
fn after_a_knock(host: &mut WrittenLog) -> Running {
    let daemon = host.daemon(&[], &[]).unwrap();
    host.knock(0).unwrap();
    daemon.await_line("out of order; not tried again").unwrap();
    daemon
}

#[test]
fn status_tells_how_the_daemon_is() {
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let daemon = after_a_knock(&mut host);
    // A full window that spells nothing.
    let mut lines = host.lines(0, "Nov 21 03:22:42").unwrap();
    lines.swap(0, 1);
    lines.push("Nov 21 03:22:42 vm kernel: something else".to_owned());
    host.write(&lines).unwrap();
    // What was read is counted before it is judged.
    let read = || {
        let told = status(&host);
        told["sources"][0]["lines"] == 17 && told["hits"]["seen"] == 16
    };
    assert!(await_until(PATIENCE, read), "{}", status(&host));

    let told = status(&host);
    assert_eq!(told["answer"], "status");
    assert_eq!(told["pid"], daemon.pid().as_raw_nonzero().get());
    assert_eq!(told["mode"], "respond");
    assert_eq!(told["config"], host.config().display().to_string());
    let (reading, waiting) = (&told["sources"][0], &told["sources"][1]);
    assert_eq!(reading["name"], host.path("messages").display().to_string());
    assert_eq!((&reading["state"], &reading["hits"]), (&"reading".into(), &16.into()));
    assert!(reading["last_line_ago_s"].is_number() && reading["lines_per_s"].is_number());
    assert_eq!(waiting["state"], "waiting");
    assert!(waiting["waiting"].as_str().unwrap().contains("there is no such file"));
    assert_eq!(told["queues"]["clients"], 1);
    assert_eq!((&told["hits"]["seen"], &told["hits"]["accepted"]), (&16.into(), &1.into()));
    let refused = told["hits"]["refused"].as_object().unwrap();
    assert_eq!(refused.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 1);
    assert_eq!(told["agenda"]["orders"], 1);
    let order = &told["agenda"]["next"][0];
    assert_eq!((&order["client"], &order["template"]), (&CLIENT.into(), &"later".into()));
    assert!(order["due_in_s"].as_f64().unwrap() > 3000.0);
    let failed = &told["failed"][0];
    assert_eq!((&failed["client"], &failed["template"]), (&CLIENT.into(), &"fail".into()));
    assert_eq!(failed["why"], "exit 3: out of order");
    assert_eq!(told["store"]["statedir"], host.path("state").display().to_string());
    assert_eq!(told["store"]["trouble"], Value::Null);

    let shown = stdout(&ask(&host, &["status"]));
    for part in ["waiting", "16, 0 outside the span", "1 windows: ", "agenda (1)", "out of order"] {
        assert!(shown.contains(part), "no '{part}' in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn reload_tells_the_mistakes_with_their_places_or_that_it_is_in_force() {
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let _daemon = after_a_knock(&mut host);
    let good = fs::read_to_string(host.config()).unwrap();
    fs::write(host.config(), good.replace("745-1000", "745-")).unwrap();
    let refused = ask(&host, &["reload"]);
    assert_eq!(code(&refused), 1);
    let said = stderr(&refused);
    assert!(said.contains("knockdaemon.conf:5:") && said.contains("745-"), "{said}");
    assert!(said.contains("the running configuration stays"), "{said}");
    let answer: Value = serde_json::from_slice(&ask(&host, &["reload", "--json"]).stdout).unwrap();
    assert_eq!((&answer["answer"], &answer["code"]), (&"refused".into(), &"config".into()));
    assert!(answer["report"].as_str().unwrap().contains("knockdaemon.conf:5:"));
    assert_eq!(status(&host)["reloaded"], Value::Null);

    // Half a knock before the reload, half behind it; and the order that waits goes on waiting.
    fs::write(host.config(), good.replace("<template later>", "<template later>\n timeout = 5s"))
        .unwrap();
    let lines = host.lines(0, "Nov 21 03:22:43").unwrap();
    host.write(&lines[..4]).unwrap();
    assert!(await_until(PATIENCE, || status(&host)["hits"]["seen"] == 12));
    let done = ask(&host, &["reload"]);
    assert_eq!((code(&done), stderr(&done).as_str()), (0, ""), "{}", stdout(&done));
    assert!(stdout(&done).contains("knockdaemon.conf is in force"));
    host.write(&lines[4..]).unwrap();
    assert!(await_until(PATIENCE, || status(&host)["hits"]["accepted"] == 2));
    // Those that wait; the others fail.
    assert!(await_until(PATIENCE, || status(&host)["agenda"]["orders"] == 2));
    let told = status(&host);
    assert!(told["reloaded"].is_string());
}

#[test]
fn a_file_that_cannot_be_read_is_not_said_to_have_mistakes() {
    let host = WrittenLog::new(ACTIONS).unwrap();
    let daemon = host.daemon(&[], &[]).unwrap();
    fs::rename(host.config(), host.path("away.conf")).unwrap();
    let program = programs::folder().unwrap().join("knockdaemon");
    let reload = |words: &[&str]| {
        let socket = host.path("state/control.sock");
        let mut command = Command::new(&program);
        command.arg("reload").args(words).arg("--socket").arg(socket).output().unwrap()
    };
    let refused = reload(&[]);
    let said = stderr(&refused);
    assert_eq!(code(&refused), 74, "{said}");
    assert!(
        said.contains("cannot read the configuration") && said.contains("No such file"),
        "{said}"
    );
    assert!(said.contains("the running configuration stays"), "{said}");
    let answer: Value = serde_json::from_slice(&reload(&["--json"]).stdout).unwrap();
    assert_eq!(answer["code"], "unreadable");
    assert!(!daemon.lines().iter().any(|line| line.contains("mistakes")), "{:?}", daemon.lines());
    fs::rename(host.path("away.conf"), host.config()).unwrap();
    assert_eq!(code(&reload(&[])), 0);
}

#[test]
fn without_a_daemon_the_words_say_what_to_do() {
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    for command in [&["status"][..], &["reload"], &["leases"], &["revoke", "--all"]] {
        let output = ask(&host, command);
        assert_eq!(code(&output), 69, "{command:?}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(
            said.contains("no daemon answers at") && said.contains("systemctl start"),
            "{said}"
        );
    }
    // What a killed daemon leaves is nobody, too, and is no hindrance for the next.
    let mut daemon = after_a_knock(&mut host);
    daemon.signal(Signal::KILL).unwrap();
    daemon.await_end().unwrap();
    assert!(host.path("state/control.sock").exists());
    assert_eq!(code(&ask(&host, &["status"])), 69);
    let mut daemon = host.daemon(&[], &[]).unwrap();
    // The one that failed was perhaps not struck out any more, and fails again.
    let taken_up = || status(&host)["agenda"]["orders"] == 1;
    assert!(await_until(PATIENCE, taken_up), "the agenda is taken up: {}", status(&host));
    daemon.signal(Signal::TERM).unwrap();
    assert!(daemon.await_end().unwrap().success());
    assert!(!host.path("state/control.sock").exists());
}

#[test]
fn a_second_daemon_leaves_the_socket_to_the_first_and_runs_all_the_same() {
    let host = WrittenLog::new(&format!("controlsocket = FOLDER/shared\n{ACTIONS}")).unwrap();
    let mut first = host.daemon(&[], &[]).unwrap();
    let other = host.path("other.conf");
    let config = fs::read_to_string(host.config()).unwrap();
    let state = host.path("state").display().to_string();
    fs::write(&other, config.replace(&state, &format!("{state}2"))).unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(programs::folder().unwrap().join("knockdaemon"));
    let second = Running::spawn("the second", command.arg("-conf").arg(&other)).unwrap();
    let said = second.await_line("another daemon answers at").unwrap();
    assert!(said.contains("a 'controlsocket' of its own"), "{said}");
    second.await_line("following").unwrap();
    assert_eq!(status(&host)["pid"], first.pid().as_raw_nonzero().get());
    // When the name is free again, a reload is an occasion to take it.
    first.signal(Signal::TERM).unwrap();
    assert!(first.await_end().unwrap().success());
    second.signal(Signal::HUP).unwrap();
    second.await_line("status and its like are answered now").unwrap();
    assert_eq!(status(&host)["pid"], second.pid().as_raw_nonzero().get());
}

#[test]
fn those_who_hang_or_send_anything_hold_up_neither_knocks_nor_others() {
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let daemon = host.daemon(&[], &[]).unwrap();
    let socket = host.path("state/control.sock");
    let silent: Vec<_> = (0..40).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    host.knock(0).unwrap();
    daemon.await_line("knock accepted").unwrap();
    // Behind them wait a thousand others, some of whom write without an end.
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let socket = &socket;
            scope.spawn(move || (0..250).for_each(|nth| anything(socket, writer * 250 + nth)));
        }
    });
    drop(silent);
    assert_eq!(status(&host)["hits"]["accepted"], 1);
    let peak = fs::read_to_string(format!("/proc/{}/status", daemon.pid().as_raw_nonzero()));
    let peak = peak.unwrap();
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 200 * 1024, "{kilobytes} kB");
}

/// Connects and sends what is no request; the answer is a refusal, if it can be read at all.
fn anything(socket: &Path, nth: usize) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let text: &[u8] = match nth % 4 {
        0 => b"\n",
        1 => b"{\"ask\":\"revoke\",\"which\":{\"ids\":[1,",
        2 => b"\xff\xfe\x00\n",
        _ => &[b'['; 64 * 1024],
    };
    // The daemon may have refused before all of it was sent.
    let _refused = stream.write_all(text);
    let _refused = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = String::new();
    if stream.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
        assert!(answer.contains("\"refused\""), "{answer}");
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn root_the_group_and_nobody_else_may_ask() {
    let settings = "controlsocket = FOLDER/control.sock\ncontrolgroup = users\n";
    let host = WrittenLog::new(&format!("{settings}{ACTIONS}")).unwrap();
    let _daemon = host.daemon(&[], &[]).unwrap();
    fs::set_permissions(host.path(""), Permissions::from_mode(0o755)).unwrap();
    // The target folder may be where only root can read.
    let copy = host.path("program");
    fs::copy(programs::folder().unwrap().join("knockdaemon"), &copy).unwrap();
    let socket = host.path("control.sock");
    let ask_as = |groups: &[&str], words: &[&str]| {
        Command::new("setpriv")
            .args(["--reuid=nobody", "--regid=nogroup"])
            .args(groups)
            .arg(&copy)
            .args(words)
            .arg("--socket")
            .arg(&socket)
            .output()
            .unwrap()
    };
    let member = ask_as(&["--groups=users"], &["status"]);
    assert_eq!(code(&member), 0, "{}", stderr(&member));
    for command in [&["status"][..], &["reload"], &["revoke", "--all"]] {
        let stranger = ask_as(&["--clear-groups"], command);
        assert_eq!(code(&stranger), 77, "{}", stdout(&stranger));
        assert!(stderr(&stranger).contains("'controlgroup'"), "{}", stderr(&stranger));
    }
    // Somebody opens the file to all: those who cannot be told from strangers are strangers.
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    for groups in ["--clear-groups", "--groups=users"] {
        let refused = ask_as(&[groups], &["status"]);
        assert_eq!(code(&refused), 77, "{}", stdout(&refused));
        assert!(stderr(&refused).contains("has been changed"), "{}", stderr(&refused));
    }
    assert_eq!(code(&ask(&host, &["status"])), 0, "root is root");
}

/// Of a process there the kernel tells no number, nor of the session that the daemon was begun in: both are
/// outside.
#[test]
fn a_daemon_of_another_pid_namespace_starts_and_is_asked_from_outside() {
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let alone = ["unshare", "-Urpf", "--mount-proc", "--kill-child"].map(str::to_owned);
    let daemon = host.daemon(&alone, &[]).unwrap();
    host.knock(0).unwrap();
    daemon.await_line("out of order; not tried again").unwrap();
    assert!(status(&host)["sources"].is_array());
    // And it knows its own store again after a crash.
    drop(daemon);
    let _daemon = host.daemon(&alone, &[]).unwrap();
    assert_eq!(code(&ask(&host, &["status"])), 0);
}
