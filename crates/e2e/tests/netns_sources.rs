//! Several sources at once, sources that fail and come back, and a named pipe.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::process::{Command, Stdio};

use common::{ACTIONS, Setup, key_of};
use knock_e2e::firewall::{self, Backend};
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::{probe, programs, tool};
use rustix::process::Signal;

const KNOCK: &str = "knock = IP,PORT,TIME,CHECKSUM";

/// A closed host that logs, and hands over to NFLOG group 5.
fn lab_with_both() -> Lab {
    let lab = Lab::new().unwrap();
    firewall::close(&lab, Backend::Nft, "portknock").unwrap();
    firewall::send_to_group(&lab, Backend::Nft, 5, "portknock").unwrap();
    lab
}

fn said(setup: &Setup, text: &str) -> usize {
    setup.daemon.lines().iter().filter(|line| line.contains(text)).count()
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_packet_that_two_sources_see_counts_once() {
    let source = "runmode = kmsg, nflog\nnfloggroup = 5";
    let setup = Setup::reading(lab_with_both(), source, Backend::Nft, KNOCK, ACTIONS);
    setup.daemon.await_line("following NFLOG group 5").unwrap();
    setup.daemon.await_line("following /dev/kmsg").unwrap();
    let client = setup.lab.client();
    for (round, time) in ["0", "255", "0"].into_iter().enumerate() {
        setup.knock(&["-port", "22", "-time", time]);
        // Each of the eight packets comes a second time, by the other way.
        setup.daemon.await_lines("a repeated SYN", 8 * (round + 1)).unwrap();
    }
    setup.await_open(client);
    assert_eq!(said(&setup, "knock accepted"), 3, "{:#?}", setup.daemon.lines());
    assert_eq!(setup.rules_for(client), 1);
}

/// Holds NFLOG group 5 as another program would.
fn holder(lab: &Lab) -> Running {
    let config = format!("runmode = nflog\nnfloggroup = 5\nkey = {}\n{KNOCK}\n", key_of(lab));
    let config = lab.write("holder.conf", &config).unwrap();
    let holder = programs::daemon(lab, Backend::Nft, &config, &["-test"]).unwrap();
    holder.await_line("following NFLOG group 5").unwrap();
    holder
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_source_that_fails_is_tried_again_and_the_others_go_on() {
    let lab = lab_with_both();
    let mut holder = holder(&lab);
    let source = "runmode = kmsg, nflog\nnfloggroup = 5";
    let setup = Setup::reading(lab, source, Backend::Nft, KNOCK, ACTIONS);
    setup.daemon.await_line("group 5 is read by another program").unwrap();
    setup.daemon.await_line("following /dev/kmsg").unwrap();
    let client = setup.lab.client();
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(client);
    // Once it can be had it is read, without anybody's doing.
    holder.signal(Signal::TERM).unwrap();
    holder.await_end().unwrap();
    setup.daemon.await_line("following NFLOG group 5").unwrap();
    setup.knock(&["-port", "22", "-time", "255"]);
    setup.daemon.await_lines("a repeated SYN", 8).unwrap();
    setup.await_closed(client);
    assert_eq!(said(&setup, "is read by another program"), 1, "said once");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn where_no_source_can_begin_it_ends_with_the_reason() {
    let lab = lab_with_both();
    let _holder = holder(&lab);
    let config = format!(
        "runmode = nflog\nrunmode = kmsg\nnfloggroup = 5\nkey = {}\n{KNOCK}\n",
        key_of(&lab)
    );
    let config = lab.write("knockdaemon.conf", &config).unwrap();
    let output = Command::new("ip")
        .args(["netns", "exec", &lab.namespace(Host::Server)])
        // Without it there is no kernel log either.
        .args(["setpriv", "--bounding-set", "-syslog,-sys_admin"])
        .args(["--inh-caps", "-syslog,-sys_admin"])
        .arg(programs::folder().unwrap().join("knockdaemon"))
        .args(["-test", "-conf"])
        .arg(&config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(74 | 77)), "{said}");
    assert!(said.contains("is read by another program"), "{said}");
    assert!(said.contains("nothing left to read"), "{said}");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_reload_adds_a_source_and_takes_one_away() {
    let setup = Setup::reading(lab_with_both(), "runmode = kmsg", Backend::Nft, KNOCK, ACTIONS);
    let config = std::fs::read_to_string(&setup.config).unwrap();
    let both = config.replace("runmode = kmsg", "runmode = kmsg, nflog\nnfloggroup = 5");
    std::fs::write(&setup.config, both).unwrap();
    setup.daemon.signal(Signal::HUP).unwrap();
    setup.daemon.await_line("following NFLOG group 5").unwrap();
    let only = config.replace("runmode = kmsg", "runmode = nflog\nnfloggroup = 5");
    std::fs::write(&setup.config, only).unwrap();
    setup.daemon.signal(Signal::HUP).unwrap();
    setup.daemon.await_lines("configuration reloaded", 2).unwrap();
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(setup.lab.client());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_named_pipe_that_dmesg_writes_and_another_one_after_it() {
    let lab = lab_with_both();
    let pipe = lab.path("kern.fifo");
    tool(&format!("mkfifo -m 600 {}", pipe.display())).unwrap();
    let source = format!("runmode = file\nlogfile = {}", pipe.display());
    let setup = Setup::reading(lab, &source, Backend::Nft, KNOCK, ACTIONS);
    let client = setup.lab.client();
    for time in ["0", "255"] {
        let mut command = Command::new("dmesg");
        let writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        command.arg("--follow-new").stdout(Stdio::from(writer));
        let dmesg = Running::spawn_with_output("dmesg", &mut command).unwrap();
        // It follows when a packet of somebody else comes through.
        let seen = said(&setup, "port=999");
        assert!(await_until(PATIENCE, || {
            let (other, server) = (setup.lab.second_client(), setup.lab.server());
            probe::send_syn(&setup.lab, other, server, 999).unwrap();
            said(&setup, "port=999") > seen
        }));
        setup.knock(&["-port", "22", "-time", time]);
        if time == "0" {
            setup.await_open(client)
        } else {
            setup.await_closed(client)
        }
        drop(dmesg);
    }
    setup.daemon.signal(Signal::TERM).unwrap();
    let read = setup.daemon.await_line("read so many lines").unwrap();
    assert!(!read.contains("hits=0"), "{read}");
}

/// SYNs until the daemon says so.
fn knock_at_a_wall(setup: &Setup, text: &str) -> String {
    let (client, server) = (setup.lab.client(), setup.lab.server());
    assert!(await_until(PATIENCE, || {
        probe::send_syn(&setup.lab, client, server, 800).unwrap();
        said(setup, text) > 0
    }));
    setup.daemon.await_line(text).unwrap()
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_rule_that_counts_packets_of_which_nothing_arrives_is_pointed_out() {
    // The wrong file.
    let lab = lab_with_both();
    let empty = lab.write("empty.log", "").unwrap();
    let source = format!("runmode = file\nsilence = 1\nlogfile = {}", empty.display());
    let setup = Setup::reading(lab, &source, Backend::Nft, KNOCK, ACTIONS);
    let warning = knock_at_a_wall(&setup, "nothing has been read");
    assert!(warning.contains("does syslog write the kernel's lines there"), "{warning}");
    drop(setup);

    // The right source, with the wrong prefix.
    let source = "runmode = nflog\nsilence = 1\nnfloggroup = 5\nnflogprefix = other";
    let setup = Setup::reading(lab_with_both(), source, Backend::Nft, KNOCK, ACTIONS);
    let warning = knock_at_a_wall(&setup, "none was a hit");
    assert!(warning.contains("nflogprefix"), "{warning}");
    assert_eq!(said(&setup, "none was a hit"), 1);
}
