//! Which actions answer a knock, and what they ask for.
//! Decides only: carries nothing out, and leaves the memory as it found it.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_rules::{
    Command, EvalError, Memory, MemoryChange, Network, Opening, Scope, Template, environment,
};
use knock_wire::Knock;

use crate::grant::{Ask, AskFor};
use crate::now::Now;
use crate::order::{Fallback, Order, OrderId};
use crate::plan::{Action, LeaseRule, Plan, Scheduler};
use crate::verdict::{Judged, Says};

/// What all matching actions together ask for.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) orders: Vec<Order>,
    pub(crate) asks: Vec<Ask>,
    pub(crate) written: Vec<MemoryChange>,
    pub(crate) faults: Vec<(String, EvalError)>,
    pub(crate) judged: Vec<Judged>,
}

/// Judges one knock by every action, in their order. What an action writes to the state variable is
/// seen by the actions behind it, as in the original, which ran one after the other.
///
/// An action with anything that has no result (its condition, command or state) is left out as a
/// whole. If it has a delay, everything is: an opening must not go out without the closing that was
/// to follow it.
pub(crate) fn judge(
    plan: &Plan,
    knock: &Knock,
    client: IpAddr,
    now: &Now,
    memory: &mut Memory,
    ids_after: OrderId,
    cools: &dyn Fn(&str) -> bool,
) -> Judgement {
    let mut trial = Trial { knock, client, now, memory, written: Vec::new(), undo: Vec::new() };
    let mut judgement = Judgement::default();
    for action in &plan.actions {
        let (written, undone) = (trial.written.len(), trial.undo.len());
        debug_assert_eq!(written, undone, "each change has its way back");
        let condition = trial.condition(action).map(|says| match says {
            Says::Yes if action.cooldown.is_some() && cools(&action.name) => Says::TooSoon,
            says => says,
        });
        if let Ok(says) = condition {
            judgement.judged.push(Judged { action: action.name.clone(), condition: says });
        }
        let answer = match condition {
            Ok(Says::Yes) => trial.answer(action),
            Ok(Says::No | Says::TooSoon) => Ok(Answer::default()),
            Err(fault) => Err(fault),
        };
        let fault = match answer {
            Ok(Answer { order, ask }) => {
                judgement.orders.extend(order);
                judgement.asks.extend(ask);
                continue;
            }
            Err(fault) => fault,
        };
        judgement.faults.push((action.name.clone(), fault));
        if action.delay.is_some() {
            trial.take_back_to(0);
            judgement.orders.clear();
            judgement.asks.clear();
            break;
        }
        trial.take_back_to(written);
    }
    if plan.scheduler == Scheduler::At {
        hand_over(&mut judgement.orders);
    }
    end_in_time(&mut judgement.orders);
    // Lower ids go first: nothing opens before at(1) has what closes it.
    let (first, then): (Vec<_>, Vec<_>) =
        judgement.orders.iter_mut().partition(|order| order.hand_over.is_some());
    for (order, id) in first.into_iter().chain(then).zip(ids_after.0 + 1..) {
        order.id = OrderId(id);
    }
    judgement.written = trial.end();
    judgement
}

/// What has a delay goes to at(1).
fn hand_over(orders: &mut [Order]) {
    for order in orders.iter_mut().filter(|order| order.is_delayed()) {
        let minute = next_full_minute(order.due);
        order.due = order.due.checked_sub(order.delay).unwrap_or(order.due);
        order.hand_over = Some(minute);
    }
}

/// What is done at once has to be over before it is taken back.
fn end_in_time(orders: &mut [Order]) {
    let taken_back = |order: &Order| order.hand_over.or(order.is_delayed().then_some(order.due));
    let first = orders.iter().filter_map(taken_back).min();
    for order in orders.iter_mut().filter(|order| taken_back(order).is_none()) {
        order.expires = first;
    }
}

/// at(1) knows full minutes only. The next and not the last: nothing closes early.
pub(crate) fn next_full_minute(time: SystemTime) -> SystemTime {
    const MINUTE: Duration = Duration::from_secs(60);
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let minutes = since.as_secs() / MINUTE.as_secs();
    let full = minutes * MINUTE.as_secs();
    let is_full = since == Duration::from_secs(full);
    let full = if is_full { full } else { full + MINUTE.as_secs() };
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(full)).unwrap_or(time)
}

