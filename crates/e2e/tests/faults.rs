//! Disks that are full or fail, stores that are damaged or locked: what the admin reads, that the daemon
//! stays up and opens nothing it could not close, and that it goes on when the fault is over.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::process::Command;

use knock_e2e::private::Private;
use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::written::{CLIENT, WrittenLog};
use rusqlite::Connection;
use rustix::process::Signal;

/// 1 opens for an hour, 2 for long enough to fill a disk meanwhile, and 255 closes.
const RULES: &str = "
<actions>
  <action>\ncondition = TIME < 255\ntemplate = open\n</action>
  <action>\ncondition = TIME == 1\ntemplate = close\ndelay = 1h\n</action>
  <action>\ncondition = TIME == 2\ntemplate = close\ndelay = 15s\n</action>
  <action>\ncondition = TIME == 255\ntemplate = close\n</action>
  <template open>\niptables = -I INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT\n</template>
  <template close>\niptables = -D INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT\n</template>
</actions>
";

/// 1 counts at once, 2 waits until the test says so; both take an hour to come back.
const PROGRAMS: &str = "
<actions>
  <action>\ncondition = TIME == 1\ntemplate = count\n</action>
  <action>\ncondition = TIME == 2\ntemplate = wait\n</action>
  <action>\ntemplate = back\ndelay = 1h\n</action>
  <template count>\nsystem = echo ran >>FOLDER/ran\n</template>
  <template wait>\nsystem = echo begun >>FOLDER/begun; while [ ! -e FOLDER/go ]; do sleep 0.05; done; echo ran >>FOLDER/ran\n</template>
  <template back>\nsystem = true\n</template>
</actions>
";

/// 1 opens until it is closed, and 255 closes.
const LEASES: &str = "
firewall = nftables
<actions>
  <action>\ncondition = TIME < 255\ntemplate = let-in\n</action>
  <action>\ncondition = TIME == 255\ntemplate = out\n</action>
  <template let-in>\nopen = PORT\nlease = 1h\n</template>
  <template out>\nclose = PORT\n</template>
</actions>
";

fn rules(machine: &Private) -> usize {
    let rules = machine.on("iptables -S INPUT").unwrap();
    rules.lines().filter(|rule| rule.contains(CLIENT)).count()
}

fn kill(mut daemon: Running) {
    daemon.signal(Signal::KILL).unwrap();
    daemon.await_end().unwrap();
}

fn count(host: &WrittenLog, name: &str) -> usize {
    fs::read_to_string(host.path(name)).unwrap_or_default().lines().count()
}

#[test]
#[ignore = "needs root: sudo make test"]
fn with_a_full_disk_nothing_is_opened_and_what_is_open_closes() {
    let machine = Private::new().unwrap();
    let mut host = WrittenLog::new(RULES).unwrap();
    let state = host.path("state").display().to_string();
    fs::create_dir(&state).unwrap();
    machine.on(&format!("mount -t tmpfs -o size=512k,mode=700 tmpfs {state}")).unwrap();
    let mut daemon = host.daemon(&machine.enter(), &[]).unwrap();
    let closings = |daemon: &Running| {
        daemon.lines().iter().filter(|line| line.contains("done: iptables -D")).count()
    };
    let mut opened = 0;
    loop {
        opened += 1;
        host.knock(2).unwrap();
        daemon.await_lines("done: iptables -I", opened).unwrap();
        // To the last byte, and dd complains of it.
        machine.on(&format!("dd if=/dev/zero of={state}/ballast bs=4k")).unwrap_err();
        if closings(&daemon) < opened {
            break;
        }
        // A machine so busy that it was closed by then.
        assert!(opened < 5, "it is always closed before the disk is full");
        machine.on(&format!("rm {state}/ballast")).unwrap();
    }

    host.knock(1).unwrap();
    let said = daemon.await_line("knock refused, it cannot be kept on disk").unwrap();
    assert!(said.contains("no room left on the disk of") && said.contains(&state), "{said}");
    daemon.await_lines("done: iptables -D", opened).unwrap();
    daemon.await_line("what was done cannot be kept on disk").unwrap();
    assert_eq!(rules(&machine), 0);

    machine.on(&format!("rm {state}/ballast")).unwrap();
    // By itself, without a knock.
    daemon.await_line("what could not be kept on disk now is").unwrap();
    host.knock(1).unwrap();
    daemon.await_lines("done: iptables -I", opened + 1).unwrap();
    daemon.signal(Signal::TERM).unwrap();
    assert!(daemon.await_end().unwrap().success());
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    daemon.await_line("agenda taken up; what is overdue runs now waiting=1 overdue=0").unwrap();
    assert_eq!(rules(&machine), 1);
}

