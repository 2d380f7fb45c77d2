//! The way of nftables: sets with timeouts in a table of our own, whose chain marks the packets of
//! openings. What lets marked packets pass stands in the chains of others; see `crate::places`.

pub(crate) mod chains;
pub(crate) mod elements;
pub(crate) mod layout;
pub(crate) mod order;
pub(crate) mod taking;

use crate::netlink::message::{Question, flags};
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

/// Whether the kernel has nftables, and we may change something in it.
pub(crate) fn probe(socket: &mut Socket) -> Result<(), Fault> {
    const DELETE_TABLE: u8 = 2;
    const TABLE_NAME: u16 = 1;
    // Anybody may list; to delete what is not there is only refused to those who may not delete.
    let mut question = Question::new(SUBSYSTEM, DELETE_TABLE, flags::ACK, 1);
    question.text(TABLE_NAME, "knockdaemon-has-no-such-table");
    match socket.batch(vec![question]) {
        Err(Fault::NOENT) => Ok(()),
        other => other,
    }
}
