//! The engine: one hit in, one verdict out; and the agenda of what accepted knocks asked for.
//! Reads no clock, touches no file, runs nothing. Only an accepted knock makes it answer with
//! anything that is to be written or run, so a stranger causes neither.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_wire::{Digest, Hit, Knock, PortSpan, Refusal};

use crate::allowance::Allowance;
use crate::clients::Clients;
use crate::cooldown::Cooldowns;
use crate::grant::{Knocker, grant};
use crate::judge::{Judgement, judge};
use crate::ledger::{self, Change, ClockNews, Ledger, Machine};
use crate::now::Now;
use crate::order::{Order, OrderId, Outcome};
use crate::plan::{OneLease, Plan, Replay};
use crate::queue::{Limits, Pushed, Stamp};
use crate::retry::{self, Fate};
use crate::verdict::{Accepted, Says, Verdict};

/// Queues, decoding, deciding, and the agenda.
#[derive(Debug)]
pub struct Engine {
    plan: Plan,
    /// Of the plan: worked out once, not for each hit.
    limits: Limits,
    clients: Clients,
    pub(crate) ledger: Ledger,
    /// The greatest id handed out, committed or not.
    last_id: OrderId,
    /// The window under judgement; kept so that a refusal costs no allocation.
    window: Vec<u16>,
    derivations: Allowance,
    cooldowns: Cooldowns,
    /// The cooldowns that begin once the last knock is committed.
    pub(crate) answering: Vec<Answering>,
    counters: Counters,
}

/// Whom an action answers, and from when to when it does not do so again.
#[derive(Debug)]
pub(crate) struct Answering {
    client: IpAddr,
    action: String,
    uptime: Duration,
    until: Duration,
}

/// What a hit came to in its queue.
enum Taken {
    OutsideSpan,
    Repeated,
    Queued {
        filled: usize,
    },
    Refused(Refusal),
    /// A knock, and by what it is known again, if it is to be accepted once.
    Knock(Knock, Option<Digest>),
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// What was tried, as it was before.
    pub order: Order,
    /// What follows from it. Applied already, since the world is so whatever the disk says; to be
    /// made durable.
    pub changes: Vec<Change>,
    /// What becomes of the order.
    pub fate: Fate,
    /// The template of its `onfailure` that is run now.
    pub follow_up: Option<String>,
}

/// What became of all hits since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Hits seen.
    pub hits: u64,
    /// Those on ports that carry no knock.
    pub outside_span: u64,
    /// Those that were an earlier packet again.
    pub repeated: u64,
    /// Windows that were refused, by [`Refusal::code`].
    pub refused: BTreeMap<&'static str, u64>,
    /// Knocks.
    pub accepted: u64,
    /// Clients forgotten to make room for others.
    pub evicted: u64,
}

