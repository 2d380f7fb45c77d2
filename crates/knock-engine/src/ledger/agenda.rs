//! The agenda: orders waiting for their time, one at a time for each client.
//! Decides when and in which sequence, never whether: that was decided when the knock came.
//!
//! Orders of one client stand in a lane, and as a rule one of them is with a worker. Sequence
//! matters where a closing could overtake its opening, and only there:
//!
//! - Orders without a delay run in the sequence in which they came, a second try before the next.
//! - A delayed one waits for them, unless it came earlier and is due earlier. If it is due before a
//!   second try, that try is brought forward; what fails then is given up, see `last_try`.
//! - A delayed one that failed is past all that: it holds nobody back, and only the order that is
//!   with a worker holds it.
//! - A program that goes on and on holds nobody's closing: when it has run for a while, a delayed order
//!   of another knock goes beside it. That of its own knock ends it, see `Order::expires`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::anchor::{Step, Times};
use crate::order::{Order, OrderId};

/// How long the further tries of one order may hold back the next of its client.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an order without a delay is waited for by a closing that is not its own.
const LONG: Duration = Duration::from_secs(5);

/// Waiting orders. Which of them are with a worker is known here too, but is nothing durable:
/// after a restart none is.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    orders: BTreeMap<OrderId, Order>,
    lanes: HashMap<IpAddr, Lane>,
    /// The first order of each lane that has none with a worker, and when it is to go.
    heads: BTreeSet<Place>,
    in_flight: usize,
    no_worker_free: bool,
}

/// When, and which.
type Place = (SystemTime, OrderId);

/// The orders of one client.
#[derive(Debug, Default)]
struct Lane {
    /// Without a delay, in the sequence in which they came; only the first can have been tried.
    at_once: BTreeMap<OrderId, SystemTime>,
    /// With a delay, not yet tried.
    delayed: BTreeSet<Place>,
    /// With a delay, tried in vain.
    failed: BTreeSet<Place>,
    in_flight: Vec<Flying>,
}

/// An order that is with a worker.
#[derive(Debug)]
struct Flying {
    id: OrderId,
    /// From then on it holds back no closing but its own; `None`: it is one itself.
    holds_until: Option<SystemTime>,
    /// It is ended then.
    expires: Option<SystemTime>,
}

impl Agenda {
    /// Puts an order in; one that is there already stays as it is.
    pub(crate) fn schedule(&mut self, order: Order) {
        if self.orders.contains_key(&order.id) {
            return;
        }
        self.change_lane(order.client, |lane| lane.insert(&order));
        self.orders.insert(order.id, order);
    }

    /// Puts an order back with a later time, after a try in vain.
    pub(crate) fn reschedule(&mut self, id: OrderId, due: SystemTime, attempts: u32) {
        if let Some(order) = self.strike_out(id) {
            self.schedule(Order { due, attempts, ..order });
        }
    }

    /// Gives an order other times; one that is with a worker stays there.
    pub(crate) fn set_times(&mut self, id: OrderId, times: &Times) {
        let Some(order) = self.orders.get(&id).cloned() else { return };
        let moved = times.given_to(order.clone());
        self.change_lane(order.client, |lane| {
            match lane.in_flight.iter_mut().find(|flying| flying.id == id) {
                Some(flying) => flying.expires = moved.expires,
                None => {
                    lane.remove(&order);
                    lane.insert(&moved);
                }
            }
        });
        self.orders.insert(id, moved);
    }

    /// The clock was set: what waits for an order that is with a worker goes as soon as it would have.
    pub(crate) fn clock_set(&mut self, step: Step) {
        let clients: Vec<IpAddr> = self.lanes.keys().copied().collect();
        for client in clients {
            self.change_lane(client, |lane| {
                for flying in &mut lane.in_flight {
                    flying.holds_until = flying.holds_until.map(|until| step.of(until));
                }
            });
        }
    }

    /// Takes an order out, wherever it stands.
    pub(crate) fn strike_out(&mut self, id: OrderId) -> Option<Order> {
        let order = self.orders.remove(&id)?;
        let was_in_flight = self.change_lane(order.client, |lane| {
            lane.remove(&order);
            lane.lands(id)
        });
        if was_in_flight {
            self.in_flight -= 1;
            self.no_worker_free = false;
        }
        Some(order)
    }

    /// What is to go now and is held back by no other of its client, in sequence, `at_most` so many.
    /// What is handed out is not handed out again before it is put back or finished.
    pub(crate) fn hand_out(&mut self, wall: SystemTime, at_most: usize) -> Vec<Order> {
        let mut due = Vec::new();
        while due.len() < at_most {
            let head = self.heads.first().filter(|(due, _)| *due <= wall);
            let Some(order) = head.and_then(|(_, id)| self.orders.get(id)).cloned() else { break };
            self.change_lane(order.client, |lane| {
                lane.remove(&order);
                lane.in_flight.push(Flying {
                    id: order.id,
                    holds_until: (!order.is_delayed())
                        .then(|| wall.checked_add(LONG).unwrap_or(wall)),
                    expires: order.expires,
                });
            });
            self.in_flight += 1;
            due.push(order);
        }
        due
    }

