//! A small process that outlives this one: it waits until we are gone, however that came about, and
//! then takes down what we could not. Ctrl-C and `kill -9` of a test run leave nothing behind so.
//! What ends in the usual way is taken down by its owner, and reported to be gone.

use std::fmt;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::kernel_log::{LOCK, SWITCH};
use crate::lab::LOCKS;

/// Something to take down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    /// A process group, by the number of its first process.
    Group(u32),
    /// A lab, by its number, with its folder.
    Lab(u8, String),
}

impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(leader) => write!(f, "group:{leader}"),
            Self::Lab(number, folder) => write!(f, "lab:{number}:{folder}"),
        }
    }
}

/// From now on this is taken down when we are gone.
pub(crate) fn guard(charge: &Charge) {
    tell("guard", charge);
}

/// It has been taken down.
pub(crate) fn release(charge: &Charge) {
    tell("release", charge);
}

/// Its standard input ends when we do, even by `kill -9`: no child of ours inherits the other end.
///
/// A number that is taken again belongs to a new lab, which has cleaned up after us already; hence
/// the locks. They may be freed a moment after the pipe, hence the waiting.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
charges=
while read -r what charge; do
    case $what in
        guard) charges="$charges $charge" ;;
        release)
            kept=
            for one in $charges; do [ "$one" = "$charge" ] || kept="$kept $one"; done
            charges=$kept ;;
    esac
done
exec >/dev/null 2>&1
for charge in $charges; do
    case $charge in group:*) kill -s KILL -- "-${charge#group:}" ;; esac
done
for charge in $charges; do
    case $charge in lab:*) ;; *) continue ;; esac
    rest=${charge#lab:}
    number=${rest%%:*}
    folder=${rest#*:}
    flock -w 20 "$LOCKS/$number" sh -c '
        for namespace in "kd$0-server" "kd$0-client"; do
            ip netns pids "$namespace" | xargs -r kill -KILL
            ip netns delete "$namespace"
        done' "$number"
    case $folder in */knockdaemon-e2e-*) rm -rf "$folder" ;; esac
done
case $charges in
    *lab:*) flock -w 20 "$LOCK" sh -c '[ -s "$LOCK" ] && cat "$LOCK" >"$SWITCH" && : >"$LOCK"' ;;
esac
"#;

fn tell(what: &str, charge: &Charge) {
    static GUARDIAN: LazyLock<Mutex<Option<ChildStdin>>> = LazyLock::new(|| Mutex::new(start()));
    let mut guardian = GUARDIAN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stdin) = guardian.as_mut() {
        // Without a guardian things are as they would be without this file.
        let _gone = writeln!(stdin, "{what} {charge}");
    }
}

fn start() -> Option<ChildStdin> {
    let child = Command::new("sh")
        .args(["-c", SCRIPT])
        .envs([("LOCKS", LOCKS), ("LOCK", LOCK), ("SWITCH", SWITCH)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for the terminal's own group.
        .process_group(0)
        .spawn();
    child.ok()?.stdin
}
