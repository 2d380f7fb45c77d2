//! Whatever happens in whatever sequence: one order a client, first come first served, none lost.

use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use knock_rules::Command;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Schedule {
        client: u32,
        due: u64,
    },
    HandOut {
        at_most: usize,
    },
    PutBack(usize),
    Reschedule {
        nth: usize,
        let_pass: bool,
    },
    Finish(usize),
    /// Finished without having been handed out, as when it is revoked.
    Revoke(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u32..4, 0u64..50).prop_map(|(client, due)| Step::Schedule { client, due }),
        4 => (0usize..9).prop_map(|at_most| Step::HandOut { at_most }),
        1 => (0usize..4).prop_map(Step::PutBack),
        1 => (0usize..4, prop::bool::ANY)
            .prop_map(|(nth, let_pass)| Step::Reschedule { nth, let_pass }),
        3 => (0usize..4).prop_map(Step::Finish),
        1 => (0usize..9).prop_map(Step::Revoke),
    ];
    prop::collection::vec(step, 0..150)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn order(id: u64, client: u32, due: u64) -> Order {
    Order {
        id: OrderId(id),
        client: IpAddr::V4(Ipv4Addr::from_bits(client)),
        action: "open".to_owned(),
        template: "open".to_owned(),
        due: at(due),
        delay: Duration::ZERO,
        command: Command::Shell(String::new()),
        environment: Vec::new(),
        timeout: Duration::ZERO,
        attempts: 0,
    }
}

/// What may be handed out at this time, worked out from nothing but the orders themselves.
fn expected(
    known: &[Order],
    in_flight: &[OrderId],
    passed: &[OrderId],
    wall: SystemTime,
) -> Vec<OrderId> {
    let holds = |order: &Order| order.attempts > 0 && !passed.contains(&order.id);
    let mut heads: Vec<&Order> = Vec::new();
    for order in known {
        let lane = known.iter().filter(|other| other.client == order.client);
        let busy = lane.clone().any(|other| in_flight.contains(&other.id));
        let first = lane.min_by_key(|other| (!holds(other), other.due, other.id));
        if !busy && first.is_some_and(|first| first.id == order.id) && order.due <= wall {
            heads.push(order);
        }
    }
    heads.sort_by_key(|order| (order.due, order.id));
    heads.iter().map(|order| order.id).collect()
}

proptest! {
    #[test]
    fn the_agenda_does_what_a_list_does(steps in steps()) {
        let mut agenda = Agenda::default();
        let mut known: Vec<Order> = Vec::new();
        let mut in_flight: Vec<OrderId> = Vec::new();
        let mut passed: Vec<OrderId> = Vec::new();
        for (seconds, step) in (0..).zip(steps) {
            let pick = |nth: usize| in_flight.get(nth % in_flight.len().max(1)).copied();
            match step {
                Step::Schedule { client, due } => {
                    let order = order(seconds, client, due);
                    known.push(order.clone());
                    agenda.schedule(order.clone());
                    agenda.schedule(order);
                }
                Step::HandOut { at_most } => {
                    let mut expected = expected(&known, &in_flight, &passed, at(seconds));
                    let all = expected.len() <= at_most;
                    expected.truncate(at_most);
                    let out = agenda.hand_out(at(seconds), at_most);
                    let out: Vec<_> = out.iter().map(|order| order.id).collect();
                    prop_assert_eq!(&out, &expected);
                    in_flight.extend(out);
                    if all {
                        prop_assert!(agenda.next_due().is_none_or(|due| due > at(seconds)));
                    }
                }
                Step::PutBack(nth) => if let Some(id) = pick(nth) {
                    in_flight.retain(|flying| *flying != id);
                    agenda.put_back(id);
                },
                Step::Reschedule { nth, let_pass } => if let Some(id) = pick(nth) {
                    in_flight.retain(|flying| *flying != id);
                    let order = known.iter_mut().find(|order| order.id == id).unwrap();
                    order.due = at(seconds + 3);
                    order.attempts += 1;
                    agenda.reschedule(id, order.due, order.attempts);
                    passed.retain(|passed| *passed != id);
                    if let_pass {
                        passed.push(id);
                        agenda.let_pass(id);
                    }
                },
                Step::Finish(nth) => if let Some(id) = pick(nth) {
                    in_flight.retain(|flying| *flying != id);
                    known.retain(|order| order.id != id);
                    prop_assert!(agenda.strike_out(id).is_some());
                    prop_assert!(agenda.strike_out(id).is_none());
                },
                Step::Revoke(nth) => if let Some(id) = known.get(nth).map(|order| order.id) {
                    in_flight.retain(|flying| *flying != id);
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
            in_flight.extend(agenda.hand_out(at(1_000), usize::MAX).iter().map(|order| order.id));
            if in_flight.is_empty() {
                break;
            }
            for id in in_flight.drain(..) {
                agenda.strike_out(id);
            }
        }
        prop_assert_eq!(agenda.orders().count(), 0);
        prop_assert!(agenda.lanes.is_empty() && agenda.heads.is_empty());
        prop_assert!(agenda.let_pass.is_empty());
    }
}
