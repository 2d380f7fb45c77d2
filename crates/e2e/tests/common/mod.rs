//! What the end-to-end tests share: a host with a closed firewall, a log, and the daemon on it.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a module of several test programs")]

use std::net::IpAddr;
use std::path::PathBuf;

use knock_e2e::firewall::{self, Backend};
use knock_e2e::kernel_log::Rsyslog;
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::{probe, programs};

/// Where the daemon gets the kernel's lines from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// A file that rsyslog writes.
    Rsyslog,
    /// `/dev/kmsg`.
    Kmsg,
}

/// Actions of the classic knock: 0 opens, 255 closes, anything between opens for five seconds.
pub const ACTIONS: &str = "
<actions>
  <action>
    condition = PORT == 22 && TIME != 255
    template  = open
    use       = yes
  </action>
  <action>
    condition = PORT == 22 && TIME > 0 && TIME < 255
    template  = close
    delay     = 5s
    use       = yes
  </action>
  <action>
    condition = PORT == 22 && TIME == 255
    template  = close
    use       = yes
  </action>
TEMPLATES
</actions>
";

/// A host as an admin has it: closed, logging, with the daemon and an ssh-like service.
pub struct Setup {
    pub daemon: Running,
    pub config: PathBuf,
    pub backend: Backend,
    pub statedir: PathBuf,
    rsyslog: Option<Rsyslog>,
    // Last, so that what runs in the namespaces ends before they go.
    pub lab: Lab,
}

impl Setup {
    /// The classic knock.
    pub fn classic(log: Log, backend: Backend) -> Self {
        Self::with(log, backend, "knock = IP,PORT,TIME,CHECKSUM", ACTIONS)
    }

    /// Any knock format, any actions.
    pub fn with(log: Log, backend: Backend, knock: &str, actions: &str) -> Self {
        let lab = Lab::new().unwrap();
        firewall::close(&lab, backend, "portknock").unwrap();
        Self::on(lab, log, backend, knock, actions)
    }

    /// On a host whose firewall stands already.
    pub fn on(lab: Lab, log: Log, backend: Backend, knock: &str, actions: &str) -> Self {
        let rsyslog = (log == Log::Rsyslog).then(|| Rsyslog::start(&lab).unwrap());
        let source = match &rsyslog {
            Some(rsyslog) => format!("runmode = file\nlogfile = {}", rsyslog.log.display()),
            None => "runmode = kmsg".to_owned(),
        };
        let setup = Self::reading(lab, &source, backend, knock, actions);
        Self { rsyslog, ..setup }
    }

    /// With any source of hits, on a host whose firewall stands already.
    pub fn reading(lab: Lab, source: &str, backend: Backend, knock: &str, actions: &str) -> Self {
        let actions = actions.replace("TEMPLATES", programs::TEMPLATES);
        let statedir = lab.path("state");
        let config = lab
            .write(
                "knockdaemon.conf",
                &format!(
                    "{source}\nstatedir = {}\nportspan = 745-1000\n{knock}\nkey = {}\n{actions}",
                    statedir.display(),
                    key_of(&lab)
                ),
            )
            .unwrap();
        probe::Service::start(&lab, 22).unwrap();
        let daemon = start(&lab, backend, &config);
        Self { daemon, config, backend, statedir, rsyslog: None, lab }
    }

    /// Ends the daemon in the hardest way.
    pub fn kill(&mut self) {
        self.daemon.signal(rustix::process::Signal::KILL).unwrap();
        self.daemon.await_end().unwrap();
    }

    /// Starts the daemon again, with the same config and state.
    pub fn restart(&mut self) {
        self.daemon = start(&self.lab, self.backend, &self.config);
    }

    /// Knocks from an address of the client host.
    pub fn knock_from(&self, from: IpAddr, fields: &[&str]) {
        let to = if from.is_ipv4() { self.lab.server() } else { self.lab.server6() };
        programs::knock(&self.lab, &self.config, from, to, fields).unwrap();
    }

    /// Knocks from the first client.
    pub fn knock(&self, fields: &[&str]) {
        self.knock_from(self.lab.client(), fields);
    }

