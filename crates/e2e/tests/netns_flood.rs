//! Real knocks through a flood of forged SYNs at the very ports of the span: each of them opens, and
//! the flood opens nothing. By NFLOG, which keeps every packet at this rate; `make bench` has the others.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::sync::atomic::Ordering;

use common::{ACTIONS, Setup};
use knock_e2e::firewall::{self, Backend};
use knock_e2e::lab::Lab;
use knock_e2e::programs;
use knock_e2e::storm::{EndsWithMe, Storm, Weather};
use rustix::process::Signal;

/// Many packets from each of a few sources fill their queues over and over; ever new sources fill the
/// table of clients.
#[test]
#[ignore = "needs root: sudo make test"]
fn a_real_knock_opens_in_a_flood_and_for_nobody_else() {
    for sources in [200, 1_000_000] {
        let lab = Lab::new().unwrap();
        firewall::close_to_group(&lab, Backend::Nft, 5, "portknock").unwrap();
        let source = "runmode = nflog\nnfloggroup = 5\nnflogprefix = portknock";
        let knock = "knock = IP,PORT,TIME,CHECKSUM";
        let mut setup = Setup::reading(lab, source, Backend::Nft, knock, ACTIONS);
        // The word about each hit costs more than the hit.
        setup.daemon.signal(Signal::TERM).unwrap();
        setup.daemon.await_end().unwrap();
        setup.daemon = programs::daemon(&setup.lab, setup.backend, &setup.config, &[]).unwrap();
        setup.daemon.await_line("following").unwrap();

        let storm = Storm { rate: Some(2_000), sources, ports: (745..=1000).collect() };
        let weather = Weather::default();
        let clients = [setup.lab.client(), setup.lab.second_client()];
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| storm.blow(&setup.lab, u64::MAX, &weather));
            let _ends = EndsWithMe(&weather.over);
            for (nth, time) in ["0", "255", "0"].iter().enumerate() {
                for (client, count) in clients.iter().zip(1..) {
                    let fields = ["-port", "22", "-time", time];
                    setup.knock_through(*client, &fields, 2 * nth + count);
                }
            }
            weather.over.store(true, Ordering::Relaxed);
            flood.join().unwrap().unwrap();
        });
        assert!(weather.sent.load(Ordering::Relaxed) > 0, "no flood");
        for client in clients {
            setup.await_open(client);
        }
        let accepted = setup.daemon.lines();
        let accepted = accepted.iter().filter(|line| line.contains("knock accepted")).count();
        assert_eq!(accepted, 6, "{sources} sources: {:#?}", setup.daemon.lines());
        let open = firewall::rules(&setup.lab, "iptables-nft", "--dport 22 ").unwrap();
        assert_eq!(open.len(), 2, "{sources} sources: {open:#?}");
    }
}
