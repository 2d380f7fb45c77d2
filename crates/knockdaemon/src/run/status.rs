//! How the daemon is, for `status` and for systemd's line. Looks only; changes nothing.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use knock_engine::Order;

use crate::control::protocol;

use super::failures::{Failure, cut};
use super::reconcile::Obstacle;
use super::source_state::SourceState;
use super::{Daemon, Mode};

/// Orders that are listed; how many there are is told.
const LISTED: usize = 100;
/// Of what is remarked about the firewall.
const REMARKS: usize = 10;

impl Daemon {
    /// All of it.
    pub(super) fn status(&self) -> protocol::Status {
        let (uptime, now) = (self.clock.uptime(), self.clock.now());
        let counters = self.engine.counters();
        let plan = self.engine.plan();
        protocol::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            mode: match self.mode {
                Mode::Respond => protocol::Mode::Respond,
                Mode::DryRun => protocol::Mode::Test,
            },
            config: self.config.display().to_string(),
            started: time(self.started),
            uptime_s: uptime.saturating_sub(self.began).as_secs(),
            reloaded: self.reloaded.map(time),
            sources: self.readers.states().map(|state| source(state, uptime)).collect(),
            queues: protocol::Queues {
                clients: self.engine.clients(),
                most: plan.queue.max_clients,
                evicted: counters.evicted,
                slots: plan.codec.slots(),
            },
            hits: protocol::Hits {
                seen: counters.hits,
                outside_span: counters.outside_span,
                repeated: counters.repeated,
                accepted: counters.accepted,
                refused: counters
                    .refused
                    .iter()
                    .map(|(code, count)| ((*code).to_owned(), *count))
                    .collect(),
            },
            leases: self.engine.leases().count(),
            firewall: self.firewall(),
            agenda: self.agenda(now.wall),
            failed: self.failures.iter().map(|failure| failed(failure, now.uptime)).collect(),
            store: protocol::Store {
                statedir: (self.mode == Mode::Respond).then(|| self.statedir.display().to_string()),
                trouble: self.respond.trouble(),
            },
        }
    }

    /// How the leases compare with what the firewall has.
    pub(super) fn firewall(&self) -> protocol::Firewall {
        let seen = &self.reconciling;
        let ago = |then| tenths(self.clock.uptime().saturating_sub(then));
        let (not_compared, trouble) = match seen.obstacle() {
            Some(Obstacle::NotCompared(why)) => (Some(cut(why)), None),
            Some(Obstacle::NotAsNeeded(why)) => (None, Some(cut(why))),
            None => (None, None),
        };
        protocol::Firewall {
            way: seen.way().map(|way| way.to_string()),
            compared_ago_s: seen.compared().map(ago),
            comparing: seen.is_looking(),
            put_right: seen.put_right(),
            not_compared,
            trouble,
            remarks: seen.remarked().iter().take(REMARKS).map(|remark| cut(remark)).collect(),
        }
    }

    /// A line for `systemctl status`.
    fn in_short(&self) -> String {
        let (mut reading, mut failing) = (0_u64, 0_u64);
        for state in self.readers.states() {
            match state.trouble_now() {
                Some(_) => failing += 1,
                None => reading += 1,
            }
        }
        let sources = match failing {
            0 => counted(reading, "source"),
            _ => format!("{}, {failing} FAILING", counted(reading, "source")),
        };
        let (knocks, orders) =
            (self.engine.counters().accepted, self.engine.ledger().orders().count());
        let leases = self.engine.leases().count();
        let store = self.respond.trouble().map_or("", |_| "; STORE FAILING");
        let (knocks, leases) = (counted(knocks, "knock"), counted(leases, "lease"));
        let orders = counted(orders, "order");
        format!("{sources}; {knocks}, {leases}, {orders} waiting{store}")
    }

    /// Tells systemd that the loop turns, and how things are.
    pub(super) fn tell_service(&mut self, uptime: Duration) {
        if !self.service.listens() {
            return;
        }
        let readers = &self.readers;
        self.service.turn(uptime, || readers.have_begun());
        if std::mem::take(&mut self.is_news) {
            let status = self.in_short();
            self.service.status(uptime, status);
        }
    }

    fn agenda(&self, wall: SystemTime) -> protocol::Agenda {
        let ledger = self.engine.ledger();
        let mut first: Vec<&Order> = ledger.orders().collect();
        let orders = first.len();
        if orders > LISTED {
            first.select_nth_unstable_by_key(LISTED, |order| (order.due, order.id));
            first.truncate(LISTED);
        }
        first.sort_unstable_by_key(|order| (order.due, order.id));
        let next = first.into_iter().map(|order| protocol::Order {
            id: order.id.0,
            due: time(order.due),
            due_in_s: seconds_until(order.due, wall),
            client: order.client,
            template: order.template.clone(),
            command: cut(&order.command.to_string()),
            failures: order.attempts,
        });
        protocol::Agenda { orders, running: self.respond.running(), next: next.collect() }
    }
}

fn source(state: &SourceState, uptime: Duration) -> protocol::Source {
    let (trouble, waiting) = (state.trouble_now(), state.waits_for());
    let now = match &trouble {
        Some(_) => protocol::SourceState::Failed,
        None if waiting.is_some() => protocol::SourceState::Waiting,
        None if state.has_begun() => protocol::SourceState::Reading,
        None => protocol::SourceState::Starting,
    };
    protocol::Source {
        name: state.name().to_owned(),
        state: now,
        lines: state.lines(),
        hits: state.hits(),
        last_line_ago_s: state.last().map(|last| tenths(uptime.saturating_sub(last))),
        lines_per_s: (state.rate(uptime) * 10.0).round() / 10.0,
        waiting: waiting.map(|what| cut(&what)),
        trouble: trouble.map(|trouble| protocol::Trouble {
            error: cut(&trouble.error),
            failures: trouble.failures,
            next_try_s: tenths(trouble.next_try.saturating_sub(uptime)),
        }),
    }
}

fn failed(failure: &Failure, uptime: Duration) -> protocol::Failed {
    protocol::Failed {
        time: time(failure.wall),
        ago_s: uptime.saturating_sub(failure.uptime).as_secs(),
        client: failure.client,
        template: failure.template.clone(),
        command: failure.command.clone(),
        why: failure.why.clone(),
        fate: failure.fate.clone(),
    }
}

/// `1 knock`, `2 knocks`.
fn counted(count: impl TryInto<u64>, what: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A moment for programs.
pub(super) fn time(wall: SystemTime) -> String {
    DateTime::<Utc>::from(wall).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// How long until then; less than nothing when it has passed.
pub(super) fn seconds_until(then: SystemTime, now: SystemTime) -> f64 {
    match then.duration_since(now) {
        Ok(left) => tenths(left),
        Err(past) => -tenths(past.duration()),
    }
}

fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}
