//! The ways from a packet to an open port that are measured: ours, by each source and each kind of
//! opening, and others'. Each has a host of its own, on which its programs run only while it is its
//! turn.

use std::fs::{self, File};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::own_folder;
use crate::firewall::{self, Backend};
use crate::kernel_log::Rsyslog;
use crate::lab::{Host, Lab};
use crate::probe::Service;
use crate::process::{PATIENCE, Running, await_until};
use crate::{LabError, Result, loggen, programs, tool};

/// The ports that knockd and the pipeline wait for.
const SEQUENCE: [u16; 3] = [801, 913, 777];

/// How hits become an open port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// rsyslog writes the kernel's lines to a file, and a template runs iptables.
    File,
    /// The same with lines that the harness writes: what remains is ours alone.
    Lines,
    /// The kernel's own log, and iptables.
    Kmsg,
    /// NFLOG, and iptables.
    Nflog,
    /// The kernel's own log, and a set of nftables.
    KmsgSet,
    /// NFLOG, and a set of nftables.
    NflogSet,
    /// NFLOG, and an ipset.
    NflogIpset,
    /// knockd, which captures packets and runs iptables through a shell.
    Knockd,
    /// `tail -F | mawk`, which runs iptables through a shell; from rsyslog's file.
    Pipeline,
    /// The same from lines that the harness writes.
    PipelineLines,
}

impl Way {
    /// What it is called in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file (rsyslog), iptables",
            Self::Lines => "from the written line: file, iptables",
            Self::Kmsg => "kmsg, iptables",
            Self::Nflog => "NFLOG, iptables",
            Self::KmsgSet => "kmsg, set of nftables",
            Self::NflogSet => "NFLOG, set of nftables",
            Self::NflogIpset => "NFLOG, ipset",
            Self::Knockd => "knockd 0.8",
            Self::Pipeline => "rsyslog, `tail -F`, mawk, iptables",
            Self::PipelineLines => "from the written line: `tail -F`, mawk, iptables",
        }
    }

    /// Whether it is this project's daemon.
    #[must_use]
    pub fn is_ours(self) -> bool {
        !matches!(self, Self::Knockd | Self::Pipeline | Self::PipelineLines)
    }

    /// Whether the harness writes the lines.
    #[must_use]
    pub fn is_fed_lines(self) -> bool {
        matches!(self, Self::Lines | Self::PipelineLines)
    }

    fn templates(self) -> &'static str {
        if matches!(self, Self::KmsgSet | Self::NflogSet | Self::NflogIpset) {
            "<template open>\nopen = 22\nlease = 10m\n</template>\n\
             <template close>\nclose = 22\n</template>"
        } else {
            programs::TEMPLATES
        }
    }

    fn needs_rsyslog(self) -> bool {
        matches!(self, Self::File | Self::Pipeline)
    }
}

/// A host with one of the ways.
pub struct Rig {
    /// Its way.
    pub way: Way,
    key: String,
    programs: Vec<Running>,
    rsyslog: Option<Rsyslog>,
    /// Last, so that what runs in the namespaces ends before they go.
    pub lab: Lab,
}

impl Rig {
    /// A host whose firewall is shut and logs what its way needs; nothing runs on it yet but the service.
    ///
    /// # Errors
    /// When the lab cannot be made.
    pub fn new(way: Way) -> Result<Self> {
        let lab = Lab::new()?;
        firewall::close_in_silence(&lab, Backend::Nft)?;
        // As an admin does: only what may be a knock is logged. The attempts to connect are not.
        let rule = |target: &str| {
            let ports = loggen::SPAN.replace('-', ":");
            let rule = format!("iptables-nft -A INPUT -p tcp --syn --dport {ports} -j {target}");
            lab.on(Host::Server, &rule)
        };
        match way {
            Way::File | Way::Kmsg | Way::KmsgSet | Way::Pipeline => {
                rule("LOG --log-prefix portknock")?
            }
            Way::Nflog | Way::NflogSet | Way::NflogIpset => {
                rule("NFLOG --nflog-group 5 --nflog-prefix portknock")?
            }
            Way::Lines | Way::Knockd | Way::PipelineLines => String::new(),
        };
        Service::start(&lab, 22)?;
        let key = format!("open sesame {}", lab.namespace(Host::Server));
        Ok(Self { way, key, programs: Vec::new(), rsyslog: None, lab })
    }

