//! The firewall of this host, told to let somebody in for a while: by sets whose members the kernel
//! itself forgets in time (nftables, ipset), or by rules of iptables.
//!
//! Decides nothing: who may come in, and for how long, is the engine's business. Whatever is not
//! ours in the firewall is read at most, never changed.

#![forbid(unsafe_code)]

mod error;
mod ipset;
mod iptables;
mod keeper;
mod kind;
mod limit;
mod netlink;
mod nftables;
mod pieces;
mod removal;
mod survey;
#[cfg(test)]
mod testing;
mod tools;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use knock_rules::{Family, Held, Opening};

pub use error::{FirewallError, LOCK_ADVICE};
pub use keeper::{Holder, Keeper};
pub use kind::Kind;
pub use tools::{Ran, ToolError, Tools};

use crate::iptables::rules::{self, HasNoClock};
use crate::limit::{Lane, Limit};
use crate::netlink::{Fault, Socket};
use crate::nftables::elements::{self, Size};
use crate::nftables::{chains, layout};
use crate::pieces::Piece;
use crate::survey::Survey;

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It was done.
    Done,
    /// It was so before; the time of an opening was renewed.
    AlreadySo,
}

impl Did {
    fn new(is_new: bool) -> Self {
        if is_new { Self::Done } else { Self::AlreadySo }
    }
}

/// This host's firewall, in one of the ways.
///
/// All methods may be called from several threads. What goes over netlink waits for nobody.
#[derive(Debug)]
pub struct Firewall {
    kind: Kind,
    tools: Box<dyn Tools>,
    /// Tells the time by the wall; iptables' rules end by it.
    clock: fn() -> SystemTime,
    socket: Mutex<Socket>,
    /// Held for what is done by programs: a look and the deed after it go together.
    lane: Lane,
    /// Networks of these sizes have been asked for.
    sizes: Mutex<BTreeSet<Size>>,
    no_clock: HasNoClock,
    /// At the last look no set of our name was somebody else's; IPv4 first.
    is_seen: [AtomicBool; 2],
}

/// What became of the static part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// What was done, for people; nothing if all was as it should be.
    pub done: Vec<String>,
    /// What could not be done. The rest was done all the same.
    pub failed: Vec<FirewallError>,
    /// What should be known of this host's firewall before leases are relied on.
    pub remarks: Vec<String>,
}

/// Who is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetIn {
    /// By us, of the families that could be read.
    pub held: Vec<Held>,
    /// Of which families the firewall did not say it, and why: `ip6tables` may be missing where nobody
    /// needs it.
    pub unread: Vec<(Family, FirewallError)>,
}

impl Work {
    fn add<T>(&mut self, result: Result<T, FirewallError>, what: impl FnOnce() -> String) {
        match result {
            Ok(_) => self.done.push(what()),
            Err(error) => self.failed.push(error),
        }
    }
}

impl Firewall {
    /// The firewall of this process's network. [`Kind::Auto`] becomes the first way that works here.
    ///
    /// # Errors
    /// When none does, or the one that was asked for does not.
    pub fn new(
        kind: Kind,
        tools: Box<dyn Tools>,
        clock: fn() -> SystemTime,
    ) -> Result<Self, FirewallError> {
        let mut socket = Socket::open()
            .map_err(|error| FirewallError::of_kernel(kind, "open a socket", error))?;
        let kind = match kind {
            Kind::Auto => choose(&mut socket, &*tools)?,
            asked => {
                works(asked, &mut socket, &*tools)?;
                asked
            }
        };
        Ok(Self {
            kind,
            tools,
            clock,
            socket: Mutex::new(socket),
            lane: Lane::default(),
            sizes: Mutex::new(Size::HOSTS.into()),
            no_clock: HasNoClock::default(),
            is_seen: Default::default(),
        })
    }

    /// The way that is gone; never [`Kind::Auto`].
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Networks with prefixes of these lengths will be let in, so that the static part may have a place
    /// for them from the beginning.
    pub fn expect(&self, v4: u8, v6: u8) {
        lock(&self.sizes).extend(Size::of_prefixes(v4, v6));
    }

