//! What the daemon tells systemd, to a socket of the test; and the shipped unit, by systemd's own tools.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use knock_e2e::process::PATIENCE;
use knock_e2e::programs;
use knock_e2e::written::WrittenLog;
use rustix::process::Signal;

const ACTIONS: &str = "
<actions>
  <action>
    template = tell
  </action>
  <template tell>
    system = test -z \"$NOTIFY_SOCKET$WATCHDOG_USEC\" && echo it is for the daemon alone
  </template>
</actions>
";

/// The next words but for signs of life, which come as they please.
fn heard(systemd: &UnixDatagram) -> String {
    loop {
        let mut block = [0; 1000];
        let length = systemd.recv(&mut block).expect("nothing was said");
        let words = String::from_utf8(block[..length].to_vec()).unwrap();
        if words != "WATCHDOG=1" {
            return words;
        }
    }
}

#[test]
fn systemd_hears_when_it_is_ready_how_it_is_that_it_lives_and_that_it_stops() {
    let mut host = WrittenLog::new(ACTIONS).unwrap();
    let path = host.path("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let before = ["env".to_owned(), format!("NOTIFY_SOCKET={}", path.display())];
    // As in the shipped unit or so, that signs of life do not fill the socket while nobody listens.
    let before = [&before[..], &["WATCHDOG_USEC=20000000".to_owned()]].concat();
    let mut daemon = host.daemon(&before, &[]).unwrap();
    let mut said = [heard(&systemd), heard(&systemd)];
    said.sort();
    assert_eq!(said[0], "READY=1");
    assert!(said[1].starts_with("STATUS=1 source; 0 knocks,"), "{}", said[1]);

    host.knock(0).unwrap();
    daemon.await_line("done: test -z").unwrap();
    assert!(heard(&systemd).contains("1 knock"));
    // The loop turns although nothing comes any more.
    systemd.set_read_timeout(Some(3 * PATIENCE)).unwrap();
    let mut block = [0; 1000];
    while {
        let length = systemd.recv(&mut block).expect("no sign of life");
        &block[..length] != b"WATCHDOG=1"
    } {}
    daemon.signal(Signal::HUP).unwrap();
    let reloading = loop {
        let words = heard(&systemd);
        if !words.starts_with("STATUS") {
            break words;
        }
    };
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(heard(&systemd), "READY=1");
    daemon.signal(Signal::TERM).unwrap();
    assert!(daemon.await_end().unwrap().success());
    assert_eq!(heard(&systemd), "STOPPING=1");
}

/// The unit as `make install` puts it, where its program is.
fn unit(folder: &Path) {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../knockdaemon/dist");
    let unit = fs::read_to_string(dist.join("knockdaemon.service")).unwrap();
    let programs = programs::folder().unwrap().display().to_string();
    fs::write(folder.join("knockdaemon.service"), unit.replace("@SBIN@", &programs)).unwrap();
}

fn analyze(folder: &Path, words: &[&str]) -> std::process::Output {
    let analyze = Command::new("systemd-analyze").args(words).current_dir(folder).output();
    analyze.expect("systemd-analyze is of the package systemd")
}

#[test]
fn the_unit_is_right_by_systemds_own_judgement_and_exposes_little() {
    let folder = tempfile::tempdir().unwrap();
    unit(folder.path());
    let verified = analyze(folder.path(), &["verify", "--man=no", "./knockdaemon.service"]);
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("knockdaemon")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");

    // In tenths: 2.0 is what the project promises.
    let words = ["security", "--offline=yes", "--no-pager", "--threshold=20"];
    let judged = analyze(folder.path(), &[&words[..], &["./knockdaemon.service"]].concat());
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}

#[test]
fn the_drop_ins_are_right_too() {
    for name in ["root", "network", "users"] {
        let folder = tempfile::tempdir().unwrap();
        unit(folder.path());
        let name = format!("knockdaemon-{name}.conf");
        let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../knockdaemon/dist");
        let drop_ins = folder.path().join("knockdaemon.service.d");
        fs::create_dir(&drop_ins).unwrap();
        fs::copy(dist.join(&name), drop_ins.join(&name)).unwrap();
        let verified = analyze(folder.path(), &["verify", "--man=no", "./knockdaemon.service"]);
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        let ours: Vec<_> = said.lines().filter(|line| line.contains("knockdaemon")).collect();
        assert!(verified.status.success() && ours.is_empty(), "{name}: {said}");
    }
}
