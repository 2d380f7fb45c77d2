//! A daemon with leases in a part of this machine of its own, one way of holding them: what its kernel lets
//! in, asked with the kernel's own programs, and our commands run beside it.

use std::process::Command;

use crate::private::Private;
use crate::process::{PATIENCE, Running, await_until};
use crate::written::WrittenLog;
use crate::{LabError, Result, programs};

/// TIME 1 opens port 22 for an hour, 2 opens 2222 for some seconds, 3 opens 2223 for an hour.
const LEASES: &str = "
firewall = KIND
<actions>
  <action>\ncondition = TIME == 1\ntemplate = hour\n</action>
  <action>\ncondition = TIME == 2\ntemplate = seconds\n</action>
  <action>\ncondition = TIME == 3\ntemplate = other\n</action>
  <template hour>\nopen = PORT\nlease = 1h\n</template>
  <template seconds>\nopen = 2222\nlease = 15s\n</template>
  <template other>\nopen = 2223\nlease = 1h\n</template>
</actions>
";

/// The daemon's surroundings.
pub struct Held {
    /// Network and mounts.
    pub machine: Private,
    /// Configuration and log.
    pub log: WrittenLog,
    kind: &'static str,
}

impl Held {
    /// Where leases go this way: `nftables`, or `iptables` for a rule each.
    ///
    /// # Errors
    /// When a right or a tool is missing.
    pub fn new(kind: &'static str) -> Result<Self> {
        let log = WrittenLog::new(&LEASES.replace("KIND", kind))?;
        Ok(Self { machine: Private::new()?, log, kind })
    }

    /// Starts the daemon.
    ///
    /// # Errors
    /// When it does not begin to follow the log.
    pub fn start(&self) -> Result<Running> {
        self.log.daemon(&self.machine.enter(), &[])
    }

    /// What the kernel's own program lists of all rules and sets.
    ///
    /// # Errors
    /// When it fails.
    pub fn listed(&self) -> Result<String> {
        self.machine.on(match self.kind {
            "nftables" => "nft -n list ruleset",
            _ => "iptables -S",
        })
    }

    /// Whether the kernel lets somebody in to this port.
    ///
    /// # Errors
    /// When it does not say.
    pub fn lets_in(&self, port: u16) -> Result<bool> {
        let listed = self.listed()?;
        let client = crate::written::CLIENT;
        let (element, rule) = (format!("{client} . 6 . {port} "), format!("--dport {port} "));
        Ok(listed
            .lines()
            .any(|line| line.contains(&element) || line.contains(client) && line.contains(&rule)))
    }

    /// Waits until it is so.
    ///
    /// # Errors
    /// When it does not become so; with what the daemon said.
    pub fn await_open(&self, port: u16, is_open: bool, daemon: &Running) -> Result<()> {
        if await_until(PATIENCE, || self.lets_in(port).is_ok_and(|seen| seen == is_open)) {
            return Ok(());
        }
        let (kind, said) = (self.kind, daemon.lines().join("\n"));
        Err(LabError(format!("{kind}: port {port} is not so: open = {is_open}; it said:\n{said}")))
    }

    /// Runs one of our commands; its status, and what it says on both ways out.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn ask(&self, words: &[&str]) -> Result<(Option<i32>, String)> {
        let enter = self.machine.enter();
        let mut command = Command::new("nsenter");
        command.args(enter.iter().skip(1)).arg(programs::folder()?.join("knockdaemon"));
        let output = command.args(words).arg("-conf").arg(self.log.config()).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
    }
}
