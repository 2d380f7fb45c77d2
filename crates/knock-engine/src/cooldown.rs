//! Which action has answered which client lately. Nothing durable: after a restart each may answer
//! again. Only accepted knocks get here, so strangers fill nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Entries before the ones that mean nothing any more are thrown out.
const SWEEP: usize = 1024;

/// When each answer's cooldown is over, by client and action.
#[derive(Debug, Default)]
pub(crate) struct Cooldowns {
    over: HashMap<(IpAddr, String), Duration>,
}

impl Cooldowns {
    /// Whether this action has to leave this client without an answer now.
    pub(crate) fn holds(&self, client: IpAddr, action: &str, uptime: Duration) -> bool {
        let over = self.over.get(&(client, action.to_owned()));
        over.is_some_and(|over| uptime < *over)
    }

    /// It has answered.
    pub(crate) fn begin(
        &mut self,
        client: IpAddr,
        action: &str,
        until: Duration,
        uptime: Duration,
    ) {
        if self.over.len() >= SWEEP && self.over.len().is_power_of_two() {
            self.over.retain(|_, over| uptime < *over);
        }
        self.over.insert((client, action.to_owned()), until);
    }
}
