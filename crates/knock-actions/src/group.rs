//! The number of a group of this machine, by its name.
//!
//! Changes nothing; what the number is for is the caller's business.

use std::fmt;
use std::fs;
use std::time::Duration;

use crate::process::{self, Ended, Ending};

/// Where most machines have all their groups.
const GROUP: &str = "/etc/group";
/// How long the other places (LDAP and the like) may take to answer.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Why a group has no number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// There is no such group.
    Unknown {
        /// The name.
        group: String,
    },
    /// It could not be found out whether there is.
    NotAsked {
        /// The name.
        group: String,
        /// What went wrong.
        why: String,
    },
}

impl GroupError {
    /// The way out.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "make one with 'groupadd --system', or leave it out",
            Self::NotAsked { .. } => "see that 'getent group' answers",
        }
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { group } => {
                write!(f, "there is no group '{}' on this machine", group.escape_debug())
            }
            Self::NotAsked { group, why } => {
                write!(f, "the group '{}' could not be looked up: {why}", group.escape_debug())
            }
        }
    }
}

impl std::error::Error for GroupError {}

/// The number of a group, given by its name or its number.
///
/// # Errors
/// When nobody here knows it.
pub fn group_id(group: &str) -> Result<u32, GroupError> {
    let unknown = || GroupError::Unknown { group: group.to_owned() };
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    if group.is_empty() || group.starts_with('-') || group.contains([':', '\n', '\0']) {
        return Err(unknown());
    }
    let file = fs::read(GROUP).unwrap_or_default();
    let file = String::from_utf8_lossy(&file);
    if let Some(number) = file.lines().find_map(|line| named(group, line)) {
        return Ok(number);
    }
    let why = match process::run("getent", ["group", group], &[], LOOK_UP) {
        Ok(Ended { how: Ending::Exited(status), stdout, .. }) if status.success() => {
            let line = stdout.last_line().unwrap_or_default();
            return named(group, &line).ok_or_else(unknown);
        }
        // Its word for nobody.
        Ok(Ended { how: Ending::Exited(status), .. }) if status.code() == Some(2) => {
            return Err(unknown());
        }
        Ok(Ended { how: Ending::Exited(status), .. }) => {
            format!("getent: {}", process::status_text(status))
        }
        Ok(Ended { how: Ending::TimedOut, .. }) => {
            format!("getent does not answer within {} s", LOOK_UP.as_secs())
        }
        Err(trouble) => format!("cannot run getent: {trouble}"),
    };
    Err(GroupError::NotAsked { group: group.to_owned(), why })
}

/// The number in a line of group(5), if it is this group's.
fn named(group: &str, line: &str) -> Option<u32> {
    let mut columns = line.split(':');
    let _name = columns.next().filter(|name| *name == group)?;
    let _password = columns.next()?;
    columns.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_known_by_name_and_by_number() {
        assert_eq!(group_id("root"), Ok(0));
        assert_eq!(group_id("4711"), Ok(4711));
        let nobody = "no such group here";
        assert_eq!(group_id(nobody), Err(GroupError::Unknown { group: nobody.to_owned() }));
        assert_eq!(named("adm", "adm:x:4:syslog,alice"), Some(4));
        assert_eq!(named("adm", "admin:x:5:"), None);
    }
}