/// What would be run after a failure has its values now: the knock is not kept until then.
fn filled(
    templates: &[Fallback<Template>],
    scope: &Scope<'_>,
) -> Result<Vec<Fallback<Command>>, EvalError> {
    let fill = |fallback: &Fallback<Template>| {
        Ok(Fallback {
            template: fallback.template.clone(),
            command: fallback.command.fill(scope)?,
            user: fallback.user.clone(),
            timeout: fallback.timeout,
        })
    };
    templates.iter().map(fill).collect()
}

/// What one action asks for.
#[derive(Debug, Default)]
struct Answer {
    order: Option<Order>,
    ask: Option<Ask>,
}

/// One knock being judged. The memory is written to while it lasts, so that later actions see what
/// earlier ones wrote, and put back as it was at the end: a copy of it might be megabytes.
struct Trial<'a> {
    knock: &'a Knock,
    client: IpAddr,
    now: &'a Now,
    memory: &'a mut Memory,
    written: Vec<MemoryChange>,
    undo: Vec<MemoryChange>,
}

impl Trial<'_> {
    fn condition(&self, action: &Action) -> Result<Says, EvalError> {
        let holds = action.condition.holds(&self.scope())?;
        Ok(if holds { Says::Yes } else { Says::No })
    }

    /// What an action asks for of which the condition holds.
    fn answer(&mut self, action: &Action) -> Result<Answer, EvalError> {
        let order = match &action.command {
            None => None,
            Some(template) => {
                let scope = self.scope();
                let delay = match &action.delay {
                    Some(delay) => delay.after(&scope)?,
                    None => Duration::ZERO,
                };
                Some(Order {
                    id: OrderId::default(),
                    client: self.client,
                    action: action.name.clone(),
                    template: action.template.clone(),
                    // Delays are capped to years, so the sum exists wherever the clock is sane;
                    // where it is not, closing at once is the safe way to be wrong.
                    due: self.now.wall.checked_add(delay).unwrap_or(self.now.wall),
                    delay,
                    command: template.fill(&scope)?,
                    environment: environment(&scope),
                    timeout: action.timeout,
                    attempts: 0,
                    user: action.user.clone(),
                    on_failure: filled(&action.on_failure, &scope)?,
                    hand_over: None,
                    expires: None,
                })
            }
        };
        let ask = action.lease.as_ref().map(|rule| self.ask(action, rule)).transpose()?;
        for update in &action.state {
            let change = update.apply(&self.scope())?;
            self.write(change);
        }
        Ok(Answer { order, ask })
    }

    /// What it asks of leases.
    fn ask(&self, action: &Action, rule: &LeaseRule) -> Result<Ask, EvalError> {
        let scope = self.scope();
        let address = scope.ip();
        let (port, protocol, what) = match rule {
            LeaseRule::Open(open) => {
                let (port, length) = (open.port.of(&scope)?, open.length.after(&scope)?);
                let bits = if address.is_ipv4() { open.prefix4 } else { open.prefix6 };
                let network = Network::around(address, bits).unwrap_or(Network::host(address));
                let opening = Opening { network, protocol: open.protocol, port };
                (port, open.protocol, AskFor::Open { opening, length, kept_by: open.hold })
            }
            LeaseRule::Close(close) => (close.port.of(&scope)?, close.protocol, AskFor::Close),
        };
        let (action, template) = (action.name.clone(), action.template.clone());
        Ok(Ask { action, template, address, protocol, port, what })
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            knock: self.knock,
            client: self.client,
            memory: self.memory,
            wall: self.now.wall,
            local: self.now.local,
        }
    }

    fn write(&mut self, change: MemoryChange) {
        let before = self.memory.get(&change.path).cloned();
        self.undo.push(MemoryChange { path: change.path.clone(), value: before });
        self.memory.apply(&change);
        self.written.push(change);
    }

    fn take_back_to(&mut self, written: usize) {
        for undo in self.undo.drain(written..).rev() {
            self.memory.apply(&undo);
        }
        self.written.truncate(written);
    }

    fn end(mut self) -> Vec<MemoryChange> {
        let written = std::mem::take(&mut self.written);
        self.take_back_to(0);
        written
    }
}
