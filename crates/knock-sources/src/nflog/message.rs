//! The netlink messages of nfnetlink_log: the question that subscribes to a group, and the packets
//! and answers that come back. Bytes in, values out; no socket is touched here.
//!
//! By hand, since it is two messages of fixed shape and twelve numbers of `linux/netfilter/nfnetlink_log.h`.

use std::time::Duration;

/// `struct nlmsghdr` and `struct nfgenmsg` together.
const HEADS: usize = NLMSGHDR + 4;
const NLMSGHDR: usize = 16;

const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;

/// `NFNL_SUBSYS_ULOG` in the upper byte.
const MSG_PACKET: u16 = 4 << 8;
const MSG_CONFIG: u16 = MSG_PACKET | 1;

const CFG_CMD: u16 = 1;
const CFG_MODE: u16 = 2;
const CFG_QTHRESH: u16 = 5;
const CFG_FLAGS: u16 = 6;
const CMD_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const FLAG_SEQ: u16 = 1;

const PACKET_HDR: u16 = 1;
const TIMESTAMP: u16 = 3;
const IFINDEX_INDEV: u16 = 4;
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;
const SEQ: u16 = 12;

/// The upper two bits of an attribute's type are flags.
const TYPE: u16 = 0x3fff;

/// How much of each packet is asked for: IPv6 40, extensions, TCP 20 and its options.
const SNAPSHOT: u32 = 128;

/// Something that the kernel sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// The answer to a question: 0, or the number of an error.
    Answer(i32),
    /// A packet that a rule chose.
    Packet(Logged<'a>),
}

/// A packet that a rule chose, as far as the kernel tells of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Logged<'a> {
    /// The EtherType of what it carries.
    pub(super) protocol: u16,
    /// The packet from its network header on.
    pub(super) bytes: &'a [u8],
    /// The rule's prefix.
    pub(super) prefix: &'a [u8],
    /// The interface that it came in by; none if this host sent it.
    pub(super) came_in_by: Option<u32>,
    /// Its number within the group.
    pub(super) sequence: Option<u32>,
    /// When it came, since the epoch.
    pub(super) time: Option<Duration>,
}

/// Asks for the packets of a group: each at once, with its number.
pub(super) fn subscribe(group: u16) -> Vec<u8> {
    let mut message = question(MSG_CONFIG, group);
    attribute(&mut message, CFG_CMD, &[CMD_BIND]);
    let [a, b, c, d] = SNAPSHOT.to_be_bytes();
    attribute(&mut message, CFG_MODE, &[a, b, c, d, COPY_PACKET, 0]);
    // Otherwise the kernel collects for up to a second.
    attribute(&mut message, CFG_QTHRESH, &1u32.to_be_bytes());
    attribute(&mut message, CFG_FLAGS, &FLAG_SEQ.to_be_bytes());
    finished(message)
}

/// A question that means nothing. Whether it is permitted is judged before it is refused.
pub(super) fn knock_on_the_door() -> Vec<u8> {
    finished(question(MSG_PACKET, 0))
}

fn question(kind: u16, group: u16) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    // Number and sender: the kernel fills in who asks, and there is one question at a time.
    message.extend_from_slice(&[0; 8]);
    // Any family of addresses, version 0.
    message.extend_from_slice(&[0, 0]);
    message.extend_from_slice(&group.to_be_bytes());
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or_default();
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(value);
    message.resize(aligned(message.len()), 0);
}

fn finished(mut message: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or_default();
    if let Some(head) = message.first_chunk_mut() {
        *head = length.to_ne_bytes();
    }
    message
}

/// The messages in what one read gave. What makes no sense is left out.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        loop {
            let length = usize::try_from(u32::from_ne_bytes(*datagram.first_chunk()?)).ok()?;
            let message = datagram.get(..length).filter(|message| message.len() >= NLMSGHDR)?;
            datagram = datagram.get(aligned(length)..).unwrap_or_default();
            if let Some(read) = read(message) {
                return Some(read);
            }
        }
    })
}

fn read(message: &[u8]) -> Option<Message<'_>> {
    match u16::from_ne_bytes(*message.get(4..)?.first_chunk()?) {
        NLMSG_ERROR => {
            let error = i32::from_ne_bytes(*message.get(NLMSGHDR..)?.first_chunk()?);
            Some(Message::Answer(error.saturating_neg()))
        }
        MSG_PACKET => Some(Message::Packet(logged(message.get(HEADS..)?))),
        _ => None,
    }
}

