//! Old-style configurations, as they are, on real packets: an iptables LOG rule, syslog, the daemon
//! started as the original was, and a real port that opens and closes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "common/old.rs"]
mod old;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use knock_e2e::firewall::{self, Backend};
use knock_e2e::kernel_log::Rsyslog;
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::{oldhost, probe, programs};
use rustix::process::Signal;

struct Old {
    daemon: Running,
    client_config: PathBuf,
    _rsyslog: Rsyslog,
    _service: probe::Service,
    // Last, so that what runs in the namespaces ends before they go.
    lab: Lab,
}

impl Old {
    fn start(name: &str) -> Self {
        let lab = Lab::new().unwrap();
        // No blank behind it, as the manual has it.
        firewall::close(&lab, Backend::Nft, "portknock").unwrap();
        Self::on(lab, name)
    }

    fn on(lab: Lab, name: &str) -> Self {
        let copy = |file: String| {
            let text = fs::read_to_string(old::folder().join(&file)).unwrap();
            // The only thing in them that a lab has under another name.
            let text = text.replace("= eth0\n", &format!("= {}\n", lab.interface(Host::Server)));
            lab.write(&file, &text).unwrap()
        };
        let config = copy(format!("{name}.conf"));
        let client_config = copy(format!("{name}.client.conf"));
        fs::create_dir_all(lab.path("var/log")).unwrap();
        let rsyslog = Rsyslog::start_into(&lab, lab.path("var/log/messages")).unwrap();
        let service = probe::Service::start(&lab, 22).unwrap();
        let daemon = oldhost::daemon_in_lab(&lab, &config).unwrap();
        Self { daemon, client_config, _rsyslog: rsyslog, _service: service, lab }
    }

    fn knock(&self, fields: &[&str]) {
        self.knock_from(self.lab.client(), fields);
    }

    fn knock_from(&self, from: IpAddr, fields: &[&str]) {
        programs::knock(&self.lab, &self.client_config, from, self.lab.server(), fields).unwrap();
    }

    fn is_open(&self, from: IpAddr) -> bool {
        probe::answers(&self.lab, from, self.lab.server(), 22)
    }

