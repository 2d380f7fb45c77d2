//! What a configuration needs of this machine, asked here and now: users, a group, a safe place for the
//! control socket, and at(1).
//!
//! Whoever only looks at a file may do so with fewer rights than the daemon will have.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use knock_actions::{AccountError, GroupError, can_hand_over, can_run_as, group_id};
use knock_config::{Machine, Objection, Severity};

/// What a configuration is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be looked at.
    Look,
    /// To be acted on by this process.
    Run,
}

/// How to ask this machine.
pub(crate) fn for_purpose(purpose: Purpose) -> Machine {
    let mut machine = Machine::default();
    let rights = match purpose {
        Purpose::Look => Severity::Warning,
        Purpose::Run => Severity::Error,
    };
    let asked = Mutex::new(Asked::default());
    machine.user = Arc::new(move |user| {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.user(user, can_run_as).err().map(|error| user_objection(&error, rights))
    });
    machine.group = Arc::new(|group| group_id(group).err().map(|error| group_objection(&error)));
    machine.socket = Arc::new(place_objection);
    machine.at = at_objection;
    machine
}

/// What is known of users, within one reading: each is asked for once, and once a directory did not
/// answer in time, no other is waited for.
#[derive(Default)]
struct Asked {
    known: BTreeMap<String, Result<(), AccountError>>,
    silent: Option<String>,
}

impl Asked {
    fn user(
        &mut self,
        user: &str,
        ask: impl FnOnce(&str) -> Result<(), AccountError>,
    ) -> Result<(), AccountError> {
        if let Some(known) = self.known.get(user) {
            return known.clone();
        }
        let answer = match &self.silent {
            Some(why) => Err(AccountError::NotAsked { user: user.to_owned(), why: why.clone() }),
            None => ask(user),
        };
        if let Err(AccountError::NotAsked { why, .. }) = &answer {
            self.silent = Some(why.clone());
        }
        self.known.insert(user.to_owned(), answer.clone());
        answer
    }
}

/// `rights` is how bad it is that this process has too few. A directory that is not up yet when the
/// machine starts says nothing of the configuration.
fn user_objection(error: &AccountError, rights: Severity) -> Objection {
    let severity = match error {
        AccountError::NotPermitted { .. } => rights,
        AccountError::NotAsked { .. } => Severity::Warning,
        _ => Severity::Error,
    };
    Objection { severity, message: error.to_string(), help: error.help().to_owned() }
}

/// No error: without the group the daemon runs, and answers root and its own user.
fn group_objection(error: &GroupError) -> Objection {
    let severity = Severity::Warning;
    Objection { severity, message: error.to_string(), help: error.help().to_owned() }
}

/// No error: the daemon runs without its socket. Where strangers may make files they can take the socket's
/// name before the daemon does, or that of the lock beside it; further up only a sticky folder keeps them from
/// putting other folders in the place of ours.
fn place_objection(socket: &Path) -> Option<Objection> {
    let socket = std::path::absolute(socket).ok()?;
    let mut there =
        socket.ancestors().skip(1).filter_map(|folder| Some((folder, folder.metadata().ok()?)));
    let mut is_next = true;
    let (folder, _) = there.find(|(_, about)| {
        let is_safe_if_sticky = !std::mem::take(&mut is_next);
        about.mode() & 0o002 != 0 && !(is_safe_if_sticky && about.mode() & 0o1000 != 0)
    })?;
    Some(Objection {
        severity: Severity::Warning,
        message: format!(
            "any user may write to {}, and take the name of this socket or of its lock",
            folder.display()
        ),
        help: "choose a folder where only root and the daemon's user may write, such as \
               /run/knockdaemon"
            .to_owned(),
    })
}

/// No error: what at(1) does not take, the agenda keeps.
fn at_objection() -> Option<Objection> {
    let error = can_hand_over().err()?;
    Some(Objection {
        severity: Severity::Warning,
        message: format!("{error}, so delayed actions stay in the agenda"),
        help: error.help().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_socket_belongs_where_strangers_make_no_files() {
        let top = tempfile::tempdir().unwrap();
        let (middle, folder) = (top.path().join("a"), top.path().join("a/b"));
        fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("control.sock");
        let says = |middle_mode, mode| {
            for (folder, mode) in [(&middle, middle_mode), (&folder, mode)] {
                fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
            }
            place_objection(&socket).map(|objection| objection.message)
        };
        assert_eq!(says(0o755, 0o775), None);
        assert_eq!(says(0o1777, 0o755), None);
        for mode in [0o777, 0o1777] {
            assert!(says(0o755, mode).unwrap().contains(&format!("write to {}", folder.display())));
        }
        let above = format!("write to {},", middle.display());
        assert!(says(0o777, 0o755).unwrap().contains(&above));
        // What is not there yet is made by whoever comes first.
        fs::remove_dir(&folder).unwrap();
        fs::set_permissions(&middle, Permissions::from_mode(0o1777)).unwrap();
        assert!(place_objection(&socket).unwrap().message.contains(&above));
    }

    #[test]
    fn each_name_is_asked_once_and_a_silent_directory_once_at_all() {
        let mut asked = Asked::default();
        for _ in 0..2 {
            assert_eq!(asked.user("a", |_| Ok(())), Ok(()));
        }
        let away = |user: &str| {
            let user = user.to_owned();
            Err(AccountError::NotAsked { user, why: "away".to_owned() })
        };
        assert_eq!(asked.user("b", away), away("b"));
        assert_eq!(asked.user("c", |_| Ok(())), away("c"));
        assert_eq!(asked.user("a", away), Ok(()));
        let severity = |answer: Result<(), AccountError>| {
            user_objection(&answer.unwrap_err(), Severity::Error).severity
        };
        assert_eq!(severity(away("b")), Severity::Warning);
        let unknown = AccountError::Unknown { user: "b".to_owned() };
        assert_eq!(severity(Err(unknown)), Severity::Error);
    }
}