    /// Starts its programs and waits until they would see a knock.
    ///
    /// # Errors
    /// When one is missing or does not begin.
    pub fn begin(&mut self, state: &Path) -> Result<()> {
        let log = self.lab.path("kern.log");
        if self.way.needs_rsyslog() {
            self.rsyslog = Some(Rsyslog::start(&self.lab)?);
        } else if self.way.is_fed_lines() {
            File::create(&log)?;
        }
        let program = match self.way {
            Way::Knockd => self.knockd()?,
            Way::Pipeline | Way::PipelineLines => self.pipeline(&log)?,
            _ => self.daemon(&log, state)?,
        };
        self.programs.push(program);
        Ok(())
    }

    /// Ends its programs.
    ///
    /// # Errors
    /// When the daemon does not end.
    pub fn end(&mut self) -> Result<()> {
        for mut program in self.programs.drain(..) {
            if self.way.is_ours() {
                program.signal(Signal::TERM)?;
                program.await_end()?;
            }
        }
        self.rsyslog = None;
        Ok(())
    }

    /// The ports that open for this client.
    ///
    /// # Errors
    /// When there are none.
    pub fn opening(&self, client: IpAddr) -> Result<Vec<u16>> {
        if self.way.is_ours() { self.knock(client, 0) } else { Ok(SEQUENCE.to_vec()) }
    }

    /// The ports that close again; none where [`Self::close`] has to.
    ///
    /// # Errors
    /// When there are none.
    pub fn closing(&self, client: IpAddr) -> Result<Option<Vec<u16>>> {
        self.way.is_ours().then(|| self.knock(client, 255)).transpose()
    }

    fn knock(&self, client: IpAddr, time: u64) -> Result<Vec<u16>> {
        loggen::ports(&self.key, client, time)
    }

    /// Takes back what a program did that cannot close by itself.
    ///
    /// # Errors
    /// When there is nothing to take back.
    pub fn close(&self, client: IpAddr) -> Result<()> {
        let rule = bare_rule("-D", &client.to_string());
        self.lab.on(Host::Server, &format!("iptables {rule}")).map(drop)
    }

