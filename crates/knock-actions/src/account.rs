//! Running a command as somebody else: who that is, and what goes before the command.
//!
//! Changes no rights of this process. setpriv(1) of util-linux does it for the one command: the
//! standard library cannot set supplementary groups, and doing it between fork and exec needs unsafe
//! code. It runs the command in its own place, so process group, time limit and exit status stay ours.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities, capability_is_in_ambient_set};

use crate::process::{self, Ended, Ending, Trouble, status_text};

/// Where most machines have all their users.
const PASSWD: &str = "/etc/passwd";
/// How long the other places (LDAP and the like) may take to answer.
const LOOK_UP: Duration = Duration::from_secs(5);
/// The program that changes the user.
const SETPRIV: &str = "setpriv";

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
    shell: String,
}

/// Why a command cannot run as this user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountError {
    /// There is no such user.
    Unknown {
        /// The name.
        user: String,
    },
    /// It could not be found out whether there is.
    NotAsked {
        /// The name.
        user: String,
        /// What went wrong.
        why: String,
    },
    /// This process may not change users.
    NotPermitted {
        /// The name.
        user: String,
    },
    /// The program that changes the user is missing.
    NoTool,
}

impl AccountError {
    /// The way out.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotAsked { .. } => {
                "see that 'getent passwd' answers; commands of this user fail until it does"
            }
            Self::Unknown { .. } => "make one with 'useradd --system', or leave 'user' out",
            Self::NotPermitted { .. } => {
                "start the daemon as root, or give it CAP_SETUID, CAP_SETGID and CAP_KILL \
                 (AmbientCapabilities= in its unit)"
            }
            Self::NoTool => "install the package 'util-linux'",
        }
    }
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { user } => {
                write!(f, "there is no user '{}' on this machine", user.escape_debug())
            }
            Self::NotAsked { user, why } => {
                write!(f, "the user '{}' could not be looked up: {why}", user.escape_debug())
            }
            Self::NotPermitted { user } => {
                write!(f, "this process may not run commands as '{}'", user.escape_debug())
            }
            Self::NoTool => write!(f, "there is no {SETPRIV} here to change the user with"),
        }
    }
}

impl std::error::Error for AccountError {}

/// Sees whether this process could run commands as a user.
///
/// # Errors
/// Why it could not.
pub fn can_run_as(user: &str) -> Result<(), AccountError> {
    Account::find(user)?.becoming().map(drop)
}

/// Where a program without a slash in its name is found by the commands of orders.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    find_in(process::PATH.split(':').map(Path::new), name)
}

fn find_in<'a>(mut folders: impl Iterator<Item = &'a Path>, name: &str) -> Option<PathBuf> {
    folders.find_map(|folder| {
        let path = folder.join(name);
        (path.is_file() && access(&path, Access::EXEC_OK).is_ok()).then_some(path)
    })
}

impl Account {
    /// Looks in the file first, and asks whatever else this machine has users from.
    pub(crate) fn find(user: &str) -> Result<Self, AccountError> {
        let unknown = || AccountError::Unknown { user: user.to_owned() };
        if user.is_empty() || user.starts_with('-') || user.contains([':', '\n', '\0']) {
            return Err(unknown());
        }
        let file = fs::read(PASSWD).unwrap_or_default();
        let file = String::from_utf8_lossy(&file);
        if let Some(account) = file.lines().find_map(|line| Self::named(user, line)) {
            return Ok(account);
        }
        Self::asked(user, process::run("getent", ["passwd", user], &[], LOOK_UP))
    }

    /// What getent(1) says: 2 is its word for nobody, and all else is no answer.
    fn asked(user: &str, getent: Result<Ended, Trouble>) -> Result<Self, AccountError> {
        let unknown = || AccountError::Unknown { user: user.to_owned() };
        let why = match getent {
            Ok(Ended { how: Ending::Exited(status), stdout, .. }) if status.success() => {
                let line = stdout.last_line().unwrap_or_default();
                return Self::named(user, &line).ok_or_else(unknown);
            }
            Ok(Ended { how: Ending::Exited(status), .. }) if status.code() == Some(2) => {
                return Err(unknown());
            }
            Ok(Ended { how: Ending::Exited(status), .. }) => {
                format!("getent: {}", status_text(status))
            }
            Ok(Ended { how: Ending::TimedOut, .. }) => {
                format!("getent does not answer within {} s", LOOK_UP.as_secs())
            }
            Err(trouble) => format!("cannot run getent: {trouble}"),
        };
        Err(AccountError::NotAsked { user: user.to_owned(), why })
    }

