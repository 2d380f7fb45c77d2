//! What happened, in plain words, and what to do about it. Finds nothing out by itself.

use std::net::IpAddr;
use std::time::Duration;

use knock_formats::NoHit;
use knock_formats::packet::NoPacketHit;

use crate::shown::ports;

use super::near::{Extra, Near, Repair, Seen, Spelled};

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// A short name that does not change, for programs.
    pub(super) code: &'static str,
    /// What was found.
    pub(super) what: String,
    /// What to do; empty where there is nothing.
    pub(super) remedy: String,
}

/// Why a queue was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgotten {
    /// Its newest hit was older than `queuetimeout`.
    TooOld {
        /// How long no hit came.
        pause: Duration,
        /// What `queuetimeout` is.
        timeout: Duration,
        /// How many hits were dropped.
        hits: usize,
    },
    /// Other clients needed the room.
    MadeRoom {
        /// How many hits were dropped.
        hits: usize,
    },
}

/// Says what became of a queue.
pub(super) fn forgotten(forgotten: Forgotten) -> String {
    match forgotten {
        Forgotten::TooOld { pause, timeout, hits } => format!(
            "{} came before, {} earlier: longer than queuetimeout ({}), so the queue begins anew",
            count(hits, "hit"),
            seconds(pause),
            seconds(timeout)
        ),
        Forgotten::MadeRoom { hits } => format!(
            "the queue of {} was forgotten to make room for other clients (maxclients), and begins anew",
            count(hits, "hit")
        ),
    }
}

/// What is around a near miss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) client: IpAddr,
    pub(super) slots: usize,
    pub(super) timeout: Option<Duration>,
}

/// Says how near the hits came.
pub(super) fn near(near: &Near, scene: &Scene) -> Words {
    let (mut code, mut what, mut remedy) = match &near.repair {
        Repair::AsTheyCame => as_they_came(near, scene),
        Repair::RepeatsCounted => (
            "repeats_counted",
            "two hits have the same source port and the same port within 10 s, which is how a SYN \
             comes that is sent again; counted once, the knock lacks one"
                .to_owned(),
            "the client must knock from a fresh port each time, as knockclient does".to_owned(),
        ),
        Repair::EachOnce => (
            "each_once",
            "the packets stand in the log more than once".to_owned(),
            "let one LOG rule alone log each packet, and read one log that it goes to; a logformat \
             with 'sourceport' ignores the copies"
                .to_owned(),
        ),
        Repair::Without(extras) => without(extras),
        Repair::Moved { hit, late } => moved(hit, *late),
        Repair::Missing { port, place } => (
            "missing",
            format!(
                "{} of {} hits are there; hit {place}, on port {port}, is missing",
                scene.slots - 1,
                scene.slots
            ),
            format!(
                "see that the LOG rule covers port {port}, has no '-m limit' and stands before any \
                 rule that takes the packet; if it was lost on the way, knock again, with a greater \
                 --delay if that happens often"
            ),
        ),
        Repair::SeveralAddresses(addresses) => {
            let all: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            (
                "several_addresses",
                format!("the hits of one knock came from several addresses: {}", all.join(", ")),
                "the client's address changed while it knocked: a pool of a provider, or IPv6's \
                 temporary addresses. Let it knock from one address (knockclient -client ADDRESS), \
                 and faster (--delay)"
                    .to_owned(),
            )
        }
    };
    if let Spelled::OtherAddress(inside) = &near.spelled {
        // Where nothing else was wrong, this is what there is to say.
        if near.repair == Repair::AsTheyCame {
            (code, what, remedy) = ("other_address", String::new(), String::new());
        }
        let client = scene.client;
        let link = if what.is_empty() { "" } else { "; and " };
        what.push_str(&format!(
            "{link}the address inside the knock is {inside}, and its packets came from {client}{}",
            if is_private(*inside) && !is_private(client) {
                ": a private address, so a translating router (NAT) is in between"
            } else {
                ": a translating router (NAT) in between, or a knock made for another machine"
            }
        ));
        let gap = if remedy.is_empty() { "" } else { "; " };
        remedy.push_str(&format!(
            "{gap}give the client the address that the server sees (knockclient -client {client}), or \
             let the server take knocks for others (anyip = yes)"
        ));
    }
    Words { code, what, remedy }
}

fn as_they_came(near: &Near, scene: &Scene) -> (&'static str, String, String) {
    let pairs = near.hits.iter().zip(near.hits.iter().skip(1));
    let longest = pairs.max_by_key(|(before, hit)| hit.at.saturating_sub(before.at));
    match (longest, scene.timeout) {
        (Some((before, hit)), Some(timeout)) if hit.at.saturating_sub(before.at) > timeout => (
            "too_slow",
            format!(
                "all hits are there and right, but {} passed before the one on port {}, and \
                 queuetimeout is {}",
                seconds(hit.at.saturating_sub(before.at)),
                hit.port,
                seconds(timeout)
            ),
            "knock faster (knockclient --delay), or raise queuetimeout".to_owned(),
        ),
        (_, _) => (
            "not_together",
            "all hits are there and right, but were not in the queue together when they were judged"
                .to_owned(),
            "knock again; if the queue was forgotten for other clients, raise maxclients".to_owned(),
        ),
    }
}

