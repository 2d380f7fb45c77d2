//! The way of nftables: sets with timeouts in a table of our own, whose chain marks the packets of
//! openings. What lets marked packets pass stands in the chains of others; see `crate::places`.

pub(crate) mod chains;
pub(crate) mod elements;
pub(crate) mod layout;

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

/// Whether the kernel has nftables, and we may ask it.
pub(crate) fn probe(socket: &mut Socket) -> Result<(), Fault> {
    const GET_GENERATION: u8 = 16;
    // Its tables may be listed by anybody; to change nothing in a batch is for those who may.
    socket.ask(Question::new(SUBSYSTEM, GET_GENERATION, flags::ACK, 0))?;
    socket.batch(Vec::new())
}
