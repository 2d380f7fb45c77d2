//! Leases against a simple model, in any sequence of knocks, ends, failures and crashes: when all has
//! settled, what is open is what should be open. On the way nothing opens that could not be closed after
//! a crash, nothing is closed that is wanted, and no two orders go for one opening.
//!
//! The firewall here is a map. That a real one does what its orders say is shown elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[allow(dead_code, reason = "of the scripts only the plan is used here")]
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use knock_engine::{
    Change, Engine, Fate, LeaseId, LeaseNews, Ledger, Now, Order, Outcome, Verdict,
};
use knock_rules::{Command, Held, LocalTime, Opening};
use knock_wire::{Codec, Field, Hit, Knock, Value};
use proptest::prelude::*;

/// The longest of the plan.
const MAX: u64 = 3 * 60;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// Client, port and minutes; 0 is until it is closed.
    Knock(u8, u8, u8),
    Close(u8, u8),
    /// One whose changes do not get to the disk, and minutes, or 255.
    LostKnock(u8, u8, u8),
    /// A client connects to a port, or is done there.
    Connect(u8, u8),
    Disconnect(u8, u8),
    Revoke(usize),
    Extend(usize, u64),
    Wait(u64),
    /// Hand out at most so many.
    HandOut(usize),
    /// One of those that are with a worker comes back: as it should, or not.
    Finish(usize, How),
    /// Somebody empties the firewall, or puts something in that is not ours to have.
    Wipe,
    Litter(u8, u8),
    Reconcile,
    /// A comparison that takes its time: what is looked at now, and what comes of it later.
    LookAtFirewall,
    TellWhatWasSeen,
    /// The daemon dies; of the orders that are with a worker the first so many were carried out.
    Crash(usize),
}

#[derive(Clone, Copy, Debug)]
enum How {
    Done,
    /// It failed, but the firewall was changed all the same.
    HalfDone,
    Failed,
    Broken,
    /// The firewall did not even let itself be looked at.
    NotBegun,
}

/// Whether the firewall has a clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clockwork {
    Own,
    None,
}

#[derive(Clone, Copy, Debug)]
struct Setup {
    firewall: Clockwork,
    /// Whether all clients share one network.
    prefix: bool,
    one: bool,
    /// Whether sessions keep leases.
    hold: bool,
}

struct World {
    setup: Setup,
    plan: String,
    engine: Engine,
    disk: Vec<Change>,
    /// What a restart would read from it.
    on_disk: Ledger,
    codec: Codec,
    flying: Vec<Order>,
    firewall: BTreeMap<Opening, Option<SystemTime>>,
    /// What should be open: to whom, and until when.
    wanted: BTreeMap<(Opening, IpAddr), SystemTime>,
    sessions: BTreeSet<(IpAddr, u16)>,
    now: Duration,
    /// Whether somebody else changed the firewall.
    meddled: bool,
    /// What a comparison that is under way has seen.
    seen: Option<Seen>,
}

struct Seen {
    held: Vec<Held>,
    /// The generation of leases at that time.
    asked: u64,
    at: Duration,
    /// Whether somebody else has changed the firewall since.
    is_old: bool,
}

fn client(number: u8) -> IpAddr {
    [10, 0, 0, number].into()
}

