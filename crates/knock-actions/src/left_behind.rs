//! Programs of iptables that a killed daemon left running. Such a one may put its rule in after the
//! next daemon has looked, or even after it has taken the rule out: so that one waits for them first.
//!
//! Nothing proves that a program is one of them, so none is ever ended, and the wait has an end of its
//! own: whatever it was, the daemon goes on then. They are guessed by their session, which children keep
//! and which the store's lock remembers for as long as the machine runs; by their name; and because they
//! are older than this process, orphans, and in its network.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::deadline::Deadline;

/// What changes rules of iptables. Programs for the kernel's sets are not here: no order that is late
/// comes from them.
const TOOLS: [&str; 12] = [
    "iptables",
    "iptables-nft",
    "iptables-legacy",
    "iptables-restore",
    "iptables-nft-restore",
    "iptables-legacy-restore",
    "ip6tables",
    "ip6tables-nft",
    "ip6tables-legacy",
    "ip6tables-restore",
    "ip6tables-nft-restore",
    "ip6tables-legacy-restore",
];

/// All waiting together. Longer than an order for the firewall has as a rule, and iptables is told to
/// wait for its lock no longer than that.
const LONGEST: Duration = Duration::from_secs(35);

/// A session of one run of the machine: its number is somebody else's after the next start. 0 stands
/// for all that were begun outside our PID namespace, or by an init that made none: `/proc` tells them
/// apart by nothing, and they are one here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    boot: String,
    number: i32,
}

impl Session {
    /// That of this process; `None` where the kernel does not tell.
    #[must_use]
    pub fn own() -> Option<Self> {
        let number = Stat::own()?.session;
        Some(Self { boot: boot()?, number })
    }

    pub(crate) fn parse(number: &str, boot: &str) -> Option<Self> {
        let number = number.parse().ok().filter(|number| *number >= 0)?;
        Some(Self { boot: boot.to_owned(), number })
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.boot)
    }
}

fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// What the daemon before this one may have left.
#[derive(Debug)]
pub struct LeftBehind {
    session: Option<Session>,
    tell: fn(usize),
    longest: Duration,
    /// One looks; all others wait for that one.
    over: OnceLock<()>,
}

impl LeftBehind {
    /// By a daemon of this session; `None`: there was none. Of an earlier run of the machine nothing
    /// is left. Before it waits it tells of how many, once.
    #[must_use]
    pub fn by(session: Option<Session>, tell: fn(usize)) -> Self {
        let here = boot();
        let session = session.filter(|session| Some(&session.boot) == here.as_ref());
        Self { session, tell, longest: LONGEST, over: OnceLock::new() }
    }

    /// Waits until no program of it is left, or has waited long enough.
    pub(crate) fn wait(&self) {
        if self.session.is_none() || self.over.get().is_some() {
            return;
        }
        if let Some(own) = Stat::own() {
            self.wait_for(own.began);
        }
    }

    fn wait_for(&self, before: u64) {
        let Some(session) = &self.session else { return };
        self.over.get_or_init(|| {
            let deadline = Deadline::after(self.longest);
            let mut is_told = false;
            loop {
                let left = left_before(session.number, before, Path::new("/proc"));
                let Some(first) = left.first() else { return };
                if deadline.has_passed() {
                    return;
                }
                if !std::mem::replace(&mut is_told, true) {
                    (self.tell)(left.len());
                }
                await_end(*first, deadline);
            }
        });
    }
}

/// Those that began before that many ticks.
fn left_before(session: i32, before: u64, processes: &Path) -> Vec<Pid> {
    let read = |pid: &str, name: &str| fs::read(processes.join(pid).join(name)).ok();
    let stat = |pid: &str| Stat::read(&read(pid, "stat")?);
    let network = |pid: &str| fs::read_link(processes.join(pid).join("ns/net")).ok();
    let Some(ours) = network("self") else { return Vec::new() };
    let entries = fs::read_dir(processes).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let pid = name.to_str()?;
            let raw = Pid::from_raw(pid.parse().ok()?)?;
            let its = stat(pid).filter(|its| its.session == session && its.began <= before)?;
            let parent = stat(&its.parent.to_string());
            let is_orphan = its.parent == 1 || parent.is_none_or(|its| its.session != session);
            let is_left = is_orphan && is_tool(&read(pid, "cmdline")?) && network(pid)? == ours;
            is_left.then_some(raw)
        })
        .collect()
}

/// What the kernel says of a process that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    session: i32,
    /// In ticks since the machine's start.
    began: u64,
}

impl Stat {
    fn own() -> Option<Self> {
        Self::read(&fs::read("/proc/self/stat").ok()?)
    }

    /// Of `PID (NAME) STATE PARENT GROUP SESSION …`; a name may hold anything.
    fn read(stat: &[u8]) -> Option<Self> {
        let behind = stat.rsplit(|byte| *byte == b')').next()?;
        let mut fields = std::str::from_utf8(behind).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        let (parent, session) = (fields.next()?.parse().ok()?, fields.nth(1)?.parse().ok()?);
        let began = fields.nth(15)?.parse().ok()?;
        // A zombie does nothing any more.
        (state != "Z").then_some(Self { parent, session, began })
    }
}

/// Its own name, or that of the script which a shell reads.
fn is_tool(command_line: &[u8]) -> bool {
    command_line.split(|byte| *byte == 0).take(2).any(|word| {
        let name = word.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        TOOLS.iter().any(|tool| name == tool.as_bytes())
    })
}

fn await_end(pid: Pid, deadline: Deadline) {
    // Gone already, or a kernel that does not tell: the next look says which.
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        std::thread::sleep(Duration::from_millis(10));
        return;
    };
    let left = Timespec::try_from(deadline.left()).ok();
    let _ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], left.as_ref());
}

#[cfg(test)]
mod tests;
