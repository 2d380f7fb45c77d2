//! `make demo`: a real knock opens a real port, told in a dozen lines.
//!
//! Two hosts in network namespaces, a firewall that drops and logs, the daemon following a log file
//! that the kernel's messages are written to. Each line says what was seen; anything that is not
//! seen ends the demo with a failure. Everything is taken down again, also after an interruption.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use knock_e2e::firewall::{self, Backend};
use knock_e2e::kernel_log::Dmesg;
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::interrupted;
use knock_e2e::{LabError, Result, probe, programs};

const CONFIG: &str = r#"
logfile = LOGFILE
statedir = STATEDIR
portspan = 745-1000
knock    = IP,PORT,TIME,CHECKSUM
key      = knock, knock

<actions>
  <action>
    condition = PORT == 22 && TIME != 255
    template  = open
  </action>
  <action>
    condition = PORT == 22 && TIME > 0 && TIME < 255
    template  = close
    delay     = 5s
  </action>
TEMPLATES
</actions>
"#;

fn main() -> ExitCode {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(interrupted())) {
            return failed(&LabError::from(error));
        }
    }
    match story() {
        Ok(()) => {
            tell("", "That was it: everything has been taken down again.");
            ExitCode::SUCCESS
        }
        Err(_) if interrupted().load(Ordering::Relaxed) => {
            tell("", "Interrupted; everything has been taken down again.");
            ExitCode::from(130)
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &LabError) -> ExitCode {
    tell("FAILED", &error.to_string());
    ExitCode::FAILURE
}

fn story() -> Result<()> {
    let lab = Lab::new()?;
    let (client, server) = (lab.client(), lab.server());
    tell(
        "hosts",
        &format!("a client {client} and a server {server}, each in its own network namespace"),
    );

    firewall::close(&lab, Backend::Nft, "portknock")?;
    let rules = firewall::rules(&lab, "iptables", "LOG")?;
    tell("firewall", &format!("drops everything and logs it: iptables {}", rules.join("; ")));

    let dmesg = Dmesg::start(&lab)?;
    let _service = probe::Service::start(&lab, 22)?;
    let text = CONFIG
        .replace("LOGFILE", &dmesg.log.display().to_string())
        .replace("TEMPLATES", programs::TEMPLATES)
        .replace("STATEDIR", &lab.path("state").display().to_string());
    let config = lab.write("demo.conf", &text)?;
    let daemon = programs::daemon(&lab, Backend::Nft, &config, &["-debug"])?;
    daemon.await_line("following")?;
    tell("daemon", &format!("follows {}", dmesg.log.display()));

    refuse_if(probe::answers(&lab, client, server, 22), "port 22 is reachable before the knock")?;
    tell("before", "ssh to port 22: no answer, as if nobody were there");

    let config = config.display().to_string();
    let (from, to) = (client.to_string(), server.to_string());
    let knock = ["-conf", &config, "-i", &from, "-r", &to, "-p", "22", "-t", "1"];
    let dry = programs::client(&lab, &[&knock[..], &["-test"]].concat())?;
    let ports = String::from_utf8_lossy(&dry.stdout).trim().to_owned();
    tell("client", &format!("knockclient -r {to} -p 22 -t 1 knocks at {ports}"));
    let sent = programs::client(&lab, &knock)?;
    refuse_if(!sent.status.success(), &String::from_utf8_lossy(&sent.stderr))?;

    let accepted = daemon.await_line("knock accepted")?;
    let last = ports.rsplit(',').next().unwrap_or_default();
    let line = last_hit(&dmesg, &lab.interface(Host::Server), last)?;
    tell("log line", &line);
    let queued = daemon.lines().iter().filter(|line| line.contains("queued ")).count();
    tell("queue", &format!("{queued} hits queued, the eighth completes the window"));
    tell("knock", after(&accepted, "knock accepted: "));

    firewall::await_rules(&lab, "iptables", "--dport 22", 1)?;
    tell("rule", &firewall::rules(&lab, "iptables", "--dport 22")?.join("; "));
    probe::await_open(&lab, client, server, 22)?;
    tell("after", &format!("ssh to port 22 answers: {}", probe::BANNER.trim()));
    refuse_if(
        probe::answers(&lab, lab.second_client(), server, 22),
        "port 22 is open for a client that did not knock",
    )?;
    tell("neighbour", &format!("{} did not knock and still gets no answer", lab.second_client()));

    probe::await_closed(&lab, client, server, 22)?;
    firewall::await_rules(&lab, "iptables", "--dport 22", 0)?;
    tell("5 s later", "the rule is gone, port 22 does not answer any more");
    Ok(())
}

/// The last log line that names this port, shortened to what matters.
fn last_hit(dmesg: &Dmesg, interface: &str, port: &str) -> Result<String> {
    let log = std::fs::read(&dmesg.log)?;
    let log = String::from_utf8_lossy(&log);
    let wanted = format!(" DPT={port} ");
    let line = log
        .lines()
        .rfind(|line| line.contains(&wanted) && line.contains(interface))
        .ok_or_else(|| LabError(format!("no log line with {wanted}")))?;
    let shown: Vec<&str> = line
        .split_whitespace()
        .filter(|word| {
            !["MAC=", "LEN=", "TOS=", "PREC=", "TTL=", "ID=", "WINDOW=", "RES=", "URGP=", "DF"]
                .iter()
                .any(|noise| word.starts_with(noise))
        })
        .collect();
    Ok(shown.join(" "))
}

fn refuse_if(fault: bool, what: &str) -> Result<()> {
    if fault { Err(LabError(what.to_owned())) } else { Ok(()) }
}

fn after<'a>(line: &'a str, start: &str) -> &'a str {
    line.split_once(start).map_or(line, |(_, rest)| rest)
}

fn tell(what: &str, seen: &str) {
    // A closed pipe (`make demo | head`) is no reason to leave the hosts behind.
    let _closed = writeln!(std::io::stdout(), "{what:>10}  {seen}");
}
