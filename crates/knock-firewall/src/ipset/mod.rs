//! The way of ipset: two sets with timeouts, one a family, and one rule of iptables for each.
//! Elements come and go over netlink; the sets and the rules are made by the programs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use knock_rules::{Held, Network, Opening, Protocol};

use crate::netlink::message::{Question, attribute, attributes, be32, flags, text};
use crate::netlink::{Fault, Socket};

/// `NFNL_SUBSYS_IPSET`.
const SUBSYSTEM: u8 = 6;
/// The oldest protocol with all that is used here; newer kernels speak it as well.
const PROTOCOL_NUMBER: u8 = 6;

const GET_PROTOCOL: u8 = 1;
const LIST: u8 = 7;
const ADD: u8 = 9;
const DELETE: u8 = 10;
const HEADER: u8 = 12;

const PROTOCOL: u16 = 1;
const SET_NAME: u16 = 2;
const TYPE_NAME: u16 = 3;
const FAMILY: u16 = 5;
const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 10;
const DATA: u16 = 7;
const ENTRIES: u16 = 8;

const IP: u16 = 1;
const CIDR: u16 = 3;
const PORT: u16 = 4;
const TIMEOUT: u16 = 6;
const TRANSPORT: u16 = 7;
const SET_FLAGS: u16 = 8;
/// Counters, comments, forceadd and skbinfo: words that we do not write.
const SET_OF_ANOTHER_KIND: u32 = 0x8 | 0x10 | 0x20 | 0x40;
const IPV4: u16 = 1;
const IPV6: u16 = 2;

/// ipset's own errors: it is there already, or is not; and there is no room.
const EXIST: Fault = Fault(4103);
pub(crate) const FULL: Fault = Fault(4352);

/// Longest time that ipset takes, in seconds: 24 days. Whoever looks later gives the rest.
const MOST: u64 = 2_147_483;
/// Beyond this the end of an element is no news: it may have been cut, and who looks when this is left can
/// tell.
const FAR: u64 = MOST / 2;
/// The times of kernel and lease are counted in their own ways.
const SLACK: u64 = 60;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The type of our sets: networks of any size with a protocol and a port. They may overlap.
pub(crate) const TYPE: &str = "hash:net,port";

/// The name of a family's set.
pub(crate) fn set(v4: bool) -> &'static str {
    if v4 { "knockdaemon4" } else { "knockdaemon6" }
}

/// The words for the program `ipset` that make a family's set.
pub(crate) fn creation(v4: bool) -> [&'static str; 8] {
    let family = if v4 { "inet" } else { "inet6" };
    ["create", set(v4), TYPE, "family", family, "timeout", "0", "-exist"]
}

/// What ipset means by a number of its own (`IPSET_ERR_*`), for people.
pub(crate) fn meaning(number: i32) -> Option<&'static str> {
    Some(match number {
        4097 => "its ipset speaks another protocol; load the module that belongs to this kernel",
        4098 => "its ipset has no sets of this type (module ip_set_hash_netport)",
        4099 => "there are as many sets as it has room for; destroy some that nobody needs",
        4100 => "the set is in use by another set or a rule",
        4101 => "there is a set of the new name already",
        4102 => "the sets are of different types",
        4103 => "the element is there already, or is not",
        4104 => "no network is that large or small",
        4105 => "the netmask is none",
        4106 => "the set is of the other family",
        4107 => "the set was made without 'timeout'",
        4108 => "a rule or another set names the set",
        4109 => "no IPv4 address was given",
        4110 => "no IPv6 address was given",
        4111 => "the set was made without 'counters'",
        4112 => "the set was made without 'comment'",
        4113 => "the markmask is none",
        4114 => "the set was made without 'skbinfo'",
        4352 => "the set is full",
        4353 => "the set cannot hold this element",
        4354 => "the set knows no such protocol",
        4355 => "the set needs a protocol with each port",
        4356 | 4357 => "the set takes no ranges as wide as this",
        _ => return None,
    })
}

