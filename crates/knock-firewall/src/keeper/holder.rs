//! A process that has the keeper's name, and whether it may be the keeper: whether it could change the
//! firewall at all. Asks the kernel, and believes nothing that the process says itself.

use std::fmt;
use std::fs;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::process::geteuid;

/// `CAP_NET_ADMIN`, as a bit of what `/proc` shows.
const NET_ADMIN: u64 = 1 << 12;
/// `uid_map` of the first user namespace. Nobody makes another with all users in it who has no rights in
/// this one.
const ALL_USERS: [&str; 3] = ["0", "0", "4294967295"];

/// Who has the keeper's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The number of its user.
    pub user: u32,
    /// Its process; `None`: it is in a PID namespace that cannot be seen from this one.
    pub process: Option<i32>,
}

impl Holder {
    /// Who listened when the connection was made.
    pub(super) fn at_the_other_end(connection: &impl AsFd) -> Option<Self> {
        let found = getsockopt(connection, PeerCredentials).ok()?;
        // A process of another PID namespace has the number 0.
        Some(Self { user: found.uid(), process: Some(found.pid()).filter(|process| *process > 0) })
    }

    /// Whether it can be the keeper of the leases: it is root's or our own user's, or it has
    /// `CAP_NET_ADMIN` where we have ours. All capabilities of a user namespace of one's own are anybody's.
    pub(super) fn counts(&self) -> bool {
        self.user == 0
            || self.user == geteuid().as_raw()
            || self.process.is_some_and(|process| has_the_right(process, self.user))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(process) => write!(f, "process {process} of user {}", self.user),
            None => write!(f, "a process of user {} that is not seen from here", self.user),
        }
    }
}

fn has_the_right(process: i32, user: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else { return false };
    may_change_the_firewall(&status, user) && has_our_users(process)
}

/// Whether it still is that user's, and not a program that turned into another one since it listened.
pub(super) fn may_change_the_firewall(status: &str, user: u32) -> bool {
    let words = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default().split_whitespace()
    };
    let is_theirs = words("Uid:").count() == 4
        && words("Uid:").all(|word| word.parse::<u32>().is_ok_and(|found| found == user));
    let effective = words("CapEff:").next().and_then(|word| u64::from_str_radix(word, 16).ok());
    is_theirs && effective.is_some_and(|capabilities| capabilities & NET_ADMIN != 0)
}

/// Whether it is in our user namespace.
pub(super) fn has_our_users(process: i32) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/user"));
    let process = process.to_string();
    if let (Ok(theirs), Ok(ours)) = (namespace(&process), namespace("self")) {
        return theirs == ours;
    }
    // That is told to root and to the process's own user; everybody may see which users there are in it.
    let has_all = |process: &str| {
        let map = fs::read_to_string(format!("/proc/{process}/uid_map")).unwrap_or_default();
        map.split_whitespace().eq(ALL_USERS)
    };
    has_all(&process) && has_all("self")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_counts_with_the_user_who_took_the_name() {
        let status = |uid: &str, capabilities: &str| {
            format!("Name:\tUid: 0\nUid:\t{uid}\nGid:\t7\t7\t7\t7\nCapEff:\t{capabilities}\n")
        };
        let may = |uid, capabilities| may_change_the_firewall(&status(uid, capabilities), 998);
        assert!(may("998\t998\t998\t998", "0000000400003000"));
        assert!(may("998\t998\t998\t998", "000001ffffffffff"));
        assert!(!may("998\t998\t998\t998", "0000000400002000"));
        assert!(!may("998\t998\t998\t998", ""));
        // Somebody's `sudo` that waits for a password: it is theirs no more.
        assert!(!may("998\t0\t0\t0", "000001ffffffffff"));
        assert!(!may("7\t7\t7\t7", "000001ffffffffff"));
        assert!(!may_change_the_firewall("", 998));
    }

    #[test]
    fn this_process_is_in_its_own_user_namespace() {
        assert!(has_our_users(rustix::process::getpid().as_raw_pid()));
        assert!(!has_our_users(i32::MAX));
    }
}
