//! A client whose connects stay open while its packets are dropped: the kernel sends each SYN again,
//! the firewall logs each of them, and the knock counts all the same.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{Log, Setup};
use knock_e2e::firewall::Backend;
use knock_e2e::probe;

/// Between two ports the kernel sends SYNs of those before again, by its own clock.
fn knock_slowly(log: Log) {
    let setup = Setup::classic(log, Backend::Nft);
    let (client, server) = (setup.lab.client(), setup.lab.server());
    let ports = setup.ports(client, &["-port", "22", "-time", "0"]);
    let (last, first) = ports.split_last().unwrap();
    let mut connecting = Vec::new();
    for (nth, port) in first.iter().enumerate() {
        connecting.push(probe::keep_connecting(&setup.lab, client, server, *port).unwrap());
        setup.daemon.await_lines("a repeated SYN", nth + 1).unwrap();
    }
    assert!(!setup.is_open(client), "open before the knock is whole");
    connecting.push(probe::keep_connecting(&setup.lab, client, server, *last).unwrap());
    setup.await_open(client);
    assert_eq!(setup.rules_for(client), 1);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_whose_packets_are_sent_again_counts_from_a_file() {
    knock_slowly(Log::Rsyslog);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_whose_packets_are_sent_again_counts_from_kmsg() {
    knock_slowly(Log::Kmsg);
}
