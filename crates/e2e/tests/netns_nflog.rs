//! NFLOG: knocks that a rule of the firewall sends straight to the daemon, on a host that writes no
//! line about them.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::net::IpAddr;
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

use common::{ACTIONS, Setup};
use knock_e2e::firewall::{self, Backend};
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::{PATIENCE, await_until};
use knock_e2e::storm::{EndsWithMe, Storm, Weather};
use knock_e2e::{probe, programs};
use rustix::process::Signal;

const KNOCK: &str = "knock = IP,PORT,TIME,CHECKSUM";

const SOURCE: &str = "runmode = nflog\nnfloggroup = 5\nnflogprefix = portknock";

fn closed(backend: Backend) -> Lab {
    let lab = Lab::new().unwrap();
    // With the blank that prefixes of log lines have behind them.
    firewall::close_to_group(&lab, backend, 5, "portknock").unwrap();
    lab
}

fn classic() -> Setup {
    Setup::reading(closed(Backend::Nft), SOURCE, Backend::Nft, KNOCK, ACTIONS)
}

fn opens_and_closes(setup: &Setup, client: IpAddr) {
    assert!(!setup.is_open(client), "open before the knock");
    setup.knock_from(client, &["-port", "22", "-time", "0"]);
    setup.await_open(client);
    assert_eq!(setup.rules_for(client), 1);
    setup.knock_from(client, &["-port", "22", "-time", "255"]);
    setup.await_closed(client);
    assert_eq!(setup.rules_for(client), 0);
}

fn said(setup: &Setup, text: &str) -> usize {
    setup.daemon.lines().iter().filter(|line| line.contains(text)).count()
}

