//! Two hosts on one machine: network namespaces joined by a veth pair, with addresses of their own.
//! What is set up here is taken down when the [`Lab`] is dropped.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::guardian::{self, Charge};
use crate::kernel_log::LogFromNamespaces;
use crate::{LabError, Result, tool};

/// Where labs on this machine agree on who has which number.
pub(crate) const LOCKS: &str = "/run/knockdaemon-e2e";

/// Which of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Has the firewall, the daemon and the service.
    Server,
    /// Knocks.
    Client,
}

/// Two hosts and a folder for their files.
pub struct Lab {
    number: u8,
    folder: TempDir,
    // Held for as long as the lab lives: its number is nobody else's, and the kernel logs.
    _number_lock: File,
    _logging: LogFromNamespaces,
}

impl Lab {
    /// Makes both hosts.
    ///
    /// # Errors
    /// When a tool or a right is missing; the text says which and how to get it.
    pub fn new() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(LabError(
                "network namespaces that log need root: run `sudo make test`".into(),
            ));
        }
        let (number, lock) = take_number()?;
        let lab = Self {
            number,
            folder: tempfile::Builder::new().prefix("knockdaemon-e2e-").tempdir()?,
            _number_lock: lock,
            _logging: LogFromNamespaces::switch_on()?,
        };
        guardian::guard(&lab.charge());
        lab.take_down();
        lab.set_up()?;
        Ok(lab)
    }

    /// The name of a host's namespace, as `ip netns` knows it.
    #[must_use]
    pub fn namespace(&self, host: Host) -> String {
        match host {
            Host::Server => format!("kd{}-server", self.number),
            Host::Client => format!("kd{}-client", self.number),
        }
    }

    /// The name of a host's interface; the kernel's log lines show it.
    #[must_use]
    pub fn interface(&self, host: Host) -> String {
        match host {
            Host::Server => format!("kd{}s", self.number),
            Host::Client => format!("kd{}c", self.number),
        }
    }

    /// The server's IPv4 address.
    #[must_use]
    pub fn server(&self) -> IpAddr {
        self.address4(1)
    }

    /// The client's IPv4 address; there is a [`Self::second_client`] as well.
    #[must_use]
    pub fn client(&self) -> IpAddr {
        self.address4(2)
    }

    /// Another IPv4 address of the client host, for a second knocker.
    #[must_use]
    pub fn second_client(&self) -> IpAddr {
        self.address4(3)
    }

    /// The server's IPv6 address.
    #[must_use]
    pub fn server6(&self) -> IpAddr {
        self.address6(1)
    }

    /// The client's IPv6 address.
    #[must_use]
    pub fn client6(&self) -> IpAddr {
        self.address6(2)
    }

    /// A path in the lab's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only its owner can read.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }

    /// Runs a tool on a host.
    ///
    /// # Errors
    /// As [`tool`].
    pub fn on(&self, host: Host, line: &str) -> Result<String> {
        tool(&format!("ip netns exec {} {line}", self.namespace(host)))
    }

    /// Runs a function in a thread that lives in a host's network.
    ///
    /// # Errors
    /// When the thread cannot enter the namespace.
    pub fn within<T: Send>(&self, host: Host, work: impl FnOnce() -> T + Send) -> Result<T> {
        let namespace = File::open(format!("/run/netns/{}", self.namespace(host)))?;
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            });
            match thread.join() {
                Ok(result) => {
                    result.map_err(|error: rustix::io::Errno| LabError(error.to_string()))
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn address4(&self, host: u8) -> IpAddr {
        Ipv4Addr::new(10, 99, self.number, host).into()
    }

    fn address6(&self, host: u16) -> IpAddr {
        Ipv6Addr::new(0xfd99, 0, 0, self.number.into(), 0, 0, 0, host).into()
    }

    fn set_up(&self) -> Result<()> {
        let (server, client) = (self.namespace(Host::Server), self.namespace(Host::Client));
        tool(&format!("ip netns add {server}"))?;
        tool(&format!("ip netns add {client}"))?;
        self.on(Host::Server, "ip link set lo up")?;
        self.on(Host::Client, "ip link set lo up")?;
        self.connect()
    }

    /// Joins the hosts by a pair of interfaces with their addresses, as they are in the beginning.
    ///
    /// # Errors
    /// When they are joined already.
    pub fn connect(&self) -> Result<()> {
        let (server, client) = (self.namespace(Host::Server), self.namespace(Host::Client));
        let (server_if, client_if) = (self.interface(Host::Server), self.interface(Host::Client));
        // Both ends are born inside, so that the machine's own network never sees them.
        tool(&format!(
            "ip link add {server_if} netns {server} type veth peer name {client_if} netns {client}"
        ))?;
        for (host, interface, v4, v6) in [
            (Host::Server, &server_if, vec![self.server()], self.server6()),
            (Host::Client, &client_if, vec![self.client(), self.second_client()], self.client6()),
        ] {
            for address in v4 {
                self.on(host, &format!("ip address add {address}/24 dev {interface}"))?;
            }
            // `nodad`: an address that is still being checked for duplicates cannot be used.
            self.on(host, &format!("ip address add {v6}/64 dev {interface} nodad"))?;
            self.on(host, &format!("ip link set {interface} up"))?;
        }
        // The firewall drops everything, neighbour discovery over IPv6 as well.
        let mac = |host, interface: &str| -> Result<String> {
            let text = self.on(host, &format!("cat /sys/class/net/{interface}/address"))?;
            Ok(text.trim().to_owned())
        };
        let server_mac = mac(Host::Server, &server_if)?;
        let client_mac = mac(Host::Client, &client_if)?;
        for address in [self.server(), self.server6()] {
            self.on(Host::Client, &format!("ip neighbour replace {address} lladdr {server_mac} dev {client_if} nud permanent"))?;
        }
        for address in [self.client(), self.second_client(), self.client6()] {
            self.on(Host::Server, &format!("ip neighbour replace {address} lladdr {client_mac} dev {server_if} nud permanent"))?;
        }
        Ok(())
    }

    /// Deletes the pair of interfaces.
    ///
    /// # Errors
    /// When there is none.
    pub fn disconnect(&self) -> Result<()> {
        let interface = self.interface(Host::Server);
        self.on(Host::Server, &format!("ip link delete {interface}")).map(drop)
    }

    fn charge(&self) -> Charge {
        Charge::Lab(self.number, self.folder.path().display().to_string())
    }

    fn take_down(&self) {
        for host in [Host::Server, Host::Client] {
            let namespace = self.namespace(host);
            // Whatever still runs there would keep the namespace alive.
            if let Ok(pids) = tool(&format!("ip netns pids {namespace}")) {
                let pids =
                    pids.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
                for pid in pids {
                    let _gone = kill_process(pid, Signal::KILL);
                }
            }
            let _gone = tool(&format!("ip netns delete {namespace}"));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.take_down();
        guardian::release(&self.charge());
    }
}

/// The first number that no other lab on this machine has.
fn take_number() -> Result<(u8, File)> {
    fs::create_dir_all(LOCKS)?;
    for number in 0..=u8::MAX {
        let file = File::create(format!("{LOCKS}/{number}"))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok((number, file));
        }
    }
    Err(LabError("256 labs run on this machine already".into()))
}
