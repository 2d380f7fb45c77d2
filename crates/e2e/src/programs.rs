//! `knockdaemon` and `knockclient` as a user starts them, on the hosts of a lab.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::firewall::Backend;
use crate::lab::{Host, Lab};
use crate::process::Running;
use crate::{LabError, Result, tool};

/// The templates that the harness's configurations share, for inside `<actions>`.
pub const TEMPLATES: &str = "
  <template open>
    iptables = -I INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
  <template close>
    iptables = -D INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT
  </template>
";

/// The folder with both programs, built once a process: `CARGO_BIN_EXE_…` exists only in the tests
/// of a program's own package.
///
/// # Errors
/// When they do not build.
pub fn folder() -> Result<&'static Path> {
    static FOLDER: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let built = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "-p", "knockdaemon", "-p", "knockclient"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .output()
                .map_err(|error| error.to_string())?;
            if !built.status.success() {
                return Err(String::from_utf8_lossy(&built.stderr).into_owned());
            }
            // The test runs from target/PROFILE/deps, the demo from target/PROFILE; the programs
            // are built with the default profile, whatever ours is.
            let own = std::env::current_exe().map_err(|error| error.to_string())?;
            own.ancestors()
                .find(|folder| folder.join("CACHEDIR.TAG").exists())
                .map(|target| target.join("debug"))
                .ok_or_else(|| "no target folder above the test program".to_owned())
        })
        .as_deref()
        .map_err(|error| LabError(error.clone()))
}

/// The daemon on the server. With [`Backend::Legacy`] its host's alternatives name the legacy
/// programs, so that a plain `iptables` means those.
///
/// # Errors
/// When it cannot be started.
pub fn daemon(lab: &Lab, backend: Backend, config: &Path, options: &[&str]) -> Result<Running> {
    let program = folder()?.join("knockdaemon");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &lab.namespace(Host::Server)]);
    if backend == Backend::Legacy {
        // `ip netns exec` gives each program mounts of its own, so nobody else sees this.
        command.args(["sh", "-c", "mount --bind \"$0\" /etc/alternatives && exec \"$@\""]);
        command.arg(legacy_alternatives(&lab.path(""))?);
    }
    command.arg(program).arg("-conf").arg(config).args(options);
    // Programs that a test has put there stand in for those of the machine.
    let own = lab.path("bin").display().to_string();
    command.env("PATH", format!("{own}:{}", std::env::var("PATH").unwrap_or_default()));
    Running::spawn("knockdaemon", &mut command)
}

/// A copy of the machine's alternatives in which iptables is the legacy one.
///
/// # Errors
/// When it cannot be made.
pub fn legacy_alternatives(within: &Path) -> Result<PathBuf> {
    let folder = within.join("alternatives");
    if !folder.exists() {
        tool(&format!("cp -a /etc/alternatives {}", folder.display()))?;
        for family in ["iptables", "ip6tables"] {
            let link = folder.join(family);
            tool(&format!("ln -sf /usr/sbin/{family}-legacy {}", link.display()))?;
        }
    }
    Ok(folder)
}

/// The client on its host; waits for its end.
///
/// # Errors
/// When it cannot be started. How it ended is in the output.
pub fn client(lab: &Lab, arguments: &[&str]) -> Result<Output> {
    Command::new("ip")
        .args(["netns", "exec", &lab.namespace(Host::Client)])
        .arg(folder()?.join("knockclient"))
        .args(arguments)
        .env("HOME", lab.path(""))
        .output()
        .map_err(LabError::from)
}

/// A classic knock from one address, with the config's key and span.
///
/// # Errors
/// When the client reports a failure.
pub fn knock(lab: &Lab, config: &Path, from: IpAddr, to: IpAddr, fields: &[&str]) -> Result<()> {
    let config = config.display().to_string();
    let (from, to) = (from.to_string(), to.to_string());
    let mut arguments = vec!["-conf", &config, "-client", &from, "-remote", &to];
    arguments.extend(fields);
    let output = client(lab, &arguments)?;
    if output.status.success() {
        return Ok(());
    }
    Err(LabError(format!(
        "knockclient: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )))
}