    /// Lets somebody in until then; `None`: until it is closed. One who is in already gets the new time.
    /// Makes the static part if it is missing. How long is left is worked out when the kernel is told,
    /// behind all waiting.
    ///
    /// # Errors
    /// When it is not open afterwards, or not for that time.
    pub fn open(
        &self,
        opening: &Opening,
        until: Option<SystemTime>,
        limit: Duration,
    ) -> Result<Did, FirewallError> {
        let limit = Limit::of_all(limit);
        let is_new = match self.kind {
            Kind::Nftables => {
                self.in_set(opening, until, limit, |it, left| elements::add(it, opening, left))
            }
            Kind::Ipset => {
                self.in_set(opening, until, limit, |it, left| ipset::add(it, opening, left))
            }
            Kind::Iptables | Kind::Auto => {
                let _alone = self.lane.enter(limit)?;
                let survey = self.survey(limit)?;
                self.usable(&survey, opening, limit)?;
                self.left(opening, until)?;
                let (tools, no_clock) = (&*self.tools, &self.no_clock);
                let mut is_new = false;
                for (program, listing) in survey.engines(opening.network.is_v4()) {
                    let rules = rules::Rules { program, tools, limit };
                    is_new |= rules.add(listing, no_clock, opening, until)?;
                }
                Ok(is_new)
            }
        };
        is_new.map(Did::new)
    }

    /// Lets somebody in no more. To be out already is no error.
    ///
    /// # Errors
    /// When it may be open still.
    pub fn close(&self, opening: &Opening, limit: Duration) -> Result<Did, FirewallError> {
        let limit = Limit::of_all(limit);
        let doing = || format!("close {opening}");
        let failed = |error| FirewallError::of_kernel(self.kind, doing(), error);
        // Also where something has our name and another shape: it may have had ours when it was opened, and
        // what is word by word what we put in lets in whatever stands around it.
        match self.kind {
            Kind::Nftables => elements::remove(&mut lock(&self.socket), opening).map_err(failed),
            Kind::Ipset => ipset::remove(&mut lock(&self.socket), opening).map_err(failed),
            Kind::Iptables | Kind::Auto => {
                let _alone = self.lane.enter(limit)?;
                let survey = self.survey(limit)?;
                let v4 = opening.network.is_v4();
                let tools = &*self.tools;
                // What cannot be read keeps nothing from being taken out where it can: out of one is out.
                let mut was_there = survey.unread(v4).map_or(Ok(false), Err);
                for (program, listing) in survey.engines(v4) {
                    let rules = rules::Rules { program, tools, limit };
                    let removed = rules.remove(listing, opening);
                    was_there = was_there.and_then(|before| Ok(before | removed?));
                }
                was_there
            }
        }
        .map(Did::new)
    }

    /// Who is let in by us now, of both families.
    ///
    /// # Errors
    /// When the firewall does not say so of one of them.
    pub fn held(&self, limit: Duration) -> Result<Vec<Held>, FirewallError> {
        let LetIn { held, unread } = self.let_in(limit)?;
        unread.into_iter().next().map_or(Ok(held), |(_, error)| Err(error))
    }

    /// Who is let in by us now, as far as the firewall says.
    ///
    /// # Errors
    /// When it says nothing.
    pub fn let_in(&self, limit: Duration) -> Result<LetIn, FirewallError> {
        let mut unread = Vec::new();
        let limit = Limit::of_each(limit);
        let failed = |error| FirewallError::of_kernel(self.kind, "list who is let in", error);
        let held = match self.kind {
            Kind::Nftables => {
                let mut socket = lock(&self.socket);
                let sets = elements::sets(&mut socket).map_err(failed)?;
                let is_ours = self.is_seen(true).load(Ordering::Relaxed)
                    || layout::is_ours(&sets, &chains::chains(&mut socket).map_err(failed)?);
                let mut held = Vec::new();
                for size in elements::sizes(&sets).filter(|_| is_ours) {
                    held.extend(elements::list(&mut socket, size).map_err(failed)?);
                }
                held
            }
            Kind::Ipset => {
                let mut socket = lock(&self.socket);
                let mut held = Vec::new();
                for v4 in [true, false] {
                    let listed = ipset::list(&mut socket, v4, (self.clock)()).map_err(failed)?;
                    held.extend(
                        listed.filter(|it| it.is_as_ours).into_iter().flat_map(|it| it.held),
                    );
                }
                held
            }
            Kind::Iptables | Kind::Auto => {
                let _alone = self.lane.enter(limit)?;
                let survey = self.survey(limit)?;
                unread.extend([Family::V4, Family::V6].into_iter().filter_map(|family| {
                    survey.unread(family == Family::V4).map(|error| (family, error))
                }));
                in_all_engines(&survey, &self.no_clock, (self.clock)())
            }
        };
        Ok(LetIn { held, unread })
    }

