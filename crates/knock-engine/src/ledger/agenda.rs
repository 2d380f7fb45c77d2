//! The agenda: orders waiting for their time, one at a time for each client.
//! Decides when and in which sequence, never whether: that was decided when the knock came.
//!
//! Orders of one client stand in a lane. Only the first of a lane can be handed out, and while it
//! is with a worker the lane is closed, so that an opening and its late closing never swap. An
//! order once tried goes before those that were not, and they wait for it: else an opening that
//! waits for its second try would be overtaken by its closing, and stay open. Only an order that no
//! further try can help lets others pass, or a mistake in one command would bar its client for ever.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::SystemTime;

use knock_rules::Command;

use crate::order::{Order, OrderId};

/// Waiting orders. Which of them are with a worker is known here too, but is nothing durable:
/// after a restart none is.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    orders: BTreeMap<OrderId, Order>,
    lanes: HashMap<IpAddr, Lane>,
    /// The first order of each lane that has none with a worker.
    heads: BTreeSet<(SystemTime, OrderId)>,
    /// Tried in vain, and others may go first all the same.
    let_pass: BTreeSet<OrderId>,
    in_flight: usize,
    no_worker_free: bool,
}

/// The orders of one client.
#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeSet<Place>,
    in_flight: Option<OrderId>,
}

/// Where an order stands in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    begun: Begun,
    due: SystemTime,
    id: OrderId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Begun {
    Tried,
    NotYet,
}

impl Agenda {
    /// Puts an order in; one that is there already stays as it is.
    pub(crate) fn schedule(&mut self, order: Order) {
        if self.orders.contains_key(&order.id) {
            return;
        }
        let (client, place) = (order.client, self.place(&order));
        self.orders.insert(order.id, order);
        self.change_lane(client, |lane| {
            lane.waiting.insert(place);
        });
    }

    /// Puts an order back with a later time, after a try in vain.
    pub(crate) fn reschedule(&mut self, id: OrderId, due: SystemTime, attempts: u32) {
        if let Some(order) = self.strike_out(id) {
            self.schedule(Order { due, attempts, ..order });
        }
    }

    /// Takes an order out, wherever it stands.
    pub(crate) fn strike_out(&mut self, id: OrderId) -> Option<Order> {
        let order = self.orders.remove(&id)?;
        let place = self.place(&order);
        self.let_pass.remove(&id);
        let was_in_flight = self.change_lane(order.client, |lane| {
            lane.waiting.remove(&place);
            lane.in_flight.take_if(|flying| *flying == id).is_some()
        });
        if was_in_flight {
            self.in_flight -= 1;
            self.no_worker_free = false;
        }
        Some(order)
    }

    /// What is due and whose client has no order with a worker, by (due, id), `at_most` so many.
    /// What is handed out is not handed out again before it is put back or finished.
    pub(crate) fn hand_out(&mut self, wall: SystemTime, at_most: usize) -> Vec<Order> {
        let mut due = Vec::new();
        while due.len() < at_most {
            let head = self.heads.first().filter(|(due, _)| *due <= wall);
            let Some(order) = head.and_then(|(_, id)| self.orders.get(id)).cloned() else { break };
            let (id, place) = (order.id, self.place(&order));
            self.change_lane(order.client, |lane| {
                lane.waiting.remove(&place);
                lane.in_flight = Some(id);
            });
            self.in_flight += 1;
            due.push(order);
        }
        due
    }

    /// An order that found no free worker waits again, in its old place.
    pub(crate) fn put_back(&mut self, id: OrderId) {
        let Some(order) = self.orders.get(&id) else { return };
        let (client, place) = (order.client, self.place(order));
        let was_in_flight = self.change_lane(client, |lane| {
            let was_in_flight = lane.in_flight.take_if(|flying| *flying == id).is_some();
            lane.waiting.insert(place);
            was_in_flight
        });
        if was_in_flight {
            self.in_flight -= 1;
            self.no_worker_free = true;
        }
    }

    /// Lets others of its client go before an order that was tried in vain, each when it is due.
    pub(crate) fn let_pass(&mut self, id: OrderId) {
        let Some(order) = self.orders.get(&id) else { return };
        let (client, before) = (order.client, self.place(order));
        let after = Place { begun: Begun::NotYet, ..before };
        self.let_pass.insert(id);
        self.change_lane(client, |lane| {
            if lane.waiting.remove(&before) {
                lane.waiting.insert(after);
            }
        });
    }

    /// Those that wait and have nothing left to do once this one is scheduled: the same rule for the
    /// same client, delayed as well. Only rules, which are there once however often they were put
    /// in; a program takes out one for each that it has put in, so each closing counts.
    pub(crate) fn replaced_by(&self, order: &Order) -> impl Iterator<Item = &Order> + '_ {
        let delayed_rule =
            matches!(order.command, Command::Iptables { .. }) && !order.delay.is_zero();
        let lane = self.lanes.get(&order.client).filter(|_| delayed_rule);
        let waiting = lane.into_iter().flat_map(|lane| &lane.waiting);
        let command = order.command.clone();
        waiting
            .filter_map(|place| self.orders.get(&place.id))
            .filter(move |waiting| !waiting.delay.is_zero() && waiting.command == command)
    }

    /// When `hand_out` will have something, if nothing else happens before. `None` also while all
    /// workers are busy: a finished order is what the caller has to wait for then, and a time that
    /// has passed already would make it turn in circles.
    pub(crate) fn next_due(&self) -> Option<SystemTime> {
        if self.no_worker_free && self.in_flight > 0 {
            return None;
        }
        self.heads.first().map(|(due, _)| *due)
    }

    pub(crate) fn get(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    pub(crate) fn orders(&self) -> impl Iterator<Item = &Order> + '_ {
        self.orders.values()
    }

    fn place(&self, order: &Order) -> Place {
        let holds_lane = order.attempts > 0 && !self.let_pass.contains(&order.id);
        let begun = if holds_lane { Begun::Tried } else { Begun::NotYet };
        Place { begun, due: order.due, id: order.id }
    }

    /// The one place where a lane changes, so that `heads` always tells the truth about it.
    fn change_lane<T>(&mut self, client: IpAddr, change: impl FnOnce(&mut Lane) -> T) -> T {
        let lane = self.lanes.entry(client).or_default();
        if let Some(head) = lane.head() {
            self.heads.remove(&head);
        }
        let result = change(lane);
        if let Some(head) = lane.head() {
            self.heads.insert(head);
        } else if lane.in_flight.is_none() {
            self.lanes.remove(&client);
        }
        result
    }
}

impl Lane {
    fn head(&self) -> Option<(SystemTime, OrderId)> {
        match self.in_flight {
            Some(_) => None,
            None => self.waiting.first().map(|place| (place.due, place.id)),
        }
    }
}

#[cfg(test)]
mod tests;
