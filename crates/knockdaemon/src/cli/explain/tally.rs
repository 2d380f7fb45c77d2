//! What a story came to, in numbers, and the conclusions from them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use std::time::Duration;

use knock_wire::{Codec, Refusal};

use super::around::Around;
use super::near;
use super::words::{Words, count};

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
    outside_ports: Vec<u16>,
    /// How many hits inside the span came together, try by try.
    groups: Vec<u64>,
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

    /// What it all says, the most telling first.
    pub(super) fn conclusions(
        &self,
        client: IpAddr,
        codec: &Codec,
        around: &Around,
        formats: &[&str],
    ) -> Vec<Words> {
        let mut all = Vec::new();
        let mut say = |code, what: String, remedy: &str| {
            all.push(Words { code, what, remedy: remedy.to_owned() });
        };
        let replayed = self.refused.get(Refusal::Replayed.code()).copied().unwrap_or_default();
        if replayed > 0 {
            let replayed = count(usize::try_from(replayed).unwrap_or(usize::MAX), "time");
            say(
                Refusal::Replayed.code(),
                format!(
                    "a knock came again {replayed} that was accepted before, and opened nothing"
                ),
                "the client must make each knock anew, as knockclient does, and each packet must stand in \
                 one log; else somebody has seen the knock and sends it again",
            );
        }
        let in_span = self.own_hits - self.outside_span;
        let slots = u64::try_from(codec.slots()).unwrap_or(u64::MAX);
        if self.own_hits == 0 {
            self.never_seen(client, formats, &mut say);
        } else if in_span == 0 {
            say(
                "outside_span",
                format!(
                    "all its hits are outside the span {}: on {}",
                    codec.span(),
                    crate::shown::ports(&self.outside_ports)
                ),
                "client and server must have the same portspan",
            );
        } else if self.knocks == 0 && self.near.is_empty() && replayed == 0 {
            self.no_knock(in_span, slots, codec, &mut say);
        }
        if self.knocks == 0 && self.near.is_empty() && in_span > 0 && self.outside_span > 0 {
            say(
                "some_outside_span",
                format!(
                    "{} outside the span {}: on {}",
                    count(usize::try_from(self.outside_span).unwrap_or(usize::MAX), "hit"),
                    codec.span(),
                    crate::shown::ports(&self.outside_ports)
                ),
                "if they belong to its knocks, client and server have different portspans",
            );
        }
        if self.knocks == 0 && !self.near.contains_key("several_addresses") {
            for (address, other) in around.near() {
                let knocks = if other.knocks > 0 { ", and knocked" } else { "" };
                say(
                    "neighbour",
                    format!(
                        "{address}, of the same network, has {} inside the span{knocks}",
                        count(usize::try_from(other.in_span).unwrap_or(usize::MAX), "hit")
                    ),
                    "if that is the client, its address is another than you think: try --client with \
                     that one",
                );
            }
        }
        if self.own_hits == 0 && around.near().next().is_none() {
            let others: Vec<String> = around
                .busiest()
                .iter()
                .map(|(address, other)| format!("{address} ({})", other.in_span))
                .collect();
            if !others.is_empty() {
                say("others", format!("others hit ports of the span: {}", others.join(", ")), "");
            }
        }
        if self.search_ended {
            say(
                "search_ended",
                "too much was tried already: later near misses were not looked for".to_owned(),
                "give a shorter log",
            );
        }
        all
    }

    fn never_seen(
        &self,
        client: IpAddr,
        formats: &[&str],
        say: &mut impl FnMut(&'static str, String, &str),
    ) {
        let each = |reasons: &BTreeMap<&'static str, u64>| {
            let each: Vec<String> =
                reasons.iter().map(|(code, seen)| format!("{code} {seen}")).collect();
            each.join(", ")
        };
        if !self.noise.is_empty() {
            let reasons = each(&self.noise);
            let what = format!("lines name {client}, and none of them is a hit ({reasons})");
            return say("no_hit", what, "");
        }
        if self.read == 0 {
            return say("nothing_read", "nothing was read: the log is empty".to_owned(), "");
        }
        if self.hits > 0 {
            return say(
                "never_seen",
                format!("{client} does not appear, though {} hits of others do", self.hits),
                "its packets did not reach the LOG rule (another firewall on the way, a rule before \
                 it, a limit), or came from another address: a router or a provider in between \
                 translates addresses",
            );
        }
        say(
            "no_hits",
            format!(
                "no line yields a hit of anybody with logformat {} ({})",
                formats.join(", "),
                each(&self.no_hits)
            ),
            "see that the LOG rule logs to this file (iptables -L -v counts its packets), and that the \
             logformat is the right one: `knockdaemon formats --test LOG` tries them all",
        );
    }

    fn no_knock(
        &self,
        in_span: u64,
        slots: u64,
        codec: &Codec,
        say: &mut impl FnMut(&'static str, String, &str),
    ) {
        if in_span < slots {
            return say(
                "too_few",
                format!("only {in_span} hits inside the span, and a knock has {slots}"),
                "the others were not logged (a LOG rule with a limit, one that does not cover the whole \
                 span, a rule before it), were lost on the way, or the client has another portspan or \
                 knock format",
            );
        }
        // What most tries have in common says what the client thinks a knock is.
        let mut lengths: BTreeMap<u64, usize> = BTreeMap::new();
        for group in &self.groups {
            *lengths.entry(*group).or_default() += 1;
        }
        let usual = lengths.iter().max_by_key(|(_, times)| **times).map(|(length, _)| *length);
        if let Some(usual) = usual.filter(|usual| usual % slots != 0) {
            say(
                "other_length",
                format!("its hits come {usual} at a time, and a knock here has {slots}"),
                "fewer are lost hits; more are another knock format, cipher, iv or portspan on the \
                 client",
            );
        }
        let weak = if near::can_tell(codec) {
            ""
        } else {
            " (this knock format has too little to check for near misses to be told from noise)"
        };
        say(
            "nothing_decrypts",
            format!("no window of its hits is a knock, nor nearly one{weak}"),
            "another key on one side, another cipher, iv, keyderivation, portspan or knock format, or \
             several hits of each knock lost: compare what `knockdaemon check` and `knockclient -test` \
             say",
        );
    }
}
