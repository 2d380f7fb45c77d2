//! Leases as the control socket shows and changes them. What may be is the engine's to say.

use std::time::{Duration, SystemTime};

use knock_engine::{Change, Hold, Lease, LeaseId, LeaseState};

use crate::control::protocol::{self, Answer, Code, Leases, MAX_LISTED, Refused, Revoked, Which};
use crate::control::server::Peer;

use super::Daemon;
use super::failures::cut;
use super::status::{seconds_until, time};

impl Daemon {
    /// What is open.
    pub(super) fn list_leases(&mut self) -> Leases {
        let wall = self.now().wall;
        Leases {
            total: self.engine.leases().count(),
            leases: self.engine.leases().take(MAX_LISTED).map(|one| lease(one, wall)).collect(),
            firewall: self.firewall(),
        }
    }

    /// Ends leases. They are marked before this returns, and closed by the orders that come of it.
    pub(super) fn revoke(&mut self, which: &Which, by: Peer) -> Answer {
        let wall = self.now().wall;
        let mut meant: Vec<LeaseId> = match which {
            Which::Ids(ids) => ids.iter().copied().map(LeaseId).collect(),
            Which::Client(client) => {
                let client = client.to_canonical();
                let theirs = self.engine.leases().filter(|lease| lease.client == client);
                theirs.map(|lease| lease.id).collect()
            }
            Which::All => self.engine.leases().map(|lease| lease.id).collect(),
        };
        // Who names one twice is told of it once.
        meant.sort_unstable();
        meant.dedup();
        let (mut revoked, mut changes) = (Vec::new(), Vec::<Change>::new());
        let mut unknown = Vec::new();
        for id in meant {
            match self.engine.revoke(id) {
                Some(marked) => {
                    changes.extend(marked);
                    revoked.push(id);
                }
                None => unknown.push(id.0),
            }
        }
        // What is to be closed closes also if that cannot be kept.
        let is_kept = self.respond.keep(&changes, "that leases were revoked");
        let listed = self.engine.leases().filter(|lease| revoked.binary_search(&lease.id).is_ok());
        let leases: Vec<_> = listed.take(MAX_LISTED).map(|one| lease(one, wall)).collect();
        for one in &leases {
            let (client, port, id) = (one.client, one.port, one.id);
            tracing::info!(%client, port, lease = id, uid = by.uid, "lease revoked");
        }
        if revoked.is_empty() && !unknown.is_empty() {
            let numbers: Vec<String> = unknown.iter().map(u64::to_string).collect();
            let message = format!("there is no lease {}", numbers.join(", "));
            return Answer::Refused(Refused::new(Code::NotFound, message));
        }
        if let (true, Which::Client(client)) = (revoked.is_empty(), which) {
            let message = format!("{client} has no lease");
            return Answer::Refused(Refused::new(Code::NotFound, message));
        }
        if !is_kept {
            let message =
                "closing, but that cannot be kept on disk: should the daemon die before it \
                           can, what is not closed by then would be open again; see its log"
                    .to_owned();
            return Answer::Refused(Refused::new(Code::Store, message));
        }
        let firewall = self.firewall();
        Answer::Revoked(Revoked { total: revoked.len(), leases, unknown, firewall })
    }

    /// Moves the end of a lease. Durable before it holds.
    pub(super) fn extend(&mut self, id: LeaseId, longer: Duration, by: Peer) -> Answer {
        let refused = |code, message: String| Answer::Refused(Refused::new(code, message));
        if longer.is_zero() {
            return refused(Code::Lease, "it says no time to extend by".to_owned());
        }
        let now = self.now();
        let Some(before) = self.engine.leases().find(|lease| lease.id == id) else {
            return refused(Code::NotFound, format!("there is no lease {id}"));
        };
        let Some(until) = before.until else {
            let message = format!("lease {id} has no end: it lasts until it is closed");
            return refused(Code::Lease, message);
        };
        let Some(until) = until.checked_add(longer).filter(|end| is_sane(*end, now.wall)) else {
            return refused(Code::Lease, "that is longer than a hundred years".to_owned());
        };
        let changes = match self.engine.extend(&now, id, Some(until)) {
            Ok(changes) => changes,
            Err(error) => return refused(Code::Lease, error.to_string()),
        };
        if let Err(error) = self.respond.make_durable(&changes) {
            return refused(Code::Store, format!("it cannot be kept on disk: {error}"));
        }
        self.engine.commit(&changes);
        let (seconds, uid) = (longer.as_secs(), by.uid);
        tracing::info!(lease = id.0, seconds, uid, "lease extended");
        match self.engine.leases().find(|lease| lease.id == id) {
            Some(one) => Answer::Extended(Box::new(lease(one, now.wall))),
            None => refused(Code::NotFound, format!("there is no lease {id}")),
        }
    }
}

/// Later times would be years that no calendar can print.
fn is_sane(end: SystemTime, now: SystemTime) -> bool {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 86_400);
    end.duration_since(now).is_ok_and(|left| left <= CENTURY)
}

fn lease(lease: &Lease, wall: SystemTime) -> protocol::Lease {
    let (state, trouble) = match &lease.state {
        LeaseState::Opening => (protocol::LeaseState::Opening, None),
        LeaseState::Open => (protocol::LeaseState::Open, None),
        LeaseState::Closing => (protocol::LeaseState::Closing, None),
        LeaseState::Failed { why } => (protocol::LeaseState::Failed, Some(cut(why))),
    };
    protocol::Lease {
        id: lease.id.0,
        state,
        port: lease.opening.port,
        protocol: lease.opening.protocol.to_string(),
        to: lease.opening.network.to_string(),
        client: lease.client,
        user: lease.user.as_deref().map(cut),
        opened: time(lease.opened),
        until: lease.until.map(time),
        left_s: lease.until.map(|until| seconds_until(until, wall)),
        at_most: lease.at_most.map(time),
        hold: lease.hold != Hold::No,
        action: lease.action.clone(),
        knock: cut(&lease.knock),
        trouble,
    }
}
