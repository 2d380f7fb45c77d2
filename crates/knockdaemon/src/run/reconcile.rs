//! When the firewall is compared with the leases: at the start, after a reload, when the first lease
//! comes, and each minute while there are any. Looks in a thread of its own; what differs is the
//! engine's to put right.

mod pace;

use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use knock_actions::Gate;
use knock_engine::{Engine, LeaseRule, Now, Plan};
use knock_firewall::{FirewallError, Kind, LetIn, Work};
use knock_rules::Family;

use self::pace::Pace;
use super::event::Event;

/// How long each of the firewall's programs may take. Less than an order has: one that hangs for a look
/// must not use up the time of those who knock meanwhile.
const LIMIT: Duration = Duration::from_secs(10);
/// More openings than this are counted in a message, not named.
const NAMED: usize = 5;

/// What the firewall answered.
#[derive(Debug)]
pub(crate) struct Answer {
    result: Result<Seen, FirewallError>,
    /// Which orders had come back when it was asked.
    generation: u64,
}

#[derive(Debug)]
struct Seen {
    way: Kind,
    /// What was missing of the static part, and was made.
    made: Vec<String>,
    /// What of it cannot be made, and what else keeps leases from working here.
    failed: Vec<FirewallError>,
    remarks: Vec<String>,
    let_in: Result<LetIn, FirewallError>,
}

/// What the last look at the firewall met with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It did not say who is let in.
    NotCompared(String),
    /// Some of what leases need is not there.
    NotAsNeeded(String),
}

impl Obstacle {
    fn tell(&self) {
        match self {
            Self::NotCompared(why) => {
                tracing::error!("leases are not compared with the firewall: {why}");
            }
            Self::NotAsNeeded(why) => {
                tracing::error!("the firewall is not as leases need it: {why}");
            }
        }
    }

    fn tell_its_end(&self) {
        match self {
            Self::NotCompared(_) => tracing::info!("leases are compared with the firewall again"),
            Self::NotAsNeeded(_) => tracing::info!("the firewall is as leases need it again"),
        }
    }
}

/// Keeps the time of the comparisons.
pub(crate) struct Reconciling {
    inbox: SyncSender<Event>,
    pace: Pace,
    is_asking: bool,
    /// How many looks have begun; and which of them has been answered last.
    begun: u64,
    answered: u64,
    /// How leases get in; unknown until the firewall has been asked once. From then on the static part
    /// was there.
    way: Option<Kind>,
    /// What is in the way, and was told.
    obstacle: Option<Obstacle>,
    /// What was last remarked about this host's rules.
    remarked: Vec<String>,
    /// When the last comparison was, by uptime.
    compared: Option<Duration>,
    /// How much was put right since the start.
    put_right: u64,
}

impl Reconciling {
    /// The first look is now, if there is anything to look for.
    pub(crate) fn new(engine: &Engine, uptime: Duration, inbox: SyncSender<Event>) -> Self {
        let mut new = Self {
            inbox,
            pace: Pace::default(),
            is_asking: false,
            begun: 0,
            answered: 0,
            way: None,
            obstacle: None,
            remarked: Vec::new(),
            compared: None,
            put_right: 0,
        };
        new.look_now(engine, uptime);
        new
    }

    /// After a start or a reload: also without a lease the static part is made, and what is open that
    /// should not be is closed. The number of the look that this asks for, if there is a reason for one.
    pub(crate) fn look_now(&mut self, engine: &Engine, uptime: Duration) -> Option<u64> {
        let grants = !prefixes(engine.plan()).is_empty();
        let has_reason = grants || engine.leases().next().is_some();
        // One that goes on may have seen what was there before.
        has_reason.then(|| {
            self.pace.is_asked_for(uptime);
            self.begun + 1
        })
    }

    /// Whether the look of this number has come back.
    pub(crate) fn has_looked(&self, number: u64) -> bool {
        self.answered >= number
    }

    /// Whether one is under way.
    pub(crate) fn is_looking(&self) -> bool {
        self.is_asking
    }

    /// What the last look met with, if anything.
    pub(crate) fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    /// How leases get in, as far as it is known.
    pub(crate) fn way(&self) -> Option<Kind> {
        self.way
    }

    /// What was last remarked about this host's rules.
    pub(crate) fn remarked(&self) -> &[String] {
        &self.remarked
    }

    /// When the last comparison was, by uptime.
    pub(crate) fn compared(&self) -> Option<Duration> {
        self.compared
    }

    /// How many openings were put back, or closed because they had no lease, since the start.
    pub(crate) fn put_right(&self) -> u64 {
        self.put_right
    }