/// What is safe is done, and what is not is not: also with a full disk a knock closes.
#[test]
#[ignore = "needs root: sudo make test"]
fn with_a_full_disk_a_knock_closes_a_lease_and_opens_none() {
    let machine = Private::new().unwrap();
    let mut host = WrittenLog::new(LEASES).unwrap();
    let state = host.path("state").display().to_string();
    fs::create_dir(&state).unwrap();
    machine.on(&format!("mount -t tmpfs -o size=512k,mode=700 tmpfs {state}")).unwrap();
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    let is_open = || machine.on("nft list ruleset").unwrap().contains(CLIENT);
    host.knock(1).unwrap();
    daemon.await_line("done: open tcp port").unwrap();
    assert!(is_open());
    machine.on(&format!("dd if=/dev/zero of={state}/ballast bs=4k")).unwrap_err();

    host.knock(255).unwrap();
    daemon.await_line("knock refused, it cannot be kept on disk").unwrap();
    daemon.await_line("what that knock closes cannot be kept on disk").unwrap();
    daemon.await_line("it is closed all the same").unwrap();
    daemon.await_line("done: close tcp port").unwrap();
    assert!(!is_open());
    host.knock(1).unwrap();
    daemon.await_lines("knock refused, it cannot be kept on disk", 2).unwrap();

    machine.on(&format!("rm {state}/ballast")).unwrap();
    daemon.await_line("what could not be kept on disk now is").unwrap();
    kill(daemon);
    let daemon = host.daemon(&machine.enter(), &[]).unwrap();
    assert!(!daemon.lines().iter().any(|line| line.contains("leases taken up")));
    assert!(!is_open());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_folder_that_cannot_be_written_is_named_and_nothing_starts() {
    let machine = Private::new().unwrap();
    let host = WrittenLog::new(RULES).unwrap();
    let state = host.path("state").display().to_string();
    fs::create_dir(&state).unwrap();
    machine.on(&format!("mount --bind {state} {state}")).unwrap();
    machine.on(&format!("mount -o remount,bind,ro {state}")).unwrap();
    let error = host.daemon(&machine.enter(), &[]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("Read-only file system") && error.contains(&state), "{error}");
    assert!(error.contains("'statedir'"), "{error}");
    machine.on(&format!("mount -o remount,bind,rw {state}")).unwrap();
    host.daemon(&machine.enter(), &[]).unwrap();
}

/// A limit on the size of files makes any write fail, and can be taken away again.
fn limit_files(daemon: &Running, bytes: &str) {
    let pid = daemon.pid().as_raw_nonzero().to_string();
    let set = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")])
        .status()
        .unwrap();
    assert!(set.success());
}

/// The words that make a program live on when it meets that limit.
fn surviving() -> Vec<String> {
    ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""].map(str::to_owned).to_vec()
}

#[test]
fn what_ran_while_the_disk_failed_does_not_run_again() {
    let mut host = WrittenLog::new(PROGRAMS).unwrap();
    let daemon = host.daemon(&surviving(), &[]).unwrap();
    host.knock(2).unwrap();
    let begun = await_until(PATIENCE, || count(&host, "begun") == 1);
    assert!(begun, "{:#?}", daemon.lines());
    // The first write went well, and the one that strikes the order out does not.
    limit_files(&daemon, "0");
    fs::write(host.path("go"), "").unwrap();
    daemon.await_line("what was done cannot be kept on disk").unwrap();
    host.knock(1).unwrap();
    daemon.await_line("knock refused, it cannot be kept on disk").unwrap();

    limit_files(&daemon, "unlimited");
    daemon.await_line("what could not be kept on disk now is").unwrap();
    kill(daemon);
    let daemon = host.daemon(&surviving(), &[]).unwrap();
    daemon.await_line("waiting=1").unwrap();
    host.knock(1).unwrap();
    daemon.await_line("done: echo ran").unwrap();
    assert_eq!((count(&host, "begun"), count(&host, "ran")), (1, 2));
}

#[test]
fn a_store_that_somebody_else_has_locked_refuses_knocks_until_it_is_free() {
    let mut host = WrittenLog::new(PROGRAMS).unwrap();
    let daemon = host.daemon(&[], &[]).unwrap();
    host.knock(1).unwrap();
    daemon.await_line("done: echo ran").unwrap();
    let admin = Connection::open(host.path("state/knockdaemon.db")).unwrap();
    admin.busy_timeout(PATIENCE).unwrap();
    admin.execute_batch("BEGIN IMMEDIATE").unwrap();
    host.knock(1).unwrap();
    let said = daemon.await_line("knock refused, it cannot be kept on disk").unwrap();
    assert!(said.contains("database is locked") && said.contains("knockdaemon.db"), "{said}");
    admin.execute_batch("ROLLBACK").unwrap();
    host.knock(1).unwrap();
    daemon.await_lines("done: echo ran", 2).unwrap();
    assert_eq!(count(&host, "ran"), 2);
}

#[test]
fn a_damaged_store_is_set_aside_and_not_believed() {
    let mut host = WrittenLog::new(PROGRAMS).unwrap();
    let mut daemon = host.daemon(&[], &[]).unwrap();
    host.knock(1).unwrap();
    daemon.await_line("done: echo ran").unwrap();
    // Cleanly, so that nothing is left in SQLite's log, which would mend it.
    daemon.signal(Signal::TERM).unwrap();
    daemon.await_end().unwrap();
    let database = host.path("state/knockdaemon.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes.iter_mut().skip(100).for_each(|byte| *byte ^= 0x55);
    fs::write(&database, bytes).unwrap();

    let daemon = host.daemon(&[], &[]).unwrap();
    let said = daemon.await_line("is damaged").unwrap();
    assert!(said.contains("ERROR") && said.contains("knockdaemon.db.damaged-1"), "{said}");
    assert!(said.contains("look whether the firewall still has rules"), "{said}");
    assert!(!daemon.lines().join("\n").contains("agenda taken up"));
    host.knock(1).unwrap();
    daemon.await_line("done: echo ran").unwrap();
    assert_eq!(count(&host, "ran"), 2);
}
