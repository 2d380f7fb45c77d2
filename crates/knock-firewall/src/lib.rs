//! The firewall of this host, told to let somebody in for a while: by sets whose members the kernel
//! itself forgets in time (nftables, ipset), or by rules of iptables.
//!
//! Decides nothing: who may come in, and for how long, is the engine's business. Whatever is not
//! ours in the firewall is read at most, never changed.

#![forbid(unsafe_code)]

mod error;
mod ipset;
mod iptables;
mod kind;
mod netlink;
mod nftables;
mod pieces;
mod removal;
mod survey;
mod tools;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use knock_rules::{Held, Opening};

pub use error::FirewallError;
pub use kind::Kind;
pub use tools::{Ran, ToolError, Tools};

use crate::iptables::rules::{self, HasNoClock};
use crate::netlink::{Fault, Socket};
use crate::nftables::elements::{self, Size};
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
    lane: Mutex<()>,
    /// Networks of these sizes have been asked for.
    sizes: Mutex<BTreeSet<Size>>,
    no_clock: HasNoClock,
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
            lane: Mutex::new(()),
            sizes: Mutex::new(Size::HOSTS.into()),
            no_clock: HasNoClock::default(),
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

    /// Lets somebody in until `left` is over; `None`: until it is closed. One who is in already gets
    /// the new time. Makes the static part if it is missing.
    ///
    /// # Errors
    /// When it is not open afterwards, or not for that time.
    pub fn open(
        &self,
        opening: &Opening,
        left: Option<Duration>,
        limit: Duration,
    ) -> Result<Did, FirewallError> {
        let is_new = match self.kind {
            Kind::Nftables => self.in_set(opening, limit, |it| elements::add(it, opening, left)),
            Kind::Ipset => self.in_set(opening, limit, |it| ipset::add(it, opening, left)),
            Kind::Iptables | Kind::Auto => {
                let until = left.and_then(|left| (self.clock)().checked_add(left));
                let _alone = lock(&self.lane);
                let survey = self.survey(limit)?;
                self.mend(&survey, limit)?;
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
        let doing = || format!("close {opening}");
        let failed = |error| FirewallError::of_kernel(self.kind, doing(), error);
        match self.kind {
            Kind::Nftables => elements::remove(&mut lock(&self.socket), opening).map_err(failed),
            Kind::Ipset => ipset::remove(&mut lock(&self.socket), opening).map_err(failed),
            Kind::Iptables | Kind::Auto => {
                let _alone = lock(&self.lane);
                let survey = self.survey(limit)?;
                let tools = &*self.tools;
                let mut was_there = false;
                for (program, listing) in survey.engines(opening.network.is_v4()) {
                    let rules = rules::Rules { program, tools, limit };
                    was_there |= rules.remove(listing, opening)?;
                }
                Ok(was_there)
            }
        }
        .map(Did::new)
    }

    /// Who is let in by us now.
    ///
    /// # Errors
    /// When the firewall does not say.
    pub fn held(&self, limit: Duration) -> Result<Vec<Held>, FirewallError> {
        let failed = |error| FirewallError::of_kernel(self.kind, "list who is let in", error);
        match self.kind {
            Kind::Nftables => {
                let mut socket = lock(&self.socket);
                let mut held = Vec::new();
                for size in elements::sizes(&mut socket).map_err(failed)? {
                    held.extend(elements::list(&mut socket, size).map_err(failed)?);
                }
                Ok(held)
            }
            Kind::Ipset => {
                let mut socket = lock(&self.socket);
                let mut held = Vec::new();
                for v4 in [true, false] {
                    let listed = ipset::list(&mut socket, v4).map_err(failed)?;
                    held.extend(
                        listed.filter(|it| it.is_as_ours).into_iter().flat_map(|it| it.held),
                    );
                }
                Ok(held)
            }
            Kind::Iptables | Kind::Auto => {
                let _alone = lock(&self.lane);
                let survey = self.survey(limit)?;
                Ok(in_all_engines(&survey, (self.clock)()))
            }
        }
    }

    /// Makes what is missing of the static part, and takes away what another way has left behind.
    /// Returns what was done, for people; nothing if all was as it should be.
    ///
    /// # Errors
    /// At the first piece that cannot be made.
    pub fn apply(&self, limit: Duration) -> Result<Vec<String>, FirewallError> {
        let _alone = lock(&self.lane);
        let survey = self.survey(limit)?;
        let mut done = self.mend(&survey, limit)?;
        done.extend(removal::remove(&survey, Some(self.kind), &*self.tools, limit)?);
        Ok(done)
    }

    /// Takes away all that is ours, of all ways, and with it all openings. Returns what was taken.
    ///
    /// # Errors
    /// At the first thing that cannot be taken away.
    pub fn remove(&self, limit: Duration) -> Result<Vec<String>, FirewallError> {
        let _alone = lock(&self.lane);
        let survey = self.survey(limit)?;
        removal::remove(&survey, None, &*self.tools, limit)
    }

    /// The static part as a shell script with remarks, which may be run as often as one likes.
    ///
    /// # Errors
    /// When this host's firewall cannot be looked at.
    pub fn script(&self, limit: Duration) -> Result<String, FirewallError> {
        let survey = self.survey(limit)?;
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
        Ok(self.survey(limit)?.remarks(self.kind))
    }

    fn survey(&self, limit: Duration) -> Result<Survey, FirewallError> {
        // A socket of its own: programs run meanwhile, and whoever knocks does not wait for them.
        let mut socket = Socket::open()
            .map_err(|error| FirewallError::of_kernel(self.kind, "open a socket", error))?;
        Survey::of(&mut socket, &*self.tools, self.kind, limit)
    }

    /// Does something to a set; if there is no such set, makes it first.
    fn in_set(
        &self,
        opening: &Opening,
        limit: Duration,
        work: impl Fn(&mut Socket) -> Result<bool, Fault>,
    ) -> Result<bool, FirewallError> {
        let mut result = work(&mut lock(&self.socket));
        if result == Err(Fault::NOENT) {
            lock(&self.sizes).insert(Size::of(&opening.network));
            self.apply(limit)?;
            result = work(&mut lock(&self.socket));
        }
        result.map_err(|error| match error {
            Fault::NFILE | ipset::FULL => FirewallError::Full(*opening),
            _ => FirewallError::of_kernel(self.kind, format!("open {opening}"), error),
        })
    }

    /// Makes the pieces that were not seen. Says what was made.
    fn mend(&self, survey: &Survey, limit: Duration) -> Result<Vec<String>, FirewallError> {
        let pieces = survey.pieces(self.kind, &lock(&self.sizes));
        let mut done = Vec::new();
        for (piece, _) in pieces.iter().filter(|(_, is_there)| !is_there) {
            piece.make(&*self.tools, limit)?;
            done.push(format!("made {piece}"));
        }
        Ok(done)
    }
}

/// Who is let in by each engine of iptables that has rules: with two of them, both must.
fn in_all_engines(survey: &Survey, now: SystemTime) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for v4 in [true, false] {
        let mut engines = survey.engines(v4).map(|(_, listing)| rules::held(listing, now));
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
