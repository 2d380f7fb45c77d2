//! What must survive a restart, as plain data: the agenda of orders, the leases, the state variable, how
//! far each source was read, and which knocks are accepted no more.
//! Knows nothing of disks: the store writes every [`Change`] and builds a ledger from what it wrote.

mod agenda;
mod anchor;
mod leases;
mod spent;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use knock_rules::{Memory, MemoryChange};
use knock_wire::Digest;

pub(crate) use self::agenda::Agenda;
pub(crate) use self::anchor::compare;
pub use self::anchor::{Anchor, ClockNews, Machine, Step, Times};
pub(crate) use self::leases::Leases;
use self::spent::Spent;
use crate::lease::{Lease, LeaseId};
use crate::order::{Order, OrderId};

/// One step from one state of the ledger to the next; what the store writes. Applying one twice is
/// the same as once.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "most are orders, and a list of them lives for one write"
)]
pub enum Change {
    /// An order was put into the agenda.
    Scheduled(Order),
    /// An order failed and will be tried again.
    Rescheduled {
        /// Which.
        id: OrderId,
        /// When.
        due: SystemTime,
        /// How often it has been tried in vain.
        attempts: u32,
    },
    /// An order's times are others now, since the clock was set. It stays where it stands.
    Moved {
        /// Which.
        id: OrderId,
        /// From now on.
        times: Times,
    },
    /// This is how the clock stands.
    Anchored(Anchor),
    /// An order was carried out or given up, and is struck out.
    Finished(OrderId),
    /// A lease was granted, or is different now: renewed, extended, opened, being closed.
    Leased(Lease),
    /// A lease is over, and its opening closed.
    LeaseClosed(LeaseId),
    /// The state variable was written.
    Remembered(MemoryChange),
    /// A source was read up to this place.
    ReadTo {
        /// The source's name.
        source: String,
        /// The place, as the source spells it.
        place: String,
    },
    /// A knock of this client was accepted. Its lines may be read again after a restart, in another
    /// log or where nobody knows the place any more; what they complete has been done.
    Answered {
        /// Who knocked.
        client: IpAddr,
        /// The time that the last line of the knock says of itself.
        written: SystemTime,
        /// Knocks with times before this are forgotten: nobody reads so far back.
        forget: SystemTime,
    },
    /// A knock was accepted that is not to be accepted again, ever.
    Spent {
        /// By what it is known again.
        digest: Digest,
        /// When it was accepted.
        accepted: SystemTime,
    },
}

/// The durable part of the engine's knowledge.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(crate) agenda: Agenda,
    pub(crate) leases: Leases,
    memory: Memory,
    greatest: OrderId,
    places: BTreeMap<String, String>,
    answered: BTreeMap<IpAddr, SystemTime>,
    anchor: Option<Anchor>,
    spent: Spent,
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one step. Changes that speak of an unknown order are ignored.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Scheduled(order) => {
                self.reserve_ids(order.id);
                self.agenda.schedule(order.clone());
            }
            Change::Rescheduled { id, due, attempts } => {
                self.reserve_ids(*id);
                self.agenda.reschedule(*id, *due, *attempts);
            }
            Change::Moved { id, times } => {
                self.reserve_ids(*id);
                self.agenda.set_times(*id, times);
            }
            Change::Anchored(anchor) => self.anchor = Some(anchor.clone()),
            Change::Finished(id) => {
                self.reserve_ids(*id);
                let _ = self.agenda.strike_out(*id);
            }
            Change::Leased(lease) => {
                self.reserve_ids(OrderId(lease.id.0));
                self.leases.put(lease.clone());
            }
            Change::LeaseClosed(id) => {
                self.reserve_ids(OrderId(id.0));
                self.leases.remove(*id);
            }
            Change::Remembered(change) => {
                self.memory.apply(change);
            }
            Change::ReadTo { source, place } => {
                self.places.insert(source.clone(), place.clone());
            }
            Change::Answered { client, written, forget } => {
                self.answered.retain(|_, written| *written >= *forget);
                self.answered.insert(*client, *written);
            }
            Change::Spent { digest, .. } => self.spent.insert(digest),
        }
    }

    /// Says that ids up to this one are taken, even where their orders and leases are long gone.
    pub fn reserve_ids(&mut self, up_to: OrderId) {
        self.greatest = self.greatest.max(up_to);
    }

    /// The greatest id that was ever taken.
    #[must_use]
    pub fn greatest_id(&self) -> OrderId {
        self.greatest
    }

    /// All orders that are not struck out, whether or not one is being carried out, by id.
    pub fn orders(&self) -> impl Iterator<Item = &Order> + '_ {
        self.agenda.orders()
    }

    /// All leases that are not closed yet, by id.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> + '_ {
        self.leases.all()
    }

    /// How far a source was read, if that was kept.
    #[must_use]
    pub fn place(&self, source: &str) -> Option<&str> {
        self.places.get(source).map(String::as_str)
    }

    /// The time in the last line of this client's last knock that was accepted, if it is kept.
    #[must_use]
    pub fn answered(&self, client: IpAddr) -> Option<SystemTime> {
        self.answered.get(&client).copied()
    }

    /// Whether a knock was accepted that is known by this.
    #[must_use]
    pub fn is_spent(&self, digest: &Digest) -> bool {
        self.spent.contains(digest)
    }

    /// How many knocks are not accepted again.
    #[must_use]
    pub fn spent(&self) -> usize {
        self.spent.len()
    }

    /// How the clock stood when the deadlines were set, if that was kept.
    #[must_use]
    pub fn anchor(&self) -> Option<&Anchor> {
        self.anchor.as_ref()
    }

    /// The state variable.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }
}
