//! Network mode: knocks taken from a real interface, on a host that logs nothing.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{ACTIONS, Setup};
use etherparse::PacketBuilder;
use knock_e2e::firewall::{self, Backend};
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::storm::EndsWithMe;
use knock_e2e::{probe, programs, tool};
use rustix::process::Signal;

/// As a configuration of the original has it.
const ETHFILTER: &str = "
snapshotsize = 1500
useethfilter = knocks
<ethfilter knocks>
  proto = IP_PROTO_TCP
  flags = SYN
</ethfilter>
";

const KNOCK: &str = "knock = IP,PORT,TIME,CHECKSUM";

/// A closed host without any LOG rule.
fn closed_lab() -> Lab {
    let lab = Lab::new().unwrap();
    firewall::close_in_silence(&lab, Backend::Nft).unwrap();
    lab
}

/// The daemon on that host, capturing on `interface` as `options` say.
fn capturing(lab: Lab, interface: &str, options: &str, knock: &str) -> Setup {
    let source = format!("runmode = network\ninterface = {interface}\n{options}");
    Setup::reading(lab, &source, Backend::Nft, knock, ACTIONS)
}

fn classic() -> Setup {
    let lab = closed_lab();
    let interface = lab.interface(Host::Server);
    capturing(lab, &interface, ETHFILTER, KNOCK)
}