impl Engine {
    /// An engine that goes by this plan and continues from this ledger.
    #[must_use]
    pub fn new(plan: Plan, mut ledger: Ledger) -> Self {
        ledger.leases.are_of_before();
        Self {
            limits: Limits::of(&plan),
            clients: Clients::new(plan.queue.max_clients),
            last_id: ledger.greatest_id(),
            ledger,
            plan,
            window: Vec::new(),
            derivations: Allowance::default(),
            cooldowns: Cooldowns::default(),
            answering: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Takes in one hit. An accepted knock's changes are not applied: the caller makes them durable
    /// and then calls [`commit`](Self::commit); if that fails, nothing has happened, and it calls
    /// [`refuse`](Self::refuse).
    pub fn hit(&mut self, now: &Now, hit: &Hit) -> Verdict {
        match self.take(now, hit) {
            Taken::OutsideSpan => Verdict::OutsideSpan,
            Taken::Repeated => Verdict::Repeated,
            Taken::Queued { filled } => Verdict::Queued { filled, of: self.limits.slots },
            Taken::Refused(refusal) => {
                self.count(refusal);
                Verdict::Refused(refusal)
            }
            Taken::Knock(knock, digest) => {
                self.counters.accepted += 1;
                let mut accepted = self.answer(now, knock, hit.client.to_canonical());
                let spent = |digest| Change::Spent { digest, accepted: now.wall };
                accepted.changes.extend(digest.map(spent));
                Verdict::Accepted(accepted)
            }
        }
    }

    /// Takes in one hit that an earlier run has dealt with, and that is read again. It fills its queue
    /// for what comes behind it; a knock that it completes has been answered, and is nobody's try to
    /// knock twice.
    pub fn hit_again(&mut self, now: &Now, hit: &Hit) {
        match self.take(now, hit) {
            Taken::Refused(refusal) if refusal != Refusal::Replayed => self.count(refusal),
            _ => {}
        }
    }

    fn take(&mut self, now: &Now, hit: &Hit) -> Taken {
        self.counters.hits += 1;
        let Some(symbol) = self.plan.codec.span().symbol(hit.port) else {
            self.counters.outside_span += 1;
            return Taken::OutsideSpan;
        };
        let client = hit.client.to_canonical();
        let limits = self.limits;
        let queue = self.clients.queue(client);
        let filled = match queue.push(symbol, hit.source_port, Stamp::of(now.uptime), limits) {
            Pushed::Repeated => {
                self.counters.repeated += 1;
                return Taken::Repeated;
            }
            Pushed::Filled(filled) => filled,
        };
        if filled < limits.slots {
            return Taken::Queued { filled };
        }
        self.window.clear();
        self.window.extend(queue.window());
        let (codec, ledger, window) = (&self.plan.codec, &self.ledger, &self.window);
        // By what it will be known again, if it is to be.
        let digest = || match self.plan.replay {
            Replay::Allow => None,
            Replay::Reject => codec.digest(window),
        };
        let is_spent = |digest: &Digest| ledger.is_spent(digest);
        let decoded = match codec.slow_derivation(window) {
            // Else whoever has seen a knock could use up with it what real ones need.
            Some(_) if digest().as_ref().is_some_and(is_spent) => Err(Refusal::Replayed),
            Some(slow) if !self.derivations.take(slow, now.uptime) => Err(Refusal::Busy),
            Some(_) | None => codec.decode(window, client).and_then(|knock| match digest() {
                Some(digest) if is_spent(&digest) => Err(Refusal::Replayed),
                digest => Ok((knock, digest)),
            }),
        };
        match decoded {
            // All of its hits are accounted for.
            Ok((knock, digest)) => {
                queue.empty();
                Taken::Knock(knock, digest)
            }
            Err(Refusal::Replayed) => {
                queue.empty();
                Taken::Refused(Refusal::Replayed)
            }
            Err(refusal) => {
                queue.slide();
                Taken::Refused(refusal)
            }
        }
    }

    fn answer(&mut self, now: &Now, knock: Knock, client: IpAddr) -> Accepted {
        let memory = self.ledger.memory_mut();
        let cools = |action: &str| self.cooldowns.holds(client, action, now.uptime);
        let judgement = judge(&self.plan, &knock, client, now, memory, self.last_id, &cools);
        let Judgement { mut orders, asks, written, faults, judged } = judgement;
        if let Some(last) = orders.iter().map(|order| order.id).max() {
            self.last_id = last;
        }
        let renewed = self.renew(&mut orders);
        let user = match &self.plan.leases.one {
            OneLease::By(field) => knock.get(field).map(|value| value.to_string()),
            OneLease::No | OneLease::Everybody => None,
        };
        let knocker = Knocker { client, user, knock: knock.to_string() };
        let (policy, leases) = (&self.plan.leases, &self.ledger.leases);
        let granted = grant(&asks, &knocker, policy, leases, now.wall, &mut self.last_id);
        let is_left_out = |action: &str| faults.iter().any(|(faulty, _)| faulty == action);
        let answered = judged
            .iter()
            .filter(|judged| judged.condition == Says::Yes && !is_left_out(&judged.action));
        let cooldown = |action: &str| {
            let mut actions = self.plan.actions.iter().filter(|known| known.name == action);
            actions.find_map(|action| action.cooldown)
        };
        self.answering = answered
            .filter_map(|judged| {
                let until = now.uptime.checked_add(cooldown(&judged.action)?)?;
                let action = judged.action.clone();
                Some(Answering { client, action, uptime: now.uptime, until })
            })
            .collect();
        let scheduled = orders.iter().cloned().map(Change::Scheduled);
        let written = written.into_iter().map(Change::Remembered);
        let changes = written.chain(granted.changes).chain(renewed).chain(scheduled).collect();
        Accepted { knock, client, orders, leases: granted.news, changes, faults, judged }
    }

    /// The ports in a client's queue, oldest first. Costs an allocation: for who wants to be told.
    #[must_use]
    pub fn queued(&self, client: IpAddr) -> Vec<u16> {
        let queue = self.clients.get(client.to_canonical());
        queue.map_or(Vec::new(), |queue| self.ports(queue.window()))
    }

    /// How many clients have a queue.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The ports of the window that was judged last, oldest first.
    #[must_use]
    pub fn judged_window(&self) -> Vec<u16> {
        self.ports(self.window.iter().copied())
    }

    /// What it goes by.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The ports that carry a knock.
    #[must_use]
    pub fn span(&self) -> &PortSpan {
        self.plan.codec.span()
    }

    /// Applies changes that are durable now. Applying them again changes nothing.
    pub fn commit(&mut self, changes: &[Change]) {
        for Answering { client, action, uptime, until } in std::mem::take(&mut self.answering) {
            self.cooldowns.begin(client, &action, until, uptime);
        }
        self.apply(changes);
    }

    pub(crate) fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            self.ledger.apply(change);
        }
    }

