//! What a story came to, in numbers. What follows from them is said by `conclusions`.

use std::collections::BTreeMap;
use std::time::Duration;

/// A longer pause ends a try to knock.
const TRY_ENDS: Duration = Duration::from_secs(10);

/// The last so many tries are remembered by their length.
const MAX_GROUPS: usize = 64;

/// Of each kind of noise so many are told one by one; more are counted.
const MAX_TOLD: u64 = 20;

/// Lines of other programs that name the client: fewer.
const MAX_MENTIONS: u64 = 5;

/// Ports outside the span that are remembered.
const MAX_PORTS: usize = 16;

/// Numbers of a story.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Lines or packets.
    pub(super) read: u64,
    /// Hits of anybody.
    pub(super) hits: u64,
    pub(super) own_hits: u64,
    pub(super) outside_span: u64,
    pub(super) repeated: u64,
    pub(super) knocks: u64,
    pub(super) refused: BTreeMap<&'static str, u64>,
    pub(super) near: BTreeMap<&'static str, u64>,
    /// Why lines of anybody were no hits.
    pub(super) no_hits: BTreeMap<&'static str, u64>,
    /// Lines that name the client and are no hits, and hits outside the span, by kind.
    pub(super) noise: BTreeMap<&'static str, u64>,
    /// The budget for near misses was spent.
    pub(super) search_ended: bool,
    pub(super) outside_ports: Vec<u16>,
    /// How many hits inside the span came together, try by try.
    pub(super) groups: Vec<u64>,
    group: u64,
}

impl Tally {
    pub(super) fn no_hit(&mut self, code: &'static str) {
        *self.no_hits.entry(code).or_default() += 1;
    }

    pub(super) fn refused(&mut self, code: &'static str) {
        *self.refused.entry(code).or_default() += 1;
    }

    pub(super) fn near(&mut self, code: &'static str) {
        *self.near.entry(code).or_default() += 1;
    }

    /// Counts one of a kind; whether there were so few that it is told.
    pub(super) fn worth_telling(&mut self, kind: &'static str) -> bool {
        let seen = self.noise.entry(kind).or_default();
        *seen += 1;
        *seen <= if kind == "not_required" { MAX_MENTIONS } else { MAX_TOLD }
    }

    /// Noise that was not told one by one.
    pub(super) fn untold(&self) -> u64 {
        let most = |kind| if kind == "not_required" { MAX_MENTIONS } else { MAX_TOLD };
        self.noise.iter().map(|(kind, seen)| seen.saturating_sub(most(*kind))).sum()
    }

    pub(super) fn outside(&mut self, port: u16) {
        self.outside_span += 1;
        if self.outside_ports.len() < MAX_PORTS && !self.outside_ports.contains(&port) {
            self.outside_ports.push(port);
        }
    }

    pub(super) fn in_span(&mut self, pause: Option<Duration>) {
        if pause.is_some_and(|pause| pause > TRY_ENDS) {
            self.end_group();
        }
        self.group += 1;
    }

    /// A try is over.
    pub(super) fn end_group(&mut self) {
        let group = std::mem::take(&mut self.group);
        if group > 0 && self.groups.len() < MAX_GROUPS {
            self.groups.push(group);
        }
    }
}