/// The daemon of a setup run once more, to its end.
fn run_to_the_end(setup: &Setup, before: &[&str]) -> Output {
    Command::new("ip")
        .args(["netns", "exec", &setup.lab.namespace(Host::Server)])
        .args(before)
        .arg(programs::folder().unwrap().join("knockdaemon"))
        .args(["-test", "-conf"])
        .arg(&setup.config)
        .output()
        .unwrap()
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_opens_where_nothing_is_written() {
    for backend in [Backend::Nft, Backend::Legacy] {
        let setup = Setup::reading(closed(backend), SOURCE, backend, KNOCK, ACTIONS);
        opens_and_closes(&setup, setup.lab.client());
        assert_eq!(setup.rules_for(setup.lab.second_client()), 0);
        // -debug tells packet, interface and decision.
        let hit = setup.daemon.await_line("hit: ").unwrap();
        assert!(hit.contains("TCP") && hit.contains(&setup.lab.interface(Host::Server)), "{hit}");
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn nftables_own_rule_and_both_families() {
    let lab = Lab::new().unwrap();
    firewall::close_with_nft_and(&lab, "log group 700 prefix \"portknock: \"").unwrap();
    let source = "runmode = nflog\nnfloggroup = 700\nnflogprefix = portknock:";
    let setup = Setup::reading(lab, source, Backend::Nft, "knock = PORT,TIME,CHECKSUM", ACTIONS);
    // The rule that the knock adds to iptables' chain cannot open what nft's own chain drops.
    for client in [setup.lab.client(), setup.lab.client6()] {
        setup.knock_from(client, &["-port", "22", "-time", "0"]);
        assert!(await_until(PATIENCE, || setup.rules_for(client) == 1), "{client}");
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn over_ipv6() {
    let lab = closed(Backend::Nft);
    let knock = "knock = IP6,PORT16,TIME,CHECKSUM";
    let setup = Setup::reading(lab, SOURCE, Backend::Nft, knock, ACTIONS);
    opens_and_closes(&setup, setup.lab.client6());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_rule_with_another_prefix_opens_nothing_until_a_reload_means_it() {
    let setup = classic();
    let config = std::fs::read_to_string(&setup.config).unwrap();
    let other = config.replace("nflogprefix = portknock", "nflogprefix = portknocks");
    std::fs::write(&setup.config, &other).unwrap();
    setup.daemon.signal(Signal::HUP).unwrap();
    setup.daemon.await_line("configuration reloaded").unwrap();
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.daemon.await_lines("another prefix than nflogprefix", 8).unwrap();
    assert_eq!(setup.rules_for(setup.lab.client()), 0);

    std::fs::write(&setup.config, &config).unwrap();
    setup.daemon.signal(Signal::HUP).unwrap();
    setup.daemon.await_lines("configuration reloaded", 2).unwrap();
    opens_and_closes(&setup, setup.lab.client());
    assert_eq!(said(&setup, "knock accepted"), 2, "{:#?}", setup.daemon.lines());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn two_daemons_with_groups_of_their_own_and_a_third_is_told_of_them() {
    let setup = classic();
    firewall::send_to_group(&setup.lab, Backend::Nft, 6, "portknock").unwrap();
    let config = std::fs::read_to_string(&setup.config).unwrap();
    let other = config.replace("nfloggroup = 5", "nfloggroup = 6");
    let other = setup.lab.write("other.conf", &other).unwrap();
    let second = programs::daemon(&setup.lab, Backend::Nft, &other, &["-debug", "-test"]).unwrap();
    second.await_line("following NFLOG group 6").unwrap();
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(setup.lab.client());
    second.await_line("knock accepted").unwrap();

    let third = run_to_the_end(&setup, &[]);
    let said = String::from_utf8_lossy(&third.stderr);
    assert_eq!(third.status.code(), Some(74), "{said}");
    assert!(said.contains("group 5 is read by another program"), "{said}");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn without_the_capability_it_says_which_and_ends() {
    let setup = classic();
    let setpriv = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
    let output = run_to_the_end(&setup, &setpriv);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{said}");
    assert!(said.contains("CAP_NET_ADMIN"), "{said}");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn the_group_is_free_again_as_soon_as_its_reader_is_dead() {
    let mut setup = classic();
    for _ in 0..3 {
        setup.kill();
        setup.restart();
    }
    opens_and_closes(&setup, setup.lab.client());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_syn_that_the_kernel_sends_again_counts_once_and_answers_do_not_count() {
    let setup = classic();
    let (client, server) = (setup.lab.client(), setup.lab.server());
    let ports = setup.ports(client, &["-port", "22", "-time", "0"]);
    let (first, rest) = ports.split_first().unwrap();
    // The kernel sends it again after a second, or when it gets to it.
    let kept = probe::keep_connecting(&setup.lab, client, server, *first).unwrap();
    setup.daemon.await_line("a repeated SYN").unwrap();
    drop(kept);
    for port in rest {
        probe::send_syn(&setup.lab, client, server, *port).unwrap();
    }
    setup.await_open(client);
}

/// SYNs from ever new addresses, as fast as one thread makes them.
fn flood() -> Storm {
    Storm { rate: None, sources: 1 << 24, ports: (745..=1000).collect() }
}

/// How many packets the rule has sent to the group.
fn counted(lab: &Lab) -> u64 {
    let rules = lab.on(Host::Server, "iptables-nft -vxnL INPUT").unwrap();
    let rule = rules.lines().find(|line| line.contains("NFLOG")).unwrap();
    rule.split_whitespace().next().unwrap().parse().unwrap()
}

fn without_debug(setup: &mut Setup) {
    setup.daemon.signal(Signal::TERM).unwrap();
    setup.daemon.await_end().unwrap();
    // The word about each hit costs more than the hit.
    setup.daemon = programs::daemon(&setup.lab, setup.backend, &setup.config, &[]).unwrap();
    setup.daemon.await_line("following").unwrap();
}

#[test]
#[ignore = "needs root: sudo make test"]
fn knocks_come_through_a_flood_at_full_speed() {
    let mut setup = classic();
    without_debug(&mut setup);
    let client = setup.lab.client();
    let weather = Weather::default();
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| flood().blow(&setup.lab, u64::MAX, &weather));
        let _ends = EndsWithMe(&weather.over);
        for round in 1..=20 {
            let time = if round % 2 == 1 { "0" } else { "255" };
            setup.knock_through(client, &["-port", "22", "-time", time], round);
        }
        weather.over.store(true, Ordering::Relaxed);
        flood.join().unwrap().unwrap();
    });
    let sent = weather.sent.load(Ordering::Relaxed);
    assert!(sent > 20_000, "no flood: {sent}");
    assert!(counted(&setup.lab) > sent, "the flood did not come to the rule");
    assert_eq!(said(&setup, "knock accepted"), 20, "{:#?}", setup.daemon.lines());
    assert!(await_until(PATIENCE, || setup.rules_for(client) == 0));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn what_there_was_no_room_for_is_counted_aloud() {
    let mut setup = classic();
    without_debug(&mut setup);
    setup.daemon.signal(Signal::STOP).unwrap();
    flood().blow(&setup.lab, 200_000, &Weather::default()).unwrap();
    setup.daemon.signal(Signal::CONT).unwrap();
    let told = setup.daemon.await_line("packets of the rule because they came faster").unwrap();
    assert!(told.contains("the kernel dropped"), "{told}");
    opens_and_closes(&setup, setup.lab.client());
}