    /// Clients for whom the port is open now, as the firewall shows them.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn open_for(&self) -> Result<Vec<IpAddr>> {
        let text = match self.way {
            Way::KmsgSet | Way::NflogSet => {
                self.lab.on(Host::Server, "nft list table inet knockdaemon")?
            }
            Way::NflogIpset => self.lab.on(Host::Server, "ipset list knockdaemon4")?,
            _ => firewall::rules(&self.lab, "iptables", "--dport 22 ")?.join("\n"),
        };
        let words = text.split(|is: char| !is.is_ascii_digit() && is != '.');
        Ok(words.filter_map(|word| word.parse().ok()).collect())
    }

    /// What the programs have said.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.programs.iter().flat_map(Running::lines).collect()
    }

    /// The ports at which a flood is aimed: those that its program looks at.
    #[must_use]
    pub fn target(&self) -> Vec<u16> {
        if self.way.is_ours() { (745..=1000).collect() } else { SEQUENCE.to_vec() }
    }

    /// Where the lines are that the harness or rsyslog writes.
    #[must_use]
    pub fn log(&self) -> std::path::PathBuf {
        self.lab.path("kern.log")
    }

    fn daemon(&self, log: &Path, state: &Path) -> Result<Running> {
        let source = match self.way {
            Way::Kmsg | Way::KmsgSet => "runmode = kmsg".to_owned(),
            Way::Nflog | Way::NflogSet | Way::NflogIpset => {
                "runmode = nflog\nnfloggroup = 5\nnflogprefix = portknock".to_owned()
            }
            _ => format!("logfile = {}", log.display()),
        };
        let state = state.join(self.lab.namespace(Host::Server));
        let config = format!(
            "{source}\nstatedir = {}\nportspan = {}\nknock = IP,PORT,TIME,CHECKSUM\nkey = {}\n\
             <actions>\n\
             <action>\ncondition = PORT == 22 && TIME == 0\ntemplate = open\n</action>\n\
             <action>\ncondition = PORT == 22 && TIME == 255\ntemplate = close\n</action>\n\
             {}\n</actions>\n",
            state.display(),
            loggen::SPAN,
            self.key,
            self.way.templates()
        );
        let firewall = match self.way {
            Way::KmsgSet | Way::NflogSet => "firewall = nftables\n",
            Way::NflogIpset => "firewall = ipset\n",
            _ => "",
        };
        let config = format!("{firewall}{config}");
        let config = self.lab.write("knockdaemon.conf", &config)?;
        let mut command = self.on_server();
        command.arg(own_folder()?.join("knockdaemon")).arg("-conf").arg(config);
        let daemon = Running::spawn("knockdaemon", &mut command)?;
        daemon.await_line("following")?;
        Ok(daemon)
    }

    fn knockd(&self) -> Result<Running> {
        let config = format!(
            "[options]\nlogfile = {}\n[open]\nsequence = {}\nseq_timeout = 5\ntcpflags = syn\n\
             command = /usr/sbin/iptables {}\n",
            self.lab.path("knockd.log").display(),
            SEQUENCE.map(|port| port.to_string()).join(","),
            bare_rule("-I", "%IP%")
        );
        let config = self.lab.write("knockd.conf", &config)?;
        let mut command = self.on_server();
        command.args(["knockd", "-i", &self.lab.interface(Host::Server), "-c"]).arg(config);
        let knockd = Running::spawn("knockd", &mut command)?;
        let captures = || {
            let sockets = self.lab.on(Host::Server, "cat /proc/net/packet");
            sockets.is_ok_and(|sockets| sockets.lines().count() > 1)
        };
        ready("knockd", await_until(PATIENCE, captures))?;
        Ok(knockd)
    }

    fn pipeline(&self, log: &Path) -> Result<Running> {
        let [one, two, three] = SEQUENCE;
        let script = format!(
            r#"BEGIN {{ want[0] = {one}; want[1] = {two}; want[2] = {three} }}
/portknock/ && match($0, / SRC=[0-9.]+/) {{
    from = substr($0, RSTART + 5, RLENGTH - 5)
    match($0, / DPT=[0-9]+/); port = substr($0, RSTART + 5, RLENGTH - 5) + 0
    if (port != want[had[from] + 0]) {{ had[from] = port == want[0]; next }}
    if (++had[from] == 3) {{ had[from] = 0; system("iptables {}") }}
}}"#,
            bare_rule("-I", "\" from \"")
        );
        let script = self.lab.write("pipeline.awk", &script)?;
        let line =
            format!("tail -n 0 -F {} | mawk -W interactive -f {}", log.display(), script.display());
        let mut command = self.on_server();
        command.args(["sh", "-c", &line]);
        let pipeline = Running::spawn("the pipeline", &mut command)?;
        // `tail` is ready when it waits for the kernel's word about its file.
        let namespace = self.lab.namespace(Host::Server);
        let waits = || {
            let pids = tool(&format!("ip netns pids {namespace}")).unwrap_or_default();
            pids.split_whitespace().any(watches)
        };
        ready("tail", await_until(PATIENCE, waits))?;
        Ok(pipeline)
    }

    fn on_server(&self) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.lab.namespace(Host::Server)]);
        command
    }
}

/// The rule that opens, with what is to be done with it: the words behind `iptables`.
#[must_use]
pub fn bare_rule(verb: &str, client: &str) -> String {
    format!("{verb} INPUT -p tcp -s {client}/32 --dport 22 --syn -j ACCEPT")
}

fn watches(pid: &str) -> bool {
    let is_tail =
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "tail\n");
    let open = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    is_tail
        && open
            .filter_map(|entry| fs::read_to_string(entry.path()).ok())
            .any(|about| about.contains("inotify wd:"))
}

fn ready(name: &str, is_ready: bool) -> Result<()> {
    is_ready.then_some(()).ok_or_else(|| LabError(format!("{name} does not begin")))
}
