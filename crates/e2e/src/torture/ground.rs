//! Where the daemon is tortured: a network, mounts and a lock of xtables that are nobody else's.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::firewall::Backend;
use crate::loggen::{KEY, SPAN};
use crate::process::Running;
use crate::{LabError, Result, tool};

/// Openings last so many seconds; the knock's TIME says how many.
pub(super) const SECONDS: [u64; 3] = [1, 2, 4];
/// The TIME of a knock that closes.
pub(super) const SHUT: u64 = 255;

const SET_UP: &str = "set -e
mount -t tmpfs tmpfs /run
touch /run/xtables.lock
[ -z \"$0\" ] || mount --bind \"$0\" /etc/alternatives
echo ready
exec sleep infinity";

const ACTIONS: &str = "
<actions>
  <action>
    template  = count
  </action>
  <action>
    condition = TIME != 255
    template  = open
  </action>
CLOSE_LATER
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
  <template tell>
    system = echo IP >>FOLDER/ran
  </template>
</actions>
";

pub(super) struct Ground {
    holder: Running,
    folder: TempDir,
}

impl Ground {
    pub(super) fn new(backend: Backend) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("knockdaemon-e2e-").tempdir()?;
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "--net", "sh", "-c", SET_UP]);
        command.arg(match backend {
            Backend::Nft => PathBuf::new(),
            Backend::Legacy => crate::programs::legacy_alternatives(folder.path())?,
        });
        let holder = Running::spawn("holder", &mut command)?;
        holder.await_line("ready")?;
        let ground = Self { holder, folder };
        ground.write_config()?;
        Ok(ground)
    }

    fn write_config(&self) -> Result<()> {
        let later = SECONDS.map(|seconds| {
            format!(
                "<action>\ncondition = TIME == {seconds}\ntemplate = close\ndelay = {seconds}s\n</action>\n"
            )
        });
        let text = format!(
            "logfile = {}\nstatedir = {}\nresume = yes\nmaxlag = 2m\nportspan = {SPAN}\nkey = {KEY}\n{ACTIONS}",
            self.path("messages").display(),
            self.path("state").display(),
        );
        let text = text
            .replace("CLOSE_LATER", &later.concat())
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
        let listed = tool(&format!("nsenter {} iptables -w 30 -S INPUT", self.enter().join(" ")))?;
        let mut rules = BTreeMap::new();
        for line in listed.lines().filter(|line| line.starts_with("-A")) {
            let client = line.split("-s ").nth(1).and_then(|rest| rest.split('/').next());
            let client = client.and_then(|client| client.parse().ok());
            let client = client.ok_or_else(|| LabError(format!("whose rule is this: {line}")))?;
            *rules.entry(client).or_default() += 1;
        }
        Ok(rules)
    }

    /// The firewall's programs that run there now.
    pub(super) fn tools(&self) -> Vec<u32> {
        let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let ours = network(&self.holder.pid().as_raw_nonzero().to_string());
        let mut tools = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(pid) = name.parse() else { continue };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
            if first.ends_with(b"iptables") && network(&name) == ours {
                tools.push(pid);
            }
        }
        tools
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