fn logged(attributes: &[u8]) -> Logged<'_> {
    let mut packet = Logged::default();
    let mut rest = attributes;
    while let Some((kind, value, behind)) = next_attribute(rest) {
        rest = behind;
        match kind {
            PACKET_HDR => {
                packet.protocol = value.first_chunk().map_or(0, |p| u16::from_be_bytes(*p))
            }
            TIMESTAMP => packet.time = time(value),
            IFINDEX_INDEV => packet.came_in_by = be32(value).filter(|index| *index > 0),
            PAYLOAD => packet.bytes = value,
            PREFIX => packet.prefix = value.strip_suffix(&[0]).unwrap_or(value),
            SEQ => packet.sequence = be32(value),
            _ => {}
        }
    }
    packet
}

fn next_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let [l0, l1, k0, k1] = *bytes.first_chunk()?;
    let length = usize::from(u16::from_ne_bytes([l0, l1]));
    let value = bytes.get(4..length)?;
    let behind = bytes.get(aligned(length)..).unwrap_or_default();
    Some((u16::from_ne_bytes([k0, k1]) & TYPE, value, behind))
}

fn time(value: &[u8]) -> Option<Duration> {
    let (seconds, micros) = (be64(value)?, be64(value.get(8..)?)?);
    let nanos = u32::try_from(micros).ok()?.checked_mul(1000).filter(|n| *n < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

fn be32(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn be64(value: &[u8]) -> Option<u64> {
    value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet's message as the kernel builds it.
    fn packet_message(attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut message = question(MSG_PACKET, 7);
        for (kind, value) in attributes {
            attribute(&mut message, *kind, value);
        }
        finished(message)
    }

    fn usual() -> Vec<(u16, Vec<u8>)> {
        vec![
            (PACKET_HDR, vec![0x86, 0xdd, 1, 0]),
            (PREFIX, b"portknock \0".to_vec()),
            (IFINDEX_INDEV, 3u32.to_be_bytes().to_vec()),
            (8, vec![0; 12]),
            (TIMESTAMP, [5u64.to_be_bytes(), 6u64.to_be_bytes()].concat()),
            (SEQ, 9u32.to_be_bytes().to_vec()),
            (PAYLOAD, b"a packet".to_vec()),
        ]
    }

    const USUAL: Logged<'_> = Logged {
        protocol: 0x86dd,
        bytes: b"a packet",
        prefix: b"portknock ",
        came_in_by: Some(3),
        sequence: Some(9),
        time: Some(Duration::new(5, 6000)),
    };

    #[test]
    fn a_packet_is_read_whatever_stands_beside_it() {
        let message = packet_message(&usual());
        assert_eq!(messages(&message).collect::<Vec<_>>(), [Message::Packet(USUAL)]);
        // Several in one read, something else between them, and an end that nobody asked for.
        let other = finished(question(3, 0));
        let several = [message.as_slice(), &other, &message, &[1, 2, 3]].concat();
        assert_eq!(
            messages(&several).collect::<Vec<_>>(),
            [Message::Packet(USUAL), Message::Packet(USUAL)]
        );
        // Nothing of it need be there; index 0 is no interface.
        let bare = packet_message(&[(IFINDEX_INDEV, vec![0; 4]), (TIMESTAMP, vec![0; 3])]);
        assert_eq!(messages(&bare).collect::<Vec<_>>(), [Message::Packet(Logged::default())]);
    }

    #[test]
    fn an_answer_is_an_error_or_none() {
        let answer = |error: i32| {
            let mut message = question(NLMSG_ERROR, 0);
            message.truncate(NLMSGHDR);
            message.extend_from_slice(&error.to_ne_bytes());
            message.extend_from_slice(&[0; 16]);
            finished(message)
        };
        assert_eq!(messages(&answer(0)).next(), Some(Message::Answer(0)));
        assert_eq!(messages(&answer(-1)).next(), Some(Message::Answer(1)));
        assert_eq!(messages(&answer(i32::MIN)).next(), Some(Message::Answer(i32::MAX)));
    }

    #[test]
    fn a_subscription_is_what_the_kernel_expects() {
        let message = subscribe(0x0102);
        assert_eq!(message.len(), 56);
        assert_eq!(message[..4], 56u32.to_ne_bytes());
        assert_eq!(message[18..20], [1, 2], "the group, in network order");
    }

    proptest! {
        #[test]
        fn any_bytes_are_messages_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / NLMSGHDR);
        }

        #[test]
        fn a_packet_that_is_cut_or_spoilt_harms_nobody(at in 0usize..200, byte: u8, end in 0usize..200) {
            let mut message = packet_message(&usual());
            if let Some(place) = message.get_mut(at) {
                *place = byte;
            }
            message.truncate(message.len().min(end));
            prop_assert!(messages(&message).count() <= 1 + message.len() / NLMSGHDR);
        }
    }
}
