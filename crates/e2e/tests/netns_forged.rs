//! Real ICMP errors through real LOG rules: the header that they embed, and that the kernel prints,
//! is made up. Whoever sends them must not knock with them; the daemon must not mind them.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::net::IpAddr;

use common::{ACTIONS, Log, Setup};
use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::icmpv6::DestUnreachableCode;
use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder};
use knock_e2e::firewall::{self, Backend};
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::{PATIENCE, await_until};

/// Without an address in it, so that one knock serves both families.
const KNOCK: &str = "knock = PORT,TIME,CHECKSUM";

fn mac(lab: &Lab, host: Host) -> [u8; 6] {
    let path = format!("cat /sys/class/net/{}/address", lab.interface(host));
    let text = lab.on(host, &path).unwrap();
    let bytes: Vec<u8> =
        text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// The packet that an error complains about, as its sender makes it up: from `client` to the
/// server's `port`.
fn embedded(client: IpAddr, server: IpAddr, port: u16, tcp: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = match (client, server) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        mixed => panic!("{mixed:?}"),
    };
    let written = match tcp {
        true => builder.tcp(40_000, port, 7, 64_240).syn().write(&mut bytes, &[]),
        false => builder.udp(40_000, port).write(&mut bytes, b"x"),
    };
    written.unwrap();
    bytes
}

/// An ICMP error in an Ethernet frame.
fn error(macs: ([u8; 6], [u8; 6]), sender: IpAddr, server: IpAddr, inside: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = PacketBuilder::ethernet2(macs.0, macs.1);
    let written = match (sender, server) {
        (IpAddr::V4(from), IpAddr::V4(to)) => frame
            .ipv4(from.octets(), to.octets(), 64)
            .icmpv4(Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port))
            .write(&mut bytes, inside),
        (IpAddr::V6(from), IpAddr::V6(to)) => frame
            .ipv6(from.octets(), to.octets(), 64)
            .icmpv6(Icmpv6Type::DestinationUnreachable(DestUnreachableCode::Port))
            .write(&mut bytes, inside),
        mixed => panic!("{mixed:?}"),
    };
    written.unwrap();
    bytes
}

/// A whole knock in errors: each port in a SYN and in a datagram, from the one who sends the errors
/// and from somebody else. Returns how many were sent.
fn knock_by_errors(setup: &Setup, client: IpAddr, sender: IpAddr, ports: &[u16]) -> usize {
    let lab = &setup.lab;
    let server = if client.is_ipv4() { lab.server() } else { lab.server6() };
    let macs = (mac(lab, Host::Client), mac(lab, Host::Server));
    let mut frames = Vec::new();
    for tcp in [true, false] {
        for port in ports {
            frames.push(error(macs, sender, server, &embedded(client, server, *port, tcp)));
        }
    }
    let interface = lab.interface(Host::Client);
    lab.within(Host::Client, || {
        let mut wire = pcap::Capture::from_device(interface.as_str()).unwrap().open().unwrap();
        for frame in &frames {
            wire.sendpacket(frame.as_slice()).unwrap();
        }
    })
    .unwrap();
    frames.len()
}

/// What the daemon said about lines of this lab; `/dev/kmsg` has those of others as well.
fn said(setup: &Setup, what: &str) -> usize {
    let ours = format!("IN={} ", setup.lab.interface(Host::Server));
    let lines = setup.daemon.lines();
    lines.iter().filter(|line| line.contains(&ours) && line.contains(what)).count()
}

fn errors_do_not_knock(setup: &Setup) {
    let lab = &setup.lab;
    let ports = setup.ports(lab.client(), &["-port", "22", "-time", "0"]);
    let mut sent = 0;
    for (client, sender) in [
        (lab.client(), lab.client()),
        (lab.client(), lab.second_client()),
        (lab.client6(), lab.client6()),
    ] {
        sent += knock_by_errors(setup, client, sender, &ports);
    }
    // Each of them was logged with the header inside, read, and seen through.
    let seen = await_until(PATIENCE, || said(setup, "no hit: protocol ICMP") == sent);
    let told = setup.daemon.lines().join("\n");
    assert!(seen, "{} of {sent} errors told of:\n{told}", said(setup, "no hit: protocol ICMP"));
    assert_eq!(said(setup, "[SRC="), sent, "{told}");
    assert_eq!(said(setup, " hit: client="), 0, "{told}");
    for client in [lab.client(), lab.client6()] {
        assert!(!setup.is_open(client), "{told}");
        assert_eq!(setup.rules_for(client), 0);
    }

    // The door itself works, right after.
    for client in [lab.client(), lab.client6()] {
        setup.knock_from(client, &["-port", "22", "-time", "0"]);
        setup.await_open(client);
        assert_eq!(setup.rules_for(client), 1);
    }
}

fn by_iptables(log: Log, backend: Backend) {
    let lab = Lab::new().unwrap();
    firewall::close(&lab, backend, "portknock").unwrap();
    for (program, protocol) in [("iptables", "icmp"), ("ip6tables", "ipv6-icmp")] {
        let program = format!("{program}-{}", backend.suffix());
        let rule = format!("-A INPUT -p {protocol} -j LOG --log-prefix portknock");
        lab.on(Host::Server, &format!("{program} {rule}")).unwrap();
    }
    errors_do_not_knock(&Setup::on(lab, log, backend, KNOCK, ACTIONS));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn icmp_errors_do_not_knock_by_kmsg_and_iptables_nft() {
    by_iptables(Log::Kmsg, Backend::Nft);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn icmp_errors_do_not_knock_by_a_file_and_iptables_legacy() {
    by_iptables(Log::Rsyslog, Backend::Legacy);
}