impl World {
    fn new(setup: Setup) -> Self {
        let prefix = if setup.prefix { "prefix 24" } else { "" };
        let one = if setup.one { "yes" } else { "no" };
        let hold = if setup.hold { "hold" } else { "" };
        let plan = format!(
            "key none
             maxlease {MAX}s
             onelease {one}
             action ssh if TIME != 255 opens PORT for TIME {prefix} {hold}
             action shut if TIME == 255 shuts PORT"
        );
        let plan =
            plan.replace("TIME  hold", "TIME hold").replace("  \n", "\n").replace(" \n", "\n");
        Self {
            engine: Engine::new(script::plan(&plan), Ledger::new()),
            setup,
            disk: Vec::new(),
            on_disk: Ledger::new(),
            codec: script::plan(&plan).codec,
            plan,
            flying: Vec::new(),
            firewall: BTreeMap::new(),
            wanted: BTreeMap::new(),
            sessions: BTreeSet::new(),
            now: Duration::ZERO,
            meddled: false,
            seen: None,
        }
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_086_091_200) + self.now
    }

    fn time(&self) -> Now {
        let local = LocalTime { year: 2004, month: 6, day: 1, hour: 12, minute: 0, weekday: 2 };
        Now { wall: self.wall(), uptime: self.now, local }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Knock(who, port, minutes) => self.knock(*who, *port, *minutes, true),
            Step::Close(who, port) => self.knock(*who, *port, 255, true),
            Step::LostKnock(who, port, time) => self.knock(*who, *port, *time, false),
            Step::Connect(who, port) => {
                self.sessions.insert((client(*who), u16::from(*port)));
            }
            Step::Disconnect(who, port) => {
                self.sessions.remove(&(client(*who), u16::from(*port)));
            }
            Step::Revoke(which) => {
                if let Some(id) = self.lease(*which) {
                    let whose = self.whose(id);
                    let changes = self.engine.revoke(id).unwrap();
                    self.write(&changes);
                    self.wanted.remove(&whose);
                }
            }
            Step::Extend(which, seconds) => {
                if let Some(id) = self.lease(*which) {
                    let whose = self.whose(id);
                    let until = self.wall() + Duration::from_secs(*seconds);
                    let now = self.time();
                    if let Ok(changes) = self.engine.extend(&now, id, Some(until)) {
                        self.engine.commit(&changes);
                        self.write(&changes);
                        // Its time may have been over, and nobody has looked yet.
                        self.wanted.insert(whose, until);
                    }
                }
            }
            Step::Wait(seconds) => self.wait(*seconds),
            Step::HandOut(at_most) => self.hand_out(*at_most),
            Step::Finish(which, how) => {
                if !self.flying.is_empty() {
                    let order = self.flying.remove(which % self.flying.len());
                    self.finish(&order, *how);
                }
            }
            Step::Wipe => {
                self.meddle();
                self.firewall.clear();
            }
            Step::Litter(who, port) => {
                self.meddle();
                let network = client(*who).to_string().parse().unwrap();
                let port = u16::from(*port);
                let protocol = knock_rules::Protocol::Tcp;
                self.firewall.entry(Opening { network, protocol, port }).or_insert(None);
            }
            Step::Reconcile => {
                self.look_at_firewall();
                self.tell_what_was_seen();
            }
            Step::LookAtFirewall => self.look_at_firewall(),
            Step::TellWhatWasSeen => self.tell_what_was_seen(),
            Step::Crash(carried_out) => {
                for order in std::mem::take(&mut self.flying).iter().take(*carried_out) {
                    self.carry_out(order);
                }
                self.restart();
            }
        }
        self.look();
    }

    fn write(&mut self, changes: &[Change]) {
        self.disk.extend_from_slice(changes);
        changes.iter().for_each(|change| self.on_disk.apply(change));
    }

    fn restart(&mut self) {
        let mut ledger = Ledger::new();
        self.disk.iter().for_each(|change| ledger.apply(change));
        self.engine = Engine::new(script::plan(&self.plan), ledger);
        // Whoever looked at the firewall died, too.
        self.seen = None;
    }

    fn knock(&mut self, who: u8, port: u8, time: u8, durable: bool) {
        let who = client(who);
        let mut knock = Knock::new();
        let IpAddr::V4(v4) = who else { unreachable!() };
        knock.set(Field::Ip, Value::from(v4));
        knock.set(Field::Port, Value::Number(port.into()));
        knock.set(Field::Time, Value::Number(time.into()));
        let ports = self.codec.encode(&knock, |_| ()).unwrap();
        let now = self.time();
        for port in ports {
            let verdict = self.engine.hit(&now, &Hit::new(who, port));
            let Verdict::Accepted(accepted) = verdict else { continue };
            if durable {
                self.write(&accepted.changes);
                self.engine.commit(&accepted.changes);
                self.expect(who, u16::from(port_of(&knock)), time, &accepted.leases);
            } else {
                let kept = self.engine.refuse(&accepted);
                self.write(&kept);
                if time == 255 {
                    self.expect(who, u16::from(port_of(&knock)), time, &accepted.leases);
                }
            }
        }
    }

    /// What a knock means, said simply.
    fn expect(&mut self, who: IpAddr, port: u16, time: u8, news: &[LeaseNews]) {
        let wall = self.wall();
        self.wanted.retain(|_, until| *until > wall);
        // Where one person has all leases, each of them is whose knock it is.
        let is_theirs = |setup: Setup, whose: IpAddr| setup.one || whose == who;
        let setup = self.setup;
        if time == 255 {
            let is_meant = |(opening, _): &(Opening, IpAddr)| {
                opening.port == port && opening.network.holds(who)
            };
            let own = self.wanted.keys().any(|key| is_meant(key) && is_theirs(setup, key.1));
            self.wanted.retain(|key, _| !is_meant(key) || own && !is_theirs(setup, key.1));
            return;
        }
        if setup.one {
            self.wanted.retain(|(opening, _), _| opening.network.holds(who));
        }
        let seconds = if time == 0 { MAX } else { MAX.min(u64::from(time) * 60) };
        let until = wall + Duration::from_secs(seconds);
        let opening = news.iter().find_map(|news| match news {
            LeaseNews::Granted(lease) | LeaseNews::Renewed(lease) => Some(lease.opening),
            _ => None,
        });
        let opening = opening.expect("every knock that opens is granted here");
        if setup.one {
            self.wanted.retain(|(other, _), _| *other != opening);
        }
        self.wanted.insert((opening, who), until);
    }

    fn lease(&self, which: usize) -> Option<LeaseId> {
        let ids: Vec<LeaseId> = self.engine.leases().map(|lease| lease.id).collect();
        (!ids.is_empty()).then(|| ids[which % ids.len()])
    }

    fn whose(&self, id: LeaseId) -> (Opening, IpAddr) {
        let lease = self.engine.leases().find(|lease| lease.id == id).unwrap();
        (lease.opening, lease.client)
    }

    /// Who should be able to use it now.
    fn holders(&self, opening: Opening) -> Vec<IpAddr> {
        let wall = self.wall();
        let wanted =
            self.wanted.iter().filter(|((one, _), until)| *one == opening && **until > wall);
        wanted.map(|((_, whose), _)| *whose).collect()
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let wall = self.wall();
        self.firewall.retain(|_, until| until.is_none_or(|until| until > wall));
    }

    fn hand_out(&mut self, at_most: usize) {
        let wall = self.wall();
        for order in self.engine.due(&self.time(), at_most) {
            let (opening, closes) = subject(&order);
            let asks = is_question(&order);
            let busy = |flying: &Order| subject(flying).0 == opening && is_question(flying) == asks;
            assert!(!self.flying.iter().any(busy), "two orders for {opening}");
            if closes {
                let wanted = self.holders(opening);
                assert!(wanted.is_empty(), "{opening} is closed early: {wanted:?} at {wall:?}");
            } else {
                let closing = self.on_disk.leases().any(|lease| lease.opening == opening);
                assert!(closing, "{opening} would stay open after a crash");
            }
            self.flying.push(order);
        }
    }

    fn carry_out(&mut self, order: &Order) {
        let wall = self.wall();
        match &order.command {
            Command::Open { opening } => {
                let until = order.expires.filter(|_| self.setup.firewall == Clockwork::Own);
                // A firewall that is asked for a time that is over has nothing to do.
                if until.is_none_or(|until| until > wall) {
                    self.firewall.insert(*opening, until);
                }
            }
            Command::Close { opening } => {
                self.firewall.remove(opening);
            }
            Command::CountConnections { .. } => {}
            other => panic!("{other}"),
        }
    }

    fn finish(&mut self, order: &Order, how: How) {
        let why = || "the test says so".to_owned();
        let outcome = match how {
            How::Done => Outcome::Done,
            How::HalfDone | How::Failed => Outcome::Failed { why: why(), again: true },
            How::Broken => Outcome::Failed { why: why(), again: false },
            How::NotBegun => Outcome::NotBegun { why: why() },
        };
        let outcome = match (&order.command, how) {
            (Command::CountConnections { opening }, How::Done | How::HalfDone) => {
                let through = self
                    .sessions
                    .iter()
                    .filter(|(who, port)| opening.port == *port && opening.network.holds(*who));
                Outcome::Counted { connections: through.count() as u64 }
            }
            _ => outcome,
        };
        if matches!(how, How::Done | How::HalfDone) {
            self.carry_out(order);
        }
        let finished = self.engine.finished(&self.time(), order.id, &outcome).unwrap();
        // An opening that is given up is not wanted any more.
        if let (Fate::GivenUp { .. }, false) = (finished.fate, subject(order).1) {
            self.wanted.retain(|(opening, _), _| *opening != subject(order).0);
        }
        if is_question(order) {
            let lasts = matches!(outcome, Outcome::Counted { connections: 1.. });
            assert!(lasts || finished.changes.is_empty(), "held by nobody");
            for change in &finished.changes {
                let Change::Leased(lease) = change else { panic!("{change:?}") };
                let until = lease.until.unwrap();
                assert!(until <= self.wall() + Duration::from_secs(30), "a step, and not more");
                // Its time may have been over, and nobody could ask before.
                self.wanted.insert((lease.opening, lease.client), until);
            }
        }
        self.write(&finished.changes);
    }

    fn meddle(&mut self) {
        self.meddled = true;
        if let Some(seen) = &mut self.seen {
            seen.is_old = true;
        }
    }

    fn look_at_firewall(&mut self) {
        let wall = self.wall();
        let left = |until: SystemTime| until.duration_since(wall).unwrap();
        let held: Vec<Held> = self
            .firewall
            .iter()
            .map(|(opening, until)| Held {
                opening: *opening,
                left: until.map(left),
                no_end_from: (self.setup.firewall == Clockwork::None).then_some(UNIX_EPOCH),
            })
            .collect();
        let (asked, at) = (self.engine.lease_generation(), self.now);
        self.seen = Some(Seen { held, asked, at, is_old: false });
    }

    fn tell_what_was_seen(&mut self) {
        let Some(Seen { held, asked, at, is_old }) = self.seen.take() else { return };
        let reconciled = self.engine.reconcile(&self.time(), &held, &[], asked);
        let seen = |opening| held.iter().find(|held| held.opening == opening);
        // What orders have changed since is not told of as it was.
        for opening in reconciled.put_back {
            let is_there = self.firewall.contains_key(&opening);
            match seen(opening) {
                // A rule that cannot tell the time is right without an end.
                Some(_) => assert_eq!(self.setup.firewall, Clockwork::Own, "{opening} is there"),
                None => assert!(is_old || !is_there, "{opening} was put back already"),
            }
        }
        for opening in reconciled.removed {
            assert!(self.holders(opening).is_empty(), "{opening} is wanted, and to be removed");
            let is_there = self.firewall.contains_key(&opening);
            let left = seen(opening).unwrap().left;
            let is_over = left.is_some_and(|left| at + left <= self.now);
            assert!(is_old || is_over || is_there, "{opening} was removed already");
        }
    }

    fn look(&self) {
        let mut holders = BTreeSet::new();
        for lease in self.engine.leases().filter(|lease| lease.is_wanted()) {
            let is_first = holders.insert((lease.opening, lease.client));
            assert!(is_first, "{} has two leases of {}", lease.client, lease.opening);
            assert!(lease.until <= lease.at_most, "longer than the longest");
        }
        // The disk tells the same story as the memory, but for what is derived from the time.
        let on_disk: BTreeSet<_> =
            self.on_disk.leases().map(|lease| (lease.id, lease.until)).collect();
        let here: BTreeSet<_> = self.engine.leases().map(|lease| (lease.id, lease.until)).collect();
        assert_eq!(here, on_disk);
    }

    /// Everything works now, and nobody knocks: so much later what is open is what should be.
    fn settle(&mut self) {
        for order in std::mem::take(&mut self.flying) {
            self.finish(&order, How::Done);
        }
        self.tell_what_was_seen();
        // Only what somebody else has done to the firewall needs a look at it.
        if self.meddled {
            self.look_at_firewall();
            self.tell_what_was_seen();
        }
        // Longer than the longest pause after a failure.
        for _ in 0..70 {
            self.hand_out(usize::MAX);
            for order in std::mem::take(&mut self.flying) {
                self.finish(&order, How::Done);
            }
            self.look();
            self.wait(1);
        }
        // A question may be the first, and what comes of its answer the second.
        for _ in 0..2 {
            self.hand_out(usize::MAX);
            for order in std::mem::take(&mut self.flying) {
                self.finish(&order, How::Done);
            }
        }
        let wall = self.wall();
        self.wanted.retain(|_, until| *until > wall);
        let open: BTreeSet<&Opening> = self.firewall.keys().collect();
        let wanted: BTreeSet<&Opening> = self.wanted.keys().map(|(opening, _)| opening).collect();
        assert_eq!(open, wanted, "what is open, and what should be");
        // And the kernel's clock ends it when the last of them does, as nearly as a comparison looks.
        for (opening, until) in &self.firewall {
            let ends = self.wanted.iter().filter(|((one, _), _)| one == opening);
            let last = ends.map(|(_, until)| *until).max().unwrap();
            let span = last - Duration::from_secs(1)..=last + Duration::from_secs(5);
            let is_right = until.is_none_or(|until| span.contains(&until));
            assert!(is_right, "{opening} closes at {until:?}, not {last:?}");
        }
        let wanted = &self.wanted;
        assert_eq!(self.engine.leases().count(), wanted.len(), "leases that are over");
    }
}

