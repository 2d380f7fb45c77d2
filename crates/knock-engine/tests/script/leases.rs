//! The part of a script that is about leases.
//!
//! In a plan: `maxlease`, `onelease`, and in an action `opens PORT for TIME [hold] [udp] [prefix N]` or
//! `shuts PORT`, and `cools TIME`.
//!
//! | command | answer |
//! | --- | --- |
//! | `leases` | `id:port/network@until` with its state, if that is not open |
//! | `revoke ID`; `extend ID TIME`, `extend ID never` | what it came to |
//! | `held PORT/NETWORK[@LEFT] …` | what the comparison with the firewall came to; without `@`, of a rule that cannot tell the time, with `<TIME` of one that can tell no time from then on |
//! | `look-at-firewall` | what `held` says next was so at this moment |
//! | `connected N ask/PORT CLIENT` | what becomes of the question |

use knock_engine::{
    Action, Change, Close, EndedBy, Fate, Hold, KeptBy, Lease, LeaseId, LeaseNews, LeasePolicy,
    LeaseRule, LeaseState, OneLease, Open, Order, Outcome,
};
use knock_rules::{Command, Family, Held, LeaseTime, Names, Opening, PortNumber, Protocol};

use super::{START, Stage, UNIX_EPOCH, duration, or_nothing};

/// What an order is called: its action, or what it does to which port.
pub(super) fn name(order: &Order) -> String {
    match &order.command {
        Command::Open { opening } => format!("open/{}", opening.port),
        Command::Close { opening } => format!("close/{}", opening.port),
        Command::CountConnections { opening } => format!("ask/{}", opening.port),
        _ => order.action.clone(),
    }
}

pub(super) fn policy(max: Option<&str>, one: &str) -> LeasePolicy {
    LeasePolicy {
        max: max.map(duration),
        one: match one {
            "no" => OneLease::No,
            "yes" => OneLease::Everybody,
            field => OneLease::By(field.to_owned()),
        },
    }
}

/// ` opens PORT for TIME …`, ` shuts PORT`, ` cools TIME`.
pub(super) fn part(action: &mut Action, part: &str, value: &str, names: &Names) {
    match part {
        " cools " => action.cooldown = Some(duration(value)),
        " shuts " => {
            let port = PortNumber::parse(value, names).unwrap();
            action.lease = Some(LeaseRule::Close(Close { port, protocol: Protocol::Tcp }));
        }
        _ => {
            let (port, rest) = value.split_once(" for ").expect(value);
            let mut words = rest.split(' ');
            let mut open = Open {
                port: PortNumber::parse(port, names).unwrap(),
                protocol: Protocol::Tcp,
                length: LeaseTime::parse(words.next().unwrap(), names).unwrap(),
                hold: KeptBy::Nothing,
                prefix4: 32,
                prefix6: 128,
            };
            while let Some(word) = words.next() {
                match word {
                    "hold" => open.hold = KeptBy::Connection,
                    "udp" => open.protocol = Protocol::Udp,
                    "prefix" => open.prefix4 = words.next().unwrap().parse().unwrap(),
                    _ => panic!("{word}"),
                }
            }
            action.lease = Some(LeaseRule::Open(open));
        }
    }
}

fn opening(text: &str) -> Opening {
    let (port, network) = text.split_once('/').expect(text);
    let (port, network) = (port.parse().unwrap(), network.parse().unwrap());
    Opening { network, protocol: Protocol::Tcp, port }
}

fn short(opening: &Opening) -> String {
    format!("{}/{}", opening.port, opening.network)
}

