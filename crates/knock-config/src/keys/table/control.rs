//! The rows of how the running daemon is spoken to.
//!
//! Data only, as the table is that they are joined to.

use super::super::{Key, Kind, UsedBy, Within};
use super::key;

/// The rows, in the order of the reference.
pub(super) const CONTROL: &[Key] = &[
    key(
        Within::Top,
        "controlsocket",
        Kind::Path,
        "/run/knockdaemon/control.sock, or control.sock in a statedir of your own",
        UsedBy::Daemon,
        "The socket at which the running daemon answers status, leases, revoke, extend and reload. no \
         means none.",
    ),
    key(
        Within::Top,
        "controlgroup",
        Kind::Name,
        "the daemon's own group",
        UsedBy::Daemon,
        "The group that may use the control socket, by name or number, beside root and the daemon's own \
         user. A daemon that is not root must be in it.",
    ),
];
