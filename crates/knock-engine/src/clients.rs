//! The queues of all clients: a table of bounded size, where the client idle longest makes room.
//! Knows nothing of what the queues hold.
//!
//! Whoever forges source addresses fills it, so each hit costs the same however full it is, and the
//! hash is keyed by a secret. Nodes lie in one vector and are chained from the latest active to the
//! one idle longest; the index holds their positions only, which keeps a forged client at 64 bytes
//! and the 5 to 10 of its place in the index.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use hashbrown::HashTable;

use crate::queue::Queue;

/// No node; an end of the chain.
const NONE: u32 = u32::MAX;

/// The queues of the clients active last.
#[derive(Debug)]
pub(crate) struct Clients {
    nodes: Vec<Node>,
    index: HashTable<u32>,
    hasher: RandomState,
    max: usize,
    /// Where the chain begins: the client active last.
    latest: u32,
    /// Where it ends: the client idle longest.
    idlest: u32,
    evicted: u64,
}

#[derive(Debug)]
struct Node {
    address: IpAddr,
    /// Towards the latest.
    later: u32,
    /// Towards the one idle longest.
    earlier: u32,
    queue: Queue,
}

impl Clients {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            nodes: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::new(),
            // One at least, or no knock could ever be spelled.
            max: max.clamp(1, to_usize(NONE - 1)),
            latest: NONE,
            idlest: NONE,
            evicted: 0,
        }
    }

    /// How many clients made room for others.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many clients have a queue.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The queue of a client, which is the one active last from now on.
    pub(crate) fn queue(&mut self, address: IpAddr) -> &mut Queue {
        let at = match self.find(address) {
            Some(at) => at,
            None => self.insert(address),
        };
        if self.latest != at {
            self.unlink(at);
            self.link_latest(at);
        }
        &mut self.nodes[to_usize(at)].queue
    }

    /// The queue of a client, if it has one; it is no more active for being looked at.
    pub(crate) fn get(&self, address: IpAddr) -> Option<&Queue> {
        self.find(address).map(|at| &self.nodes[to_usize(at)].queue)
    }

    /// Keeps the clients active last and forgets those beyond `max`.
    pub(crate) fn bounded_by(self, max: usize) -> Self {
        let mut bounded = Self { evicted: self.evicted, ..Self::new(max) };
        let mut order = Vec::with_capacity(self.nodes.len().min(bounded.max));
        let mut at = self.latest;
        while at != NONE && order.len() < bounded.max {
            order.push(at);
            at = self.nodes[to_usize(at)].earlier;
        }
        bounded.evicted += (self.nodes.len() - order.len()) as u64;
        let mut nodes: Vec<Option<Node>> = self.nodes.into_iter().map(Some).collect();
        for at in order.into_iter().rev() {
            if let Some(node) = nodes[to_usize(at)].take() {
                *bounded.queue(node.address) = node.queue;
            }
        }
        bounded
    }

    fn find(&self, address: IpAddr) -> Option<u32> {
        let hash = hash(&self.hasher, address);
        self.index.find(hash, |at| self.nodes[to_usize(*at)].address == address).copied()
    }

    fn insert(&mut self, address: IpAddr) -> u32 {
        let at = if self.nodes.len() < self.max {
            let at = u32::try_from(self.nodes.len()).unwrap_or(NONE);
            self.nodes.push(Node { address, later: NONE, earlier: NONE, queue: Queue::default() });
            self.link_latest(at);
            at
        } else {
            let at = self.idlest;
            self.forget_address(at);
            let node = &mut self.nodes[to_usize(at)];
            node.address = address;
            node.queue = Queue::default();
            self.evicted += 1;
            at
        };
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        let hash_at = |at: &u32| hash(hasher, nodes[to_usize(*at)].address);
        self.index.insert_unique(hash(hasher, address), at, hash_at);
        at
    }

    fn forget_address(&mut self, at: u32) {
        let hash = hash(&self.hasher, self.nodes[to_usize(at)].address);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == at) {
            entry.remove();
        }
    }

    fn unlink(&mut self, at: u32) {
        let Node { later, earlier, .. } = self.nodes[to_usize(at)];
        match self.nodes.get_mut(to_usize(later)) {
            Some(node) => node.earlier = earlier,
            None => self.latest = earlier,
        }
        match self.nodes.get_mut(to_usize(earlier)) {
            Some(node) => node.later = later,
            None => self.idlest = later,
        }
    }

    fn link_latest(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.latest, at);
        match self.nodes.get_mut(to_usize(before)) {
            Some(node) => node.later = at,
            None => self.idlest = at,
        }
        let node = &mut self.nodes[to_usize(at)];
        node.later = NONE;
        node.earlier = before;
    }
}

/// Hashed as one number: an address by itself is hashed in three pieces, which takes twice as long.
fn hash(hasher: &RandomState, address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => hasher.hash_one(address.to_bits()),
        IpAddr::V6(address) => hasher.hash_one(address.to_bits()),
    }
}

/// Positions are kept small; no machine that runs this has a `usize` below 32 bits.
const fn to_usize(at: u32) -> usize {
    at as usize
}

#[cfg(test)]
mod tests;
