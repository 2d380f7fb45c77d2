//! From what a knock asks of leases to the changes that grant, renew and end them.
//! Reads the leases as they are and changes none: the caller makes the changes durable first.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_rules::{Opening, Protocol};

use crate::lease::{EndedBy, Hold, Lease, LeaseId, LeaseNews, LeaseState};
use crate::ledger::{Change, Leases};
use crate::order::OrderId;
use crate::plan::{KeptBy, LeasePolicy, OneLease};

/// Leases that one client may have at a time.
pub const MAX_LEASES_OF_A_CLIENT: usize = 64;
/// Leases that there may be at a time.
pub const MAX_LEASES: usize = 16_384;

/// How much longer a session keeps a lease each time, at the most. As long as this a port may stay open
/// after the session.
const LONGEST_STEP: Duration = Duration::from_secs(30);

/// What an action asks of leases, with the values of its knock.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) action: String,
    pub(crate) template: String,
    /// Whom the knock speaks for.
    pub(crate) address: IpAddr,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) what: AskFor,
}

#[derive(Clone, Debug)]
pub(crate) enum AskFor {
    Open { opening: Opening, length: Option<Duration>, kept_by: KeptBy },
    Close,
}

/// Whose knock it is.
#[derive(Clone, Debug)]
pub(crate) struct Knocker {
    pub(crate) client: IpAddr,
    pub(crate) user: Option<String>,
    pub(crate) knock: String,
}

/// What follows from one knock.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    pub(crate) changes: Vec<Change>,
    pub(crate) news: Vec<LeaseNews>,
}

/// What the asks of one knock come to, one after the other.
pub(crate) fn grant(
    asks: &[Ask],
    knocker: &Knocker,
    policy: &LeasePolicy,
    leases: &Leases,
    wall: SystemTime,
    last_id: &mut OrderId,
) -> Granted {
    let mut draft = Draft {
        leases,
        changed: BTreeMap::new(),
        granted: Granted::default(),
        knocker,
        policy,
        wall,
        last_id,
    };
    for ask in asks {
        match ask.what {
            AskFor::Open { opening, length, kept_by } => draft.open(ask, opening, length, kept_by),
            AskFor::Close => draft.close(ask),
        }
    }
    draft.granted
}

/// The leases as they will be, for the asks behind the first.
struct Draft<'a> {
    leases: &'a Leases,
    changed: BTreeMap<LeaseId, Option<Lease>>,
    granted: Granted,
    knocker: &'a Knocker,
    policy: &'a LeasePolicy,
    wall: SystemTime,
    last_id: &'a mut OrderId,
}

