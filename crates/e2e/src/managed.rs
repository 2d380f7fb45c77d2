//! Firewalls that another program keeps: UFW and firewalld as their packages come, on the server of a
//! lab, with the configuration and the message bus of that server alone.

use std::path::PathBuf;
use std::process::Command;

use crate::lab::{Host, Lab};
use crate::process::{PATIENCE, Running, await_until};
use crate::{LabError, Result, tool};

/// UFW: drops all but what is established, as `ufw enable` does it.
pub struct Ufw {
    namespace: String,
    folder: PathBuf,
}

impl Ufw {
    /// Switches it on.
    ///
    /// # Errors
    /// When it is missing or fails.
    pub fn enable(lab: &Lab) -> Result<Self> {
        let folder = lab.path("ufw");
        tool(&format!("cp -a /etc/ufw {}", folder.display()))?;
        let ufw = Self { namespace: lab.namespace(Host::Server), folder };
        ufw.run(&["--force", "enable"])?;
        Ok(ufw)
    }

    /// Runs `ufw` with these words.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]);
        // `ip netns exec` gives each program mounts of its own, so nobody else sees this.
        command.args(["sh", "-c", "mount --bind \"$0\" /etc/ufw && exec ufw \"$@\""]);
        command.arg(&self.folder).args(words);
        said(&mut command)
    }
}

/// firewalld, which refuses all but what is established in its zone `public`.
pub struct Firewalld {
    place: Place,
    _daemon: Running,
    _bus: Running,
}

/// Where it lives.
struct Place {
    namespace: String,
    folder: PathBuf,
    bus: String,
}

impl Firewalld {
    /// Starts it, with a message bus of its own.
    ///
    /// # Errors
    /// When one of them is missing or does not start.
    pub fn start(lab: &Lab) -> Result<Self> {
        let place = Place {
            namespace: lab.namespace(Host::Server),
            folder: lab.path("firewalld"),
            bus: format!("unix:path={}", lab.path("bus").display()),
        };
        tool(&format!("cp -a /etc/firewalld {}", place.folder.display()))?;
        let mut bus = place.shell("exec \"$@\"");
        bus.args(["dbus-daemon", "--system", "--nofork", "--nopidfile", "--nosyslog"]);
        let bus = Running::spawn("dbus-daemon", bus.arg(format!("--address={}", place.bus)))?;
        let mut daemon = place.shell("mount --bind \"$0\" /etc/firewalld && exec \"$@\"");
        let daemon =
            Running::spawn("firewalld", daemon.args(["firewalld", "--nofork", "--nopid"]))?;
        let new = Self { place, _daemon: daemon, _bus: bus };
        let mut last = String::new();
        let runs = await_until(PATIENCE, || match new.run(&["--state"]) {
            Ok(_) => true,
            Err(error) => {
                last = error.0;
                false
            }
        });
        runs.then_some(new).ok_or_else(|| LabError(format!("firewalld does not start: {last}")))
    }

    /// Runs `firewall-cmd` with these words.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        said(self.place.shell("exec \"$@\"").arg("firewall-cmd").args(words))
    }
}

impl Place {
    /// Words in a shell on the server, whose programs know our bus and write no log of the machine's.
    /// `$0` is firewalld's folder.
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, "sh", "-c"]);
        command.arg(format!("mount -t tmpfs tmpfs /var/log && {script}")).arg(&self.folder);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &self.bus);
        command
    }
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| LabError(error.to_string()))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(said) } else { Err(LabError(format!("{command:?}: {said}"))) }
}
