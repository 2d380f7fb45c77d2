//! Knocks between our programs and the parts that the original was made of: Crypt::CBC,
//! Crypt::Blowfish and File::Tail as Debian packages them.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Log, Setup, key_of};
use knock_e2e::firewall::Backend;
use knock_e2e::process::Running;
use knock_e2e::{probe, programs};

const KEY: &str = "open sesame";

fn script() -> Command {
    let mut perl = Command::new("perl");
    perl.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/perl/knock.pl"));
    perl
}

/// Ports of a knock that Perl made.
fn perl_ports(key: &str, ip: &str, port: &str, time: &str) -> String {
    let output = script().args(["encrypt", key, ip, port, time]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}; .ci/install-tools test installs the modules");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn both_make_the_same_ports() {
    let client = programs::folder().unwrap().join("knockclient");
    for (ip, port, time) in [("10.0.0.1", "22", "15"), ("192.168.255.254", "255", "0")] {
        let ours = Command::new(&client)
            .args(["-test", "-quiet", "-remote", "192.0.2.1", "-key", KEY])
            .args(["-client", ip, "-port", port, "-time", time])
            .output()
            .unwrap();
        let ours = String::from_utf8(ours.stdout).unwrap();
        assert_eq!(ours.trim(), perl_ports(KEY, ip, port, time));
    }
}

#[test]
fn our_daemon_accepts_log_lines_of_a_knock_that_perl_made() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("messages");
    let made = script().args(["log", KEY, "198.51.100.7", "22", "15"]).arg(&log).status().unwrap();
    assert!(made.success());
    let config = folder.path().join("knockdaemon.conf");
    std::fs::write(&config, format!("logfile = /var/log/messages\nkey = {KEY}\n")).unwrap();
    let output = Command::new(programs::folder().unwrap().join("knockdaemon"))
        .args(["replay", "--json"])
        .arg(&log)
        .arg("-conf")
        .arg(&config)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let first: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(first["event"], "knock");
    assert_eq!(first["client"], "198.51.100.7");
    assert_eq!(first["line"], 8);
    assert_eq!(first["fields"]["PORT"], 22);
    assert_eq!(first["fields"]["TIME"], 15);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn our_daemon_opens_for_packets_at_ports_that_perl_computed() {
    let setup = Setup::classic(Log::Kmsg, Backend::Nft);
    let client = setup.lab.client();
    for port in perl_ports(&key_of(&setup.lab), &client.to_string(), "22", "0").split(',') {
        probe::send_syn(&setup.lab, client, setup.lab.server(), port.parse().unwrap()).unwrap();
    }
    setup.await_open(client);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn perl_reads_what_our_client_sends() {
    let setup = Setup::classic(Log::Rsyslog, Backend::Nft);
    let log = setup.lab.path("kern.log");
    let perl = Running::spawn("knock.pl", script().args(["decrypt", &key_of(&setup.lab)]).arg(log))
        .unwrap();
    perl.await_line("ready").unwrap();
    setup.knock(&["-port", "22", "-time", "15"]);
    let client = setup.lab.client();
    perl.await_line(&format!("knock from={client} ip={client} port=22 time=15")).unwrap();
}