    /// A line of passwd(5), if it is this user's: a number in place of the name is nobody.
    fn named(user: &str, line: &str) -> Option<Self> {
        let mut columns = line.split(':');
        let name = columns.next().filter(|name| *name == user)?.to_owned();
        let _password = columns.next()?;
        let (uid, gid) = (columns.next()?.parse().ok()?, columns.next()?.parse().ok()?);
        let _about = columns.next()?;
        let home = columns.next()?.to_owned();
        let shell = columns.next().filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh");
        Some(Self { name, uid, gid, home, shell: shell.to_owned() })
    }

    /// The words that go before those of a command. None where this process is that user already.
    pub(crate) fn becoming(&self) -> Result<Vec<String>, AccountError> {
        if self.uid == geteuid().as_raw() {
            return Ok(Vec::new());
        }
        if !may_change_users() {
            return Err(AccountError::NotPermitted { user: self.name.clone() });
        }
        let setpriv = find_program(SETPRIV).ok_or(AccountError::NoTool)?;
        Ok(vec![
            setpriv.display().to_string(),
            format!("--reuid={}", self.uid),
            format!("--regid={}", self.gid),
            "--init-groups".to_owned(),
            // A daemon that has its rights from systemd's AmbientCapabilities would hand them on.
            "--inh-caps=-all".to_owned(),
            "--ambient-caps=-all".to_owned(),
            "--".to_owned(),
        ])
    }

    /// What a command finds in its environment where somebody has logged in.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("HOME", &self.home),
            ("USER", &self.name),
            ("LOGNAME", &self.name),
            ("SHELL", &self.shell),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.clone())).to_vec()
    }
}

/// Whether setpriv, started by us, may; and whether we may end what is somebody else's by then. A
/// command that nobody can end has no time limit.
fn may_change_users() -> bool {
    let needed = [CapabilitySet::SETUID, CapabilitySet::SETGID];
    let Ok(ours) = capabilities(None) else { return false };
    let handed_on = |capability: &CapabilitySet| {
        geteuid().is_root() || capability_is_in_ambient_set(*capability).unwrap_or(false)
    };
    ours.effective.contains(CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL)
        && needed.iter().all(handed_on)
}

/// Whether the commands of this process may do more than those that others run as its user.
pub(crate) fn rights_beyond_the_user() -> bool {
    !geteuid().is_root()
        && CapabilitySet::all()
            .iter()
            .any(|capability| capability_is_in_ambient_set(capability).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_user_is_found_by_name_only() {
        let root = Account::find("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        for user in ["", "-n", "0", "no such user", "root:x", "root\n"] {
            let error = Account::find(user).unwrap_err();
            assert_eq!(error, AccountError::Unknown { user: user.to_owned() });
        }
    }

    /// A directory that is away knows nothing of who there is.
    #[test]
    fn only_an_answer_says_that_there_is_nobody() {
        let long = Duration::from_secs(60);
        let ask = |text: &str, limit| process::run("/bin/sh", ["-c", text], &[], limit);
        let found = |text, limit| Account::asked("u", ask(text, limit));
        assert_eq!(found("echo u:x:7:8::/:", long).unwrap().uid, 7);
        let unknown = AccountError::Unknown { user: "u".to_owned() };
        assert_eq!(found("exit 2", long).unwrap_err(), unknown);
        let not_asked = |found: Result<Account, AccountError>| {
            assert!(matches!(found, Err(AccountError::NotAsked { .. })), "{found:?}");
        };
        not_asked(found("exit 1", long));
        not_asked(found("exec sleep 600", Duration::from_millis(20)));
        not_asked(Account::asked("u", process::run("/no/getent", ["u"], &[], long)));
    }

    #[test]
    fn what_cannot_be_run_is_no_program() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let paths = folders.each_ref().map(|folder| folder.path().join("tool"));
        for (path, mode) in paths.iter().zip([0o644, 0o755]) {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let found = |name| find_in(folders.iter().map(tempfile::TempDir::path), name);
        assert_eq!(found("tool").as_ref(), Some(&paths[1]));
        assert_eq!(found("."), None);
    }

    #[test]
    fn a_line_of_passwd_is_taken_apart() {
        let account = |line| Account::named("u", line);
        let full = account("u:x:7:8:U. Ser,,,:/home/u:/bin/zsh").unwrap();
        assert_eq!((full.uid, full.gid), (7, 8));
        assert_eq!((full.home.as_str(), full.shell.as_str()), ("/home/u", "/bin/zsh"));
        assert_eq!(account("u:x:7:8::/:").unwrap().shell, "/bin/sh");
        for line in ["", "u", "u:x:7", "u:x:seven:8::/:", "v:x:7:8::/:", "u:x:7:8:about"] {
            assert_eq!(account(line), None, "{line}");
        }
    }
}