/// Whether the kernel has ipset, and we may ask it.
pub(crate) fn probe(socket: &mut Socket) -> Result<(), Fault> {
    let mut question = Question::new(SUBSYSTEM, GET_PROTOCOL, flags::ACK, 0);
    question.bytes(PROTOCOL, &[PROTOCOL_NUMBER]);
    socket.ask(question)
}

/// Puts an element in; whether it was not there. One that was there has the new time afterwards.
pub(crate) fn add(
    socket: &mut Socket,
    opening: &Opening,
    left: Option<Duration>,
) -> Result<bool, Fault> {
    match socket.ask(entry(ADD, flags::ACK | flags::EXCL, opening, Some(left))) {
        Ok(()) => Ok(true),
        Err(EXIST) => {
            socket.ask(entry(ADD, flags::ACK, opening, Some(left)))?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Takes an element out; whether it was there. Whatever else the set has: to close does no harm.
pub(crate) fn remove(socket: &mut Socket, opening: &Opening) -> Result<bool, Fault> {
    if !may_hold(socket, opening.network.is_v4())? {
        return Ok(false);
    }
    match socket.ask(entry(DELETE, flags::ACK | flags::EXCL, opening, None)) {
        Ok(()) => Ok(true),
        // Or the whole set is gone, which comes to the same.
        Err(EXIST | Fault::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether there is a set of our name that openings can be in. One of another type would take the
/// question for one about something else.
fn may_hold(socket: &mut Socket, v4: bool) -> Result<bool, Fault> {
    let mut question = Question::new(SUBSYSTEM, HEADER, flags::ACK, 0);
    question.bytes(PROTOCOL, &[PROTOCOL_NUMBER]).text(SET_NAME, set(v4));
    let headers = socket.dump(&question, |_, _, body, headers| {
        headers.push(is_of_our_type(body, v4));
    });
    match headers {
        Ok(headers) => Ok(headers.contains(&true)),
        Err(Fault::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_of_our_type(body: &[u8], v4: bool) -> bool {
    let family = if v4 { FAMILY_IPV4 } else { FAMILY_IPV6 };
    attribute(body, TYPE_NAME).map(text) == Some(TYPE) && attribute(body, FAMILY) == Some(&[family])
}

/// What a set of our name is, and what it holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// It is of the type that we make.
    pub(crate) is_as_ours: bool,
    pub(crate) held: Vec<Held>,
}

/// Whether a family's set is as we make it, whatever it holds; `None` if there is no such set.
pub(crate) fn is_as_ours(socket: &mut Socket, v4: bool) -> Result<Option<bool>, Fault> {
    let listed = list(socket, v4, SystemTime::UNIX_EPOCH)?;
    Ok(listed.map(|listed| listed.is_as_ours))
}

/// All elements of a family's set as they are now; `None` if there is no such set.
pub(crate) fn list(
    socket: &mut Socket,
    v4: bool,
    now: SystemTime,
) -> Result<Option<Listed>, Fault> {
    let mut question = Question::new(SUBSYSTEM, LIST, flags::DUMP, 0);
    question.bytes(PROTOCOL, &[PROTOCOL_NUMBER]).text(SET_NAME, set(v4));
    let parts = socket.dump(&question, |_, _, body, parts| {
        let entries = attribute(body, ENTRIES).unwrap_or_default();
        let held = attributes(entries).filter_map(|(_, entry)| held(entry, now));
        let found = attribute(body, TYPE_NAME).map(|_| {
            let header = attribute(body, DATA).unwrap_or_default();
            let flags = attribute(header, SET_FLAGS).and_then(be32).unwrap_or_default();
            is_of_our_type(body, v4)
                && attribute(header, TIMEOUT).and_then(be32) == Some(0)
                && flags & SET_OF_ANOTHER_KIND == 0
        });
        parts.push(Listed { is_as_ours: found.unwrap_or(true), held: held.collect() });
    });
    match parts {
        Ok(parts) => Ok(Some(Listed {
            is_as_ours: parts.iter().all(|part| part.is_as_ours),
            held: parts.into_iter().flat_map(|part| part.held).collect(),
        })),
        Err(Fault::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn entry(kind: u8, flags: u16, opening: &Opening, time: Option<Option<Duration>>) -> Question {
    let network = opening.network;
    let mut question = Question::new(SUBSYSTEM, kind, flags, 0);
    question.bytes(PROTOCOL, &[PROTOCOL_NUMBER]).text(SET_NAME, set(network.is_v4()));
    question.nested(DATA, |data| {
        data.nested(IP, |ip| {
            match network.address() {
                IpAddr::V4(address) => ip.marked(IPV4, &address.octets()),
                IpAddr::V6(address) => ip.marked(IPV6, &address.octets()),
            };
        });
        data.bytes(CIDR, &[network.bits()]);
        data.marked(PORT, &opening.port.to_be_bytes());
        let transport = match opening.protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        };
        data.bytes(TRANSPORT, &[transport]);
        if let Some(left) = time {
            data.marked(TIMEOUT, &left.map_or(0, seconds).to_be_bytes());
        }
    });
    question
}

fn held(entry: &[u8], now: SystemTime) -> Option<Held> {
    let ip = attribute(entry, IP)?;
    let address: IpAddr = match (attribute(ip, IPV4), attribute(ip, IPV6)) {
        (Some(v4), _) => Ipv4Addr::from(*v4.first_chunk()?).into(),
        (None, Some(v6)) => Ipv6Addr::from(*v6.first_chunk()?).into(),
        (None, None) => return None,
    };
    let network = match attribute(entry, CIDR) {
        Some(&[bits, ..]) => Network::around(address, bits)?,
        _ => Network::host(address),
    };
    let protocol = match attribute(entry, TRANSPORT)?.first() {
        Some(&TCP) => Protocol::Tcp,
        Some(&UDP) => Protocol::Udp,
        _ => return None,
    };
    let port = u16::from_be_bytes(*attribute(entry, PORT)?.first_chunk()?);
    let left = attribute(entry, TIMEOUT).and_then(be32).filter(|left| *left > 0);
    let is_cut = left.is_some_and(|left| u64::from(left) > FAR);
    let left = left.filter(|_| !is_cut);
    Some(Held {
        opening: Opening { network, protocol, port },
        left: left.map(|left| Duration::from_secs(left.into())),
        // Of a lease that ends before, it has a wrong end.
        no_end_from: now.checked_add(Duration::from_secs(FAR - SLACK)).filter(|_| is_cut),
    })
}

/// At least one: an element of none would stay for ever.
fn seconds(left: Duration) -> u32 {
    let whole = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
    u32::try_from(whole.clamp(1, MOST)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::netlink::message::{Says, answers};

    fn listed(question: Question) -> Option<Held> {
        let bytes = question.finished(1);
        let Says::Entry(_, _, body) = answers(&bytes).next()?.says else { return None };
        held(attribute(body, DATA)?, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn no_time_becomes_for_ever() {
        assert_eq!(seconds(Duration::ZERO), 1);
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_millis(1001)), 2);
        assert_eq!(u64::from(seconds(Duration::MAX)), MOST);
    }

    proptest! {
        #[test]
        fn an_opening_comes_back_from_its_entry(
            v4: bool, address: u128, bits in 1u8..=128, udp: bool, port in 1u16..,
            left in prop::option::of(1u64..FAR)
        ) {
            let address: IpAddr = match v4 {
                true => Ipv4Addr::from_bits(u32::try_from(address >> 96).unwrap()).into(),
                // No mapped address is one of IPv6 here.
                false => Ipv6Addr::from_bits(address | 1 << 127).into(),
            };
            let network = Network::around(address, if v4 { bits.min(32) } else { bits }).unwrap();
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let opening = Opening { network, protocol, port };
            let left = left.map(Duration::from_secs);
            prop_assert_eq!(
                listed(entry(ADD, 0, &opening, Some(left))),
                Some(Held { opening, left, no_end_from: None })
            );
        }

        #[test]
        fn any_bytes_are_an_entry_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = held(&bytes, SystemTime::UNIX_EPOCH);
        }
    }
}