impl Stage {
    pub(super) fn lease_command(&mut self, verb: &str, rest: &str) -> String {
        match verb {
            "leases" => or_nothing(self.engine.leases().map(|lease| self.lease(lease)).collect()),
            "revoke" => match self.engine.revoke(LeaseId(rest.parse().unwrap())) {
                Some(changes) => {
                    let answer = if changes.is_empty() { "already" } else { "ends" };
                    self.durable.extend(changes);
                    answer.to_owned()
                }
                None => "unknown".to_owned(),
            },
            "extend" => {
                let (id, until) = rest.split_once(' ').expect(rest);
                let until = (until != "never").then(|| self.now().wall + duration(until));
                match self.engine.extend(&self.now(), LeaseId(id.parse().unwrap()), until) {
                    Ok(changes) => {
                        self.engine.commit(&changes);
                        self.durable.extend(changes);
                        "extended".to_owned()
                    }
                    Err(error) => error.to_string(),
                }
            }
            "held" => {
                let is_unread = |word: &&str| word.starts_with('!');
                let unread: Vec<Family> = rest
                    .split_whitespace()
                    .filter(is_unread)
                    .map(|word| if word == "!v4" { Family::V4 } else { Family::V6 })
                    .collect();
                let held: Vec<Held> = rest
                    .split_whitespace()
                    .filter(|word| !is_unread(word))
                    .map(|text| match text.split_once(['@', '<']) {
                        Some((what, from)) if text.contains('<') => Held {
                            opening: opening(what),
                            left: None,
                            no_end_from: Some(UNIX_EPOCH + START + duration(from)),
                        },
                        Some((text, "never")) => {
                            Held { opening: opening(text), left: None, no_end_from: None }
                        }
                        Some((text, left)) => Held {
                            opening: opening(text),
                            left: Some(duration(left)),
                            no_end_from: None,
                        },
                        // A rule that cannot tell the time.
                        None => Held {
                            opening: opening(text),
                            left: None,
                            no_end_from: Some(UNIX_EPOCH),
                        },
                    })
                    .collect();
                let asked = self.asked.take().unwrap_or(self.engine.lease_generation());
                let result = self.engine.reconcile(&self.now(), &held, &unread, asked);
                let back = result.put_back.iter().map(|opening| format!("+{}", short(opening)));
                let gone = result.removed.iter().map(|opening| format!("-{}", short(opening)));
                or_nothing(back.chain(gone).collect())
            }
            "look-at-firewall" => {
                self.asked = Some(self.engine.lease_generation());
                String::new()
            }
            "connected" => {
                let (connections, order) = rest.split_once(' ').expect(rest);
                let connections = connections.parse().unwrap();
                self.finish(order, &Outcome::Counted { connections })
            }
            _ => panic!("no such command: {verb} {rest}"),
        }
    }

    pub(super) fn lease(&self, lease: &Lease) -> String {
        let until = lease.until.map_or("never".to_owned(), |until| self.moment(until));
        let state = match &lease.state {
            LeaseState::Open => String::new(),
            LeaseState::Opening => " opening".to_owned(),
            LeaseState::Closing => " closing".to_owned(),
            LeaseState::Failed { why } => format!(" failed: {why}"),
        };
        let user = lease.user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default();
        let hold = match lease.hold {
            Hold::No => String::new(),
            Hold::Connected { step } => format!(" step {}s", step.as_secs()),
        };
        format!("{}:{}@{until}{hold}{user}{state}", lease.id, short(&lease.opening))
    }

    pub(super) fn lease_news(&self, news: &LeaseNews) -> String {
        match news {
            LeaseNews::Granted(lease) => format!("grants {}", self.lease(lease)),
            LeaseNews::Renewed(lease) => format!("renews {}", self.lease(lease)),
            LeaseNews::Ended { lease, why: EndedBy::CloseKnock } => format!("ends {}", lease.id),
            LeaseNews::Ended { lease, why: EndedBy::NewAddress } => {
                format!("leaves {}", lease.id)
            }
            LeaseNews::NothingOpen { port, .. } => format!("{port} is not open"),
            LeaseNews::Full { most, client, .. } => match client {
                Some(_) => format!("full, {most} of the client"),
                None => format!("full, {most}"),
            },
        }
    }

    /// What came of an order of a lease, and what is to be written of it.
    pub(super) fn lease_finished(&self, fate: Fate, changes: &[Change]) -> String {
        let fate = match fate {
            Fate::Done => None,
            Fate::Again { after, .. } => Some(format!("again in {}s", after.as_secs())),
            Fate::GivenUp { tries } => Some(format!("given up after {tries}")),
            Fate::Replaced => Some("replaced".to_owned()),
            Fate::KeptHere => Some("kept here".to_owned()),
        };
        let told = changes.iter().map(|change| match change {
            Change::Leased(lease) => self.lease(lease),
            Change::LeaseClosed(id) => format!("{id} is closed"),
            other => format!("{other:?}"),
        });
        or_nothing(fate.into_iter().chain(told).collect())
    }
}