    /// An order that found no free worker waits again, in its old place.
    pub(crate) fn put_back(&mut self, id: OrderId) {
        let Some(order) = self.orders.get(&id).cloned() else { return };
        let was_in_flight = self.change_lane(order.client, |lane| {
            lane.insert(&order);
            lane.lands(id)
        });
        if was_in_flight {
            self.in_flight -= 1;
            self.no_worker_free = true;
        }
    }

    /// Before when an order without a delay may be tried again, if it fails now: before what follows
    /// it has to run. So no opening comes after its closing, and no closing waits for a second try.
    pub(crate) fn last_try(&self, client: IpAddr) -> Option<SystemTime> {
        let lane = self.lanes.get(&client)?;
        let closing = lane.delayed.first().map(|(due, _)| *due);
        // One of these may be a closing too.
        let next = lane.at_once.values().next().and_then(|due| due.checked_add(PATIENCE));
        [closing, next].into_iter().flatten().min()
    }

    /// Those that wait and have nothing left to do once this one is scheduled: the same rule for the
    /// same client, delayed as well. Only rules, which are there once however often they were put
    /// in; a program takes out one for each that it has put in, so each closing counts.
    pub(crate) fn replaced_by(&self, order: &Order) -> impl Iterator<Item = &Order> + '_ {
        let lane = self.lanes.get(&order.client).filter(|_| order.is_delayed_rule());
        let waiting = lane.into_iter().flat_map(|lane| lane.delayed.iter().chain(&lane.failed));
        let command = order.command.clone();
        waiting
            .filter_map(|(_, id)| self.orders.get(id))
            .filter(move |waiting| waiting.command == command)
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

    /// The one place where a lane changes, so that `heads` always tells the truth about it.
    fn change_lane<T>(&mut self, client: IpAddr, change: impl FnOnce(&mut Lane) -> T) -> T {
        let lane = self.lanes.entry(client).or_default();
        if let Some(head) = lane.head() {
            self.heads.remove(&head);
        }
        let result = change(lane);
        if let Some(head) = lane.head() {
            self.heads.insert(head);
        } else if lane.in_flight.is_empty() {
            self.lanes.remove(&client);
        }
        result
    }
}

impl Lane {
    fn insert(&mut self, order: &Order) {
        let place = (order.due, order.id);
        match (order.is_delayed(), order.attempts) {
            (false, _) => {
                self.at_once.insert(order.id, order.due);
            }
            (true, 0) => {
                self.delayed.insert(place);
            }
            (true, _) => {
                self.failed.insert(place);
            }
        }
    }

    fn remove(&mut self, order: &Order) {
        let place = (order.due, order.id);
        self.at_once.remove(&order.id);
        self.delayed.remove(&place);
        self.failed.remove(&place);
    }

    /// Whether it was with a worker until now.
    fn lands(&mut self, id: OrderId) -> bool {
        let before = self.in_flight.len();
        self.in_flight.retain(|flying| flying.id != id);
        self.in_flight.len() < before
    }

    fn head(&self) -> Option<Place> {
        match self.in_flight.as_slice() {
            [] => self.next_in_sequence(),
            [flying] => self.beside(flying),
            _ => None,
        }
    }

    /// What may go although this one is with a worker: a closing of another knock, unless it came
    /// behind an opening that has not begun.
    fn beside(&self, flying: &Flying) -> Option<Place> {
        let holds_until = flying.holds_until?;
        let opening = self.at_once.keys().next();
        let delayed = self.delayed.first().filter(|(_, id)| opening.is_none_or(|first| id < first));
        let next = delayed.into_iter().chain(self.failed.first()).copied().min()?;
        let is_ended_first = flying.expires.is_some_and(|expires| expires <= next.0);
        (!is_ended_first).then(|| (next.0.max(holds_until), next.1))
    }

    fn next_in_sequence(&self) -> Option<Place> {
        let at_once = self.at_once.iter().next().map(|(id, due)| (*due, *id));
        let in_sequence = match (at_once, self.delayed.first().copied()) {
            (Some(first), Some(closing)) if closing.0 < first.0 && closing.1 < first.1 => {
                Some(closing)
            }
            (Some(first), Some(closing)) => Some((first.0.min(closing.0), first.1)),
            (first, closing) => first.or(closing),
        };
        in_sequence.into_iter().chain(self.failed.first().copied()).min()
    }
}

#[cfg(test)]
mod tests;