    fn await_open(&self, from: IpAddr) {
        probe::await_open(&self.lab, from, self.lab.server(), 22)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.evidence(from)));
    }

    fn await_closed(&self, from: IpAddr) {
        probe::await_closed(&self.lab, from, self.lab.server(), 22)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.evidence(from)));
    }

    /// What the daemon said, and what of this client is in the log.
    fn evidence(&self, from: IpAddr) -> String {
        let log = fs::read_to_string(self.lab.path("var/log/messages")).unwrap_or_default();
        let mut lines = self.daemon.lines();
        let source = format!("SRC={from} ");
        lines.extend(log.lines().filter(|line| line.contains(&source)).map(ToOwned::to_owned));
        lines.join("\n")
    }

    /// Opens with one knock, closes with another, for nobody else.
    fn opens_and_closes(&self, open: &[&str], close: &[&str]) {
        let (client, other) = (self.lab.client(), self.lab.second_client());
        assert!(!self.is_open(client), "open before the knock");
        self.knock_whole(open);
        self.await_open(client);
        assert!(!self.is_open(other), "open for one who did not knock");
        self.knock_whole(close);
        self.await_closed(client);
        assert_eq!(self.rules_for(client), 0);
    }

    /// A knock none of whose packets the kernel sent again, as it does on a machine so busy that the
    /// client keeps a socket for a second. The old logformats take that for another packet, and the
    /// knock is spoilt.
    fn knock_whole(&self, fields: &[&str]) {
        let (client, accepted) = (self.lab.client(), self.accepted());
        for _ in 0..5 {
            let before = self.packets(client).len();
            self.knock(fields);
            if await_until(PATIENCE, || self.accepted() > accepted) {
                return;
            }
            let mut sent = self.packets(client).split_off(before);
            let count = sent.len();
            sent.sort();
            sent.dedup();
            if sent.len() == count {
                break;
            }
        }
        panic!("the knock is not accepted\n{}", self.evidence(client));
    }

    fn accepted(&self) -> usize {
        self.daemon.lines().iter().filter(|line| line.contains("knock accepted")).count()
    }

    /// Source and destination port of each packet that the log has from this address.
    fn packets(&self, from: IpAddr) -> Vec<(String, String)> {
        let log = fs::read_to_string(self.lab.path("var/log/messages")).unwrap_or_default();
        let source = format!("SRC={from} ");
        let field = |line: &str, name: &str| {
            let (_, rest) = line.split_once(name).unwrap_or_default();
            rest.split(' ').next().unwrap_or_default().to_owned()
        };
        let lines = log.lines().filter(|line| line.contains(&source));
        lines.map(|line| (field(line, " SPT="), field(line, " DPT="))).collect()
    }

    fn rules_for(&self, from: IpAddr) -> usize {
        let what = format!("-s {from}/32");
        firewall::rules(&self.lab, "iptables-nft", &what).unwrap().len()
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn the_eight_ports_of_the_article_open_for_a_minute() {
    let old = Old::start("01-classic");
    let client = old.lab.client();
    old.knock(&["-port", "22", "-time", "1"]);
    old.await_open(client);
    // By its words, not by trying the port for a minute.
    let said = "done: /sbin/iptables -D";
    await_until(Duration::from_secs(120), || {
        old.daemon.lines().iter().any(|line| line.contains(said))
    });
    let closed = old.daemon.await_line(said).unwrap();
    assert!(!old.is_open(client));
    let opened = old.daemon.await_line("done: /sbin/iptables -I").unwrap();
    // A minute and not a second.
    let lasted = (seconds(&closed) - seconds(&opened)).rem_euclid(86_400);
    assert!(lasted > 30, "open for {lasted} s");
    old.opens_and_closes(&["-port", "22", "-time", "0"], &["-port", "22", "-time", "255"]);
}

/// When the daemon said it, within the day.
fn seconds(line: &str) -> i64 {
    let (_, time) = line.split_once('T').unwrap();
    let parts = time.get(..8).unwrap().split(':').map(|part| part.parse::<i64>().unwrap());
    parts.fold(0, |sum, part| sum * 60 + part)
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_prefix_without_a_blank() {
    let old = Old::start("17-prefix");
    old.opens_and_closes(&["-port", "22", "-time", "0"], &["-port", "22", "-time", "255"]);
    let log = fs::read_to_string(old.lab.path("var/log/messages")).unwrap();
    let interface = old.lab.interface(Host::Server);
    assert!(log.contains(&format!(" portknockIN={interface} ")), "{log}");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn nine_packets_over_the_widest_span() {
    let old = Old::start("10-wide-span");
    let knock = |time| ["-port", "22", "-flag0", "1", "-flag1", "2", "-time", time];
    old.opens_and_closes(&knock("0"), &knock("255"));
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_random_iv_ahead_of_the_knock() {
    let old = Old::start("11-random-iv");
    old.opens_and_closes(&["-port", "22", "-time", "0"], &["-port", "22", "-time", "255"]);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn three_ports_open_close_and_ignore() {
    let old = Old::start("16-three-ports");
    let (client, server) = (old.lab.client(), old.lab.server());
    // Bare packets: there is no program that a knock of three ports needs.
    let knock_from = |from, ports: [u16; 3]| {
        for port in ports {
            probe::send_syn(&old.lab, from, server, port).unwrap();
        }
    };
    knock_from(client, [31, 32, 30]);
    old.daemon.await_line("done: /sbin/iptables -I").unwrap();
    old.await_open(client);
    knock_from(client, [32, 30, 31]);
    old.await_closed(client);
    knock_from(client, [31, 30, 32]);
    old.daemon.await_lines("knock accepted", 3).unwrap();
    knock_from(client, [31, 32, 30]);
    let other = old.lab.second_client();
    knock_from(other, [31, 32, 30]);
    old.await_open(other);
    assert_eq!(old.rules_for(client), 0, "ignored from then on");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn network_mode_needs_no_log() {
    let lab = Lab::new().unwrap();
    firewall::close(&lab, Backend::Nft, "portknock").unwrap();
    for program in ["iptables-nft", "ip6tables-nft"] {
        let rule = "-D INPUT -p tcp --syn -j LOG --log-prefix portknock";
        lab.on(Host::Server, &format!("{program} {rule}")).unwrap();
    }
    let mut old = Old::on(lab, "22-network");
    let (open, close) = (["-port", "22", "-time", "0"], ["-port", "22", "-time", "255"]);
    old.opens_and_closes(&open, &close);

    // And so does what it is in YAML.
    old.daemon.signal(Signal::TERM).unwrap();
    assert!(old.daemon.await_end().unwrap().success());
    let yaml = old.lab.path("22-network.yaml");
    let program = programs::folder().unwrap().join("knockdaemon");
    let conf = old.lab.path("22-network.conf");
    let converted =
        Command::new(program).arg("convert").arg(conf).arg("-o").arg(&yaml).status().unwrap();
    assert!(converted.success());
    old.daemon = oldhost::daemon_in_lab(&old.lab, &yaml).unwrap();
    old.opens_and_closes(&open, &close);
    let logging = firewall::rules(&old.lab, "iptables-nft", "LOG").unwrap();
    assert!(logging.is_empty(), "{logging:?}");
}
