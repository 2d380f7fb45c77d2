//! What is in the kernel and on disk while the daemon is dead, and what of it is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use knock_engine::{Lease, Ledger, Order};

use super::ground::Ground;
use super::knocker::shuts;
use super::members::Member;
use crate::{Result, kept};

pub(super) struct Snapshot {
    /// After everything that it shows.
    pub(super) taken: SystemTime,
    pub(super) rules: BTreeMap<IpAddr, usize>,
    pub(super) orders: Vec<Order>,
    /// Leases as the kernel holds them, read before the disk.
    pub(super) held: Vec<Member>,
    ledger: Ledger,
}

impl Snapshot {
    /// Looks at both.
    pub(super) fn take(ground: &Ground) -> Result<Self> {
        let (rules, held) = (ground.rules()?, ground.held()?);
        let ledger = kept::ledger(&ground.path("state"))?;
        let orders = ledger.orders().cloned().collect();
        Ok(Self { taken: super::now(), rules, orders, held, ledger })
    }

    /// How often a client's knocks were answered.
    pub(super) fn knocks(&self, client: IpAddr) -> u64 {
        let path = [client.to_string(), "knocks".to_owned()];
        let count = self.ledger.memory().get(&path);
        count.and_then(|count| count.to_string().parse().ok()).unwrap_or_default()
    }

    /// When the rules that are there are to go, of clients of which nothing else is to be done before.
    pub(super) fn closing_times(&self) -> BTreeMap<IpAddr, SystemTime> {
        let open = self.rules.keys().filter(|client| !self.has_work_at_once(**client));
        open.filter_map(|client| Some((*client, self.last_closing(*client)?))).collect()
    }

    /// What must never be.
    pub(super) fn wrong(&self, given_up: &BTreeSet<IpAddr>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (client, count) in &self.rules {
            // A rule is put in first and made the only one then. A kill in between leaves two to the order
            // that runs again; or, once that is too late or was given up, to the closing, which takes
            // out both.
            let is_mended = self.has_work_at_once(*client)
                || given_up.contains(client)
                || self.last_closing(*client).is_some_and(|due| due <= self.taken);
            if *count > 1 && !is_mended {
                wrong.push(format!("{client} has {count} rules"));
            }
            if !self.of(*client).any(closes) {
                wrong.push(format!("the rule of {client} has no closing on disk"));
            }
        }
        let clients: BTreeSet<IpAddr> = self.orders.iter().map(|order| order.client).collect();
        for client in clients {
            let is_to_be_open = !shuts(client)
                && !given_up.contains(&client)
                && !self.has_work_at_once(client)
                && self.last_closing(client).is_some_and(|due| due > self.taken);
            if is_to_be_open && !self.rules.contains_key(&client) {
                wrong.push(format!("{client} was closed before its time"));
            }
        }
        wrong
    }

    /// The leases on disk.
    pub(super) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.ledger.leases()
    }

    /// Seconds, negative if it is to come.
    fn ago(&self, moment: SystemTime) -> f64 {
        match self.taken.duration_since(moment) {
            Ok(past) => past.as_secs_f64(),
            Err(future) => -future.duration().as_secs_f64(),
        }
    }

    fn of(&self, client: IpAddr) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(move |order| order.client == client)
    }

    fn has_work_at_once(&self, client: IpAddr) -> bool {
        self.of(client).any(|order| order.delay.is_zero())
    }

    /// Where the first closing is over already, and waits to be struck out, the second is to come.
    fn last_closing(&self, client: IpAddr) -> Option<SystemTime> {
        self.of(client).filter(|order| closes(order)).map(|order| order.due).max()
    }
}

fn closes(order: &Order) -> bool {
    order.command.to_string().contains("-D INPUT")
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rules: {:?}", self.rules)?;
        for order in &self.orders {
            let left = order.due.duration_since(self.taken);
            let left =
                left.map_or_else(|late| -late.duration().as_secs_f64(), |it| it.as_secs_f64());
            writeln!(
                f,
                "order {} for {} in {left:.3} s, tried {} times: {}",
                order.id, order.client, order.attempts, order.command
            )?;
        }
        for lease in self.leases() {
            let (opened, renewed) = (self.ago(lease.opened), self.ago(lease.renewed));
            writeln!(
                f,
                "lease {} of {}, {:?}, opened {opened:.3} s ago, renewed {renewed:.3} s ago, ended {:?} s ago",
                lease.id.0,
                lease.client,
                lease.state,
                lease.until.map(|until| self.ago(until))
            )?;
        }
        for held in &self.held {
            let ended = held.until.map(|until| self.ago(until));
            writeln!(f, "the kernel lets {} in, ended {ended:?} s ago", held.client)?;
        }
        Ok(())
    }
}
