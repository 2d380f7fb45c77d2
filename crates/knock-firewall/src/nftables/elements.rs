//! The elements of our sets in nftables: who may reach which port, and for how long.
//! Knows nothing of tables and chains but their names; see `layout`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use knock_rules::{Held, Network, Opening, Protocol};

use super::chains::INET;
use super::{SUBSYSTEM, TABLE};
use crate::netlink::message::{Question, attribute, attributes, be32, be64, flags, text};
use crate::netlink::{Fault, Socket};

const GET_SET: u8 = 10;
const NEW_SET: u8 = 9;
const NEW_ELEMENT: u8 = 12;
const GET_ELEMENT: u8 = 13;
const DELETE_ELEMENT: u8 = 14;

const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_DEFAULT_TIMEOUT: u16 = 11;
const SET_TIMEOUT: u32 = 0x10;
/// Constant, of intervals, a map, filled by rules, a map to objects, or with expressions.
const SET_OF_ANOTHER_KIND: u32 = 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x100;
/// nft's numbers of the types of keys, of which it makes one of six bits each.
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_SERVICE: u32 = 13;

const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;

const ELEMENT_KEY: u16 = 1;
const ELEMENT_TIMEOUT: u16 = 4;
const ELEMENT_EXPIRATION: u16 = 5;
const DATA_VALUE: u16 = 1;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// How often an element that ends just now is tried to be renewed.
const TRIES: u32 = 4;

/// The set for networks of one size: `open4` and `open6` hold addresses, `open4_24` networks. One
/// set for all sizes would have to hold intervals, and those of two leases may not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size {
    v4: bool,
    bits: u8,
}

impl Size {
    /// Single addresses of both families, which are always wanted.
    pub(crate) const HOSTS: [Self; 2] =
        [Self { v4: true, bits: 32 }, Self { v4: false, bits: 128 }];

    /// Of prefixes so long; none of a family that has no such prefix.
    pub(crate) fn of_prefixes(v4: u8, v6: u8) -> impl Iterator<Item = Self> {
        let sizes = [Self { v4: true, bits: v4 }, Self { v4: false, bits: v6 }];
        sizes.into_iter().filter(|size| size.bits <= size.width())
    }

    /// Of this network.
    pub(crate) fn of(network: &Network) -> Self {
        Self { v4: network.is_v4(), bits: network.bits() }
    }

    pub(crate) fn is_v4(self) -> bool {
        self.v4
    }

    /// The name of its set.
    pub(crate) fn set(self) -> String {
        let family = if self.v4 { 4 } else { 6 };
        if self.is_host() { format!("open{family}") } else { format!("open{family}_{}", self.bits) }
    }

    fn is_host(self) -> bool {
        self.bits == self.width()
    }

    fn width(self) -> u8 {
        if self.v4 { 32 } else { 128 }
    }

    /// Which size a set of ours is for.
    pub(crate) fn of_set(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("open")?;
        let (family, bits) = match rest.split_once('_') {
            Some((family, bits)) => (family, Some(bits.parse().ok()?)),
            None => (rest, None),
        };
        let v4 = match family {
            "4" => true,
            "6" => false,
            _ => return None,
        };
        let size = Self { v4, bits: bits.unwrap_or(if v4 { 32 } else { 128 }) };
        // Only what we would write ourselves.
        (size.bits <= size.width() && size.set() == name).then_some(size)
    }

    /// The mask in front of which addresses of this size are looked up; none for single ones.
    pub(crate) fn mask(self) -> Option<IpAddr> {
        if self.is_host() {
            return None;
        }
        let ones = IpAddr::from(Ipv6Addr::from_bits(u128::MAX));
        let ones = if self.v4 { IpAddr::from(Ipv4Addr::BROADCAST) } else { ones };
        Network::around(ones, self.bits).map(|network| network.address())
    }
}

/// Puts an element in; whether it was not there. One that was there has the new time afterwards.
pub(crate) fn add(
    socket: &mut Socket,
    opening: &Opening,
    left: Option<Duration>,
) -> Result<bool, Fault> {
    for _ in 0..TRIES {
        // Asked first: a batch that fails makes the kernel wait for all its processors, which takes a
        // thousand times as long as one that does not.
        let is_new = !is_there(socket, opening)?;
        // Only kernels from 6.12 on change the time of an element. This works with all of them, and
        // no packet sees the moment between.
        let changes = match is_new {
            true => vec![new(opening, left)],
            false => vec![delete(opening), new(opening, left)],
        };
        match (socket.batch(changes), is_new) {
            (Ok(()), is_new) => return Ok(is_new),
            // It has just ended by itself, or somebody else was quicker.
            (Err(Fault::NOENT), false) | (Err(Fault::EXIST), true) => {}
            (Err(error), _) => return Err(error),
        }
    }
    Err(Fault::AGAIN)
}

