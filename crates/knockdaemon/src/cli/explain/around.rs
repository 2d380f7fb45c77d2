//! Who else hit ports: addresses near the client's, which may be the client, and those that were busy in
//! the span. Bounded, since strangers choose how many there are.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// So many addresses near the client's are told.
const MAX_NEAR: usize = 32;

/// So many others are counted, the first that came.
const MAX_OTHERS: usize = 1000;

/// So many of them are told.
const TOLD: usize = 5;

/// The other clients of a log.
#[derive(Debug, Default)]
pub(super) struct Around {
    near: BTreeMap<IpAddr, Other>,
    others: BTreeMap<IpAddr, Other>,
}

/// Another client's hits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Other {
    pub(super) hits: u64,
    pub(super) in_span: u64,
    pub(super) knocks: u64,
}

/// Whether two addresses are of one /24, or of one /64 in IPv6.
pub(super) fn is_near(client: IpAddr, other: IpAddr) -> bool {
    match (client, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.to_bits() >> 8 == other.to_bits() >> 8,
        (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() >> 64 == other.to_bits() >> 64,
        (_, _) => false,
    }
}

impl Around {
    /// Counts a hit of somebody else.
    pub(super) fn hit(&mut self, client: IpAddr, from: IpAddr, in_span: bool, knocked: bool) {
        let near = is_near(client, from);
        let (map, most) =
            if near { (&mut self.near, MAX_NEAR) } else { (&mut self.others, MAX_OTHERS) };
        if map.len() >= most && !map.contains_key(&from) {
            return;
        }
        let other = map.entry(from).or_default();
        other.hits += 1;
        other.in_span += u64::from(in_span);
        other.knocks += u64::from(knocked);
    }

    /// Those near the client.
    pub(super) fn near(&self) -> impl Iterator<Item = (IpAddr, Other)> + '_ {
        self.near.iter().map(|(address, other)| (*address, *other))
    }

    /// Those elsewhere with the most hits inside the span.
    pub(super) fn busiest(&self) -> Vec<(IpAddr, Other)> {
        let mut all: Vec<(IpAddr, Other)> = self
            .others
            .iter()
            .map(|(address, other)| (*address, *other))
            .filter(|(_, other)| other.in_span > 0)
            .collect();
        all.sort_by_key(|(_, other)| std::cmp::Reverse(other.in_span));
        all.truncate(TOLD);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn near_is_the_same_small_network() {
        for (one, other, near) in [
            ("192.0.2.7", "192.0.2.200", true),
            ("192.0.2.7", "192.0.3.7", false),
            ("2001:db8::7", "2001:db8::ffff:1", true),
            ("2001:db8::7", "2001:db8:0:1::7", false),
            ("192.0.2.7", "::ffff:c000:207", false),
        ] {
            assert_eq!(is_near(address(one), address(other)), near, "{one} {other}");
        }
    }

    #[test]
    fn a_flood_of_addresses_is_not_kept() {
        let mut around = Around::default();
        let client = address("192.0.2.7");
        for nth in 0..100_000_u32 {
            around.hit(client, IpAddr::V4(nth.into()), true, false);
            around.hit(client, IpAddr::V4((0xc000_0200 + nth % 256).into()), true, false);
        }
        assert_eq!((around.near.len(), around.others.len()), (MAX_NEAR, MAX_OTHERS));
        assert_eq!(around.busiest().len(), TOLD);
    }
}