fn port_of(knock: &Knock) -> u8 {
    match knock.get("PORT") {
        Some(Value::Number(port)) => u8::try_from(port).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What it is about, and whether it closes it.
fn subject(order: &Order) -> (Opening, bool) {
    match &order.command {
        Command::Open { opening } | Command::CountConnections { opening } => (*opening, false),
        Command::Close { opening } => (*opening, true),
        other => panic!("{other}"),
    }
}

fn is_question(order: &Order) -> bool {
    matches!(order.command, Command::CountConnections { .. })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (who, port) = (|| 1..=3_u8, || 1..=2_u8);
    let how = prop_oneof![
        5 => Just(How::Done),
        1 => Just(How::HalfDone),
        2 => Just(How::Failed),
        1 => Just(How::Broken),
        1 => Just(How::NotBegun),
    ];
    let step = prop_oneof![
        5 => (who(), port(), 0..=4_u8).prop_map(|(who, port, time)| Step::Knock(who, port, time)),
        2 => (who(), port()).prop_map(|(who, port)| Step::Close(who, port)),
        1 => (who(), port(), prop_oneof![Just(1), Just(255)])
            .prop_map(|(who, port, time)| Step::LostKnock(who, port, time)),
        2 => (who(), port()).prop_map(|(who, port)| Step::Connect(who, port)),
        1 => (who(), port()).prop_map(|(who, port)| Step::Disconnect(who, port)),
        1 => any::<usize>().prop_map(Step::Revoke),
        1 => (any::<usize>(), 1..MAX).prop_map(|(which, by)| Step::Extend(which, by)),
        4 => (1..100_u64).prop_map(Step::Wait),
        8 => (1..4_usize).prop_map(Step::HandOut),
        8 => (any::<usize>(), how).prop_map(|(which, how)| Step::Finish(which, how)),
        1 => Just(Step::Wipe),
        1 => (who(), port()).prop_map(|(who, port)| Step::Litter(who, port)),
        1 => Just(Step::Reconcile),
        2 => Just(Step::LookAtFirewall),
        2 => Just(Step::TellWhatWasSeen),
        1 => (0..4_usize).prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_open_is_what_should_be(
        steps in steps(),
        own_clock: bool,
        prefix: bool,
        one: bool,
        hold: bool,
    ) {
        let firewall = if own_clock { Clockwork::Own } else { Clockwork::None };
        let mut world = World::new(Setup { firewall, prefix, one, hold });
        for step in &steps {
            world.step(step);
        }
        world.settle();
    }
}
