//! Deadlines when somebody sets the clock: what was asked for ten minutes ends after ten minutes.
//!
//! A deadline is wall time, since only that means the same after a restart of the machine. But the wall
//! clock may be set, and then a deadline from before means another moment. The kernel also counts the
//! time since the machine was started, suspended or not, and nobody sets that. The wall time at which
//! this count began stays what it is as time passes, and moves when the clock is set: by just so much
//! the deadlines move too. It is kept on disk with them, so a daemon that was dead meanwhile sees it.
//!
//! Nothing proves how the clock was set between two runs of the machine. Deadlines from an earlier run
//! stay the wall times that they are; but none waits longer from now on than it was meant to in all.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::{Change, Ledger};
use crate::now::Now;
use crate::order::{Order, OrderId};
use crate::retry;

/// What the clock may be off before that counts as set. Clocks that are steered (NTP, most of the time)
/// take the kernel's count along, so this is only for what is set by less than anybody should care.
const SLACK: Duration = Duration::from_millis(500);

/// The machine, as its kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Names this run of it; no other has the same.
    pub boot: String,
    /// How long this run has lasted at the moment of [`Now::wall`], suspended or not.
    pub up: Duration,
}

/// How the wall clock stood when the deadlines of the ledger were set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// In which run of the machine.
    pub boot: String,
    /// When that run began, by the wall clock as it stood.
    pub began: SystemTime,
    /// Orders up to this one were set in an earlier run of the machine.
    pub earlier: OrderId,
}

/// By how much, and in which direction, a clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To a later time.
    Forward(Duration),
    /// To an earlier time.
    Back(Duration),
}

/// What comparing the clocks came to. Applied already, since the clock is so whatever the disk says.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockNews {
    /// The clock was set by this; `None`: the machine was started anew, or never looked at.
    pub step: Option<Step>,
    /// How many orders and leases have other times now.
    pub moved: usize,
    /// To be made durable.
    pub changes: Vec<Change>,
}

impl Step {
    /// From one moment to the other, if they are far enough apart to matter.
    fn between(old: SystemTime, new: SystemTime) -> Option<Self> {
        let step = match new.duration_since(old) {
            Ok(forward) => Self::Forward(forward),
            Err(back) => Self::Back(back.duration()),
        };
        (step.size() > SLACK).then_some(step)
    }

    /// How far.
    #[must_use]
    pub fn size(self) -> Duration {
        match self {
            Self::Forward(size) | Self::Back(size) => size,
        }
    }

    /// The same moment by the clock as it is set now. At the end of time it stays.
    #[must_use]
    pub fn of(self, moment: SystemTime) -> SystemTime {
        match self {
            Self::Forward(size) => moment.checked_add(size),
            Self::Back(size) => moment.checked_sub(size),
        }
        .unwrap_or(moment)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self {
            Self::Forward(_) => "forward",
            Self::Back(_) => "back",
        };
        write!(f, "{way} by {:.1} s", self.size().as_secs_f64())
    }
}

/// Compares the clocks. `None`: nobody has set one.
pub(crate) fn compare(ledger: &Ledger, now: &Now, machine: &Machine) -> Option<ClockNews> {
    let began = now.wall.checked_sub(machine.up).unwrap_or(now.wall);
    let known = ledger.anchor.as_ref().filter(|anchor| anchor.boot == machine.boot);
    let (step, earlier) = match known {
        Some(anchor) => (Some(Step::between(anchor.began, began)?), anchor.earlier),
        None => (None, ledger.greatest_id()),
    };
    let moving = ledger.orders().filter_map(|order| {
        let step = step.filter(|_| order.id > earlier);
        let times = Times::of(order).moved(step, now.wall, longest_wait(order));
        (times != Times::of(order)).then_some(Change::Moved { id: order.id, times })
    });
    let mut changes: Vec<Change> = moving.collect();
    changes.extend(ledger.leases().filter_map(|lease| {
        // A lease keeps its id when it is renewed, so the time says in which run that was.
        let step = step.filter(|_| known.is_some_and(|anchor| lease.renewed >= anchor.began));
        let moved = lease.moved(step, now.wall);
        (moved != *lease).then_some(Change::Leased(moved))
    }));
    let moved = changes.len();
    changes.push(Change::Anchored(Anchor { boot: machine.boot.clone(), began, earlier }));
    Some(ClockNews { step, moved, changes })
}

/// No order waits longer than so, whatever the clocks say.
fn longest_wait(order: &Order) -> Duration {
    if order.attempts == 0 { order.delay } else { retry::LONGEST_PAUSE }
}

/// The moments of an order, all by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// As [`Order::due`].
    pub due: SystemTime,
    /// As [`Order::hand_over`].
    pub hand_over: Option<SystemTime>,
    /// As [`Order::expires`].
    pub expires: Option<SystemTime>,
}

impl Times {
    fn of(order: &Order) -> Self {
        Self { due: order.due, hand_over: order.hand_over, expires: order.expires }
    }

    /// The same order at these times.
    #[must_use]
    pub fn given_to(self, order: Order) -> Order {
        let Self { due, hand_over, expires } = self;
        Order { due, hand_over, expires, ..order }
    }

    fn moved(self, step: Option<Step>, now: SystemTime, longest: Duration) -> Self {
        let of = |moment| step.map_or(moment, |step| step.of(moment));
        let latest = now.checked_add(longest).unwrap_or(now);
        Self {
            due: of(self.due).min(latest),
            // at(1) knows full minutes only.
            hand_over: self.hand_over.map(|minute| crate::judge::next_full_minute(of(minute))),
            expires: self.expires.map(of),
        }
    }
}