/// Without the set there is no element either.
fn is_there(socket: &mut Socket, opening: &Opening) -> Result<bool, Fault> {
    match socket.ask(element(GET_ELEMENT, flags::ACK, opening, None)) {
        Ok(()) => Ok(true),
        Err(Fault::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes an element out; whether it was there. Whatever else is in the table: to close does no harm.
pub(crate) fn remove(socket: &mut Socket, opening: &Opening) -> Result<bool, Fault> {
    match is_there(socket, opening) {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(error) => {
            // A set of our name that is for other things holds nothing of ours.
            let size = Size::of(&opening.network);
            return match sizes(&sets(socket)?).any(|ours| ours == size) {
                true => Err(error),
                false => Ok(false),
            };
        }
    }
    match socket.batch(vec![delete(opening)]) {
        Ok(()) => Ok(true),
        // Or the whole set is gone, which comes to the same.
        Err(Fault::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A set of the table of our name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) name: String,
    /// By its name; none if it has not one of those that we give.
    pub(crate) size: Option<Size>,
    /// It is as we make it.
    pub(crate) is_as_ours: bool,
}

/// The sets of the table of our name. Nothing if there is no table.
pub(crate) fn sets(socket: &mut Socket) -> Result<Vec<Set>, Fault> {
    let mut question = Question::new(SUBSYSTEM, GET_SET, flags::DUMP, INET);
    question.text(SET_TABLE, TABLE);
    let sets = socket.dump(&question, |kind, _, body, sets| {
        let is_ours = attribute(body, SET_TABLE).is_some_and(|name| text(name) == TABLE);
        if kind == u16::from_be_bytes([SUBSYSTEM, NEW_SET]) && is_ours {
            let name = attribute(body, SET_NAME).map(text).unwrap_or_default().to_owned();
            let size = Size::of_set(&name);
            let is_as_ours = size.is_some_and(|size| is_as_made(size, body));
            sets.push(Set { name, size, is_as_ours });
        }
    });
    or_none(sets)
}

/// The sizes of those that are ours.
pub(crate) fn sizes(sets: &[Set]) -> impl Iterator<Item = Size> + '_ {
    sets.iter().filter(|set| set.is_as_ours).filter_map(|set| set.size)
}

fn is_as_made(size: Size, body: &[u8]) -> bool {
    let number = |kind| attribute(body, kind).and_then(be32);
    let address = if size.v4 { TYPE_IPV4 } else { TYPE_IPV6 };
    let flags = number(SET_FLAGS).unwrap_or_default();
    number(SET_KEY_TYPE) == Some(address << 12 | TYPE_PROTOCOL << 6 | TYPE_SERVICE)
        && number(SET_KEY_LENGTH) == Some(8 + u32::from(size.width() / 8))
        && flags & (SET_TIMEOUT | SET_OF_ANOTHER_KIND) == SET_TIMEOUT
        // What is to be open until it is closed would end by itself.
        && attribute(body, SET_DEFAULT_TIMEOUT).and_then(be64).unwrap_or_default() == 0
}

/// All elements of one of our sets.
pub(crate) fn list(socket: &mut Socket, size: Size) -> Result<Vec<Held>, Fault> {
    let mut question = Question::new(SUBSYSTEM, GET_ELEMENT, flags::DUMP, INET);
    question.text(LIST_TABLE, TABLE).text(LIST_SET, &size.set());
    let found = socket.dump(&question, |_, _, body, found| {
        let elements = attribute(body, LIST_ELEMENTS).unwrap_or_default();
        let elements = attributes(elements).filter(|(kind, _)| *kind == LIST_ELEMENT);
        found.extend(elements.filter_map(|(_, element)| held(element, size)));
    });
    or_none(found)
}

/// Of what does not exist there is nothing to list.
fn or_none<T>(found: Result<Vec<T>, Fault>) -> Result<Vec<T>, Fault> {
    match found {
        Err(Fault::NOENT) => Ok(Vec::new()),
        other => other,
    }
}

fn new(opening: &Opening, left: Option<Duration>) -> Question {
    element(NEW_ELEMENT, flags::ACK | flags::CREATE | flags::EXCL, opening, left)
}

fn delete(opening: &Opening) -> Question {
    element(DELETE_ELEMENT, flags::ACK, opening, None)
}

fn element(kind: u8, flags: u16, opening: &Opening, left: Option<Duration>) -> Question {
    let mut question = Question::new(SUBSYSTEM, kind, flags, INET);
    question.text(LIST_TABLE, TABLE).text(LIST_SET, &Size::of(&opening.network).set());
    question.nested(LIST_ELEMENTS, |list| {
        list.nested(LIST_ELEMENT, |element| {
            element.nested(ELEMENT_KEY, |data| {
                data.bytes(DATA_VALUE, &key(opening));
            });
            if let Some(left) = left {
                element.bytes(ELEMENT_TIMEOUT, &milliseconds(left).to_be_bytes());
            }
        });
    });
    question
}

/// Address, protocol and port, each filled up to four bytes.
fn key(opening: &Opening) -> Vec<u8> {
    let mut key = match opening.network.address() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let protocol = match opening.protocol {
        Protocol::Tcp => TCP,
        Protocol::Udp => UDP,
    };
    let [high, low] = opening.port.to_be_bytes();
    key.extend_from_slice(&[protocol, 0, 0, 0, high, low, 0, 0]);
    key
}

fn held(element: &[u8], size: Size) -> Option<Held> {
    let key = attribute(attribute(element, ELEMENT_KEY)?, DATA_VALUE)?;
    let (address, rest) = key.split_at_checked(usize::from(size.width() / 8))?;
    let address: IpAddr = match size.v4 {
        true => Ipv4Addr::from(*address.first_chunk()?).into(),
        false => Ipv6Addr::from(*address.first_chunk()?).into(),
    };
    let &[protocol, _, _, _, high, low, ..] = rest else { return None };
    let protocol = match protocol {
        TCP => Protocol::Tcp,
        UDP => Protocol::Udp,
        _ => return None,
    };
    let network = Network::around(address, size.bits)?;
    let opening = Opening { network, protocol, port: u16::from_be_bytes([high, low]) };
    let number = |kind| attribute(element, kind).and_then(be64).map(Duration::from_millis);
    // Without a time, or with one of 0, an element stays.
    let timed = number(ELEMENT_TIMEOUT).is_some_and(|timeout| !timeout.is_zero());
    let left = timed.then(|| number(ELEMENT_EXPIRATION).unwrap_or_default());
    Some(Held { opening, left, no_end_from: None })
}

/// At least one: an element of none would stay for ever.
fn milliseconds(left: Duration) -> u64 {
    u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::netlink::message::{Says, answers};

    fn opening(text: &str) -> Opening {
        text.parse().unwrap()
    }

    /// What the kernel would list of an element that it was sent.
    fn listed(question: Question, size: Size) -> Option<Held> {
        let bytes = question.finished(1);
        let Says::Entry(_, _, body) = answers(&bytes).next()?.says else { return None };
        assert_eq!(attribute(body, LIST_SET).map(text), Some(&*size.set()));
        let (_, element) = attributes(attribute(body, LIST_ELEMENTS)?).next()?;
        held(element, size)
    }

    #[test]
    fn sets_are_named_by_the_size_of_their_networks() {
        for (network, set, mask) in [
            ("192.0.2.7", "open4", None),
            ("192.0.2.0/24", "open4_24", Some("255.255.255.0")),
            ("2001:db8::1", "open6", None),
            ("2001:db8::/64", "open6_64", Some("ffff:ffff:ffff:ffff::")),
        ] {
            let size = Size::of(&network.parse().unwrap());
            assert_eq!(size.set(), set);
            assert_eq!(Size::of_set(set), Some(size));
            assert_eq!(size.mask().map(|mask| mask.to_string()).as_deref(), mask);
        }
        for foreign in ["open", "open5", "open4_", "open4_32", "open4_033", "open4_x", "mine"] {
            assert_eq!(Size::of_set(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn an_element_is_what_nft_would_make_of_it() {
        assert_eq!(
            key(&opening("tcp port 22 to 10.0.0.1")),
            [10, 0, 0, 1, 6, 0, 0, 0, 0, 22, 0, 0],
            "as `nft --debug=netlink` shows it"
        );
        // A time that is all but over must not become one that never is.
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::from_micros(1001)), 2);
        assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn an_opening_comes_back_from_its_element(
            v4: bool, address: u128, bits in 1u8..=128, udp: bool, port in 1u16.., timed: bool
        ) {
            let address: IpAddr = match v4 {
                true => Ipv4Addr::from_bits(u32::try_from(address >> 96).unwrap()).into(),
                // No mapped address is one of IPv6 here.
                false => Ipv6Addr::from_bits(address | 1 << 127).into(),
            };
            let bits = if v4 { bits.min(32) } else { bits };
            let network = Network::around(address, bits).unwrap();
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let opening = Opening { network, protocol, port };
            let left = timed.then_some(Duration::from_secs(5));
            let held = listed(new(&opening, left), Size::of(&network)).unwrap();
            prop_assert_eq!(held.opening, opening);
            // The kernel tells what is left in a second number, which a question has not.
            prop_assert_eq!(held.left, left.map(|_| Duration::ZERO));
        }

        #[test]
        fn any_bytes_are_an_element_or_not(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            for size in Size::HOSTS {
                let _ = held(&bytes, size);
            }
        }
    }
}