    /// Makes what is missing of the static part, and takes away what another way has left behind.
    /// Each piece is tried, whatever became of the others.
    ///
    /// # Errors
    /// When this host's firewall cannot be looked at.
    pub fn apply(&self, limit: Duration) -> Result<Work, FirewallError> {
        let limit = Limit::of_each(limit);
        let _alone = self.lane.enter(limit)?;
        let survey = self.survey(limit)?;
        let mut work = self.mend(&survey, limit);
        removal::remove(&survey, Some(self.kind), &*self.tools, limit, &mut work);
        Ok(work)
    }

    /// Takes away all that is ours, of all ways, and with it all openings.
    ///
    /// # Errors
    /// When this host's firewall cannot be looked at.
    pub fn remove(&self, limit: Duration) -> Result<Work, FirewallError> {
        let limit = Limit::of_each(limit);
        let _alone = self.lane.enter(limit)?;
        let survey = self.survey(limit)?;
        let mut work = Work::default();
        // What has our name and is not ours is none of our business here.
        work.failed.extend([true, false].into_iter().filter_map(|v4| survey.unread(v4)));
        removal::remove(&survey, None, &*self.tools, limit, &mut work);
        Ok(work)
    }

    /// The static part as a shell script with remarks, which may be run as often as one likes.
    ///
    /// # Errors
    /// When this host's firewall cannot be looked at.
    pub fn script(&self, limit: Duration) -> Result<String, FirewallError> {
        let limit = Limit::of_each(limit);
        let survey = self.survey(limit)?;
        if let Some(error) = survey.failures(self.kind).into_iter().next() {
            return Err(error);
        }
        let mut script = format!(
            "#!/bin/sh\n# What knockdaemon adds to the firewall of this host (firewall = {}).\n",
            self.kind
        );
        for remark in survey.remarks(self.kind) {
            script.push_str(&format!("# NOTE: {remark}.\n"));
        }
        script.push_str("set -e\n");
        let pieces = survey.pieces(self.kind, &lock(&self.sizes));
        for (piece, is_there) in pieces {
            let state = if is_there { " (is there)" } else { "" };
            script.push_str(&format!("\n# {piece}{state}\n{}", piece.shell()));
        }
        Ok(script)
    }

    /// What should be known of this host's firewall before leases are relied on.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn remarks(&self, limit: Duration) -> Result<Vec<String>, FirewallError> {
        let limit = Limit::of_each(limit);
        Ok(self.survey(limit)?.remarks(self.kind))
    }

    fn survey(&self, limit: Limit) -> Result<Survey, FirewallError> {
        // A socket of its own: programs run meanwhile, and whoever knocks does not wait for them.
        let mut socket = Socket::open()
            .map_err(|error| FirewallError::of_kernel(self.kind, "open a socket", error))?;
        let survey = Survey::of(&mut socket, &*self.tools, self.kind, limit)?;
        // What iptables did not say is no reason to ask it again whenever somebody knocks.
        for v4 in [true, false] {
            let is_seen = !survey.has_foreign_set(self.kind, v4);
            self.is_seen(v4).store(is_seen, Ordering::Relaxed);
        }
        Ok(survey)
    }

    fn is_seen(&self, v4: bool) -> &AtomicBool {
        let [four, six] = &self.is_seen;
        if v4 { four } else { six }
    }

    /// Does something to a set; if there is no such set, makes it first.
    fn in_set(
        &self,
        opening: &Opening,
        until: Option<SystemTime>,
        limit: Limit,
        work: impl Fn(&mut Socket, Option<Duration>) -> Result<bool, Fault>,
    ) -> Result<bool, FirewallError> {
        let put = || {
            let left = self.left(opening, until)?;
            Ok::<_, FirewallError>(work(&mut lock(&self.socket), left))
        };
        let missing = Err(Fault::NOENT);
        // A set of our name is not used before it was seen that it is ours.
        let is_seen = self.is_seen(opening.network.is_v4());
        let put_if_seen = || if is_seen.load(Ordering::Relaxed) { put() } else { Ok(missing) };
        let mut result = put_if_seen()?;
        if result == missing {
            lock(&self.sizes).insert(Size::of(&opening.network));
            let _alone = self.lane.enter(limit)?;
            // Somebody who was here first may have looked and made it: at a start all come at once.
            result = put_if_seen()?;
            if result == missing {
                let survey = self.survey(limit)?;
                // Made at most: what else there is may be the new way's, if this order is the last of the old.
                self.usable(&survey, opening, limit)?;
                result = put()?;
            }
        }
        result.map_err(|error| match error {
            Fault::NFILE | ipset::FULL => FirewallError::Full(*opening),
            _ => FirewallError::of_kernel(self.kind, format!("open {opening}"), error),
        })
    }

    /// How long something is to be open from this moment on.
    fn left(
        &self,
        opening: &Opening,
        until: Option<SystemTime>,
    ) -> Result<Option<Duration>, FirewallError> {
        let Some(until) = until else { return Ok(None) };
        match until.duration_since((self.clock)()) {
            Ok(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(FirewallError::Over(*opening)),
        }
    }

    /// Makes what is missing. An error if what this opening needs is not there afterwards.
    fn usable(
        &self,
        survey: &Survey,
        opening: &Opening,
        limit: Limit,
    ) -> Result<(), FirewallError> {
        let failures = survey.failures_of(self.kind, opening.network.is_v4());
        if let Some(error) = failures.into_iter().next() {
            return Err(error);
        }
        let pieces = survey.pieces(self.kind, &lock(&self.sizes));
        for (piece, _) in pieces.iter().filter(|(_, is_there)| !is_there) {
            piece.make(&*self.tools, limit)?;
        }
        Ok(())
    }

    /// Makes the pieces that were not seen, each for itself.
    fn mend(&self, survey: &Survey, limit: Limit) -> Work {
        let mut work = Work {
            failed: survey.failures(self.kind),
            remarks: survey.remarks(self.kind),
            ..Work::default()
        };
        let pieces = survey.pieces(self.kind, &lock(&self.sizes));
        // A program that hangs does so for the next piece as well, and whoever knocks waits behind it.
        let mut hanging = BTreeSet::new();
        for (piece, _) in pieces.iter().filter(|(_, is_there)| !is_there) {
            if hanging.contains(piece.program()) {
                continue;
            }
            // What is taken out is told by its words, which only nft knows, and only before.
            let taken = match piece {
                Piece::Table(_) => survey.taken_out_of_ours(&*self.tools, limit),
                _ => Vec::new(),
            };
            let made = piece.make(&*self.tools, limit);
            if made.is_ok() {
                work.done.extend(taken);
            }
            if matches!(made, Err(FirewallError::TimedOut { .. })) {
                hanging.insert(piece.program());
            }
            work.add(made, || format!("made {piece}"));
        }
        work
    }
}