    /// To be told the time before anything that goes by it: the clock may have been set since the last
    /// time, or while nobody was there to see it. Then deadlines move with it, and the news say so.
    pub fn keep_time(&mut self, now: &Now, machine: &Machine) -> Option<ClockNews> {
        let news = ledger::compare(&self.ledger, now, machine)?;
        if let Some(step) = news.step {
            self.ledger.agenda.clock_set(step);
            self.ledger.leases.clock_set(step);
        }
        self.apply(&news.changes);
        Some(news)
    }

    /// Hands out what is due, `at_most` so many, earliest first, those of leases before all: never two
    /// orders of the agenda for one client at a time, nor two for one opening, and none twice before it
    /// was put back or finished.
    pub fn due(&mut self, now: &Now, at_most: usize) -> Vec<Order> {
        let mut orders = self.ledger.leases.hand_out(now.wall, at_most, &mut self.last_id);
        orders.extend(self.ledger.agenda.hand_out(now.wall, at_most - orders.len()));
        orders
    }

    /// When to call [`due`](Self::due) next, if nothing else happens before. It does not count
    /// orders that wait for another of their client, and names no time while orders that were put
    /// back wait for a worker: [`finished`](Self::finished) comes first then.
    #[must_use]
    pub fn next_due(&self) -> Option<SystemTime> {
        let dues = [self.ledger.leases.next_due(), self.ledger.agenda.next_due()];
        dues.into_iter().flatten().min()
    }

    /// An order that found no free worker; it stays due.
    pub fn put_back(&mut self, id: OrderId) {
        self.ledger.leases.put_back(id);
        self.ledger.agenda.put_back(id);
    }

