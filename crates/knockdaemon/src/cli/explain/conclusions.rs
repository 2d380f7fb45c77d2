//! The conclusions from the numbers of a story, in words, with what to do.

use std::collections::BTreeMap;
use std::net::IpAddr;

use knock_wire::{Codec, Refusal};

use super::around::Around;
use super::near;
use super::tally::Tally;
use super::words::{Words, count};

impl Tally {
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
