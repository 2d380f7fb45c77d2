//! The table against a naive list: who is in it, who goes first, what it costs.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn address(n: u32) -> IpAddr {
    if n.is_multiple_of(2) {
        IpAddr::V4(Ipv4Addr::from_bits(n))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(u128::from(n) << 64))
    }
}

/// From the client active last to the one idle longest, walked in both directions.
fn chain(clients: &Clients) -> Vec<IpAddr> {
    let walk = |mut at: u32, next: fn(&Node) -> u32| {
        let mut found = Vec::new();
        while at != NONE {
            let node = &clients.nodes[to_usize(at)];
            found.push(node.address);
            at = next(node);
        }
        found
    };
    let forth = walk(clients.latest, |node| node.earlier);
    let mut back = walk(clients.idlest, |node| node.later);
    back.reverse();
    assert_eq!(forth, back);
    forth
}

proptest! {
    #[test]
    fn the_table_does_what_a_list_does(
        max in 0usize..9,
        hits in prop::collection::vec(0u32..14, 0..200),
        then in 1usize..9,
    ) {
        let mut clients = Clients::new(max);
        let mut list: Vec<IpAddr> = Vec::new();
        let mut evicted = 0;
        for hit in hits {
            clients.queue(address(hit));
            list.retain(|known| *known != address(hit));
            list.insert(0, address(hit));
            if list.len() > max.max(1) {
                list.pop();
                evicted += 1;
            }
            prop_assert_eq!(chain(&clients), list.clone());
            prop_assert_eq!(clients.index.len(), list.len());
            prop_assert!(list.iter().all(|known| clients.find(*known).is_some()));
            prop_assert_eq!(clients.evicted(), evicted);
        }
        let clients = clients.bounded_by(then);
        evicted += list.len().saturating_sub(then) as u64;
        list.truncate(then);
        prop_assert_eq!(chain(&clients), list);
        prop_assert_eq!(clients.evicted(), evicted);
    }
}

#[test]
fn a_million_forged_clients_stay_well_below_128_megabytes() {
    assert_eq!(size_of::<Node>(), 64);
    // Two hits of a client fit into its node, so nodes and index are all there is.
    let mut clients = Clients::new(1_000_000);
    for n in 0..1_100_000 {
        clients.queue(address(n));
    }
    assert_eq!(clients.nodes.len(), 1_000_000);
    let bytes = clients.nodes.capacity() * size_of::<Node>() + clients.index.allocation_size();
    assert!(bytes < 100_000_000, "{bytes} bytes");
}
