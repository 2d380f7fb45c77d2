//! The way of nftables: sets with timeouts in a table of our own, whose chain marks the packets of
//! openings. What lets marked packets pass stands in the chains of others; see `crate::survey`.

pub(crate) mod chains;
pub(crate) mod elements;
pub(crate) mod layout;
pub(crate) mod marking;
pub(crate) mod order;
pub(crate) mod taking;

use crate::netlink::message::{Question, attribute, be32, flags, text};
use crate::netlink::{Fault, Socket};

/// `NFNL_SUBSYS_NFTABLES`.
pub(crate) const SUBSYSTEM: u8 = 10;

/// Our table, in the family `inet`.
pub(crate) const TABLE: &str = "knockdaemon";

/// What a rule of ours that stands among those of others says of itself.
pub(crate) const COMMENT: &str = "knockdaemon";

/// The bit of a packet's mark that means: somebody may come in. Two high bits are the least used;
/// Calico, Kubernetes, Tailscale and Docker count from below.
pub(crate) const MARK: u32 = 0x4000_0000;

/// Of our chain in the hook of what comes to this host: behind iptables' mangle table (-150), whose rules
/// may set the whole mark, and before all usual filters (fail2ban's is at -1, firewalld's at 10).
pub(crate) const PRIORITY: i32 = -140;

const TABLE_NAME: u16 = 1;

/// Whether the kernel has nftables, and we may change something in it.
pub(crate) fn probe(socket: &mut Socket) -> Result<(), Fault> {
    const DELETE_TABLE: u8 = 2;
    // Anybody may list; to delete what is not there is only refused to those who may not delete.
    let mut question = Question::new(SUBSYSTEM, DELETE_TABLE, flags::ACK, 1);
    question.text(TABLE_NAME, "knockdaemon-has-no-such-table");
    match socket.batch(vec![question]) {
        Err(Fault::NOENT) => Ok(()),
        other => other,
    }
}

/// Whether our table has been put to sleep: all of it is there, and no packet comes to it.
pub(crate) fn is_dormant(socket: &mut Socket) -> Result<bool, Fault> {
    const GET_TABLE: u8 = 1;
    const TABLE_FLAGS: u16 = 2;
    const DORMANT: u32 = 1;
    let question = Question::new(SUBSYSTEM, GET_TABLE, flags::DUMP, chains::INET);
    let found = socket.dump(&question, |_, _, body, found| {
        let is_ours = attribute(body, TABLE_NAME).map(text) == Some(TABLE);
        found.extend(is_ours.then(|| attribute(body, TABLE_FLAGS).and_then(be32)).flatten());
    })?;
    Ok(found.into_iter().any(|flags| flags & DORMANT != 0))
}