    /// Takes in what came of an order. `None`: nobody knows it, and nothing changes.
    pub fn finished(&mut self, now: &Now, id: OrderId, outcome: &Outcome) -> Option<Finished> {
        if let Some((order, fate, changes)) = self.ledger.leases.finished(now.wall, id, outcome) {
            self.apply(&changes);
            return Some(Finished { order, changes, fate, follow_up: None });
        }
        let order = self.ledger.agenda.get(id)?.clone();
        let (fate, change) = match retry::fate(&order, outcome) {
            Fate::Again { after, tries } => self.again(now, &order, after, tries),
            fate => (fate, Change::Finished(id)),
        };
        let next = OrderId(self.last_id.0 + 1);
        let (follower, follow_up) = if fate == Fate::KeptHere {
            (Some(order.kept_here(next)), None)
        } else if retry::has_failed(&order, fate) {
            // With its id it has its place. A closing rule keeps both, since its tries go on.
            let is_over = matches!(change, Change::Finished(_));
            let fallback = order.fallback(if is_over { id } else { next });
            let template = fallback.as_ref().map(|fallback| fallback.template.clone());
            (fallback, template)
        } else {
            (None, None)
        };
        let mut changes = vec![change];
        if let Some(mut follower) = follower {
            self.last_id = self.last_id.max(follower.id);
            changes.extend(self.renew(std::slice::from_mut(&mut follower)));
            changes.push(Change::Scheduled(follower));
        }
        self.apply(&changes);
        Some(Finished { order, changes, fate, follow_up })
    }

    /// Goes by another plan from now on. Agenda and memory stay as they are; queues stay where the
    /// slots and the span are the same, else what they hold means nothing any more.
    pub fn replace_plan(&mut self, plan: Plan) {
        let (old, new) = (&self.plan.codec, &plan.codec);
        let keep = old.slots() == new.slots() && old.span() == new.span();
        let max = plan.queue.max_clients;
        let clients = std::mem::replace(&mut self.clients, Clients::new(max));
        if keep {
            self.clients = clients.bounded_by(max);
        } else {
            self.counters.evicted += clients.evicted();
        }
        self.limits = Limits::of(&plan);
        self.plan = plan;
    }

    /// What has to survive a restart.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What became of all hits so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters.clone();
        counters.evicted += self.clients.evicted();
        counters
    }

    /// Another try would help; whether there may be one.
    fn again(&self, now: &Now, order: &Order, after: Duration, tries: u32) -> (Fate, Change) {
        let agenda = &self.ledger.agenda;
        let due = now.wall.checked_add(after).unwrap_or(now.wall);
        let fate = if order.is_delayed() {
            let renewed = agenda.replaced_by(order).any(|later| later.id > order.id);
            if renewed { Fate::Replaced } else { Fate::Again { after, tries } }
        } else {
            let last = [agenda.last_try(order.client), order.expires].into_iter().flatten().min();
            let too_late = last.is_some_and(|last| due >= last);
            if too_late { Fate::GivenUp { tries } } else { Fate::Again { after, tries } }
        };
        let change = match fate {
            Fate::Again { .. } => Change::Rescheduled { id: order.id, due, attempts: tries },
            _ => Change::Finished(order.id),
        };
        (fate, change)
    }

    /// A closing that waits and the one that is to follow a renewed opening are the same rule taken
    /// out twice: the earlier would cut the renewed opening short. So the later one takes the place
    /// of both. Returns what strikes the earlier ones out.
    fn renew(&self, orders: &mut [Order]) -> Vec<Change> {
        let mut struck_out = Vec::new();
        for order in orders {
            let mut due = order.due;
            for earlier in self.ledger.agenda.replaced_by(order) {
                due = due.max(earlier.due);
                struck_out.push(Change::Finished(earlier.id));
            }
            order.delay += due.duration_since(order.due).unwrap_or_default();
            order.due = due;
        }
        struck_out
    }

    fn ports(&self, symbols: impl Iterator<Item = u16>) -> Vec<u16> {
        symbols.filter_map(|symbol| self.span().port(symbol)).collect()
    }

    fn count(&mut self, refusal: Refusal) {
        *self.counters.refused.entry(refusal.code()).or_default() += 1;
    }
}