    /// When [`turn`](Self::turn) is to be called at the latest, by uptime.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.pace.next().filter(|_| !self.is_asking)
    }

    /// Asks if it is time.
    pub(crate) fn turn(&mut self, engine: &Engine, gate: &Gate, uptime: Duration) {
        let has_leases = engine.leases().next().is_some();
        if has_leases {
            self.pace.has_leases(uptime);
        }
        if self.is_asking || self.pace.next().is_none_or(|next| next > uptime) {
            return;
        }
        let (inbox, gate) = (self.inbox.clone(), gate.clone());
        let (generation, prefixes) = (engine.lease_generation(), prefixes(engine.plan()));
        let ask = move || {
            let answer = Answer { result: look(&gate, &prefixes), generation };
            // When the loop is gone nobody wants to know.
            let _gone = inbox.send(Event::Held(answer));
        };
        self.pace.begins(uptime, has_leases);
        match thread::Builder::new().name("firewall".to_owned()).spawn(ask) {
            Ok(_) => {
                self.is_asking = true;
                self.begun += 1;
            }
            Err(error) => {
                self.pace.met_trouble(uptime);
                tracing::warn!("the firewall is not looked at: {error}");
            }
        }
    }

    /// What was asked for has arrived. The engine's next orders put right what differs.
    pub(crate) fn answer(&mut self, engine: &mut Engine, now: &Now, answer: Answer) {
        self.is_asking = false;
        self.answered = self.begun;
        let Answer { result, generation } = answer;
        let (failed, let_in) = match result {
            Ok(Seen { way, made, failed, remarks, let_in }) => {
                self.tell_made(way, &made);
                self.tell_remarks(remarks);
                (failed, let_in)
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        let LetIn { held, unread } = match let_in {
            Ok(let_in) => let_in,
            Err(error) => {
                self.meets(Some(Obstacle::NotCompared(error.to_string())));
                self.pace.met_trouble(now.uptime);
                return;
            }
        };
        // One piece that cannot be made, or one family that cannot be read, keeps nothing else from
        // being put right.
        let is_missed = |family| engine.leases().any(|it| it.opening.network.family() == family);
        let missed = unread.iter().find(|(family, _)| is_missed(*family));
        if let Some((_, error)) = missed {
            self.meets(Some(Obstacle::NotCompared(error.to_string())));
            self.pace.met_trouble(now.uptime);
        } else {
            let lacks = failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            self.meets((!failed.is_empty()).then_some(Obstacle::NotAsNeeded(lacks)));
            match failed.is_empty() {
                true => self.pace.went_well(),
                false => self.pace.lacks_something(now.uptime),
            }
        }
        let unread: Vec<Family> = unread.iter().map(|(family, _)| *family).collect();
        let reconciled = engine.reconcile(now, &held, &unread, generation);
        self.compared = Some(now.uptime);
        self.put_right += (reconciled.put_back.len() + reconciled.removed.len()) as u64;
        if !reconciled.put_back.is_empty() {
            let what = list(&reconciled.put_back);
            tracing::warn!(
                "what was open is gone from the firewall, or has another end there; it is put right: \
                 {what}"
            );
        }
        if !reconciled.removed.is_empty() {
            let what = list(&reconciled.removed);
            tracing::warn!("open without a lease, it is closed: {what}");
        }
    }

    /// Said once, until it is another one or over.
    fn meets(&mut self, obstacle: Option<Obstacle>) {
        match (&self.obstacle, &obstacle) {
            (Some(before), None) => before.tell_its_end(),
            (before, Some(now)) if before.as_ref() != Some(now) => now.tell(),
            _ => {}
        }
        self.obstacle = obstacle;
    }

    fn tell_remarks(&mut self, remarks: Vec<String>) {
        for remark in remarks.iter().filter(|remark| !self.remarked.contains(remark)) {
            tracing::warn!("about this host's firewall: {remark}");
        }
        self.remarked = remarks;
    }

    fn tell_made(&mut self, way: Kind, made: &[String]) {
        let is_known = self.way == Some(way);
        if !is_known {
            tracing::info!("leases go into the firewall by {way}");
            self.way = Some(way);
        }
        for made in made {
            if is_known {
                tracing::warn!("somebody has changed the firewall: {made}");
            } else {
                tracing::info!("firewall: {made}");
            }
        }
    }
}

fn look(gate: &Gate, prefixes: &[(u8, u8)]) -> Result<Seen, FirewallError> {
    let (firewall, remark) = gate.for_a_look()?;
    for (v4, v6) in prefixes {
        firewall.expect(*v4, *v6);
    }
    let Work { done, failed, mut remarks } = firewall.apply(LIMIT)?;
    remarks.extend(remark);
    let let_in = firewall.let_in(LIMIT);
    Ok(Seen { way: firewall.kind(), made: done, failed, remarks, let_in })
}

/// Which sizes of networks the actions may open to.
fn prefixes(plan: &Plan) -> Vec<(u8, u8)> {
    let open = plan.actions.iter().filter_map(|action| match &action.lease {
        Some(LeaseRule::Open(open)) => Some((open.prefix4, open.prefix6)),
        Some(LeaseRule::Close(_)) | None => None,
    });
    let mut all: Vec<(u8, u8)> = open.collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn list<T: ToString>(all: &[T]) -> String {
    let mut names: Vec<String> = all.iter().take(NAMED).map(ToString::to_string).collect();
    if all.len() > NAMED {
        names.push(format!("{} more", all.len() - NAMED));
    }
    names.join(", ")
}
