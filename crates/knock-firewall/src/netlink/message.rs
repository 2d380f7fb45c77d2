//! The bytes of netfilter's netlink messages: a builder for questions, a reader for answers.
//! Knows no subsystem's numbers, and touches no socket.

/// `struct nlmsghdr`.
const HEAD: usize = 16;
/// `struct nfgenmsg`, which all of netfilter's messages have behind it.
const FAMILY_HEAD: usize = 4;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_DUMP_INTR`.
const DUMP_DISTURBED: u16 = 0x10;

/// The upper two bits of an attribute's type.
const NESTED: u16 = 1 << 15;
const NET_ORDER: u16 = 1 << 14;
const KIND: u16 = !(NESTED | NET_ORDER);

/// What a question asks of the kernel.
pub(crate) mod flags {
    /// It is a question.
    pub(crate) const REQUEST: u16 = 1;
    /// Answer also when all went well.
    pub(crate) const ACK: u16 = 4;
    /// All there is.
    pub(crate) const DUMP: u16 = 0x300;
    /// Fail if it is there.
    pub(crate) const EXCL: u16 = 0x200;
    /// Make it if it is not there.
    pub(crate) const CREATE: u16 = 0x400;
}

/// A question that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    bytes: Vec<u8>,
}

impl Question {
    /// Of this subsystem, with this family of addresses.
    pub(crate) fn new(subsystem: u8, kind: u8, flags: u16, family: u8) -> Self {
        Self::raw(u16::from_be_bytes([subsystem, kind]), flags, family, 0)
    }

    /// One of netlink's own kinds; `resource` is the subsystem that it is about.
    pub(crate) fn raw(kind: u16, flags: u16, family: u8, resource: u16) -> Self {
        let mut bytes = Vec::with_capacity(128);
        // The length comes last, the number when it is sent, and the kernel fills in who asks.
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | flags::REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&[family, 0]);
        bytes.extend_from_slice(&resource.to_be_bytes());
        Self { bytes }
    }

    /// An attribute of plain bytes.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).unwrap_or_default();
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(aligned(self.bytes.len()), 0);
        self
    }

    /// A text, which ends with a zero.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// A number that says itself that it is in network order, as ipset demands.
    pub(crate) fn marked(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.bytes(kind | NET_ORDER, value)
    }

    /// Attributes within an attribute.
    pub(crate) fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        inner(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or_default();
        if let Some(head) = self.bytes.get_mut(start..start + 2) {
            head.copy_from_slice(&length.to_ne_bytes());
        }
        self
    }

    /// Ready to be sent, under this number.
    pub(crate) fn finished(mut self, number: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or_default();
        for (place, value) in [(0, length), (8, number)] {
            if let Some(head) = self.bytes.get_mut(place..place + 4) {
                head.copy_from_slice(&value.to_ne_bytes());
            }
        }
        self.bytes
    }
}

/// Something that the kernel sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// Which question it answers.
    pub(crate) number: u32,
    /// Something was changed while all there is was being told.
    pub(crate) disturbed: bool,
    /// What it says.
    pub(crate) says: Says<'a>,
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Says<'a> {
    /// 0, or the number of an error.
    Result(i32),
    /// A dump is at its end.
    End,
    /// One entry: its kind, its family and its attributes.
    Entry(u16, u8, &'a [u8]),
}

/// The answers in what one read gave. What makes no sense is left out.
pub(crate) fn answers(mut datagram: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        loop {
            let length = usize::try_from(u32::from_ne_bytes(*datagram.first_chunk()?)).ok()?;
            let message = datagram.get(..length).filter(|message| message.len() >= HEAD)?;
            datagram = datagram.get(aligned(length)..).unwrap_or_default();
            if let Some(answer) = read(message) {
                return Some(answer);
            }
        }
    })
}

fn read(message: &[u8]) -> Option<Answer<'_>> {
    let number = u32::from_ne_bytes(*message.get(8..)?.first_chunk()?);
    let result = || Some(i32::from_ne_bytes(*message.get(HEAD..)?.first_chunk()?));
    let says = match u16::from_ne_bytes(*message.get(4..)?.first_chunk()?) {
        NLMSG_ERROR => Says::Result(result()?.saturating_neg()),
        // The end of a dump may be an error as well.
        NLMSG_DONE => match result() {
            Some(error @ ..0) => Says::Result(error.saturating_neg()),
            _ => Says::End,
        },
        kind => {
            let family = *message.get(HEAD)?;
            Says::Entry(kind, family, message.get(HEAD + FAMILY_HEAD..)?)
        }
    };
    let flags = u16::from_ne_bytes(*message.get(6..)?.first_chunk()?);
    Some(Answer { number, disturbed: flags & DUMP_DISTURBED != 0, says })
}

/// The attributes in these bytes: kind and value.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & KIND, value))
    })
}

/// The value of the first attribute of a kind.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A text, without the zero at its end. Empty if it is no UTF-8.
pub(crate) fn text(value: &[u8]) -> &str {
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    str::from_utf8(value).unwrap_or_default()
}

/// Four bytes in network order.
pub(crate) fn be32(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Eight bytes in network order.
pub(crate) fn be64(value: &[u8]) -> Option<u64> {
    value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question() -> Question {
        let mut question = Question::new(10, 12, flags::CREATE, 1);
        question.text(1, "knockdaemon").nested(3, |list| {
            list.bytes(4, &90_000u64.to_be_bytes()).marked(6, &[0, 0, 0, 9]);
        });
        question
    }

    #[test]
    fn what_is_written_can_be_read() {
        let bytes = question().finished(7);
        assert_eq!(bytes.len() % 4, 0);
        let mut all = answers(&bytes);
        let Some(Answer { number: 7, says: Says::Entry(kind, 1, body), .. }) = all.next() else {
            panic!("{bytes:?}");
        };
        assert_eq!(kind, 0x0a0c);
        assert_eq!(text(attribute(body, 1).unwrap()), "knockdaemon");
        let list = attribute(body, 3).unwrap();
        assert_eq!(be64(attribute(list, 4).unwrap()), Some(90_000));
        assert_eq!(be32(attribute(list, 6).unwrap()), Some(9));
        assert_eq!(all.next(), None);
    }

    #[test]
    fn results_and_ends_are_told_apart() {
        let message = |kind: u16, number: i32| {
            let mut message = Question::raw(kind, 0, 0, 0);
            message.bytes.truncate(HEAD);
            message.bytes.extend_from_slice(&number.to_ne_bytes());
            message.finished(3)
        };
        let says = |bytes: &[u8]| format!("{:?}", answers(bytes).next().unwrap().says);
        assert_eq!(says(&message(NLMSG_ERROR, 0)), "Result(0)");
        assert_eq!(says(&message(NLMSG_ERROR, -17)), "Result(17)");
        assert_eq!(says(&message(NLMSG_ERROR, i32::MIN)), format!("Result({})", i32::MAX));
        assert_eq!(says(&message(NLMSG_DONE, 0)), "End");
        assert_eq!(says(&message(NLMSG_DONE, -4)), "Result(4)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answers_or_not(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for answer in answers(&bytes) {
                if let Says::Entry(_, _, body) = answer.says {
                    prop_assert!(attributes(body).count() <= body.len() / 4 + 1);
                }
            }
            prop_assert!(text(&bytes).len() <= bytes.len());
        }

        #[test]
        fn an_answer_that_is_cut_or_spoilt_harms_nobody(at in 0usize..80, byte: u8, end in 0usize..80) {
            let mut bytes = question().finished(1);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(end);
            for answer in answers(&bytes) {
                if let Says::Entry(_, _, body) = answer.says {
                    attributes(body).for_each(|(_, value)| assert!(attributes(value).count() <= 80));
                }
            }
        }
    }
}
