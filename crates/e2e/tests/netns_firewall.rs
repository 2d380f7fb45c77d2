//! Leases in the real firewall: the kernel closes in time although the daemon is dead, whoever keeps
//! the rules; what others wipe is put back; what is theirs stays as it is.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use common::Setup;
use knock_e2e::firewall::{self, Backend};
use knock_e2e::lab::{Host, Lab};
use knock_e2e::managed::{Firewalld, Ufw};
use knock_e2e::process::{PATIENCE, await_until};
use knock_e2e::{probe, programs};
use rustix::process::Signal;

/// TIME counts three seconds here: 0 until it is closed, 255 closes.
const LEASES: &str = "
<actions>
  <action>
    condition = TIME != 255
    template  = let-in
    use       = yes
  </action>
  <action>
    condition = TIME == 255
    template  = out
    use       = yes
  </action>
  <template let-in>
    open  = PORT
    lease = TIME / 20
  </template>
  <template out>
    close = PORT
  </template>
</actions>
";

/// How the daemon tells that an opening was made, or was there with another time.
const OPENED: &str = ": open tcp port 22";

/// How it tells that it closed: what the kernel's clock closes, it does not.
const CLOSED: &str = ": close tcp port 22";

/// A knock that works from both families.
const KNOCK: &str = "knock = PORT,TIME,CHECKSUM\nanyip = yes";

/// Not the kernel's log, which is the whole machine's: what others write into it must lose no knock.
const SOURCE: &str = "runmode = nflog\nnfloggroup = 5\nnflogprefix = portknock";

fn on(lab: Lab, backend: Backend, kind: &str) -> Setup {
    Setup::reading(lab, SOURCE, backend, &format!("{KNOCK}\nfirewall = {kind}"), LEASES)
}

fn closed(backend: Backend, kind: &str) -> Setup {
    let lab = Lab::new().unwrap();
    firewall::close_to_group(&lab, backend, 5, "portknock").unwrap();
    on(lab, backend, kind)
}

/// `knockdaemon firewall` on the server.
fn command(lab: &Lab, words: &str) -> String {
    let program = programs::folder().unwrap().join("knockdaemon");
    lab.on(Host::Server, &format!("{} firewall {words}", program.display())).unwrap()
}

/// All rules of everybody on the server, without counters.
fn rules(lab: &Lab) -> String {
    ["nft -s list ruleset", "iptables-legacy -S", "ip6tables-legacy -S"]
        .map(|line| lab.on(Host::Server, line).unwrap())
        .concat()
}

fn reload(setup: &Setup, seen: usize) {
    setup.daemon.signal(Signal::HUP).unwrap();
    setup.daemon.await_lines("configuration reloaded", seen).unwrap();
}

/// What the daemon has said of its orders so far.
fn said(setup: &Setup, what: &str) -> usize {
    setup.daemon.lines().iter().filter(|line| line.contains(what)).count()
}

/// How often the daemon has put right what somebody had changed.
fn mended(setup: &Setup) -> usize {
    said(setup, "somebody has changed the firewall") + said(setup, "gone from the firewall")
}

/// Opens, or gives another time, and waits until that is done.
fn let_in(setup: &Setup, client: IpAddr, time: &str) {
    let told = said(setup, OPENED);
    setup.knock_from(client, &["-port", "22", "-time", time]);
    setup.daemon.await_lines(OPENED, told + 1).unwrap();
}