fn opens_and_closes(setup: &Setup, client: IpAddr) {
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

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_opens_for_its_time_where_nothing_is_logged() {
    let setup = classic();
    let client = setup.lab.client();
    assert!(!setup.is_open(client), "open before the knock");
    setup.knock_and_get_in(client, &["-port", "22", "-time", "1"]);
    assert!(!setup.is_open(setup.lab.second_client()), "open for one who did not knock");
    setup.await_closed(client);
    assert_eq!(setup.rules_for(client), 0);
    // -debug tells packet and decision.
    let hit = setup.daemon.await_line("hit: ").unwrap();
    assert!(hit.contains(&format!("client={client}")) && hit.contains("TCP"), "{hit}");
    setup.daemon.await_line("queued 7/8").unwrap();
}

#[test]
#[ignore = "needs root: sudo make test"]
fn over_ipv6() {
    let lab = closed_lab();
    let interface = lab.interface(Host::Server);
    let setup = capturing(lab, &interface, ETHFILTER, "knock = IP6,PORT16,TIME,CHECKSUM");
    opens_and_closes(&setup, setup.lab.client6());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn with_no_ethfilter_and_on_all_interfaces_at_once() {
    let setup = capturing(closed_lab(), "any", "", "knock = PORT,TIME,CHECKSUM");
    for client in [setup.lab.client(), setup.lab.client6()] {
        opens_and_closes(&setup, client);
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_snapshot_that_holds_the_headers_is_enough() {
    for size in [68, 96] {
        let lab = closed_lab();
        let interface = lab.interface(Host::Server);
        let options = ETHFILTER.replace("1500", &size.to_string());
        let setup = capturing(lab, &interface, &options, KNOCK);
        opens_and_closes(&setup, setup.lab.client());
    }
}

/// A TCP SYN in an Ethernet frame with a VLAN tag, as a trunk port delivers it. Made by hand, since
/// not every kernel that runs the tests can make VLAN interfaces.
fn tagged_syn(macs: ([u8; 6], [u8; 6]), from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Vec<u8> {
    let (from_mac, to_mac) = macs;
    let frame = PacketBuilder::ethernet2(from_mac, to_mac)
        .single_vlan(7.try_into().unwrap())
        .ipv4(from.0.octets(), to.0.octets(), 64)
        .tcp(from.1, to.1, 1000, 64_240)
        .syn();
    let mut bytes = Vec::new();
    frame.write(&mut bytes, &[]).unwrap();
    bytes
}

fn mac(lab: &Lab, host: Host) -> [u8; 6] {
    let text =
        lab.on(host, &format!("cat /sys/class/net/{}/address", lab.interface(host))).unwrap();
    let bytes: Vec<u8> =
        text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

#[test]
#[ignore = "needs root: sudo make test"]
fn knocks_in_frames_with_a_vlan_tag_are_taken() {
    let setup = classic();
    let (IpAddr::V4(client), IpAddr::V4(server)) = (setup.lab.client(), setup.lab.server()) else {
        panic!("the lab's addresses are IPv4");
    };
    let ports = setup.ports(client.into(), &["-port", "22", "-time", "0"]);
    let macs = (mac(&setup.lab, Host::Client), mac(&setup.lab, Host::Server));
    setup
        .lab
        .within(Host::Client, || {
            let interface = setup.lab.interface(Host::Client);
            let mut wire = pcap::Capture::from_device(interface.as_str()).unwrap().open().unwrap();
            // A knock may have a port twice; from the same source port that would be a SYN sent again.
            for (source_port, port) in (40_000..).zip(ports) {
                let frame = tagged_syn(macs, (client, source_port), (server, port));
                wire.sendpacket(frame).unwrap();
            }
        })
        .unwrap();
    setup.await_open(client.into());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn an_interface_that_is_deleted_and_made_anew_is_captured_on_again() {
    let setup = classic();
    for round in 1..=2 {
        setup.lab.disconnect().unwrap();
        setup.daemon.await_lines("waiting", round).unwrap();
        setup.lab.connect().unwrap();
        setup.daemon.await_lines("is back; its packets are read again", round).unwrap();
        await_link(&setup.lab);
        opens_and_closes(&setup, setup.lab.client());
    }
    assert_eq!(said(&setup, "waiting"), 2, "{:#?}", setup.daemon.lines());
    assert_eq!(said(&setup, "is back"), 2);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn an_interface_that_goes_down_and_up_is_captured_on_again() {
    let setup = classic();
    let server_if = setup.lab.interface(Host::Server);
    setup.lab.on(Host::Server, &format!("ip link set {server_if} down")).unwrap();
    setup.daemon.await_line(&format!("interface {server_if} is down; waiting")).unwrap();
    setup.lab.on(Host::Server, &format!("ip link set {server_if} up")).unwrap();
    setup.daemon.await_line(&format!("interface {server_if} is back")).unwrap();
    await_link(&setup.lab);
    opens_and_closes(&setup, setup.lab.client());
    assert_eq!(said(&setup, "is back"), 1);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn an_interface_that_flaps_faster_than_anybody_looks_loses_no_later_knock() {
    let setup = classic();
    let server_if = setup.lab.interface(Host::Server);
    for _ in 0..5 {
        let flap = lab_script(
            &setup.lab,
            &format!("link set {server_if} down\nlink set {server_if} up\n"),
        );
        setup.lab.on(Host::Server, &format!("ip -batch {flap}")).unwrap();
    }
    await_link(&setup.lab);
    // A packet of somebody else is the sign that it looks again.
    let (other, server) = (setup.lab.second_client(), setup.lab.server());
    assert!(await_until(PATIENCE, || {
        probe::send_syn(&setup.lab, other, server, 999).unwrap();
        said(&setup, "port=999") > 0
    }));
    opens_and_closes(&setup, setup.lab.client());
}

/// Until both ends know that they are joined; what is sent before that is thrown away.
fn await_link(lab: &Lab) {
    let is_up = |host| {
        let link = lab.on(host, &format!("ip -o link show dev {}", lab.interface(host)));
        link.is_ok_and(|link| link.contains("state UP"))
    };
    assert!(await_until(PATIENCE, || is_up(Host::Server) && is_up(Host::Client)));
}

fn lab_script(lab: &Lab, text: &str) -> String {
    lab.write("batch", text).unwrap().display().to_string()
}

#[test]
#[ignore = "needs root: sudo make test"]
fn an_interface_that_comes_late_is_waited_for_and_the_others_are_listed() {
    let mut setup = classic();
    setup.daemon.signal(Signal::TERM).unwrap();
    setup.daemon.await_end().unwrap();
    setup.lab.disconnect().unwrap();
    setup.daemon = programs::daemon(&setup.lab, setup.backend, &setup.config, &["-debug"]).unwrap();
    let waiting = setup.daemon.await_line("waiting for interface").unwrap();
    assert!(waiting.contains("there is none of this name; there are "), "{waiting}");
    assert!(waiting.contains("any") && waiting.contains("lo"), "{waiting}");
    setup.lab.connect().unwrap();
    setup.daemon.await_line("following interface").unwrap();
    await_link(&setup.lab);
    opens_and_closes(&setup, setup.lab.client());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn what_the_ethfilter_excludes_opens_nothing_until_a_reload_lets_it_in() {
    let lab = closed_lab();
    let interface = lab.interface(Host::Server);
    let elsewhere = ETHFILTER.replace("flags = SYN", "flags = SYN\n  dest_ip = ^192\\.0\\.2\\.");
    let setup = capturing(lab, &interface, &elsewhere, KNOCK);
    let client = setup.lab.client();
    setup.knock(&["-port", "22", "-time", "0"]);

    let config = std::fs::read_to_string(&setup.config).unwrap();
    let here = config.replace("^192\\.0\\.2\\.", &format!("^{}$", setup.lab.server()));
    assert_ne!(here, config);
    std::fs::write(&setup.config, here).unwrap();
    setup.daemon.signal(Signal::HUP).unwrap();
    setup.daemon.await_line("configuration reloaded").unwrap();
    opens_and_closes(&setup, client);
    // Had the first knock been taken, these would be three.
    assert_eq!(said(&setup, "knock accepted"), 2, "{:#?}", setup.daemon.lines());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_syn_that_the_kernel_sends_again_counts_once() {
    let setup = classic();
    let (client, server) = (setup.lab.client(), setup.lab.server());
    let ports = setup.ports(client, &["-port", "22", "-time", "0"]);
    let (first, rest) = ports.split_first().unwrap();
    // Nobody answers, so the kernel sends the SYN again.
    let connecting = probe::keep_connecting(&setup.lab, client, server, *first).unwrap();
    setup.daemon.await_line("a repeated SYN").unwrap();
    drop(connecting);
    for port in rest {
        probe::send_syn(&setup.lab, client, server, *port).unwrap();
    }
    setup.await_open(client);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_flood_of_other_packets_disturbs_no_knock() {
    let setup = classic();
    let (server, client, other) =
        (setup.lab.server(), setup.lab.client(), setup.lab.second_client());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Datagrams to the very ports of the span, as fast as they go, and SYNs of a stranger.
        scope.spawn(|| {
            setup.lab.within(Host::Client, || {
                let socket = UdpSocket::bind((client, 0)).unwrap();
                for port in (745..=1000).cycle() {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    // Unreachable ports are reported by ICMP errors, and the queue may be full.
                    let _sent = socket.send_to(b"flood", (server, port));
                }
            })
        });
        scope.spawn(|| {
            for port in (745..=1000).cycle() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                probe::send_syn(&setup.lab, other, server, port).unwrap();
            }
        });
        let _ends = EndsWithMe(&over);
        for _ in 0..3 {
            opens_and_closes(&setup, client);
        }
    });
    assert_eq!(setup.rules_for(other), 0, "the flood itself opens nothing");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn packets_that_the_kernel_had_no_room_for_are_counted_aloud() {
    let lab = closed_lab();
    let interface = lab.interface(Host::Server);
    let options = format!(
        "{}\n<ethfilter datagrams>\n  proto = IP_PROTO_UDP\n</ethfilter>\n",
        ETHFILTER.replace("useethfilter = knocks", "useethfilter = knocks, datagrams")
    );
    let setup = capturing(lab, &interface, &options, KNOCK);
    let (client, server) = (setup.lab.client(), setup.lab.server());
    // While nobody reads, more comes than there is room for.
    setup.daemon.signal(Signal::STOP).unwrap();
    setup
        .lab
        .within(Host::Client, || {
            let socket = UdpSocket::bind((setup.lab.second_client(), 0)).unwrap();
            for port in (745..=1000).cycle().take(20_000) {
                let _sent = socket.send_to(b"flood", (server, port));
            }
        })
        .unwrap();
    setup.daemon.signal(Signal::CONT).unwrap();
    let dropped = setup.daemon.await_line("the kernel dropped ").unwrap();
    assert!(dropped.contains("packets because they came faster than they were read"), "{dropped}");
    opens_and_closes(&setup, client);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn without_the_capability_it_says_which_and_ends() {
    let mut setup = classic();
    setup.daemon.signal(Signal::TERM).unwrap();
    setup.daemon.await_end().unwrap();
    let output = Command::new("ip")
        .args(["netns", "exec", &setup.lab.namespace(Host::Server)])
        .args(["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"])
        .arg(programs::folder().unwrap().join("knockdaemon"))
        .arg("-conf")
        .arg(&setup.config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{said}");
    assert!(said.contains("CAP_NET_RAW"), "{said}");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_user_with_the_units_capability_captures_and_on_loopback_too() {
    const NOBODY: &str = "65534";
    let lab = closed_lab();
    let user = |path: &Path| tool(&format!("chown {NOBODY} {}", path.display())).unwrap();
    // Where that user may read, whatever the folder of the sources allows.
    let folder = lab.path("user");
    std::fs::create_dir(&folder).unwrap();
    tool(&format!("chmod 755 {}", lab.path("").display())).unwrap();
    let program = folder.join("knockdaemon");
    std::fs::copy(programs::folder().unwrap().join("knockdaemon"), &program).unwrap();
    let config = lab
        .write(
            "user/knockdaemon.conf",
            "runmode = network\ninterface = lo\nkey = any\nknock = PORT,CHECKSUM\nencrypt = no\n\
             portspan = 745-1000\n<actions>\n</actions>\n",
        )
        .unwrap();
    user(&config);
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &lab.namespace(Host::Server), "setpriv"])
        .args(["--reuid", NOBODY, "--clear-groups", "--no-new-privs"])
        .args(["--inh-caps", "-all,+net_raw", "--ambient-caps", "-all,+net_raw"])
        .args(["--bounding-set", "-all,+net_raw"])
        .arg(program)
        .args(["-debug", "-test", "-conf"])
        .arg(config);
    let daemon = Running::spawn("knockdaemon", &mut command).unwrap();
    daemon.await_line("following interface lo").unwrap();
    lab.within(Host::Server, || {
        TcpStream::connect_timeout(&"127.0.0.1:746".parse().unwrap(), Duration::from_secs(5))
    })
    .unwrap()
    .unwrap_err();
    daemon.await_line("queued 1/").unwrap();
    lab.within(Host::Server, || {
        TcpStream::connect_timeout(&"127.0.0.1:747".parse().unwrap(), Duration::from_secs(5))
    })
    .unwrap()
    .unwrap_err();
    // A packet on loopback goes out and comes in, and is one hit.
    daemon.await_line("port=747").unwrap();
    let hits: Vec<String> =
        daemon.lines().into_iter().filter(|line| line.contains("hit: ")).collect();
    assert_eq!(hits.len(), 2, "{hits:#?}");
}

/// Replays as a user does.
fn replay(config: &Path, arguments: &[&str], input: Option<&Path>) -> Output {
    let mut command = Command::new(programs::folder().unwrap().join("knockdaemon"));
    command.arg("-conf").arg(config).arg("replay").args(arguments);
    if let Some(input) = input {
        command.stdin(std::fs::File::open(input).unwrap());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
#[ignore = "needs root: sudo make test"]
fn what_tcpdump_wrote_is_replayed_to_the_same_knock() {
    let setup = classic();
    let client = setup.lab.client();
    // Told from a log by what is in it, not by its name.
    let file = setup.lab.path("yesterday.log");
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &setup.lab.namespace(Host::Server)])
        .args(["tcpdump", "-i", &setup.lab.interface(Host::Server), "--immediate-mode"])
        .args(["-c", "8", "-Z", "root", "-w"])
        .arg(&file)
        .args(["tcp[tcpflags] == tcp-syn and tcp dst portrange 745-1000 and src host"])
        .arg(client.to_string());
    let mut tcpdump = Running::spawn("tcpdump", &mut command).unwrap();
    tcpdump.await_line("listening on").unwrap();
    setup.knock(&["-port", "22", "-time", "9"]);
    setup.await_open(client);
    tcpdump.await_end().unwrap();

    let name = file.display().to_string();
    let text = String::from_utf8(replay(&setup.config, &[&name], None).stdout).unwrap();
    let knock = text.lines().next().unwrap();
    assert!(knock.starts_with("packet 8: "), "{text}");
    assert!(knock.contains(&format!("{client} knocked: IP={client} PORT=22 TIME=9")), "{text}");
    assert!(
        text.contains(&format!("open at once: iptables -I INPUT -p tcp -s {client}/32")),
        "{text}"
    );

    // The same through a pipe, for programs.
    let output = replay(&setup.config, &["--json", "-"], Some(&file));
    let events: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [knock, summary] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!(knock["fields"]["TIME"], 9);
    assert_eq!(knock["client"], client.to_string());
    assert_eq!(knock["packet"], 8);
    assert_eq!(
        (&summary["lines"], &summary["packets"], &summary["hits"], &summary["knocks"]),
        (&0.into(), &8.into(), &8.into(), &1.into())
    );
    assert!(summary["bytes"].as_u64().unwrap() >= 8 * 54, "{summary}");

    // With a configuration for logs the default filter serves, and that is said.
    let config = std::fs::read_to_string(&setup.config).unwrap();
    let for_logs = config.replace("runmode = network", "runmode = kmsg");
    let for_logs = setup.lab.write("logs.conf", &for_logs).unwrap();
    let output = replay(&for_logs, &[&name], None);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the configuration is for logs"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("knocked: "), "{said}");
}
