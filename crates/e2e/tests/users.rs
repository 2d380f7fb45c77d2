//! `user` and `onfailure`, with users of a machine whose /etc/group is the test's own.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use knock_e2e::private::Private;
use knock_e2e::process::{PATIENCE, await_until};
use knock_e2e::written::{CLIENT, WrittenLog};
use rustix::process::{Pid, Signal, kill_process};

const ACTIONS: &str = "
<actions>
  <action>
    condition = TIME == 0
    template  = shell
  </action>
  <action>
    condition = TIME == 0
    template  = program
  </action>
  <template shell>
    system    = id -un >FOLDER/out/shell; id -Gn >>FOLDER/out/shell; echo $HOME $USER $LOGNAME $SHELL %IP% >>FOLDER/out/shell; grep -E '^Cap(Eff|Prm|Amb)' /proc/self/status >>FOLDER/out/shell; exit 3
    user      = daemon
    onfailure = told
  </template>
  <template program>
    exec      = /bin/sh -c 'test $(id -u) = 1 && cat /etc/shadow'
    user      = daemon
    onfailure = told
  </template>
  <template told>
    system = echo \"%PORT% $(id -un)\" >>FOLDER/told
  </template>
</actions>
";

#[test]
#[ignore = "needs root: sudo make test"]
fn a_command_runs_as_its_user_and_its_failure_is_followed_up() {
    let machine = Private::new().unwrap();
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let group = fs::read_to_string("/etc/group").unwrap();
    let group: String = group
        .lines()
        .filter(|line| !line.starts_with("games:"))
        .fold("games:x:60:daemon\n".to_owned(), |text, line| text + line + "\n");
    fs::write(host.path("group"), group).unwrap();
    machine.on(&format!("mount --bind {} /etc/group", host.path("group").display())).unwrap();
    fs::set_permissions(host.path(""), Permissions::from_mode(0o711)).unwrap();
    fs::create_dir(host.path("out")).unwrap();
    fs::set_permissions(host.path("out"), Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(host.path("group"), Permissions::from_mode(0o644)).unwrap();

    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    host.knock(0).unwrap();
    daemon.await_lines("onfailure: 'told' is run", 2).unwrap();
    let told = || fs::read_to_string(host.path("told")).unwrap_or_default();
    assert!(await_until(PATIENCE, || told() == "22 root\n22 root\n"), "{:?}", daemon.lines());
    let said = daemon.lines().join("\n");
    assert!(said.contains("Permission denied"), "{said}");

    let shell = fs::read_to_string(host.path("out/shell")).unwrap();
    let lines: Vec<&str> = shell.lines().collect();
    assert_eq!(lines[0], "daemon");
    let mut groups: Vec<&str> = lines[1].split(' ').collect();
    groups.sort_unstable();
    assert_eq!(groups, ["daemon", "games"]);
    assert_eq!(lines[2], format!("/usr/sbin daemon daemon /usr/sbin/nologin {CLIENT}"));
    assert_eq!(lines.len(), 6);
    assert!(lines[3..].iter().all(|line| line.ends_with("0000000000000000")), "{lines:?}");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_daemon_that_may_not_change_users_says_so_at_the_start() {
    let host = WrittenLog::new(ACTIONS).unwrap();
    let program = knock_e2e::programs::folder().unwrap().join("knockdaemon");
    let run = |before: &[&str], options: &[&str]| {
        let mut words = before.iter();
        let mut command = std::process::Command::new(words.next().unwrap());
        command.args(words).arg(&program).args(options).arg("-conf").arg(host.config());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let without = ["setpriv", "--bounding-set=-setuid", "--"];
    let (code, said) = run(&without, &["run"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("this process may not run commands as 'daemon'"), "{said}");
    // Whoever only looks may have fewer rights than the daemon.
    let (code, said) = run(&without, &["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: this process may not run commands as 'daemon'"), "{said}");

    // Nor where it could start the command, and not end it.
    let (code, said) = run(&["setpriv", "--bounding-set=-kill", "--"], &["run"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("CAP_SETUID, CAP_SETGID and CAP_KILL"), "{said}");

    let config = fs::read_to_string(host.config()).unwrap();
    fs::write(host.config(), config.replace("= daemon", "= nobdy")).unwrap();
    let (code, said) = run(&["env"], &["check"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: there is no user 'nobdy' on this machine"), "{said}");
}

/// Slow ones, with their number in a file; a busy machine has time to begin them.
const SLOW: &str = "
<actions>
  <action>
    condition = TIME == 0
    template  = slow
  </action>
  <template slow>
    system  = PREFIX sh -c 'echo $$ >FOLDER/out/pid.new; mv FOLDER/out/pid.new FOLDER/out/pid; exec sleep 600'
    timeout = 10s
  </template>
</actions>
";

/// As under systemd with AmbientCapabilities=: they are for changing the user and not for the command; and its time limit holds all the same.
#[test]
#[ignore = "needs root: sudo make test"]
fn a_daemon_that_is_not_root_hands_none_of_its_rights_on() {
    let actions = ACTIONS.replace("condition = TIME == 0\n    template  = program", "use = no");
    let slow = SLOW.replace("TIME == 0", "TIME == 1").replace("PREFIX", "exec");
    let slow = slow.replace("timeout =", "user    = daemon\n    timeout =");
    let slow = slow.replace("<actions>", "").replace("</actions>", "");
    let mut host = WrittenLog::new(&actions.replace("</actions>", &(slow + "</actions>"))).unwrap();
    let daemon =
        host.daemon_as("bin", &["setuid", "setgid", "kill"], &[], &["--no-new-privs"]).unwrap();
    host.knock(0).unwrap();
    daemon.await_line("onfailure: 'told' is run").unwrap();
    let shell = fs::read_to_string(host.path("out/shell")).unwrap();
    let lines: Vec<&str> = shell.lines().collect();
    assert_eq!(lines[0], "daemon");
    assert!(lines[3..].iter().all(|line| line.ends_with("0000000000000000")), "{lines:?}");
    let told = || fs::read_to_string(host.path("told")).unwrap_or_default();
    assert!(await_until(PATIENCE, || told() == "22 bin\n"), "{:?}", daemon.lines());

    host.knock(1).unwrap();
    daemon.await_line("no end within 10 s").unwrap();
    let pid = fs::read_to_string(host.path("out/pid")).unwrap();
    assert!(await_until(PATIENCE, || !Path::new("/proc").join(pid.trim()).exists()), "{pid}");
}

/// A command that made itself root's: nothing can be done but say so.
#[test]
#[ignore = "needs root: sudo make test"]
fn a_command_that_cannot_be_ended_is_said_to_go_on() {
    let mut host =
        WrittenLog::new(&SLOW.replace("PREFIX", "exec FOLDER/setpriv --reuid=0")).unwrap();
    fs::copy("/usr/bin/setpriv", host.path("setpriv")).unwrap();
    fs::set_permissions(host.path("setpriv"), Permissions::from_mode(0o4755)).unwrap();
    let daemon = host.daemon_as("bin", &[], &[], &[]).unwrap();
    host.knock(0).unwrap();
    let said = daemon.await_line("it took too long, and goes on");
    let pid = fs::read_to_string(host.path("out/pid")).unwrap();
    let left = Path::new("/proc").join(pid.trim()).exists();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    assert!(left, "{:?}", daemon.lines());
    assert!(said.unwrap().contains("not tried again"));
}
