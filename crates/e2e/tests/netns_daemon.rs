//! The daemon's life on real packets: killed between open and close, reloaded, stopped.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::SystemTime;

use common::{ACTIONS, Log, Setup};
use knock_e2e::firewall::Backend;
use knock_e2e::kept;
use knock_e2e::process::{PATIENCE, await_until};
use rustix::process::Signal;

#[test]
#[ignore = "needs root: sudo make test"]
fn killed_between_open_and_close_the_port_closes_after_the_restart() {
    let mut setup = Setup::classic(Log::Kmsg, Backend::Nft);
    let client = setup.lab.client();
    setup.knock_and_kill(client, &["-port", "22", "-time", "1"]);
    setup.restart();
    setup.await_closed(client);
    assert_eq!(setup.rules_for(client), 0);
    // And it is struck out: the next start finds an empty agenda.
    setup.daemon.await_line("done: iptables -D").unwrap();
    setup.daemon.signal(Signal::TERM).unwrap();
    assert!(setup.daemon.await_end().unwrap().success());
    setup.restart();
    let said = setup.daemon.lines().join("\n");
    assert!(!said.contains("agenda taken up"), "{said}");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn killed_long_enough_to_miss_the_deadline_it_closes_late_rather_than_never() {
    let mut setup = Setup::classic(Log::Kmsg, Backend::Nft);
    let client = setup.lab.client();
    setup.knock_and_kill(client, &["-port", "22", "-time", "1"]);
    // The deadline passes while the daemon is dead.
    let due = kept::ledger(&setup.statedir).unwrap().orders().map(|order| order.due).max().unwrap();
    #[allow(clippy::disallowed_methods, reason = "the deadline of a real daemon")]
    let is_over = || SystemTime::now() >= due;
    assert!(await_until(PATIENCE, is_over));
    // Nobody was there to close it.
    setup.await_open(client);
    setup.restart();
    setup.daemon.await_line("overdue=1").unwrap();
    setup.await_closed(client);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_signal_to_stop_ends_it_cleanly_and_keeps_the_agenda() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut setup = Setup::classic(Log::Kmsg, Backend::Nft);
        let client = setup.lab.client();
        // Told to stop while it is open; once more where it was closed by then.
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds <= 5, "it is always closed before it is told to stop");
            setup.knock_and_get_in(client, &["-port", "22", "-time", "1"]);
            setup.daemon.signal(signal).unwrap();
            assert!(setup.daemon.await_end().unwrap().success());
            setup.daemon.await_last_words().unwrap();
            let words = setup.daemon.lines();
            if words.iter().any(|line| line.contains("waiting=1")) {
                break;
            }
            assert!(words.iter().any(|line| line.contains("done: iptables -D")), "{words:#?}");
            setup.restart();
        }
        setup.restart();
        setup.await_closed(client);
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_broken_file_keeps_the_running_config_and_a_good_one_replaces_it() {
    let setup = Setup::classic(Log::Kmsg, Backend::Nft);
    let client = setup.lab.client();
    let good = std::fs::read_to_string(&setup.config).unwrap();

    let broken = good.replace("template  = open\n", "template  = opn\n");
    std::fs::write(&setup.config, &broken).unwrap();
    setup.daemon.signal(Signal::HUP).unwrap();
    setup.daemon.await_line("did you mean 'open'").unwrap();
    setup.daemon.await_line("the running one stays").unwrap();
    std::fs::write(&setup.config, &good).unwrap();
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(client);

    // Half a knock before the reload, half behind it: the queue is kept.
    let ports = setup.ports(client, &["-port", "22", "-time", "255"]);
    let (server, lab) = (setup.lab.server(), &setup.lab);
    for port in &ports[..4] {
        knock_e2e::probe::send_syn(lab, client, server, *port).unwrap();
    }
    setup.daemon.await_line("queued 4/8").unwrap();
    let renamed = good.replace("close", "shut");
    std::fs::write(&setup.config, &renamed).unwrap();
    setup.daemon.signal(Signal::HUP).unwrap();
    setup.daemon.await_line("configuration reloaded").unwrap();
    for port in &ports[4..] {
        knock_e2e::probe::send_syn(lab, client, server, *port).unwrap();
    }
    setup.await_closed(client);
    setup.daemon.await_line("template=\"shut\"").unwrap();
}

#[test]
#[ignore = "needs root: sudo make test"]
fn with_test_it_says_what_it_would_run_and_runs_nothing() {
    let mut setup = Setup::classic(Log::Kmsg, Backend::Nft);
    setup.daemon.signal(Signal::TERM).unwrap();
    setup.daemon.await_end().unwrap();
    let statedir = setup.statedir.clone();
    std::fs::remove_dir_all(&statedir).unwrap();
    setup.daemon =
        knock_e2e::programs::daemon(&setup.lab, Backend::Nft, &setup.config, &["-test"]).unwrap();
    setup.daemon.await_line("following").unwrap();
    setup.knock(&["-port", "22", "-time", "1"]);
    setup.daemon.await_line("would run: iptables -I INPUT").unwrap();
    setup.daemon.await_line("delay_s=5").unwrap();
    assert_eq!(setup.rules_for(setup.lab.client()), 0);
    assert!(!statedir.exists(), "-test leaves no state behind");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn the_daemons_own_words_in_its_own_log_are_no_hits() {
    // A daemon that logs into the log that it follows must not see itself.
    let setup = Setup::with(Log::Rsyslog, Backend::Nft, "knock = IP,PORT,TIME,CHECKSUM", ACTIONS);
    let log = setup.lab.path("kern.log");
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(setup.lab.client());
    let said = setup.daemon.lines();
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    for line in &said {
        std::io::Write::write_all(
            &mut file,
            format!("2026-11-21T07:00:00+00:00 h knockdaemon[7]: {line}\n").as_bytes(),
        )
        .unwrap();
    }
    // A knock that comes behind these lines is the sign that they have been read.
    setup.knock(&["-port", "22", "-time", "255"]);
    setup.await_closed(setup.lab.client());
    let accepted =
        setup.daemon.lines().iter().filter(|line| line.contains("knock accepted")).count();
    assert_eq!(accepted, 2);
}
