//! The sessions that go through an opening: connections that are established, or closed in one direction
//! and used in the other, as `nc -N` leaves them. Changes nothing, and decides nothing: whether a
//! port stays open for them is the engine's business.
//!
//! Two places tell. This host's own sockets stand in `/proc/net/tcp`; what it only passes on, to a
//! host behind it or into a container, is known to the kernel's connection tracking alone, which not
//! every host has. Whichever of them knows of one is right.

mod conntrack;
mod sockets;

use std::fmt;
use std::io;

use knock_engine::Outcome;
use knock_rules::Opening;

/// How many there are.
pub(crate) fn count(opening: &Opening) -> Outcome {
    let here = sockets::count(opening);
    if let Ok(connections) = here
        && connections > 0
    {
        return Outcome::Counted { connections };
    }
    match (here, conntrack::count(opening)) {
        (_, Ok(connections)) if connections > 0 => Outcome::Counted { connections },
        // A host without connection tracking passes nothing on that it could know of.
        (Ok(_), Ok(_) | Err(Unknown::NotThere)) => Outcome::Counted { connections: 0 },
        // None here; what is passed on stays unknown, and a session may be cut off from the next one.
        (Ok(_), Err(unknown)) => failed(&unknown),
        (Err(unknown), Ok(_) | Err(_)) => failed(&unknown),
    }
}

/// Why nobody knows.
#[derive(Debug)]
enum Unknown {
    /// This kernel does not track connections.
    NotThere,
    /// It was asked in vain.
    NotRead { from: &'static str, error: io::Error },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere => f.write_str("this kernel does not track connections"),
            Self::NotRead { from, error } => write!(f, "cannot read {from}: {error}"),
        }
    }
}

fn failed(unknown: &Unknown) -> Outcome {
    Outcome::Failed { why: unknown.to_string(), again: true }
}