impl Draft<'_> {
    fn open(&mut self, ask: &Ask, opening: Opening, length: Option<Duration>, kept_by: KeptBy) {
        // A time that no clock can show is over at once, which is the safe way to be wrong.
        let after = |span: Duration| self.wall.checked_add(span).unwrap_or(self.wall);
        let at_most = self.policy.max.map(after);
        let until = earlier(length.map(after), at_most);
        let hold = match (kept_by, length) {
            (KeptBy::Connection, Some(length)) => {
                Hold::Connected { step: length.min(LONGEST_STEP) }
            }
            (KeptBy::Connection, None) | (KeptBy::Nothing, _) => Hold::No,
        };
        // Before anything of the same user ends: who gets nothing keeps what there is.
        let before = self.find(&opening);
        if before.is_none() && self.is_full(opening) {
            return;
        }
        self.end_elsewhere(ask.address);
        let fresh = Lease {
            id: LeaseId::default(),
            client: self.knocker.client,
            user: self.knocker.user.clone(),
            opening,
            opened: self.wall,
            renewed: self.wall,
            until,
            at_most,
            hold,
            action: ask.action.clone(),
            template: ask.template.clone(),
            knock: self.knocker.knock.clone(),
            state: LeaseState::Opening,
        };
        match before {
            Some(before) if before.is_wanted() => {
                let renewed = Lease {
                    id: before.id,
                    opened: before.opened,
                    state: before.state.clone(),
                    ..fresh
                };
                // Opened by an action of this very knock, so neither of them is newer.
                if self.changed.contains_key(&before.id) {
                    self.amend(more_generous(before, renewed));
                    return;
                }
                self.put(renewed.clone());
                self.granted.news.push(LeaseNews::Renewed(renewed));
            }
            // One that is being closed stays what it is; this is another.
            before => {
                if let Some(before) = before {
                    self.changed.insert(before.id, None);
                    self.granted.changes.push(Change::LeaseClosed(before.id));
                }
                self.last_id.0 += 1;
                let granted = Lease { id: LeaseId(self.last_id.0), ..fresh };
                self.put(granted.clone());
                self.granted.news.push(LeaseNews::Granted(granted));
            }
        }
    }

    /// What this knock grants or renews is different after all.
    fn amend(&mut self, lease: Lease) {
        for news in &mut self.granted.news {
            if let LeaseNews::Granted(told) | LeaseNews::Renewed(told) = news
                && told.id == lease.id
            {
                *told = lease.clone();
            }
        }
        self.put(lease);
    }

    /// Who has leases of that port ends those, and not what others of the same network have. Who has
    /// none has another address of that network now, and ends what is there; but where the knock says
    /// who it is, nothing that is known to be another's.
    fn close(&mut self, ask: &Ask) {
        let is_meant = |lease: &Lease| {
            (lease.opening.protocol, lease.opening.port) == (ask.protocol, ask.port)
                && lease.opening.network.holds(ask.address)
        };
        let mut found = self.all(is_meant);
        if matches!(self.policy.one, OneLease::By(_)) {
            found.retain(|lease| lease.user.is_none() || self.is_theirs(lease));
        }
        let is_over = |lease: &Lease| lease.until.is_some_and(|until| until <= self.wall);
        let is_own = |lease: &Lease| lease.is_wanted() && !is_over(lease) && self.is_theirs(lease);
        if found.iter().any(is_own) {
            found.retain(|lease| self.is_theirs(lease));
        }
        if found.is_empty() {
            self.granted.news.push(LeaseNews::NothingOpen {
                client: ask.address,
                protocol: ask.protocol,
                port: ask.port,
            });
        }
        self.end(found, EndedBy::CloseKnock);
    }

    /// Who knocks from here is at the old addresses no more.
    fn end_elsewhere(&mut self, address: IpAddr) {
        if self.policy.one == OneLease::No {
            return;
        }
        let user = self.knocker.user.clone();
        let stale = self.all(|lease| lease.user == user && !lease.opening.network.holds(address));
        self.end(stale, EndedBy::NewAddress);
    }

    fn end(&mut self, leases: Vec<Lease>, why: EndedBy) {
        for lease in leases.into_iter().filter(Lease::is_wanted) {
            let lease = Lease { state: LeaseState::Closing, ..lease };
            self.put(lease.clone());
            self.granted.news.push(LeaseNews::Ended { lease, why });
        }
    }

    fn is_full(&mut self, opening: Opening) -> bool {
        let client = self.knocker.client;
        let of_client = self.all(|lease| lease.client == client).len();
        let added = self
            .changed
            .iter()
            .filter(|(id, lease)| lease.is_some() && self.leases.get(**id).is_none());
        let (most, client) = if of_client >= MAX_LEASES_OF_A_CLIENT {
            (MAX_LEASES_OF_A_CLIENT, Some(client))
        } else if self.leases.len() + added.count() >= MAX_LEASES {
            (MAX_LEASES, None)
        } else {
            return false;
        };
        self.granted.news.push(LeaseNews::Full { opening, most, client });
        true
    }

    /// Whether it is a lease of who knocks.
    fn is_theirs(&self, lease: &Lease) -> bool {
        match self.policy.one {
            OneLease::No => lease.client == self.knocker.client,
            OneLease::Everybody | OneLease::By(_) => lease.user == self.knocker.user,
        }
    }

    /// What who knocks has of this already.
    fn find(&self, opening: &Opening) -> Option<Lease> {
        let changed = self.changed.values().flatten().filter(|lease| lease.opening == *opening);
        let unchanged =
            self.leases.of(opening).filter(|lease| !self.changed.contains_key(&lease.id));
        let mut theirs: Vec<&Lease> =
            changed.chain(unchanged).filter(|lease| self.is_theirs(lease)).collect();
        theirs.sort_by_key(|lease| lease.is_wanted());
        theirs.pop().cloned()
    }

    fn all(&self, is_meant: impl Fn(&Lease) -> bool) -> Vec<Lease> {
        let unchanged = self.leases.all().filter(|lease| !self.changed.contains_key(&lease.id));
        let changed = self.changed.values().flatten();
        unchanged.chain(changed).filter(|lease| is_meant(lease)).cloned().collect()
    }

    fn put(&mut self, lease: Lease) {
        self.changed.insert(lease.id, Some(lease.clone()));
        self.granted.changes.push(Change::Leased(lease));
    }
}

/// One lease that gives what either would. It is named after the one that ends later.
fn more_generous(first: Lease, second: Lease) -> Lease {
    let hold = match (first.hold, second.hold) {
        (Hold::Connected { step }, Hold::Connected { step: other }) => {
            Hold::Connected { step: step.max(other) }
        }
        (Hold::No, hold) | (hold, Hold::No) => hold,
    };
    let longer = if second.ends() > first.ends() { second } else { first };
    Lease { hold, ..longer }
}

fn earlier(first: Option<SystemTime>, second: Option<SystemTime>) -> Option<SystemTime> {
    [first, second].into_iter().flatten().min()
}
