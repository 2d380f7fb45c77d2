//! The story of each hit for `-debug`: line, hit, queue, window, decision. Told by the daemon and by
//! `replay` alike; without `-debug` it costs a look at the level.
//!
//! Decides nothing, and never tells a key. What comes from outside is escaped and cut.

use std::time::Duration;

use knock_engine::{Accepted, Engine, Says, Verdict};
use knock_formats::NoHit;
use knock_formats::packet::NoPacketHit;
use knock_wire::{Hit, Refusal};
use tracing::Level;

use crate::logging;
use crate::shown::{delay_text, hit_text, ports, quoted};

/// Whether lines are looked at one by one, with the reason where one is no hit.
pub(crate) fn tells_lines() -> bool {
    tracing::enabled!(Level::DEBUG) && logging::may_quote_lines()
}

/// What became of a line. Of lines that the formats are not about nothing is told.
pub(crate) fn line(line: &[u8], result: &Result<(Hit, u32), NoHit>) {
    match result {
        Ok((hit, 1)) => tracing::debug!(line = quoted(line), "hit: {}", hit_text(hit)),
        Ok((hit, times)) => {
            tracing::debug!(line = quoted(line), "{times} times the last hit: {}", hit_text(hit));
        }
        Err(NoHit::NotRequired) => {}
        Err(why) => tracing::debug!(line = quoted(line), "no hit: {why}"),
    }
}

/// A hit of which the line is not quoted.
pub(crate) fn hit(hit: &Hit) {
    if tracing::enabled!(Level::DEBUG) {
        tracing::debug!("hit: {}", hit_text(hit));
    }
}

/// A packet that a rule of the firewall sent and that is no hit.
pub(crate) fn packet_of_rule(prefix: &[u8], why: NoPacketHit) {
    if tracing::enabled!(Level::DEBUG) {
        tracing::debug!(prefix = quoted(prefix), "no hit: {why}");
    }
}

/// A hit that is not used because of its age, which may be unknown.
pub(crate) fn too_old(hit: &Hit, ago: Option<Duration>) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    let (client, port) = (hit.client, hit.port);
    match ago {
        Some(ago) => {
            tracing::debug!(%client, port, "not used: it is {} s old, maxlag is less", ago.as_secs());
        }
        None => tracing::debug!(
            %client, port, "not used: it stood in the log at the start and tells no time"
        ),
    }
}

/// A packet of a capture file, by its number, and what became of it.
pub(crate) fn packet(number: u64, result: &Result<Hit, NoPacketHit>) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    match result {
        Ok(hit) => tracing::debug!(packet = number, "hit: {}", hit_text(hit)),
        Err(why) => tracing::debug!(packet = number, "no hit: {why}"),
    }
}

/// What the engine made of a hit, and why.
pub(crate) fn verdict(engine: &Engine, hit: &Hit, verdict: &Verdict) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    let (client, port) = (hit.client, hit.port);
    match verdict {
        Verdict::OutsideSpan => {
            tracing::debug!(%client, port, "outside the span {}", engine.span());
        }
        Verdict::Repeated => {
            tracing::debug!(%client, port, "a repeated SYN (same source port), ignored");
        }
        Verdict::Queued { filled, of } => {
            let queue = ports(&engine.queued(client));
            tracing::debug!(%client, port, queue, "queued {filled}/{of}");
        }
        Verdict::Refused(refusal) => {
            let window = ports(&engine.judged_window());
            let code = refusal.code();
            let then = match refusal {
                Refusal::Replayed => "the queue is empty again",
                _ => "its oldest hit is dropped",
            };
            tracing::debug!(%client, port, window, "window refused ({code}): {refusal}; {then}");
        }
        Verdict::Accepted(accepted) => knock(engine, accepted),
    }
}

fn knock(engine: &Engine, accepted: &Accepted) {
    let client = accepted.client;
    let window = ports(&engine.judged_window());
    tracing::debug!(%client, window, "window is a knock: {}; the queue is empty again", accepted.knock);
    for judged in &accepted.judged {
        let says = match judged.condition {
            Says::Yes => "holds",
            Says::No => "does not hold",
            Says::TooSoon => "holds, but its cooldown is not over",
        };
        tracing::debug!(%client, action = judged.action, "its condition {says}");
    }
    for order in &accepted.orders {
        let when = delay_text(order.delay);
        tracing::debug!(%client, action = order.action, template = order.template, "ordered {when}: {}", order.command);
    }
}