/// Who is let in by each engine of iptables that has rules: with two of them, both must.
fn in_all_engines(survey: &Survey, no_clock: &HasNoClock, now: SystemTime) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for v4 in [true, false] {
        let mut engines =
            survey.own_engines(v4).map(|(_, listing)| rules::held(listing, no_clock, now));
        let mut family = engines.next().unwrap_or_default();
        for other in engines {
            let left = |it: &Held| it.left.unwrap_or(Duration::MAX);
            family.retain_mut(|one| {
                let same = other.iter().find(|it| it.opening == one.opening);
                if let Some(shorter) = same.filter(|it| left(it) < left(one)) {
                    *one = *shorter;
                }
                same.is_some()
            });
        }
        held.append(&mut family);
    }
    held
}

/// The first way that works here.
fn choose(socket: &mut Socket, tools: &dyn Tools) -> Result<Kind, FirewallError> {
    let mut reasons = Vec::new();
    for kind in Kind::WAYS {
        match works(kind, socket, tools) {
            Ok(()) => return Ok(kind),
            Err(error) => reasons.push((kind, error.to_string())),
        }
    }
    Err(FirewallError::NoWay(reasons))
}

/// Whether kernel and programs have what a way needs.
fn works(kind: Kind, socket: &mut Socket, tools: &dyn Tools) -> Result<(), FirewallError> {
    let needs = |program: &str, package: &'static str| {
        let missing = FirewallError::NoTool { program: program.to_owned(), package };
        if tools.has(program) { Ok(()) } else { Err(missing) }
    };
    let failed = |error| FirewallError::of_kernel(kind, "say what it has", error);
    match kind {
        Kind::Auto => Ok(()),
        Kind::Nftables => {
            nftables::probe(socket).map_err(failed)?;
            needs("nft", "nftables")
        }
        Kind::Ipset => {
            ipset::probe(socket).map_err(failed)?;
            needs("ipset", "ipset")?;
            needs("iptables", "iptables")
        }
        Kind::Iptables => {
            // Whether one may is asked before whether there is nftables.
            match nftables::probe(socket) {
                Err(fault) if fault.is_forbidden() => Err(failed(fault)),
                Ok(()) | Err(_) => needs("iptables", "iptables"),
            }
        }
    }
}

/// A line as words.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// A thread that panicked has left nothing half done that a lock protects.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
