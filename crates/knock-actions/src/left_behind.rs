//! Programs of the firewall that a killed daemon left running. Such a one may put its rule in after the
//! next daemon has looked, or even after it has taken the rule out: so that one waits for them first.
//!
//! They are known by their session, which children keep and which the store's lock remembers; by their
//! name; and because they are orphans in the network that this process is in.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::deadline::Deadline;

/// What changes rules, by the beginning of its name: `ip6tables-restore` is one of them.
const TOOLS: [&str; 5] = ["iptables", "ip6tables", "xtables", "ipset", "nft"];

/// What the daemon before this one may have left.
#[derive(Debug)]
pub struct LeftBehind {
    session: Option<i32>,
    is_over: AtomicBool,
}

impl LeftBehind {
    /// By a daemon of this session; `None`: there was none.
    #[must_use]
    pub fn by(session: Option<i32>) -> Self {
        Self { session, is_over: AtomicBool::new(false) }
    }

    /// Waits until no program of it is left. Those that are left after the deadline are ended, as that
    /// daemon would have done. Returns whether all is clear.
    pub(crate) fn is_over(&self, deadline: Deadline) -> bool {
        let Some(session) = self.session.filter(|_| !self.is_over.load(Ordering::SeqCst)) else {
            return true;
        };
        loop {
            let left = left_in(session, Path::new("/proc"));
            let Some(first) = left.first() else {
                self.is_over.store(true, Ordering::SeqCst);
                return true;
            };
            if deadline.has_passed() {
                left.iter().for_each(|pid| end(*pid));
                return false;
            }
            await_end(*first, deadline);
        }
    }
}

fn left_in(session: i32, processes: &Path) -> Vec<Pid> {
    let read = |pid: i32, name: &str| fs::read(processes.join(pid.to_string()).join(name)).ok();
    let family = |pid| parent_and_session(&read(pid, "stat")?);
    let network = |pid: &str| fs::read_link(processes.join(pid).join("ns/net")).ok();
    let ours = network("self");
    let entries = fs::read_dir(processes).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let raw = entry.file_name().to_str()?.parse().ok()?;
            let (parent, _) = family(raw).filter(|(_, its)| *its == session)?;
            let is_orphan = parent == 1 || family(parent).is_none_or(|(_, its)| its != session);
            let is_tool = is_orphan && is_tool(&read(raw, "cmdline")?);
            // Whoever may not look takes it for one of ours, and waits a little.
            let is_near = |net| ours.as_ref().is_none_or(|ours| net == *ours);
            let is_left = is_tool && network(&raw.to_string()).is_none_or(is_near);
            is_left.then(|| Pid::from_raw(raw)).flatten()
        })
        .collect()
}

/// Of `PID (NAME) STATE PARENT GROUP SESSION …`; a name may hold anything.
fn parent_and_session(stat: &[u8]) -> Option<(i32, i32)> {
    let behind = stat.rsplit(|byte| *byte == b')').next()?;
    let mut fields = std::str::from_utf8(behind).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let (parent, session) = (fields.next()?.parse().ok()?, fields.nth(1)?.parse().ok()?);
    // A zombie does nothing any more.
    (state != "Z").then_some((parent, session))
}

/// Its own name, or that of the script which a shell reads.
fn is_tool(command_line: &[u8]) -> bool {
    command_line.split(|byte| *byte == 0).take(2).any(|word| {
        let name = word.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        TOOLS.iter().any(|tool| name.starts_with(tool.as_bytes()))
    })
}

fn await_end(pid: Pid, deadline: Deadline) {
    // Gone already, or a kernel that does not tell: the next look says which.
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        std::thread::sleep(std::time::Duration::from_millis(10));
        return;
    };
    let left = Timespec::try_from(deadline.left()).ok();
    let _ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], left.as_ref());
}

fn end(pid: Pid) {
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        let _gone = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use super::*;

    #[test]
    fn they_are_known_by_what_the_kernel_says() {
        assert_eq!(parent_and_session(b"7 (ip) (x) S 1 7 9 0"), Some((1, 9)));
        assert_eq!(parent_and_session(b"7 (iptables) Z 1 7 9 0"), None);
        assert_eq!(parent_and_session(b"7 (iptables"), None);
        assert!(is_tool(b"/usr/sbin/iptables\0-I\0INPUT\0"));
        assert!(is_tool(b"/bin/sh\0/usr/sbin/ip6tables\0-I\0"));
        assert!(!is_tool(b"/bin/sh\0-c\0iptables -I\0") && !is_tool(b""));
    }

    /// A shell that leaves a program with the name of a tool, and is gone.
    fn leave(then: &str) -> (tempfile::TempDir, LeftBehind) {
        let folder = tempfile::tempdir().unwrap();
        let tool = folder.path().join("iptables");
        fs::write(&tool, format!("mkfifo \"$1.fifo\"\necho $$ >\"$1\"\n{then}\n")).unwrap();
        let told = folder.path().join("pid");
        let mut leaver: Child = Command::new("setsid")
            .args(["sh", "-c", "sh \"$0\" \"$1\" & while [ ! -s \"$1\" ]; do sleep 0.01; done"])
            .args([&tool, &told])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // `setsid` runs the shell in its own place, unless it leads a group.
        leaver.wait().unwrap();
        let pid = fs::read_to_string(&told).unwrap();
        let stat = fs::read(format!("/proc/{}/stat", pid.trim())).unwrap();
        let (_, session) = parent_and_session(&stat).unwrap();
        (folder, LeftBehind::by(Some(session)))
    }

    #[test]
    fn what_ends_is_waited_for() {
        let (_folder, left) = leave("sleep 1");
        let session = left.session.unwrap();
        assert_eq!(left_in(session, Path::new("/proc")).len(), 1);
        assert!(left.is_over(Deadline::after(Duration::from_secs(60))));
        assert_eq!(left_in(session, Path::new("/proc")), []);
    }

    #[test]
    fn what_hangs_is_ended() {
        let (_folder, left) = leave("read never <\"$1.fifo\"");
        assert!(!left.is_over(Deadline::after(Duration::ZERO)));
        assert!(left.is_over(Deadline::after(Duration::from_secs(60))));
    }
}
