//! Whatever happens in whatever sequence: one order a client but for a closing beside a program that
//! goes on, no closing before its opening, none lost.

use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use knock_rules::Command;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Schedule {
        client: u32,
        delay: u64,
    },
    HandOut {
        at_most: usize,
    },
    PutBack(usize),
    Reschedule(usize),
    Finish(usize),
    /// Finished without having been handed out, as when it is revoked.
    Revoke(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u32..4, prop_oneof![Just(0u64), 1u64..50])
            .prop_map(|(client, delay)| Step::Schedule { client, delay }),
        4 => (0usize..9).prop_map(|at_most| Step::HandOut { at_most }),
        1 => (0usize..4).prop_map(Step::PutBack),
        1 => (0usize..4).prop_map(Step::Reschedule),
        3 => (0usize..4).prop_map(Step::Finish),
        1 => (0usize..9).prop_map(Step::Revoke),
    ];
    prop::collection::vec(step, 0..150)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn order(id: u64, client: u32, delay: u64) -> Order {
    Order {
        id: OrderId(id),
        client: IpAddr::V4(Ipv4Addr::from_bits(client)),
        action: "open".to_owned(),
        template: "open".to_owned(),
        due: at(id + delay),
        delay: Duration::from_secs(delay),
        command: Command::Shell(String::new()),
        environment: Vec::new(),
        timeout: Duration::ZERO,
        attempts: 0,
        user: None,
        on_failure: Vec::new(),
        hand_over: None,
        expires: None,
    }
}

/// What may be handed out at this time, worked out from nothing but the orders themselves.
fn expected(
    known: &[Order],
    in_flight: &[(OrderId, SystemTime)],
    wall: SystemTime,
) -> Vec<OrderId> {
    let mut heads: Vec<Place> = Vec::new();
    for client in (0..4).map(|client| IpAddr::V4(Ipv4Addr::from_bits(client))) {
        let lane = || known.iter().filter(move |order| order.client == client);
        let since = |order: &Order| in_flight.iter().find(|(id, _)| *id == order.id).map(|it| it.1);
        let flying: Vec<_> = lane().filter(|order| since(order).is_some()).collect();
        let lane = || lane().filter(|order| since(order).is_none());
        let at_once = lane().filter(|order| !order.is_delayed()).min_by_key(|order| order.id);
        let by_due = |order: &&Order| (order.due, order.id);
        let delayed = lane().filter(|order| order.is_delayed() && order.attempts == 0);
        let closing = delayed.min_by_key(by_due).map(|order| by_due(&order));
        let failed = lane().filter(|order| order.is_delayed() && order.attempts > 0);
        let failed = failed.min_by_key(by_due).map(|order| by_due(&order));
        let came_before = |opening: &Order, (due, id): Place| due < opening.due && id < opening.id;
        if let [program] = flying.as_slice() {
            let closing = closing.filter(|(_, id)| at_once.is_none_or(|opening| *id < opening.id));
            let next = [closing, failed].into_iter().flatten().min();
            let is_its_own = |due| program.expires.is_some_and(|expires| expires <= due);
            if let Some((due, id)) =
                next.filter(|(due, _)| !program.is_delayed() && !is_its_own(*due))
            {
                heads.push((due.max(since(program).unwrap() + LONG), id));
            }
        }
        if !flying.is_empty() {
            continue;
        }
        let in_sequence = match (at_once, closing) {
            (Some(opening), Some(closing)) if !came_before(opening, closing) => {
                Some((opening.due.min(closing.0), opening.id))
            }
            (Some(opening), None) => Some((opening.due, opening.id)),
            (_, closing) => closing,
        };
        heads.extend([in_sequence, failed].into_iter().flatten().min());
    }
    heads.sort();
    heads.iter().filter(|(due, _)| *due <= wall).map(|(_, id)| *id).collect()
}

proptest! {
    #[test]
    fn the_agenda_does_what_a_list_does(steps in steps()) {
        let mut agenda = Agenda::default();
        let mut known: Vec<Order> = Vec::new();
        let mut in_flight: Vec<(OrderId, SystemTime)> = Vec::new();
        for (seconds, step) in (0..).zip(steps) {
            let pick = |nth: usize| in_flight.get(nth % in_flight.len().max(1)).map(|it| it.0);
            match step {
                Step::Schedule { client, delay } => {
                    let mut order = order(seconds, client, delay);
                    // Some have a closing of their own that ends them.
                    order.expires = (delay == 0 && seconds % 3 == 0).then(|| at(seconds + 7));
                    known.push(order.clone());
                    agenda.schedule(order.clone());
                    agenda.schedule(order);
                }
                Step::HandOut { at_most } => {
                    let mut expected = expected(&known, &in_flight, at(seconds));
                    let all = expected.len() <= at_most;
                    expected.truncate(at_most);
                    let out = agenda.hand_out(at(seconds), at_most);
                    let out: Vec<_> = out.iter().map(|order| order.id).collect();
                    prop_assert_eq!(&out, &expected);
                    in_flight.extend(out.into_iter().map(|id| (id, at(seconds))));
                    if all {
                        prop_assert!(agenda.next_due().is_none_or(|due| due > at(seconds)));
                    }
                }
                Step::PutBack(nth) => if let Some(id) = pick(nth) {
                    in_flight.retain(|flying| flying.0 != id);
                    agenda.put_back(id);
                },
                Step::Reschedule(nth) => if let Some(id) = pick(nth) {
                    in_flight.retain(|flying| flying.0 != id);
                    let order = known.iter_mut().find(|order| order.id == id).unwrap();
                    order.due = at(seconds + 3);
                    order.attempts += 1;
                    agenda.reschedule(id, order.due, order.attempts);
                },
                Step::Finish(nth) => if let Some(id) = pick(nth) {
                    in_flight.retain(|flying| flying.0 != id);
                    known.retain(|order| order.id != id);
                    prop_assert!(agenda.strike_out(id).is_some());
                    prop_assert!(agenda.strike_out(id).is_none());
                },
                Step::Revoke(nth) => if let Some(id) = known.get(nth).map(|order| order.id) {
                    in_flight.retain(|flying| flying.0 != id);
                    known.retain(|order| order.id != id);
                    prop_assert!(agenda.strike_out(id).is_some());
                },
            }
            let ids: Vec<_> = agenda.orders().map(|order| order.id).collect();
            prop_assert_eq!(ids, known.iter().map(|order| order.id).collect::<Vec<_>>());
            prop_assert_eq!(agenda.in_flight, in_flight.len());
        }
        // In the end everything is handed out, one client after the other.
        loop {
            let out = agenda.hand_out(at(1_000), usize::MAX);
            in_flight.extend(out.iter().map(|order| (order.id, at(1_000))));
            if in_flight.is_empty() {
                break;
            }
            for (id, _) in in_flight.drain(..) {
                agenda.strike_out(id);
            }
        }
        prop_assert_eq!(agenda.orders().count(), 0);
        prop_assert!(agenda.lanes.is_empty() && agenda.heads.is_empty());
    }
}