/// Opens, renews, closes by a knock; and by the kernel's clock while nobody is there to do it.
fn closes_in_time_although_the_daemon_is_dead(mut setup: Setup) {
    for client in [setup.lab.client(), setup.lab.client6()] {
        let_in(&setup, client, "0");
        setup.await_open(client);
        setup.knock_from(client, &["-port", "22", "-time", "255"]);
        setup.await_closed(client);
    }
    // Only the client that knocked.
    let (client, other) = (setup.lab.client(), setup.lab.second_client());
    let_in(&setup, client, "0");
    setup.await_open(client);
    assert!(!setup.is_open(other));
    // A renewal gives the other time: six seconds from now, or so many that the daemon is dead by then
    // on a slow machine too.
    for time in ["2", "5", "15"] {
        let closed = said(&setup, CLOSED);
        let_in(&setup, client, time);
        setup.kill();
        setup.daemon.await_last_words().unwrap();
        if said(&setup, CLOSED) == closed {
            break;
        }
        assert_ne!(time, "15", "the daemon always closes before it can be killed");
        setup.restart();
        let_in(&setup, client, "0");
        setup.await_open(client);
    }
    setup.await_closed(client);
    // After the restart nothing is open, and a new knock works.
    setup.restart();
    assert!(!setup.is_open(client));
    setup.knock_from(client, &["-port", "22", "-time", "0"]);
    setup.await_open(client);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn sets_of_nftables_beside_a_plain_rule_set() {
    let lab = Lab::new().unwrap();
    firewall::close_with_nft_and(&lab, "log group 5 prefix \"portknock\"").unwrap();
    closes_in_time_although_the_daemon_is_dead(on(lab, Backend::Nft, "nftables"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn sets_of_nftables_beside_iptables() {
    closes_in_time_although_the_daemon_is_dead(closed(Backend::Nft, "nftables"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn sets_of_nftables_beside_iptables_legacy() {
    closes_in_time_although_the_daemon_is_dead(closed(Backend::Legacy, "nftables"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn sets_of_ipset() {
    closes_in_time_although_the_daemon_is_dead(closed(Backend::Nft, "ipset"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn sets_of_ipset_with_iptables_legacy() {
    closes_in_time_although_the_daemon_is_dead(closed(Backend::Legacy, "ipset"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn rules_of_iptables() {
    closes_in_time_although_the_daemon_is_dead(closed(Backend::Nft, "iptables"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn rules_of_iptables_legacy() {
    closes_in_time_although_the_daemon_is_dead(closed(Backend::Legacy, "iptables"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn what_a_flush_wipes_is_put_back() {
    for kind in ["nftables", "ipset", "iptables"] {
        let setup = closed(Backend::Nft, kind);
        let client = setup.lab.client();
        setup.knock(&["-port", "22", "-time", "0"]);
        setup.await_open(client);
        // Somebody's own rules, in the meantime.
        let own = "iptables -A INPUT -p tcp --dport 80 -j ACCEPT";
        for (count, wipe) in ["iptables -F", "nft flush ruleset"].into_iter().enumerate() {
            let before = mended(&setup);
            setup.lab.on(Host::Server, wipe).unwrap();
            firewall::close_to_group(&setup.lab, Backend::Nft, 5, "portknock").unwrap();
            setup.lab.on(Host::Server, own).unwrap();
            // Whether it is asked first or looks by itself.
            reload(&setup, count + 1);
            setup.await_open(client);
            assert!(await_until(PATIENCE, || mended(&setup) > before), "{kind}: {wipe}");
            let rules = rules(&setup.lab);
            assert!(rules.contains("dport 80"), "{kind}: {rules}");
        }
        let before = mended(&setup);
        command(&setup.lab, "--remove --kind auto");
        reload(&setup, 3);
        setup.await_open(client);
        assert!(await_until(PATIENCE, || mended(&setup) > before), "{kind}");
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn what_is_wiped_is_put_back_within_a_minute_without_being_asked() {
    let setup = closed(Backend::Nft, "nftables");
    let client = setup.lab.client();
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(client);
    setup.lab.on(Host::Server, "nft flush ruleset").unwrap();
    firewall::close_to_group(&setup.lab, Backend::Nft, 5, "portknock").unwrap();
    let server = setup.lab.server();
    let open = || probe::answers(&setup.lab, client, server, 22);
    assert!(await_until(Duration::from_secs(180), open), "{}", setup.daemon.lines().join("\n"));
    setup.daemon.await_line("somebody has changed the firewall").unwrap();
}

#[test]
#[ignore = "needs root: sudo make test"]
fn what_is_open_without_a_lease_is_closed() {
    let mut setup = closed(Backend::Nft, "nftables");
    let (client, other) = (setup.lab.client(), setup.lab.second_client());
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(client);
    setup.kill();
    // As a rule set does that was saved with its elements and is loaded again.
    let element = format!("add element inet knockdaemon open4 {{ {other} . tcp . 22 }}\n");
    let file = setup.lab.write("saved.nft", &element).unwrap();
    setup.lab.on(Host::Server, &format!("nft -f {}", file.display())).unwrap();
    setup.await_open(other);
    setup.restart();
    setup.await_closed(other);
    setup.await_open(client);
}

/// Puts a rule into the log's way that sees all SYNs, whoever keeps the other rules.
fn log_with_nft(lab: &Lab) {
    let rules = "table inet logging {\n  chain input {\n    type filter hook input priority -200\n\
                 \x20   tcp flags & (syn|ack) == syn log group 5 prefix \"portknock\"\n  }\n}\n";
    let file = lab.write("logging.nft", rules).unwrap();
    lab.on(Host::Server, &format!("nft -f {}", file.display())).unwrap();
}

/// Opens, goes through what the keeper of the rules does, and leaves no trace.
fn lives_beside(lab: Lab, keeper: impl Fn(&str) -> bool, deeds: &[&str]) {
    log_with_nft(&lab);
    // What the keeper itself changes by that, it has changed.
    deeds.iter().for_each(|deed| {
        keeper(deed);
    });
    let before = rules(&lab);
    command(&lab, "--apply --kind auto");
    let (applied, printed) = (rules(&lab), command(&lab, "--print --kind auto"));
    assert_ne!(applied, before);
    assert!(!printed.contains("NOTE"), "{printed}");
    assert!(command(&lab, "--apply --kind auto").contains("nothing to do"));
    command(&lab, "--remove --kind auto");
    assert_eq!(rules(&lab), before, "to the byte");

    let mut setup = on(lab, Backend::Nft, "auto");
    let (client, other) = (setup.lab.client(), setup.lab.second_client());
    for client in [client, setup.lab.client6()] {
        assert!(!setup.is_open(client), "the host is closed");
        setup.knock_from(client, &["-port", "22", "-time", "0"]);
        setup.await_open(client);
    }
    assert!(!setup.is_open(other));
    for (count, deed) in deeds.iter().enumerate() {
        let is_closed = keeper(deed);
        reload(&setup, count + 1);
        setup.await_open(client);
        setup.await_open(setup.lab.client6());
        if is_closed {
            assert!(!setup.is_open(other), "{deed}");
        } else {
            setup.await_open(other);
        }
    }
    setup.kill();
    command(&setup.lab, "--remove --kind auto");
    // Who makes all rules anew makes them in another order.
    let sorted = |rules: &str| {
        let mut lines: Vec<String> = rules.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&rules(&setup.lab)), sorted(&before));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn beside_ufw() {
    let lab = Lab::new().unwrap();
    let ufw = Ufw::enable(&lab).unwrap();
    let run = |deed: &str| {
        ufw.run(&["--force", deed]).unwrap();
        deed != "disable"
    };
    lives_beside(lab, run, &["reload", "disable", "enable"]);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn beside_firewalld() {
    let lab = Lab::new().unwrap();
    let firewalld = Firewalld::start(&lab).unwrap();
    // Its zone lets ssh in from the beginning.
    firewalld.run(&["--permanent", "--remove-service=ssh"]).unwrap();
    firewalld.run(&["--reload"]).unwrap();
    let run = |deed: &str| {
        firewalld.run(&[deed]).unwrap();
        true
    };
    lives_beside(lab, run, &["--reload"]);
}

/// A rule set, taken from the comment of the example that tells it.
fn rules_in(example: &str) -> String {
    let lines = example.lines().skip_while(|line| !line.contains("table inet filter {"));
    let lines = lines.take_while(|line| line.starts_with("#          "));
    lines.map(|line| line.trim_start_matches('#')).collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs root: sudo make test"]
fn the_example_of_nftables_works_as_it_says() {
    let example = include_str!("../../../examples/nftables-lease.yaml");
    let lab = Lab::new().unwrap();
    let file = lab.write("nftables.conf", &format!("{}\n", rules_in(example))).unwrap();
    lab.on(Host::Server, &format!("nft -f {}", file.display())).unwrap();
    let own = example.replace("change-me", &common::key_of(&lab));
    let own = format!("{own}\nstatedir: {}\n", lab.path("state").display());
    let config = lab.write("knockdaemon.yaml", &own).unwrap();
    let service = lab.within(Host::Server, || TcpListener::bind(("::", 22))).unwrap().unwrap();
    let daemon = programs::daemon(&lab, Backend::Nft, &config, &["-debug"]).unwrap();
    daemon.await_line("following").unwrap();
    daemon.await_line("leases go into the firewall by nftables").unwrap();

    let (client, server) = (lab.client(), lab.server());
    let knock = |time| {
        let fields = ["-port", "22", "-time", time];
        programs::knock(&lab, &config, client, server, &fields).unwrap();
    };
    knock("5");
    daemon.await_line("done: open tcp port 22").unwrap();
    let connect = || std::net::TcpStream::connect((server, 22));
    let mut session = lab.within(Host::Client, connect).unwrap().unwrap();
    let (mut served, _) = service.accept().unwrap();
    served.set_read_timeout(Some(PATIENCE)).unwrap();
    knock("255");
    daemon.await_line("done: close tcp port 22").unwrap();
    // The lease is over, the session is not.
    session.write_all(b"still here").unwrap();
    let mut heard = [0; 10];
    served.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still here");
    assert!(!probe::answers(&lab, client, server, 22));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn who_may_not_is_told_what_is_missing() {
    let lab = Lab::new().unwrap();
    let program = programs::folder().unwrap().join("knockdaemon").display().to_string();
    let run = |words: &[&str]| {
        let output = std::process::Command::new("ip")
            .args(["netns", "exec", &lab.namespace(Host::Server)])
            .args(words)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    for what in ["--print", "--apply", "--remove"] {
        let without = ["setpriv", "--bounding-set", "-net_admin", &program, "firewall", what];
        let (status, said) = run(&[&without[..], &["--kind", "auto"]].concat());
        assert_eq!(status, Some(77), "{what}: {said}");
        assert!(said.contains("CAP_NET_ADMIN"), "{what}: {said}");
    }
    let (status, said) = run(&[&program, "firewall"]);
    assert_eq!(status, Some(64), "{said}");
    let (status, said) = run(&[&program, "firewall", "--print", "--kind", "auto"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("no chain was found that keeps anybody out"), "{said}");
}
