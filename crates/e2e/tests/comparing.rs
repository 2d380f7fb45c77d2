//! The comparison of leases with the firewall when something is in its way: a piece of somebody else, a
//! tool that is not there yet, a lock, another daemon, a new way that does not work.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use knock_e2e::private::Private;
use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::programs;
use knock_e2e::written::{CLIENT, WrittenLog};
use serde_json::Value;

/// TIME 255 closes; all else opens for a day.
const LEASES: &str = "
firewall = KIND
<actions>
  <action>\ncondition = TIME != 255\ntemplate = let-in\n</action>
  <action>\ncondition = TIME == 255\ntemplate = out\n</action>
  <template let-in>\nopen = PORT\nlease = 1440\n</template>
  <template out>\nclose = PORT\n</template>
</actions>
";

fn leases(kind: &str) -> WrittenLog {
    WrittenLog::new(&LEASES.replace("KIND", kind)).unwrap()
}

/// Runs one of our commands in there; what it says on both ways out.
fn ask(machine: &Private, host: &WrittenLog, words: &[&str]) -> (Option<i32>, String) {
    let program = programs::folder().unwrap().join("knockdaemon").display().to_string();
    let enter = machine.enter();
    let output = Command::new(&enter[0])
        .args(&enter[1..])
        .arg(program)
        .args(words)
        .arg("-conf")
        .arg(host.config())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn await_list(machine: &Private, daemon: &Running, line: &str, what: &str, is_there: bool) {
    let seen = || machine.on(line).unwrap().contains(what) == is_there;
    assert!(await_until(PATIENCE, seen), "{what}: {}", daemon.lines().join("\n"));
}

/// Nothing is at this path any more until it is unmounted.
fn hide(machine: &Private, program: &str) {
    machine.on(&format!("mount --bind /dev/null {program}")).unwrap();
}

#[test]
#[ignore = "needs root: sudo make test"]
fn what_cannot_be_made_keeps_nothing_else_from_being_put_right() {
    let machine = Private::new().unwrap();
    let mut host = leases("ipset");
    machine.on("iptables -P INPUT DROP").unwrap();
    machine.on("ip6tables -P INPUT DROP").unwrap();
    machine.on("ipset create knockdaemon6 hash:ip family inet6").unwrap();
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    let said = daemon.await_line("the firewall is not as leases need it").unwrap();
    assert!(said.contains("ipset rename knockdaemon6 NAME"), "{said}");
    host.knock(0).unwrap();
    let list = "ipset list knockdaemon4";
    await_list(&machine, &daemon, list, CLIENT, true);
    daemon.await_line("done: open tcp port 22").unwrap();
    machine.on("ipset flush knockdaemon4").unwrap();
    machine.on("ipset add knockdaemon4 192.0.2.99,tcp:22").unwrap();
    let (status, said) = ask(&machine, &host, &["reload"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("NOT AS LEASES NEED IT") && said.contains("knockdaemon6"), "{said}");
    await_list(&machine, &daemon, list, CLIENT, true);
    await_list(&machine, &daemon, list, "192.0.2.99", false);
    for command in ["leases", "status"] {
        let (_, said) = ask(&machine, &host, &[command]);
        assert!(said.contains("NOT AS LEASES NEED IT") && said.contains("knockdaemon6"), "{said}");
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_tool_that_comes_after_the_start_is_found() {
    let machine = Private::new().unwrap();
    let host = leases("nftables");
    hide(&machine, "/usr/sbin/nft");
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    let said = daemon.await_line("leases are not compared with the firewall").unwrap();
    assert!(said.contains("install the package 'nftables'"), "{said}");
    // Who looks at leases, or reloads, is told as who asks for the status.
    for command in ["leases", "reload", "status"] {
        let (status, said) = ask(&machine, &host, &[command]);
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("NOT COMPARED with the firewall"), "{command}: {said}");
        assert!(said.contains("install the package 'nftables'"), "{command}: {said}");
        assert!(!said.contains("nothing is open"), "{command}: {said}");
        let (_, answer) = ask(&machine, &host, &[command, "--json"]);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["firewall"]["not_compared"].is_string(), "{command}: {answer}");
    }
    let (status, said) = ask(&machine, &host, &["revoke", "--all"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("NOT COMPARED") && !said.contains("nothing was open"), "{said}");
    machine.on("umount /usr/sbin/nft").unwrap();
    // Nobody knocks, and it looks again all the same.
    daemon.await_line("leases go into the firewall by nftables").unwrap();
    daemon.await_line("leases are compared with the firewall again").unwrap();
    assert_eq!(
        ask(&machine, &host, &["leases"]),
        (Some(0), "no lease: nothing is open\n".to_owned())
    );
    // The answer comes behind the comparison.
    let (_, answer) = ask(&machine, &host, &["reload", "--json"]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let seen = &answer["firewall"];
    assert_eq!((&seen["not_compared"], &seen["comparing"]), (&Value::Null, &false.into()));
    assert!(seen["compared_ago_s"].is_number(), "{answer}");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_reload_to_a_firewall_that_does_not_work_here_is_refused() {
    let machine = Private::new().unwrap();
    let mut host = leases("nftables");
    hide(&machine, "/usr/sbin/ipset");
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    host.knock(0).unwrap();
    let list = "nft list ruleset";
    await_list(&machine, &daemon, list, CLIENT, true);
    let config = fs::read_to_string(host.config()).unwrap();
    fs::write(host.config(), config.replace("= nftables", "= ipset")).unwrap();
    let (status, said) = ask(&machine, &host, &["reload"]);
    assert_ne!(status, Some(0), "{said}");
    assert!(said.contains("install the package 'ipset'"), "{said}");
    assert!(said.contains("the running configuration stays"), "{said}");
    // And so does the way to close.
    assert_eq!(ask(&machine, &host, &["revoke", "--all"]).0, Some(0));
    await_list(&machine, &daemon, list, CLIENT, false);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_second_daemon_of_the_network_leaves_the_leases_to_the_first() {
    let machine = Private::new().unwrap();
    let mut host = leases("nftables");
    let mut first = host.daemon(&machine.enter(), &[]).unwrap();
    host.knock(0).unwrap();
    let list = "nft list ruleset";
    await_list(&machine, &first, list, CLIENT, true);
    let mut other = leases("nftables");
    let second = other.daemon(&machine.enter(), &[]).unwrap();
    let said = second.await_line("keeps the leases of this network").unwrap();
    let process = first.pid().as_raw_nonzero();
    assert!(said.contains(&format!("(process {process} of user 0)")), "{said}");
    other.knock(0).unwrap();
    second.await_line("failed: open tcp port 22").unwrap();
    await_list(&machine, &first, list, CLIENT, true);
    assert_eq!(ask(&machine, &host, &["reload"]).0, Some(0));
    await_list(&machine, &first, list, CLIENT, true);
    assert!(!first.lines().iter().any(|line| line.contains("open without a lease")));
    // Who takes all away is told that it comes back.
    let (status, said) = ask(&machine, &host, &["firewall", "--remove"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains(&format!("a running knockdaemon (process {process} of user 0)")),
        "{said}"
    );
    // The kernel frees it all with the process. Who reloads does not wait for the next look.
    first.signal(rustix::process::Signal::KILL).unwrap();
    first.await_end().unwrap();
    assert_eq!(ask(&machine, &other, &["reload"]).0, Some(0));
    second.await_line("leases go into the firewall by nftables").unwrap();
}

/// Whoever holds the name that daemons know each other by, if nobody believes it.
const SQUATTER: &str = "my $name = pack('S', 1) . qq(\\0knockdaemon/leases); \
    socket(my $s, 1, 1, 0); bind($s, $name) && listen($s, 9) or die; $| = 1; print qq(there\\n); sleep";

#[test]
#[ignore = "needs root: sudo make test"]
fn daemons_of_different_users_are_kept_apart_and_a_stranger_keeps_nobody_away() {
    let machine = Private::new().unwrap();
    let enter = machine.enter();
    let mut squatter = Command::new(&enter[0]);
    squatter.args(&enter[1..]).args(["setpriv", "--reuid=nobody", "--clear-groups"]);
    let squatter = Running::spawn("squatter", squatter.args(["perl", "-e", SQUATTER])).unwrap();
    squatter.await_line("there").unwrap();
    let capabilities = ["net_admin", "net_raw"];
    let (mut host, other) = (leases("nftables"), leases("nftables"));
    let mut first = host.daemon_as("nobody", &capabilities, &enter, &[]).unwrap();
    host.knock(0).unwrap();
    let list = "nft list ruleset";
    await_list(&machine, &first, list, CLIENT, true);
    let second = other.daemon_as("daemon", &capabilities, &enter, &[]).unwrap();
    let said = second.await_line("keeps the leases of this network").unwrap();
    assert!(!said.contains("(process"), "the squatter is not the keeper: {said}");
    // Root's is none the better.
    let root = leases("nftables");
    let third = root.daemon(&enter, &[]).unwrap();
    third.await_line("keeps the leases of this network").unwrap();
    let (_, said) = ask(&machine, &root, &["firewall", "--remove"]);
    assert!(said.contains("a running knockdaemon") && !said.contains("(process"), "{said}");
    first.signal(rustix::process::Signal::KILL).unwrap();
    first.await_end().unwrap();
    for refused in [&other, &root] {
        assert_eq!(ask(&machine, refused, &["reload"]).0, Some(0));
    }
    let is_kept = |daemon: &Running| {
        daemon.lines().iter().any(|line| line.contains("leases go into the firewall by nftables"))
    };
    assert!(await_until(PATIENCE, || is_kept(&second) || is_kept(&third)));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn rules_of_iptables_that_cannot_be_listed_are_no_hindrance_to_nftables() {
    let machine = Private::new().unwrap();
    let mut host = leases("nftables");
    let legacy = programs::legacy_alternatives(&host.path("")).unwrap();
    machine.on(&format!("mount --bind {} /etc/alternatives", legacy.display())).unwrap();
    machine.on("iptables-legacy -A INPUT -p tcp --dport 80 -j ACCEPT").unwrap();
    // As the first use by root leaves it.
    let lock = machine.seen_from_here("/run/xtables.lock");
    File::create(&lock).unwrap();
    fs::set_permissions(&lock, Permissions::from_mode(0o600)).unwrap();
    let capabilities = ["net_admin", "net_raw"];
    let daemon = host.daemon_as("nobody", &capabilities, &machine.enter(), &[]).unwrap();
    // Not the only remark.
    let said = daemon.await_line("iptables-legacy").unwrap();
    assert!(said.contains("about this host's firewall"), "{said}");
    host.knock(0).unwrap();
    await_list(&machine, &daemon, "nft list ruleset", CLIENT, true);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn what_is_revoked_is_closed_also_where_somebody_has_changed_our_table() {
    let machine = Private::new().unwrap();
    let mut host = leases("nftables");
    machine.on("iptables -P INPUT DROP").unwrap();
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    host.knock(0).unwrap();
    daemon.await_line("done: open tcp port 22").unwrap();
    let list = "nft list table inet knockdaemon";
    await_list(&machine, &daemon, list, CLIENT, true);
    // Harmless; and then what has a name of ours and another shape.
    machine.on("nft insert rule inet knockdaemon input tcp dport 23 counter").unwrap();
    assert_eq!(ask(&machine, &host, &["reload"]).0, Some(0));
    let said = daemon.await_line("what is not knockdaemon's").unwrap();
    assert!(said.contains("rules in its chain input"), "{said}");
    let (_, status) = ask(&machine, &host, &["status"]);
    assert!(status.contains("rules in its chain input"), "{status}");
    machine.on("nft add set inet knockdaemon open4_24 {type ipv4_addr;}").unwrap();
    assert_eq!(ask(&machine, &host, &["reload"]).0, Some(0));
    daemon.await_line("the firewall is not as leases need it").unwrap();
    assert_eq!(ask(&machine, &host, &["revoke", "--all"]).0, Some(0));
    daemon.await_line("done: close tcp port 22").unwrap();
    await_list(&machine, &daemon, list, CLIENT, false);
    let (_, leases) = ask(&machine, &host, &["leases"]);
    assert!(!leases.contains(CLIENT), "{leases}");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_closing_that_the_kernel_refuses_is_tried_until_it_is_done() {
    let machine = Private::new().unwrap();
    let mut host = leases("iptables");
    machine.on("iptables -P INPUT DROP").unwrap();
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    host.knock(0).unwrap();
    daemon.await_line("done: open tcp port 22").unwrap();
    // iptables can no longer say what it has.
    machine.on("nft add chain ip filter odd").unwrap();
    let rule = "ct state vmap {established:accept,invalid:drop}";
    machine.on(&format!("nft add rule ip filter odd {rule}")).unwrap();
    assert_eq!(ask(&machine, &host, &["revoke", "--all"]).0, Some(0));
    let said = daemon.await_line("failed: close tcp port 22").unwrap();
    assert!(said.contains("is incompatible"), "{said}");
    let (_, leases) = ask(&machine, &host, &["leases"]);
    assert!(leases.contains(CLIENT), "{leases}");
    machine.on("nft flush chain ip filter odd").unwrap();
    daemon.await_line("done: close tcp port 22").unwrap();
    await_list(&machine, &daemon, "iptables -S", CLIENT, false);
}