    /// The ports of a knock, sent by nobody.
    pub fn ports(&self, from: IpAddr, fields: &[&str]) -> Vec<u16> {
        let config = self.config.display().to_string();
        let (from, to) = (from.to_string(), self.lab.server().to_string());
        let mut arguments = vec!["-test", "-conf", &config, "-client", &from, "-remote", &to];
        arguments.extend(fields);
        let output = programs::client(&self.lab, &arguments).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line = String::from_utf8(output.stdout).unwrap();
        line.trim().split(',').map(|port| port.parse().unwrap()).collect()
    }

    /// How many lines the daemon has said with this in them.
    pub fn said(&self, text: &str) -> usize {
        self.daemon.lines().iter().filter(|line| line.contains(text)).count()
    }

    /// Knocks in a flood, until so many knocks are accepted: once, but where the kernel says that it had
    /// no room for packets, as on a machine whose daemon does not get to read.
    pub fn knock_through(&self, from: IpAddr, fields: &[&str], accepted: usize) {
        for _ in 0..5 {
            let dropped = self.said("the kernel dropped");
            self.knock_from(from, fields);
            if await_until(PATIENCE, || self.said("knock accepted") >= accepted) {
                return;
            }
            let lines = self.daemon.lines().join("\n");
            assert!(self.said("the kernel dropped") > dropped, "a knock is lost:\n{lines}");
        }
        panic!("no knock gets through:\n{}", self.daemon.lines().join("\n"));
    }

    /// Waits until port 22 answers the client.
    pub fn await_open(&self, from: IpAddr) {
        let to = if from.is_ipv4() { self.lab.server() } else { self.lab.server6() };
        probe::await_open(&self.lab, from, to, 22)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.daemon.lines().join("\n")));
    }

    /// Knocks for an opening that ends by itself, and sees it open; once more where a busy machine looked
    /// so late that it was over.
    pub fn knock_and_get_in(&self, from: IpAddr, fields: &[&str]) {
        let seen = (0..5).any(|_| {
            self.knock_from(from, fields);
            await_until(PATIENCE, || self.is_open(from))
        });
        assert!(seen, "never open for {from}:\n{}", self.daemon.lines().join("\n"));
    }

    /// The same, and the daemon is killed while it is open; with one rule for the client in iptables.
    pub fn knock_and_kill(&mut self, from: IpAddr, fields: &[&str]) {
        for _ in 0..5 {
            self.knock_and_get_in(from, fields);
            self.kill();
            self.daemon.await_last_words().unwrap();
            if self.said("done: iptables -D") == 0 && self.rules_for(from) == 1 {
                return;
            }
            self.restart();
            self.await_closed(from);
        }
        panic!("it is always closed before the daemon can be killed");
    }

    /// Waits until port 22 does not answer the client.
    pub fn await_closed(&self, from: IpAddr) {
        let to = if from.is_ipv4() { self.lab.server() } else { self.lab.server6() };
        probe::await_closed(&self.lab, from, to, 22)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.daemon.lines().join("\n")));
    }

    /// Whether port 22 answers now.
    pub fn is_open(&self, from: IpAddr) -> bool {
        let to = if from.is_ipv4() { self.lab.server() } else { self.lab.server6() };
        probe::answers(&self.lab, from, to, 22)
    }

    /// How many rules accept port 22 from this address.
    pub fn rules_for(&self, from: IpAddr) -> usize {
        let program = match from {
            IpAddr::V4(_) => format!("iptables-{}", self.backend.suffix()),
            IpAddr::V6(_) => format!("ip6tables-{}", self.backend.suffix()),
        };
        let from = from.to_string();
        firewall::rules(&self.lab, &program, "--dport 22")
            .unwrap()
            .iter()
            .filter(|rule| rule.contains(&from))
            .count()
    }
}

/// Each lab has a key of its own: `/dev/kmsg` is the whole machine's, and the knocks of another test
/// must not open anything here.
pub fn key_of(lab: &Lab) -> String {
    format!("open sesame {}", lab.namespace(Host::Server))
}

fn start(lab: &Lab, backend: Backend, config: &std::path::Path) -> Running {
    let daemon = programs::daemon(lab, backend, config, &["-debug"]).unwrap();
    daemon.await_line("following").unwrap();
    daemon
}
