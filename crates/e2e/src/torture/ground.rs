//! Where the daemon is tortured: a network, mounts and a lock of xtables that are nobody else's.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use knock_firewall::Kind;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::members::{self, Member};
use super::{now, others};
use crate::firewall::Backend;
use crate::loggen::{KEY, SPAN};
use crate::process::{Running, in_network_of};
use crate::{LabError, Result, tool};

/// Rules of templates last so many seconds; the knock's TIME says how many. Leases last twice as long.
pub(super) const SECONDS: [u64; 3] = [1, 2, 4];
/// The TIME of a knock that asks for a long lease, and for no rule.
pub(super) const LONG: u64 = 9;
/// How long that is: nothing here is so slow that it could be taken for one that was shortened.
pub(super) const LONG_LEASE: u64 = 300;
/// The TIME of a knock that closes.
pub(super) const SHUT: u64 = 255;

/// The rest is what others have there.
const SET_UP: &str = "set -e
mount -t tmpfs tmpfs /run
touch /run/xtables.lock
[ -z \"$0\" ] || mount --bind \"$0\" /etc/alternatives";

const ACTIONS: &str = "
<actions>
  <action>
    template  = count
  </action>
  <action>
    condition = TIME != 255 && TIME != 9
    template  = open
  </action>
CLOSE_LATER
LEASES
  <action>
    condition = TIME == 255
    template  = end-lease
  </action>
  <action>
    condition = TIME == 255
    template  = close
  </action>
  <action>
    condition = TIME == 255
    template  = tell
  </action>
  <template count>
    state = state(IP,knocks)++
  </template>
  <template open>
    iptables = -I INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
  <template close>
    iptables = -D INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
  <template end-lease>
    close = PORT
  </template>
  <template tell>
    system = echo IP >>FOLDER/ran
  </template>
</actions>
";

pub(super) struct Ground {
    holder: Running,
    folder: TempDir,
    kind: Kind,
}

/// How many seconds a knock with this TIME asks for a lease.
pub(super) fn lease_of(time: u64) -> u64 {
    if time == LONG { LONG_LEASE } else { time * 2 }
}

impl Ground {
    pub(super) fn new(backend: Backend, kind: Kind) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("knockdaemon-e2e-").tempdir()?;
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let script = [SET_UP, others::SET_UP, "echo ready\nexec sleep infinity"].concat();
        command.args(["--mount", "--net", "sh", "-c", &script]);
        command.arg(match backend {
            Backend::Nft => PathBuf::new(),
            Backend::Legacy => crate::programs::legacy_alternatives(folder.path())?,
        });
        command.arg(kind.to_string());
        let holder = Running::spawn("holder", &mut command)?;
        holder.await_line("ready")?;
        let ground = Self { holder, folder, kind };
        ground.write_config()?;
        Ok(ground)
    }

    fn write_config(&self) -> Result<()> {
        let later = SECONDS.map(|seconds| {
            format!(
                "<action>\ncondition = TIME == {seconds}\ntemplate = close\ndelay = {seconds}s\n</action>\n"
            )
        });
        let leases = SECONDS.into_iter().chain([LONG]).map(|time| {
            format!(
                "<action>\ncondition = TIME == {time}\ntemplate = lease{time}\n</action>\n\
                 <template lease{time}>\nopen = PORT\nlease = {}s\n</template>\n",
                lease_of(time)
            )
        });
        let text = format!(
            "logfile = {}\nstatedir = {}\nresume = yes\nmaxlag = 2m\nportspan = {SPAN}\nkey = {KEY}\n\
             firewall = {}\n{ACTIONS}",
            self.path("messages").display(),
            self.path("state").display(),
            self.kind,
        );
        let text = text
            .replace("CLOSE_LATER", &later.concat())
            .replace("LEASES", &leases.collect::<String>())
            .replace("FOLDER", &self.folder.path().display().to_string());
        let config = self.path("knockdaemon.conf");
        fs::write(&config, text)?;
        fs::set_permissions(&config, Permissions::from_mode(0o600))?;
        Ok(())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// To run a program there.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(self.enter()).arg(program);
        command
    }

    fn enter(&self) -> Vec<String> {
        let pid = self.holder.pid().as_raw_nonzero().to_string();
        let user = (!rustix::process::geteuid().is_root()).then_some("--user");
        let words = ["-t", &pid].into_iter().chain(user).chain(["--mount", "--net", "--"]);
        words.map(str::to_owned).collect()
    }

    /// How many rules each client has.
    pub(super) fn rules(&self) -> Result<BTreeMap<IpAddr, usize>> {
        let listed = self.list("iptables -w 30 -S INPUT")?;
        let mut rules = BTreeMap::new();
        for line in listed.lines().filter(|line| line.contains("-s 198.51.100.")) {
            let client = line.split("-s ").nth(1).and_then(|rest| rest.split('/').next());
            let client = client.and_then(|client| client.parse().ok());
            let client = client.ok_or_else(|| LabError(format!("whose rule is this: {line}")))?;
            *rules.entry(client).or_default() += 1;
        }
        Ok(rules)
    }

    /// What a program says there.
    pub(super) fn list(&self, line: &str) -> Result<String> {
        tool(&format!("nsenter {} {line}", self.enter().join(" ")))
    }

    /// The leases that the kernel holds.
    pub(super) fn held(&self) -> Result<Vec<Member>> {
        Ok(match self.kind {
            Kind::Nftables => members::of_nftables(&self.list("nft -n list ruleset inet")?, now()),
            Kind::Ipset => members::of_ipset(&self.list("ipset save")?, now()),
            Kind::Iptables | Kind::Auto => members::of_iptables(&self.list("iptables -w 30 -S")?),
        })
    }

    /// Whether leases end without the daemon, by the kernel's own clock, and are gone then.
    pub(super) fn has_sets(&self) -> bool {
        matches!(self.kind, Kind::Nftables | Kind::Ipset)
    }

    /// What is in the firewall and is none of the daemon's business.
    pub(super) fn foreign(&self) -> Result<String> {
        others::listed(self, self.kind)
    }

    /// The firewall's programs that run there now.
    pub(super) fn tools(&self) -> Vec<u32> {
        // The last one is a child that has not become a program yet.
        in_network_of(self.holder.pid(), &["iptables", "ip6tables", "ipset", "nft", "knockdaemon"])
    }

    /// Holds the lock of xtables until it is dropped.
    pub(super) fn lock(&self) -> Result<File> {
        let holder = self.holder.pid().as_raw_nonzero();
        let file = File::open(format!("/proc/{holder}/root/run/xtables.lock"))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| LabError(format!("cannot lock xtables: {error}")))?;
        Ok(file)
    }
}