fn without(extras: &[Extra]) -> (&'static str, String, String) {
    let (Some(first), more) = (extras.first(), extras.len() > 1) else {
        return ("extra", String::new(), String::new());
    };
    let all: Vec<u16> = extras.iter().map(|extra| extra.hit.port).collect();
    let noun = if more { "hits are" } else { "hit is" };
    let double = extras.iter().all(|extra| extra.twin.is_some());
    let Some(twin) = first.twin.filter(|_| double) else {
        return (
            "extra",
            format!("{} {noun} too many, on port {}", extras.len(), ports(&all)),
            "something else of this address came in between: choose a portspan that nothing else \
             uses, or let the client do nothing else while it knocks"
                .to_owned(),
        );
    };
    let apart = seconds(first.hit.at.abs_diff(twin.at));
    let what = format!("{} {noun} double, on port {}", extras.len(), ports(&all));
    let (how, remedy) = match (first.hit.source_port, twin.source_port) {
        (Some(one), Some(other)) if one == other => (
            format!(
                ", {apart} apart from the same source port {one}: a SYN sent again, but too late to be known as one"
            ),
            "close each connection before the kernel sends its SYN again, as knockclient does",
        ),
        (Some(one), Some(other)) => (
            format!(", from the source ports {one} and {other}"),
            "the client tried that port twice: let it close each connection at once and try no \
             second time by itself, as knockclient does",
        ),
        (_, _) => (
            String::new(),
            "the logformat tells no source port, so a SYN that is sent again looks like a new hit: \
             add 'sourceport' to the logformat (SPT= in the kernel's lines)",
        ),
    };
    ("double", what + &how, remedy.to_owned())
}

fn moved(hit: &Seen, late: isize) -> (&'static str, String, String) {
    let places = count(late.unsigned_abs(), "place");
    let when = if late > 0 { "late" } else { "early" };
    (
        "moved",
        format!("all hits are there, but the one on port {} came {places} too {when}", hit.port),
        "the network or the log changes the order of packets: raise the client's --delay"
            .to_owned(),
    )
}

/// What to do about a line that is no hit although it is about this client; empty where the reason
/// says it all.
pub(super) fn no_hit_remedy(why: &NoHit) -> &'static str {
    match why {
        NoHit::Allowed => {
            "only denied packets count: the firewall must deny the ports of the span, and the LOG rule \
             belongs to that denial"
        }
        NoHit::NotASyn => {
            "only the first packet of a connection counts; this one answers or belongs to another"
        }
        NoHit::NoPorts(_) => {
            "what stands in brackets behind it was written by whoever sent it, and never counts"
        }
        NoHit::NotRequired => {
            "another line about this address, or the logformat's 'required' does not fit this log: \
             `knockdaemon formats NAME --test LOG` shows what it finds"
        }
        NoHit::NoClient
        | NoHit::BadClient { .. }
        | NoHit::NoPort
        | NoHit::BadPort { .. }
        | NoHit::BadField { .. } => {
            "the line is torn, or the logformat does not fit it: `knockdaemon formats NAME --test LOG` \
             shows what it finds"
        }
        NoHit::TwoPackets => "two writers share the log, or a line was cut: it cannot be trusted",
        NoHit::TooLong | NoHit::RepeatsNothing => "",
        _ => "",
    }
}

/// The same of a packet.
pub(super) fn no_packet_remedy(why: &NoPacketHit) -> &'static str {
    match why {
        NoPacketHit::NotChosen => "see 'useethfilter' and its properties",
        NoPacketHit::NotASyn => {
            "only the first packet of a connection counts; this one answers or belongs to another"
        }
        _ => "",
    }
}

/// A short name for a reason, whatever it is about.
pub(super) fn reason_code(why: &NoHit) -> &'static str {
    match why {
        NoHit::TooLong => "too_long",
        NoHit::NotRequired => "not_required",
        NoHit::TwoPackets => "two_packets",
        NoHit::Allowed => "allowed",
        NoHit::NoPorts(_) => "no_ports",
        NoHit::NoClient => "no_client",
        NoHit::BadClient { .. } => "bad_client",
        NoHit::NoPort => "no_port",
        NoHit::BadPort { .. } => "bad_port",
        NoHit::NotASyn => "not_a_syn",
        NoHit::RepeatsNothing => "repeats_nothing",
        NoHit::BadField { .. } => "bad_field",
        _ => "other",
    }
}

/// `1 hit`, `2 hits`.
pub(super) fn count(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}

/// A time for people: `75 s`, `0.3 s`.
pub(super) fn seconds(time: Duration) -> String {
    let millis = time.as_millis();
    if millis.is_multiple_of(1000) || millis >= 10_000 {
        format!("{} s", millis / 1000)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        // With the addresses that providers put behind a common one.
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || address.is_loopback() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
    }
}
